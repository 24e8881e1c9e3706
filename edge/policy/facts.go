package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// facts are the settings as a person would write them, without the lists, always
// the same keys in the same order.
func (s *Settings) facts() []fact {
	refuse := map[bool]string{false: "refuse", true: "allow"}
	skip := map[bool]string{false: "skip", true: "show"}
	return []fact{
		{"timezone", s.Zone.String(), "calendar caps count by the new days at once"},
		{"no_id", skip[s.NoIDShow], ""},
		{"sources", list(s.Sources), ""},
		{"retention.exposures", Span(s.Retention.Exposures), "what was already forgotten stays forgotten"},
		{"retention.purchases", Span(s.Retention.Purchases), "what was already forgotten stays forgotten"},
		{"consent.vendor", strconv.Itoa(int(s.Consent.Vendor)), ""},
		{"consent.purposes.retargeting", s.Consent.Purposes[Retargeting].String(), ""},
		{"consent.purposes.acquisition", s.Consent.Purposes[Acquisition].String(), ""},
		{"consent.purposes.contextual", s.Consent.Purposes[Contextual].String(), ""},
		{"consent.purposes.storage", s.Consent.Storage.String(), ""},
		{"third_party_lists", refuse[s.ThirdPartyLists], ""},
		{"markets", marketsText(s.Markets), ""},
		{"unknown", s.Markets[s.Unknown].Name, ""},
		{"sensitive", list(s.Sensitive), ""},
		{"dial_back", s.DialBack.String(), ""},
		{"holdout", strconv.Itoa(int(s.HoldoutPercent)), "percent of people, by lot, who are shown no retargeting and no acquisition"},
		{"dsa.domain", stated(s.DSADomain), ""},
	}
}

func (l *List) facts() []fact {
	stale := map[WhenStale]string{StaleSkip: "skip", StaleShow: "show"}
	return []fact{
		{"kind", l.Kind.String(), l.Kind.meaning()},
		{"id", list(l.IDs), ""},
		{"items", strconv.FormatBool(l.Items), "it has to be uploaded again"},
		{"max_age", Span(l.MaxAge), ""},
		{"when_stale", stale[l.WhenStale], ""},
		{"source", l.Source, ""},
		{"basis", l.Basis, ""},
		{"filter", l.Filter, "it is rebuilt at once from the key file"},
		{"exact", strconv.FormatBool(l.Exact), ""},
	}
}

// campaignFacts are the rules of a campaign but for its caps.
func (p *Policy) campaignFacts(c *Campaign) []fact {
	return []fact{
		{"advertiser", quote(c.Advertiser), "its creatives, items, categories and purchases are another advertiser's from now on"},
		{"purpose", c.Purpose.String(), ""},
		{"groups", list(c.Groups), ""},
		{"topics", list(c.Topics), ""},
		{"not_beside", list(c.NotBeside), ""},
		{"active.from", p.date(c.From), ""},
		{"active.to", p.date(c.To), ""},
		{"spacing", Span(c.Spacing), ""},
		{"suppress", p.listNames(c.Suppress), ""},
		{"purchased.item", Span(c.Purchased.Item), ""},
		{"purchased.category", Span(c.Purchased.Category), ""},
		{"purchased.advertiser", Span(c.Purchased.Advertiser), ""},
		{"purchased.lists", p.listNames(c.Purchased.Lists), ""},
		{"interest", c.Interest.String(), ""},
		{"diversity.same_creative_in_a_row", orOff(c.Diversity), ""},
		{"hold", Span(c.Hold), "places held already keep their time"},
		{"dsa", c.DSA.String(), ""},
	}
}

// meaning is what a list of the kind means for the people on it.
func (k ListKind) meaning() string {
	if k == OptOut {
		return "no retargeting or acquisition campaign is shown to who is on it"
	}
	return "only campaigns that name it leave who is on it alone"
}

func list(names []string) string { return "[" + strings.Join(names, ", ") + "]" }

func orOff(n int) string {
	if n == 0 {
		return "off"
	}
	return strconv.Itoa(n)
}

func (p *Policy) listNames(indexes []int) string {
	var names []string
	for _, i := range indexes {
		names = append(names, p.Lists[i].Name)
	}
	return list(names)
}

// date writes an instant of active in the policy's zone.
func (p *Policy) date(at uint32) string {
	if at == 0 || at == forever {
		return "open"
	}
	t := time.Unix(int64(at), 0).In(p.Zone)
	if t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0 {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

// String writes the purposes as a policy does: [1, 3, 4].
func (p PurposeSet) String() string {
	var names []string
	for n := 1; n <= 32; n++ {
		if p.Has(n) {
			names = append(names, strconv.Itoa(n))
		}
	}
	return list(names)
}

// String writes the rule as a policy does; "off" where there is none.
func (i *Interest) String() string {
	if !i.Set {
		return "off"
	}
	return fmt.Sprintf("{least: %d, after: %s, fresh: %s, until: %s, from: %s}",
		i.Least, Span(i.After), Span(i.Fresh), Span(i.Until), list(i.From))
}

// String writes the rule as a policy does; "off" where it is off.
func (d *DialBack) String() string {
	if !d.On {
		return "off"
	}
	return fmt.Sprintf("{window: %s, min_shown: %d, min_people: %d, hides_per_10k: %d, factor: %s, pause_at: %d}",
		Span(d.Window), d.MinShown, d.MinPeople, d.HidesPer10K, share(d.Factor), d.PauseAt)
}

// share writes millionths as a decimal.
func share(millionth uint32) string {
	return strconv.FormatFloat(float64(millionth)/millionths, 'f', -1, 64)
}

// String writes the market as a policy does.
func (m *Market) String() string {
	text := fmt.Sprintf("{name: %s", m.Name)
	if len(m.Countries) > 0 {
		text += ", countries: " + list(m.Countries)
	}
	if len(m.Regions) > 0 {
		text += ", regions: " + list(m.Regions)
	}
	text += fmt.Sprintf(", require: %s, cap_factor: %s, precision: %s", m.Require, share(m.CapFactor), m.Precision)
	if m.QuietFrom != m.QuietTo {
		text += fmt.Sprintf(", quiet_hours: %s, timezone: %s", m.Quiet(), m.Zone)
	}
	if len(m.Sensitive) > 0 {
		text += ", sensitive: " + list(m.Sensitive)
	}
	if m.Retention != 0 {
		text += fmt.Sprintf(", retention: {exposures: %s}", Span(m.Retention))
	}
	return text + "}"
}

// Quiet writes the quiet hours as a policy does, or "off".
func (m *Market) Quiet() string {
	if m.QuietFrom == m.QuietTo {
		return "off"
	}
	return fmt.Sprintf("%02d:%02d-%02d:%02d", m.QuietFrom/60, m.QuietFrom%60, m.QuietTo/60, m.QuietTo%60)
}

func marketsText(markets []Market) string {
	var all []string
	for i := range markets {
		all = append(all, markets[i].String())
	}
	return list(all)
}
