package policy

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

func (src *Source) readCampaigns(s *spot) {
	if s.n.Kind == yaml.MappingNode && len(s.n.Content)/2 > MaxCampaigns {
		s.fault(fmt.Sprintf("write at most %d", MaxCampaigns), "%d campaigns", len(s.n.Content)/2)
		return
	}
	entries := s.entries()
	src.campaigns = make([]written, 0, len(entries))
	for i := range entries {
		src.campaigns = append(src.campaigns, src.readCampaign(&entries[i]))
	}
	src.check()
}

func (src *Source) readCampaign(s *spot) written {
	w := written{at: s}
	w.ID, w.To, w.Hold = s.key, forever, defaultHoldSeconds
	s.nameKey()
	entries := s.entries("advertiser", "purpose", "groups", "topics", "not_beside", "active", "caps", "spacing",
		"suppress", "purchased", "interest", "diversity", "hold", "dsa")
	if s.n.Kind != yaml.MappingNode {
		return w
	}
	for i := range entries {
		switch e := &entries[i]; e.key {
		case "advertiser":
			w.Advertiser = e.text(MaxNameBytes)
		case "purpose":
			w.Purpose = Purpose(e.choice(purposeNames...))
		case "groups":
			w.Groups = e.texts(maxGroups, MaxNameBytes)
		case "topics":
			w.Topics = e.topics(false)
		case "not_beside":
			w.NotBeside = e.categories()
		case "active":
			src.readActive(e, &w)
		case "caps":
			src.readCaps(e, &w)
		case "spacing":
			w.Spacing = src.within(e, e.spanOrOff(1, forever))
		case "suppress":
			w.suppress = e.references()
		case "purchased":
			src.readPurchased(e, &w)
		case "interest":
			readInterest(e, &w.Interest)
		case "diversity":
			for _, d := range e.entries("same_creative_in_a_row") {
				w.Diversity, _ = d.number(1, 255)
			}
		case "hold":
			w.Hold = max(1, e.span(1, maxHoldSeconds))
		case "dsa":
			w.DSA = e.readPayer()
		}
	}
	s.require("advertiser", "say whose campaign it is, as advertiser: acme")
	return w
}

// within refuses a time that reaches further back than exposures are kept.
func (src *Source) within(s *spot, seconds uint32) uint32 {
	if seconds > src.Retention.Exposures {
		s.fault(fmt.Sprintf("write at most %s, or raise retention.exposures", Span(src.Retention.Exposures)),
			"%s is longer than exposures are kept", s.shown())
		return 0
	}
	return seconds
}

// categories reads content categories, as cat:386.
func (s *spot) categories() []string {
	all := s.texts(1000, MaxNameBytes)
	for _, t := range all {
		if !isCategory(t) {
			s.fault("write cat: and the id, as cat:386", "%s is not a content category", quote(t))
		}
	}
	return all
}

// references reads a list of list names.
func (s *spot) references() []reference {
	var all []reference
	seen := map[string]bool{}
	items := s.items(MaxLists)
	for i := range items {
		name := items[i].text(MaxNameBytes)
		if name == "" {
			continue
		}
		if seen[name] {
			items[i].fault("keep one", "%s is written twice", quote(name))
			continue
		}
		seen[name] = true
		all = append(all, reference{name, -1, &items[i]})
	}
	return all
}

func (src *Source) readActive(s *spot, w *written) {
	for _, e := range s.entries("from", "to") {
		at, ok := src.instant(&e)
		switch {
		case !ok:
		case e.key == "from":
			w.From = at
		default:
			w.To = at
		}
	}
	if w.From >= w.To {
		s.fault("end it after it begins", "from is not before to")
	}
}

// instant reads a date, which stands for its first second in the policy's zone,
// or a time with its offset.
func (src *Source) instant(s *spot) (at uint32, ok bool) {
	const wanted = "a date, as 2026-01-31, or a time, as 2026-01-31T18:00:00Z"
	if !s.isScalar(wanted) {
		return 0, false
	}
	var seconds int64
	if d, err := time.Parse(time.DateOnly, s.n.Value); err == nil {
		seconds = firstInstant(src.Zone, civil(d.Date()))
	} else if t, err := time.Parse(time.RFC3339, s.n.Value); err == nil {
		seconds = t.Unix()
	} else {
		s.fault("write "+wanted, "%s is not a date", s.shown())
		return 0, false
	}
	if seconds < 0 || seconds >= forever {
		s.fault("write a year from 1970 to 2105", "%s is out of bounds", s.shown())
		return 0, false
	}
	return uint32(seconds), true
}

