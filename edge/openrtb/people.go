package openrtb

// Bounds of the choices of a person. Chosen.
const (
	// MaxHidden is how many advertisers, or topics, one request can name.
	MaxHidden = 100
)

// Inquiry is a request about one person: to look up, to erase, or to choose. Which of
// its fields a path takes is said by Allow.
type Inquiry struct {
	Person
	// Time, for nodes that take the time from the requests.
	At    uint32
	HasAt bool
	// KeepOptOut of an erasure.
	KeepOptOut, HasKeepOptOut bool
	// The choices; each is made only when it is there.
	Personalisation, HasPersonalisation bool
	HiddenAdvertisers, HiddenTopics     [][]byte
	HasAdvertisers, HasTopics           bool
	PauseUntil                          uint32
	HasPauseUntil                       bool
	// HasPerson reports whether there was a user or a device object.
	HasPerson bool

	read personReader
}

// Takes says which fields beside the person a path takes.
type Takes uint8

// The fields of an erasure, and those of a choice.
const (
	TakesKeep Takes = 1 << iota
	TakesChoices
)

// Parse reads one request. Unlike elsewhere a field that the path does not know is a fault:
// a choice that is misspelt must not pass for one that was made. The fields alias body,
// which is written to. The error is nil or Faults; after one, the fields are not to be
// used.
func (q *Inquiry) Parse(body []byte, takes Takes) error {
	*q = Inquiry{read: q.read, Person: q.Person}
	q.read.reset(body)
	q.Person.reset()
	i := q.read.begin()
	if i >= 0 {
		i = q.fields(i, takes)
	}
	if q.read.end(i) {
		q.read.resolve(&q.Person)
		q.HasPerson = q.read.user.present || q.read.device.present
		if !q.HasPerson {
			q.read.require("user", "required, or device")
		} else if len(q.Identifiers) == 0 {
			q.read.require("user", "names no identifier: user.id, user.buyeruid, user.eids or device.ifa")
		}
	}
	return q.read.err()
}

// fields reads the object at i.
func (q *Inquiry) fields(i int, takes Takes) int {
	p := &q.read
	for key, i := p.first(i); ; key, i = p.next(i) {
		choices, keep := takes&TakesChoices != 0, takes&TakesKeep != 0
		switch name := string(key); {
		case key == nil:
			return i
		case name == "user":
			i = p.readUser(i)
		case name == "device":
			i = p.readDevice(i)
		case name == "at":
			q.At, q.HasAt, i = p.uint32(i, "at")
		case name == "keep_opt_out" && keep:
			q.HasKeepOptOut = !p.null(i)
			q.KeepOptOut, i = p.boolean(i, name)
		case name == "personalisation" && choices:
			q.HasPersonalisation = !p.null(i)
			q.Personalisation, i = p.boolean(i, name)
		case name == "hidden_advertisers" && choices:
			q.HasAdvertisers = !p.null(i)
			q.HiddenAdvertisers, i = p.names(i, name)
		case name == "hidden_topics" && choices:
			q.HasTopics = !p.null(i)
			q.HiddenTopics, i = p.names(i, name)
		case name == "pause_until" && choices:
			q.PauseUntil, q.HasPauseUntil, i = p.uint32(i, name)
		default:
			p.fault("body", "there is a field that is not taken here: "+takes.known())
			i = p.skip(i)
		}
	}
}

// known says which fields a path takes. The one that is not is not repeated: it may be an
// identifier in the wrong place.
func (t Takes) known() string {
	s := "user, device"
	if t&TakesKeep != 0 {
		s += ", keep_opt_out"
	}
	if t&TakesChoices != 0 {
		s += ", personalisation, hidden_advertisers, hidden_topics, pause_until"
	}
	return s + " are"
}

// names reads a list of names; null is none.
func (p *reader) names(i int, name string) (names [][]byte, after int) {
	ok, i := p.is(i, '[', name, "a list of strings")
	if !ok {
		return nil, i
	}
	for i, more := p.element(i, true); ; i, more = p.element(i, false) {
		if !more {
			return names, i
		}
		null := p.null(i)
		var one []byte
		before := len(p.faults) + p.unlisted
		one, i = p.text(i, name, MaxName)
		if len(one) == 0 && (null || len(p.faults)+p.unlisted == before && i >= 0) {
			p.fault(name, "holds an empty name; name what is to be hidden, or leave it out")
		}
		if len(names) == MaxHidden {
			p.fault(name, "more than 100 names; hide fewer at a time")
			return names, p.rest(i)
		}
		names = append(names, one)
	}
}
