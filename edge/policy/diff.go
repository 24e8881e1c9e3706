package policy

import (
	"fmt"
	"slices"
)

// maxChanges bounds what Diff says (chosen: more than anybody reads).
const maxChanges = 1000

// Change is one difference between two policies.
type Change struct {
	Key  string `json:"key"`  // path of the key, as in Fault
	Text string `json:"text"` // what changes and what that means for people, in words
}

// Diff says what would change if new replaced old, in the order of the keys of a
// policy, at most 1,000 changes and then one that counts the rest. Of each raised
// limit and each newly counted scope it says from when on counts are complete.
// It compares what holds, not how it is written: a default that is now written
// out is no change.
func Diff(old, new *Policy) []Change {
	d := differ{old: old, new: new}
	d.facts("", old.Settings.facts(), new.Settings.facts())
	d.lists()
	for i := range new.Campaigns {
		b := &new.Campaigns[i]
		key := "campaigns." + pathKey(b.ID)
		a := old.Campaign([]byte(b.ID))
		if a == nil {
			d.add(key, "added: "+new.begins(b))
			continue
		}
		d.facts(key+".", old.campaignFacts(a), new.campaignFacts(b))
		d.caps(key, a, b)
		d.scopes(key, a, b)
	}
	for i := range old.Campaigns {
		if a := &old.Campaigns[i]; new.Campaign([]byte(a.ID)) == nil {
			d.add("campaigns."+pathKey(a.ID), "removed: it is no longer shown (unknown_campaign)")
		}
	}
	if more := d.count - maxChanges; more > 0 {
		d.changes = append(d.changes, Change{"", fmt.Sprintf("and %d more changes", more)})
	}
	return d.changes
}

type differ struct {
	old, new *Policy
	changes  []Change
	count    int
}

func (d *differ) add(key, text string) {
	if d.count++; d.count <= maxChanges {
		d.changes = append(d.changes, Change{key, text})
	}
}

// fact is one value of a policy as a person would write it, with what a change
// of it means where that is not plain.
type fact struct{ key, value, meaning string }

func (d *differ) facts(prefix string, old, new []fact) {
	for i := range new {
		if a, b := &old[i], &new[i]; a.value != b.value {
			text := a.value + " becomes " + b.value
			if b.meaning != "" {
				text += ": " + b.meaning
			}
			d.add(prefix+b.key, text)
		}
	}
}

func (d *differ) lists() {
	at := func(p *Policy, name string) *List {
		if i := slices.IndexFunc(p.Lists, func(l List) bool { return l.Name == name }); i >= 0 {
			return &p.Lists[i]
		}
		return nil
	}
	for i := range d.new.Lists {
		b := &d.new.Lists[i]
		key := "lists." + pathKey(b.Name)
		if a := at(d.old, b.Name); a != nil {
			d.facts(key+".", a.facts(), b.facts())
		} else {
			d.add(key, b.added())
		}
	}
	for i := range d.old.Lists {
		if l := &d.old.Lists[i]; at(d.new, l.Name) == nil {
			d.add("lists."+pathKey(l.Name), l.removed())
		}
	}
}

// added says what declaring a list means for people.
func (l *List) added() string {
	if l.Kind == OptOut {
		return "added: " + l.Kind.meaning() + "; nobody is until it is uploaded"
	}
	return "added: nobody is on it until it is uploaded"
}

// removed says what it means that a list is declared no more.
func (l *List) removed() string {
	if l.Kind == OptOut {
		return "removed: who is on it is opted out by it no more, and uploads to it are refused"
	}
	return "removed: it is no longer asked, and uploads to it are refused"
}

// begins describes a new campaign.
func (p *Policy) begins(c *Campaign) string {
	return fmt.Sprintf("%s for %s with %d caps; its showings count from the change on", c.Purpose, quote(c.Advertiser), len(c.Caps))
}

