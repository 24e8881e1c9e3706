package policy

import (
	"fmt"
	"strings"
)

// words writes seconds for people, in the largest unit that takes them whole:
// "30 minutes", "1 hour", "24 hours", "90 days".
func words(seconds uint32) string {
	text := Span(seconds)
	if seconds == 0 {
		return "no time"
	}
	unit := map[byte]string{'s': "second", 'm': "minute", 'h': "hour", 'd': "day"}[text[len(text)-1]]
	n := text[:len(text)-1]
	if n == "1" {
		return "1 " + unit
	}
	return n + " " + unit + "s"
}

// sentence is what a person would read about a campaign, with the real numbers.
func (p *Policy) sentence(c *Campaign, most [4]Most, life uint32) string {
	parts := []string{"You can see " + quote(c.ID) + " of " + c.Advertiser + " " + often(most, life)}
	if c.Spacing > 0 {
		parts[0] += ", never two within " + words(within(c.Spacing, p.shortest()))
	}
	if c.Diversity > 0 {
		parts = append(parts, fmt.Sprintf("the same picture at most %s in a row", times(c.Diversity)))
	}
	if c.Interest.Set {
		parts = append(parts, c.Interest.sentence(c.Purpose))
	}
	for _, b := range []struct {
		what    string
		seconds uint32
	}{{"the item", c.Purchased.Item}, {"something of its category", c.Purchased.Category}, {"anything from " + c.Advertiser, c.Purchased.Advertiser}} {
		if b.seconds > 0 {
			parts = append(parts, fmt.Sprintf("not for %s after you bought %s", words(b.seconds), b.what))
		}
	}
	if len(c.Purchased.Lists) > 0 {
		parts = append(parts, "not for items you ordered according to "+join(p.quoted(c.Purchased.Lists)))
	}
	if len(c.Suppress) > 0 {
		parts = append(parts, "never while you are on "+join(p.quoted(c.Suppress)))
	}
	if optOuts := p.OptOuts(); len(optOuts) > 0 && c.Purpose != Contextual {
		parts = append(parts, "never while you are on "+join(p.quoted(optOuts))+" of people who opted out")
	}
	return strings.Join(parts, "; ") + "."
}

// often says how many showings there can be.
func often(most [4]Most, life uint32) string {
	if most[3].Unlimited {
		return "without any limit"
	}
	// Life shorter than a week says it all.
	parts := []string{fmt.Sprintf("up to %s in an hour", times(most[0].Showings))}
	if life >= day {
		parts = append(parts, fmt.Sprintf("%d in a day", most[1].Showings))
	}
	if life >= 7*day {
		parts = append(parts, fmt.Sprintf("%d in a week", most[2].Showings))
	}
	return join(append(parts, fmt.Sprintf("%d in %s", most[3].Showings, words(life))))
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

func join(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

func (p *Policy) quoted(lists []int) []string {
	var names []string
	for _, i := range lists {
		names = append(names, "the list "+quote(p.Lists[i].Name))
	}
	return names
}

// sentence says when interest leads to a showing. Only a campaign that retargets
// needs a known interest.
func (i *Interest) sentence(p Purpose) string {
	text := "if you showed interest in it"
	if p == Retargeting {
		text = "only if you showed interest in it"
	}
	if i.Least > 1 {
		text += " " + times(int(i.Least)) + " or more"
	}
	if len(i.From) > 0 {
		text += " in " + join(i.From)
	}
	if i.After > 0 {
		text += ", not sooner than " + words(i.After) + " after it"
	}
	if i.Until > i.Fresh {
		text += ", less and less from " + words(i.Fresh) + " on"
	}
	if i.Until > 0 {
		text += ", and not from " + words(i.Until) + " after it on"
	}
	return text
}

// fate is what becomes of a campaign in a market.
func (p *Policy) fate(c *Campaign, m *Market, most [4]Most, life uint32) string {
	parts := []string{m.Name + ": "}
	purposes := p.Consent.Purposes[c.Purpose]
	switch {
	case m.Require == RequireTCF && purposes != 0:
		parts[0] += "shown only with TCF consent to purposes " + strings.Trim(purposes.String(), "[]")
		if p.Consent.Vendor > 0 {
			parts[0] += fmt.Sprintf(" and vendor %d", p.Consent.Vendor)
		}
	case m.Require == RequireTCF:
		parts[0] += "shown without TCF consent, since no purpose is asked for a " + c.Purpose.String() + " campaign"
	case m.Require == RequireOptOut:
		parts[0] += "shown only where a signal says that the person has not opted out"
	default:
		parts[0] += "shown unless a signal that is present forbids it"
	}
	parts = append(parts, often(most, life))
	switch m.Precision {
	case PrecisionCampaign:
		parts = append(parts, "never with an item or a category")
	case PrecisionCategory:
		parts = append(parts, "never with an item")
	}
	if m.QuietFrom != m.QuietTo {
		parts = append(parts, fmt.Sprintf("not from %02d:%02d to %02d:%02d", m.QuietFrom/60, m.QuietFrom%60, m.QuietTo/60, m.QuietTo%60))
	}
	if m.Retention != 0 {
		parts = append(parts, "remembered for "+words(m.Retention)+" only")
	}
	return strings.Join(parts, "; ") + "."
}
