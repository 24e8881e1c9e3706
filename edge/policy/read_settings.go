package policy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (src *Source) readRetention(s *spot) {
	for _, e := range s.entries("exposures", "purchases") {
		n := e.span(day, maxRetention)
		if n == 0 {
			continue
		}
		if e.key == "exposures" {
			src.Retention.Exposures = n
		} else {
			src.Retention.Purchases = n
		}
	}
}

func (src *Source) readConsent(s *spot) {
	for _, e := range s.entries("vendor", "purposes") {
		if e.key == "vendor" {
			n, _ := e.number(0, maxVendor)
			src.Consent.Vendor = uint16(n)
			continue
		}
		for _, p := range e.entries("retargeting", "acquisition", "contextual", "storage") {
			set := PurposeSet(0)
			for _, item := range p.items(maxTCFPurpose) {
				if n, ok := item.number(1, maxTCFPurpose); ok {
					set |= 1 << (n - 1)
				}
			}
			if i := slices.Index(purposeNames, p.key); i >= 0 {
				src.Consent.Purposes[i] = set
			} else {
				src.Consent.Storage = set
			}
		}
	}
}

func (src *Source) readHoldout(s *spot) {
	if s.n.Kind == yaml.ScalarNode && strings.HasPrefix(s.n.Value, "0.") {
		s.fault("write whole percent of users, as 5", "%s is not a whole number", s.shown())
		return
	}
	n, _ := s.number(0, 100)
	src.HoldoutPercent = uint8(n)
}

func (src *Source) readDialBack(s *spot) {
	d := &src.DialBack
	if s.off() {
		d.On = false
		return
	}
	for _, e := range s.entries("window", "min_shown", "min_people", "hides_per_10k", "factor", "pause_at") {
		switch e.key {
		case "window":
			if n := e.span(minute, 90*day); n != 0 {
				d.Window = n
			}
		case "min_shown":
			d.MinShown, _ = e.number(1, 1_000_000_000)
		case "min_people":
			d.MinPeople, _ = e.number(1, 1_000_000_000)
		case "hides_per_10k":
			d.HidesPer10K, _ = e.number(1, 10_000)
		case "factor":
			d.Factor = e.million()
		case "pause_at":
			d.PauseAt, _ = e.number(1, 10_000)
		}
	}
	if d.PauseAt < d.HidesPer10K {
		s.fault("pause at more hides than caps are lowered at", "pause_at %d is below hides_per_10k %d", d.PauseAt, d.HidesPer10K)
	}
}

func (src *Source) readLists(s *spot) {
	entries := s.entries()
	if len(entries) > MaxLists {
		s.fault(fmt.Sprintf("declare at most %d", MaxLists), "%d lists", len(entries))
		return
	}
	for i := range entries {
		src.readList(&entries[i])
	}
}

func (src *Source) readList(s *spot) {
	s.nameKey()
	if s.key == "." || s.key == ".." || strings.Contains(s.key, "/") {
		s.fault("write a name without /, other than . and ..", "the name %s cannot stand in the path of an upload", quote(s.key))
	}
	l := List{Name: s.key, Filter: FilterBloom}
	stale := (*spot)(nil)
	items := (*spot)(nil)
	entries := s.entries("kind", "id", "items", "max_age", "when_stale", "source", "basis", "filter", "exact")
	if s.n.Kind != yaml.MappingNode {
		return
	}
	for i := range entries {
		switch e := &entries[i]; e.key {
		case "kind":
			l.Kind = ListKind(e.choice(listKindNames...))
		case "id":
			l.IDs = e.texts(maxSources, MaxNameBytes)
			if e.n.Kind == yaml.SequenceNode && len(e.n.Content) == 0 {
				e.fault("name the identifier sources of its members", "the list is empty")
			}
		case "items":
			l.Items = e.flag()
			items = e
		case "max_age":
			l.MaxAge = e.spanOrOff(minute, maxRetention)
		case "when_stale":
			l.WhenStale = WhenStale(e.choice("skip", "show"))
			stale = e
		case "source":
			l.Source = []string{"first_party", "third_party"}[e.choice("first_party", "third_party")]
			if l.Source == "third_party" && !src.ThirdPartyLists {
				e.fault("remove the list, or write third_party_lists: allow", "a third-party list is refused")
			}
		case "basis":
			l.Basis = e.text(MaxNameBytes)
		case "filter":
			l.Filter = []string{FilterBloom, FilterFuse}[e.choice(FilterBloom, FilterFuse)]
		case "exact":
			l.Exact = e.flag()
		}
	}
	s.require("id", "name the identifier sources of its members, as id: [email_sha256]")
	s.require("source", "say where the list comes from, as source: first_party")
	s.require("basis", "say on what legal basis it is used, as basis: contract")
	if stale != nil && l.MaxAge == 0 {
		stale.fault("add max_age, as max_age: 48h", "when_stale means nothing for a list that is never stale")
	}
	if l.Kind == OptOut && l.Items {
		items.fault("remove items, or kind: opt_out", "an opt-out is of a person, not of an item")
	}
	src.Lists = append(src.Lists, l)
}

// require notes a fault where the mapping at s lacks the key, whatever its value.
func (s *spot) require(key, mend string) {
	for i := 0; i+1 < len(s.n.Content); i += 2 {
		if s.n.Content[i].Value == key {
			return
		}
	}
	s.fault(mend, "%s is missing", key)
}

// nameKey checks a key that is a name chosen by the writer.
func (s *spot) nameKey() {
	if what, mend := badName(s.key, MaxNameBytes); what != "" {
		s.fault(mend, "the name %s %s", quote(s.key), what)
	}
}

// topics reads topics and, where they may stand, content categories, as cat:386.
func (s *spot) topics(categories bool) []string {
	all := s.texts(maxTopics, MaxNameBytes)
	for _, t := range all {
		if strings.HasPrefix(t, "cat:") && !categories {
			s.fault("write topics here, categories under not_beside", "%s is a content category", quote(t))
		}
		if strings.HasPrefix(t, "cat:") && !isCategory(t) {
			s.fault("write cat: and the id, as cat:386", "%s is not a content category", quote(t))
		}
	}
	return all
}

// isCategory recognises cat: and an id of a content taxonomy, as 386 or IAB7-39.
func isCategory(t string) bool {
	id, ok := strings.CutPrefix(t, "cat:")
	if !ok || id == "" || len(id) > 16 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !(c == '-' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			return false
		}
	}
	return true
}