// caps compares the caps of one campaign, matched by scope and window.
func (d *differ) caps(key string, a, b *Campaign) {
	for i := range b.Caps {
		limit := &b.Caps[i]
		scope := &b.Scopes[limit.Scope]
		was := a.capLike(b, limit)
		capKey := fmt.Sprintf("%s.caps[%d]", key, i)
		what := fmt.Sprintf("per %s%s within %s", limit.Per, inChannel(scope.Channel), limit.Within)
		switch {
		case was == nil:
			d.add(capKey, fmt.Sprintf("added: at most %d %s%s", limit.Limit, what, completeness(limit, a.scopeLike(scope))))
		case limit.Limit > was.Limit:
			d.add(capKey, fmt.Sprintf("limit %d becomes %d %s%s", was.Limit, limit.Limit, what, completeness(limit, a.scopeLike(scope))))
		case limit.Limit < was.Limit:
			d.add(capKey, fmt.Sprintf("limit %d becomes %d %s: binds at once, also for users who have seen more", was.Limit, limit.Limit, what))
		}
	}
	for i := range a.Caps {
		limit := &a.Caps[i]
		if b.capLike(a, limit) == nil {
			d.add(key+".caps", fmt.Sprintf("removed: at most %d per %s%s within %s", limit.Limit, limit.Per,
				inChannel(a.Scopes[limit.Scope].Channel), limit.Within))
		}
	}
}

func inChannel(channel string) string {
	if channel == "" {
		return ""
	}
	return " in channel " + quote(channel)
}

// completeness says how far the counts that a new or raised limit needs are
// there; was is the scope in the policy before, nil if nothing was counted.
func completeness(limit *Cap, was *Scope) string {
	switch {
	case was == nil:
		return "; showings before the change were not counted, counts are complete " + passed(limit.Window)
	case was.Keep >= limit.Limit:
		return "; counts are complete at once"
	}
	return fmt.Sprintf("; users whose older exposures were already dropped (more than the newest %d) count as full until %s",
		was.Keep, passed(limit.Window))
}

// passed says when a window no longer reaches back before the change.
func passed(w Window) string {
	switch w.Kind {
	case Day, Week, Month:
		return "when the next " + w.Kind.String() + " begins"
	}
	return Span(w.Seconds) + " after the change"
}

// capLike returns the cap of c with the scope and window of limit, which is a
// cap of other.
func (c *Campaign) capLike(other *Campaign, limit *Cap) *Cap {
	want := &other.Scopes[limit.Scope]
	for i := range c.Caps {
		scope := &c.Scopes[c.Caps[i].Scope]
		if scope.like(want) && c.Caps[i].Window.like(limit.Window) {
			return &c.Caps[i]
		}
	}
	return nil
}

func (c *Campaign) scopeLike(want *Scope) *Scope {
	for i := range c.Scopes {
		if c.Scopes[i].like(want) {
			return &c.Scopes[i]
		}
	}
	return nil
}

// like: the same scope, whatever it keeps.
func (s *Scope) like(o *Scope) bool {
	return s.Per == o.Per && s.Tag == o.Tag && s.Base == o.Base && s.Channel == o.Channel
}

func (w Window) like(o Window) bool {
	return w.Kind == o.Kind && (w.Kind != Rolling || w.Seconds == o.Seconds)
}

// scopes says what showings of a campaign newly count under, where that is not
// for a cap of its own.
func (d *differ) scopes(key string, a, b *Campaign) {
	for i := range b.Scopes {
		s := &b.Scopes[i]
		own := slices.ContainsFunc(b.Caps, func(c Cap) bool { return c.Scope == i })
		if own || a.scopeLike(s) != nil {
			continue
		}
		if s.Per == PerRun {
			d.add(key+".diversity", "showings before the change are not counted in a row")
			continue
		}
		d.add(key, fmt.Sprintf("its showings count per %s%s%s from the change on, those before were not counted: other campaigns' caps read it",
			s.Per, s.Name, inChannel(s.Channel)))
	}
}
