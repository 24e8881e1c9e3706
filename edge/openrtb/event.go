package openrtb

// EventType is what happened.
type EventType uint8

// The closed set of event types. NoEvent is none of them.
const (
	NoEvent EventType = iota
	Impression
	Click
	Purchase
	Return  // undoes a purchase
	Release // the auction was lost: gives a hold back
	Hide    // the user wants to see this no more
	Complaint
	Feedback
)

var eventTypes = [...]string{
	Impression: "impression", Click: "click", Purchase: "purchase", Return: "return",
	Release: "release", Hide: "hide", Complaint: "complaint", Feedback: "feedback",
}

// String returns the type as callers write it; "" for NoEvent.
func (t EventType) String() string {
	if int(t) < len(eventTypes) {
		return eventTypes[t]
	}
	return ""
}

// ParseEventType returns NoEvent for what is no type.
func ParseEventType(s []byte) EventType {
	for t, name := range eventTypes {
		if t > 0 && string(s) == name {
			return EventType(t)
		}
	}
	return NoEvent
}

// Event is one report of what happened. Which fields a type needs is in needs; every other
// field is optional and kept as sent.
type Event struct {
	Person
	Type       EventType
	RawType    []byte // as sent
	ID         []byte // the caller's identity of the event
	Token      []byte
	Campaign   []byte
	Creative   []byte
	Item       []byte
	Category   []byte
	Advertiser []byte
	// Why, of a Hide, is one of repeats, already_bought, inappropriate, not_interested,
	// creepy, or empty.
	Why []byte
	// Answer, of a Feedback, is helpful or intrusive.
	Answer []byte
	// At is when it happened, in Unix seconds, when HasAt.
	At    uint32
	HasAt bool
	// HasPerson reports whether there was a user or a device object, even one without an
	// identifier.
	HasPerson bool

	read personReader
}

func (e *Event) reset(line []byte) {
	e.read.reset(line)
	e.Person.reset()
	e.Type, e.RawType, e.ID, e.Token = NoEvent, nil, nil, nil
	e.Campaign, e.Creative, e.Item, e.Category, e.Advertiser = nil, nil, nil, nil, nil
	e.Why, e.Answer, e.At, e.HasAt, e.HasPerson = nil, nil, 0, false, false
}

// Parse reads one event. The fields alias line, which is written to. The error is nil or
// Faults; after one, the fields are not to be used.
func (e *Event) Parse(line []byte) error {
	e.reset(line)
	i := e.read.begin()
	if i >= 0 {
		i = e.fields(i)
	}
	if e.read.end(i) {
		e.finish()
	}
	return e.read.err()
}

// fields reads the object at i.
func (e *Event) fields(i int) int {
	p := &e.read
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key == nil {
				return i
			}
			i = p.skip(i)
		case "type":
			e.RawType, i = p.text(i, "type", MaxName)
		case "id":
			e.ID, i = p.text(i, "id", MaxID)
		case "token":
			e.Token, i = p.text(i, "token", MaxToken)
		case "campaign":
			e.Campaign, i = p.text(i, "campaign", MaxName)
		case "creative":
			e.Creative, i = p.text(i, "creative", MaxName)
		case "item":
			e.Item, i = p.text(i, "item", MaxName)
		case "category":
			e.Category, i = p.text(i, "category", MaxName)
		case "advertiser":
			e.Advertiser, i = p.text(i, "advertiser", MaxName)
		case "channel":
			p.channel, i = p.text(i, "channel", MaxName)
		case "why":
			e.Why, i = p.text(i, "why", MaxName)
		case "answer":
			e.Answer, i = p.text(i, "answer", MaxName)
		case "at":
			e.At, e.HasAt, i = p.uint32(i, "at")
		case "user":
			i = p.readUser(i)
		case "device":
			i = p.readDevice(i)
		case "regs":
			i = p.readRegs(i)
		case "site":
			p.site = !p.null(i)
			i = p.skip(i)
		case "app":
			p.app = !p.null(i)
			i = p.skip(i)
		default:
			i = p.skip(i)
		}
	}
}

// finish checks what the type needs.
func (e *Event) finish() {
	p := &e.read
	p.resolve(&e.Person)
	e.HasPerson = p.user.present || p.device.present
	if e.Type = ParseEventType(e.RawType); e.Type == NoEvent {
		detail := "must be one of impression, click, purchase, return, release, hide, complaint, feedback"
		if len(e.RawType) == 0 {
			detail = "required, " + detail
		}
		p.require("type", detail)
		return
	}
	needs := eventNeeds[e.Type]
	if needs&needToken != 0 && len(e.Token) == 0 {
		p.require("token", "required: a release gives back what the token holds")
	}
	if needs&needPerson != 0 && len(e.Token) == 0 && !e.HasPerson {
		p.require("user", "required, or device, or a token")
	}
	if needs&needCampaign != 0 && len(e.Campaign) == 0 {
		p.require("campaign", "required")
	}
	if needs&needAdvertiser != 0 && len(e.Advertiser) == 0 && len(e.Campaign) == 0 {
		p.require("advertiser", "required, or a campaign of it")
	}
	if e.Type == Hide && len(e.Why) > 0 && !oneOf(e.Why, hideReasons[:]) {
		p.fault("why", "must be one of repeats, already_bought, inappropriate, not_interested, creepy")
	}
	if e.Type == Feedback && !oneOf(e.Answer, feedbackAnswers[:]) {
		p.require("answer", "must be helpful or intrusive")
	}
}

type need uint8

const (
	needToken need = 1 << iota
	needPerson
	needCampaign
	needAdvertiser
)

// eventNeeds is what each type must say, as far as that is to be known without the policy
// and without the token being opened.
var eventNeeds = [...]need{
	Impression: needPerson | needCampaign,
	Click:      needPerson | needCampaign,
	Purchase:   needPerson | needAdvertiser,
	Return:     needPerson | needAdvertiser,
	Release:    needToken,
	Hide:       needPerson | needCampaign,
	Complaint:  needPerson | needCampaign,
	Feedback:   needPerson | needCampaign,
}

var (
	hideReasons     = [...]string{"repeats", "already_bought", "inappropriate", "not_interested", "creepy"}
	feedbackAnswers = [...]string{"helpful", "intrusive"}
)

func oneOf(s []byte, set []string) bool {
	for _, one := range set {
		if string(s) == one {
			return true
		}
	}
	return false
}