func (src *Source) readCaps(s *spot, w *written) {
	items := s.items(maxCaps)
	for i := range items {
		w.caps = append(w.caps, src.readCap(&items[i]))
	}
}

func (src *Source) readCap(s *spot) writtenCap {
	c := writtenCap{at: s}
	before := len(s.r.faults)
	entries := s.entries("per", "channel", "limit", "within")
	if s.n.Kind != yaml.MappingNode {
		return c
	}
	for i := range entries {
		switch e := &entries[i]; e.key {
		case "per":
			c.perText = e.text(MaxNameBytes + len("group:"))
			c.per, c.group = e.per(c.perText)
		case "channel":
			c.channel = e.text(channelNameBytes)
		case "limit":
			n, _ := e.number(1, 255)
			c.limit = uint8(n)
		case "within":
			c.withinRaw, c.window = src.readWindow(e)
		}
	}
	s.require("per", "say what is counted, as per: campaign")
	s.require("limit", "say how many, as limit: 3")
	s.require("within", "say in what time, as within: 24h")
	c.whole = len(s.r.faults) == before
	return c
}

// per reads what a cap counts by.
func (s *spot) per(text string) (Per, string) {
	for _, p := range []Per{PerCampaign, PerAdvertiser, PerCreative, PerItem, PerCategory, PerAll} {
		if text == perNames[p] {
			return p, ""
		}
	}
	if name, ok := strings.CutPrefix(text, "group:"); ok {
		if what, mend := badName(name, MaxNameBytes); what != "" {
			s.fault(mend, "the group's name %s %s", quote(name), what)
			return PerCampaign, ""
		}
		return PerGroup, name
	}
	if text != "" {
		s.fault("write campaign, creative, item, category, advertiser, group:NAME or all", "%s is unknown", quote(text))
	}
	return PerCampaign, ""
}

// readWindow reads the time over which a cap counts.
func (src *Source) readWindow(s *spot) (raw string, w Window) {
	if !s.isScalar("a time, as 24h, day or lifetime") {
		return "", w
	}
	raw = s.n.Value
	switch raw {
	case "day":
		w.Kind = Day
	case "week":
		w.Kind = Week
	case "month":
		w.Kind = Month
	case "lifetime":
		return raw, Window{Lifetime, src.Retention.Exposures}
	default:
		n, ok := parseSpan(raw)
		if !ok || n == 0 {
			s.fault("write a number and s, m, h or d, as 24h, or day, week, month, lifetime", "%s is not a time", s.shown())
			return raw, w
		}
		return raw, Window{Rolling, src.within(s, n)}
	}
	src.within(s, w.whole())
	return raw, w
}

func (src *Source) readPurchased(s *spot, w *written) {
	entries := s.entries("item", "category", "advertiser", "lists")
	for i := range entries {
		e := &entries[i]
		if e.key == "lists" {
			w.orders = e.references()
			continue
		}
		n := e.spanOrOff(1, forever)
		if n > src.Retention.Purchases {
			e.fault(fmt.Sprintf("write at most %s, or raise retention.purchases", Span(src.Retention.Purchases)),
				"%s is longer than purchases are kept", e.shown())
		}
		switch e.key {
		case "item":
			w.Purchased.Item = n
		case "category":
			w.Purchased.Category = n
		case "advertiser":
			w.Purchased.Advertiser = n
		}
	}
}

func readInterest(s *spot, rule *Interest) {
	*rule = Interest{Set: true, Least: 1}
	for _, e := range s.entries("least", "after", "fresh", "until", "from") {
		switch e.key {
		case "least":
			n, _ := e.number(1, 1_000_000)
			rule.Least = uint32(n)
		case "after":
			rule.After = e.spanOrOff(1, maxInterest)
		case "fresh":
			rule.Fresh = e.span(1, maxInterest)
		case "until":
			rule.Until = e.span(1, maxInterest)
		case "from":
			rule.From = e.texts(maxTopics, MaxNameBytes)
		}
	}
	switch {
	case rule.Until == 0 && rule.Fresh > 0:
		s.fault("say when interest is over, as until: 14d", "fresh is written without until")
	case rule.Until < rule.Fresh:
		s.fault("let until be at least fresh", "until %s is before fresh %s", Span(rule.Until), Span(rule.Fresh))
	case rule.Until > 0 && rule.After >= rule.Until:
		s.fault("let after be less than until", "after %s leaves no time before until %s", Span(rule.After), Span(rule.Until))
	case rule.Fresh == 0:
		rule.Fresh = rule.Until
	}
}
