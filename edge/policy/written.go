package policy

// written is a campaign as read: names instead of indexes and scopes.
type written struct {
	Campaign // without Index, tags, Scopes, Caps, Suppress and Purchased.Lists
	caps     []writtenCap
	suppress []reference
	orders   []reference // purchased.lists
	at       *spot       // nil once the text has been checked
}

// writtenCap is a cap as read.
type writtenCap struct {
	per       Per
	group     string
	channel   string
	limit     uint8
	window    Window
	perText   string
	withinRaw string
	whole     bool // everything in it could be read
	at        *spot
}

// reference is the name of a list where a campaign uses it.
type reference struct {
	name  string
	index int // of the list; -1 where there is none
	at    *spot
}

// forget lets go of the text's nodes.
func (w *written) forget() {
	w.at = nil
	for i := range w.caps {
		w.caps[i].at = nil
	}
	for i := range w.suppress {
		w.suppress[i].at = nil
	}
	for i := range w.orders {
		w.orders[i].at = nil
	}
}

// ScopeName names a scope without the secret that tags are made with.
type ScopeName struct {
	Per     Per
	Name    string // campaign id for PerCampaign and PerRun; advertiser for PerAdvertiser, PerCreative, PerItem, PerCategory; group; "" for PerAll
	Channel string
}

// scope names what the cap counts under.
func (c *writtenCap) scope(w *written) ScopeName {
	name := ScopeName{Per: c.per, Channel: c.channel}
	switch c.per {
	case PerCampaign:
		name.Name = w.ID
	case PerGroup:
		name.Name = c.group
	case PerAll:
	default:
		name.Name = w.Advertiser
	}
	return name
}
