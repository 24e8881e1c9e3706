package edge

import (
	"cmp"
	"slices"

	"restraint/caps"
	"restraint/edge/identity"
)

// preferences are what a person chose, united over identifiers: the most restrictive.
type preferences struct {
	Personalisation   bool     `json:"personalisation"`
	HiddenAdvertisers []string `json:"hidden_advertisers"`
	HiddenTopics      []string `json:"hidden_topics"`
	PauseUntil        uint32   `json:"pause_until,omitempty"`
	// Unnamed are hidden advertisers and topics that the policy in force does not name:
	// of them only the tag is kept.
	Unnamed int `json:"unnamed,omitempty"`
	// OptOutLists have the person: nothing is chosen for them whatever Personalisation
	// says, which does not override a list.
	OptOutLists []heldList `json:"opt_out_lists,omitempty"`
}

// chosen are the registers of several keys.
type chosen struct {
	fields []uint64
	by     map[uint64]caps.Choice // the latest stamp, with the largest value over the keys
}

// choicesOf unites what is held about several keys.
func choicesOf(held []caps.Held) *chosen {
	c := &chosen{by: make(map[uint64]caps.Choice)}
	for i := range held {
		for _, x := range held[i].Choices {
			old, found := c.by[x.Field]
			if !found {
				c.fields = append(c.fields, x.Field)
			}
			c.by[x.Field] = caps.Choice{Field: x.Field, Stamp: max(x.Stamp, old.Stamp), Value: max(x.Value, old.Value)}
		}
	}
	slices.Sort(c.fields)
	return c
}

// is the value of a register; 0 where it was never set.
func (c *chosen) is(field uint64) uint32 { return c.by[field].Value }

// choiceNames are the names that a policy gives to registers, by field.
func (r *rules) choiceNames() map[uint64]string {
	names := make(map[uint64]string)
	for _, of := range r.both() {
		for i := range of.Campaigns {
			c, fields := &of.Campaigns[i], &of.choices[i]
			names[choiceField(chosenCampaign, c.Tag)] = c.ID
			names[fields.advertiser] = c.Advertiser
			for k, field := range fields.topics {
				names[field] = c.Topics[k]
			}
		}
	}
	return names
}

// preferences says what the registers come to at a second.
func (c *chosen) preferences(names map[uint64]string, now uint32) preferences {
	p := preferences{Personalisation: c.is(fieldOptOut) == 0, HiddenAdvertisers: []string{}, HiddenTopics: []string{}}
	if until := c.is(fieldPause); until > now {
		p.PauseUntil = until
	}
	for _, field := range c.fields {
		kind, name := kindOfField(field), names[field]
		if c.is(field) == 0 || kind != chosenAdvertiser && kind != chosenTopic {
			continue
		}
		switch {
		case name == "":
			p.Unnamed++
		case kind == chosenAdvertiser:
			p.HiddenAdvertisers = append(p.HiddenAdvertisers, name)
		default:
			p.HiddenTopics = append(p.HiddenTopics, name)
		}
	}
	slices.Sort(p.HiddenAdvertisers)
	slices.Sort(p.HiddenTopics)
	return p
}

// registerChange is one register that a request sets.
type registerChange struct {
	field uint64
	value uint32
}

// asked are the registers that a request sets, what refuses first. A list that it gives is
// the whole list: what was hidden and is not in it is hidden no more.
func (q *inquiry) asked(tags *identity.Tags, have *chosen) (all []registerChange) {
	if q.HasPersonalisation {
		all = append(all, registerChange{fieldOptOut, 1})
		if q.Personalisation {
			all[0].value = 0
		}
	}
	if q.HasPauseUntil {
		all = append(all, registerChange{fieldPause, q.PauseUntil})
	}
	if q.HasAdvertisers {
		all = appendHidden(all, chosenAdvertiser, tags.Namespace(identity.KindAdvertiser, 0), q.HiddenAdvertisers, have)
	}
	if q.HasTopics {
		all = appendHidden(all, chosenTopic, tags.Namespace(identity.KindTopic, 0), q.HiddenTopics, have)
	}
	slices.SortStableFunc(all, func(a, b registerChange) int { return cmp.Compare(min(b.value, 1), min(a.value, 1)) })
	return all
}

func appendHidden(all []registerChange, kind choiceKind, namespace identity.Namespace, names [][]byte, have *chosen) []registerChange {
	from := len(all)
	for _, name := range names {
		hidden := registerChange{choiceField(kind, namespace.Tag(name)), 1}
		if !slices.Contains(all[from:], hidden) {
			all = append(all, hidden)
		}
	}
	for _, field := range have.fields {
		if kindOfField(field) == kind && have.is(field) != 0 && !slices.Contains(all[from:], registerChange{field, 1}) {
			all = append(all, registerChange{field, 0})
		}
	}
	return all
}

// permits says whether a request takes back anything that was refused, here or, for all that is known, elsewhere.
func permits(all []registerChange, have *chosen) bool {
	return slices.ContainsFunc(all, func(c registerChange) bool { return c.value == 0 || c.value < have.is(c.field) })
}

// stampAll makes changes of the registers, each stamped after what was seen of it and after
// any erasure, so that a clock that is behind still has the last word.
func stampAll(keys []caps.Key, all []registerChange, held []caps.Held, have *chosen, now uint32) []caps.Change {
	least := caps.Second(now)
	for i := range held {
		if e := held[i].Erased; e != 0 {
			least = max(least, later(e, 1))
		}
	}
	changes := make([]caps.Change, 0, len(all))
	for _, c := range all {
		stamp := least
		if seen, found := have.by[c.field]; found {
			stamp = max(stamp, later(seen.Stamp, 1))
		}
		changes = append(changes, caps.Change{
			Kind: caps.ChangeChoice, Keys: keys, Now: caps.Second(now), Field: c.field, Stamp: stamp, Value: c.value,
		})
	}
	return changes
}
