package policy

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// PersonView is what one campaign is like for a person.
type PersonView struct {
	Campaign string
	// The most showings a person can get in any hour, 24 hours, 7 days and Life
	// seconds, by the campaign's caps and spacing together. The advertisements of
	// one answer (want) count as one where only the spacing parts them. Where a market
	// keeps for less than a window, whoever was shown anything there is counted over
	// that time only, wherever they are: these are of who was.
	PerHour, PerDay, PerWeek, PerLife Most
	// Life is as long as exposures are kept, which is what lifetime means in a
	// policy, or as long as the campaign runs where that is less. In seconds.
	Life uint32
	// Sentence is what a person would read about it, with the real numbers.
	Sentence string
	// Strictest is the campaign's fate in the strictest market, which it names.
	Strictest string
}

// Steps that People may spend on one campaign and on all of them (chosen: a
// fraction of a second, a few seconds).
const (
	campaignSteps = 5_000_000
	peopleSteps   = 200_000_000
)

// People says of each campaign what it is like for a person, in the order of the
// policy. It is for reading, not for the decision: it takes up to seconds.
func (p *Policy) People() []PersonView {
	strict := &p.Markets[strictest(p.Markets)]
	plain := &Market{CapFactor: millionths, Retention: p.shortest()}
	views := make([]PersonView, len(p.Campaigns))
	m := &mosts{policy: p, clocks: newClocks(p.Zone, int64(p.Retention.Exposures)), known: map[string][4]Most{}, steps: peopleSteps}
	for i := range p.Campaigns {
		c := &p.Campaigns[i]
		v := &views[i]
		v.Campaign = c.ID
		v.Life = min(p.Retention.Exposures, c.To-c.From)
		usual := m.of(c, plain)
		v.PerHour, v.PerDay, v.PerWeek, v.PerLife = usual[0], usual[1], usual[2], usual[3]
		v.Sentence = p.sentence(c, usual, v.Life)
		v.Strictest = p.fate(c, strict, m.of(c, strict), v.Life)
	}
	return views
}

// mosts computes the most showings of the campaigns of a policy.
type mosts struct {
	policy *Policy
	clocks *clocks
	known  map[string][4]Most // by rules and time
	steps  int                // left
}

// stepsOfDay is what finding one day's beginning costs, in steps.
const stepsOfDay = 4

// of computes the most showings by hour, day, week and life, once for all
// campaigns with the same rules.
func (m *mosts) of(c *Campaign, market *Market) (all [4]Most) {
	rules := c.bounding(market)
	start, runs := int64(c.From), int64(c.To)-int64(c.From)
	clocks := m.clocks.within(start, int64(c.To))
	key := fmt.Sprint(rules, start, runs)
	if runs > math.MaxUint32-forever/2 { // no end to speak of
		key = fmt.Sprint(rules)
		clocks = m.clocks
	}
	if all, ok := m.known[key]; ok {
		return all
	}
	life := int64(m.policy.Retention.Exposures)
	budget := min(campaignSteps, max(m.steps, 0))
	m.steps -= budget
	var own *periods // of a campaign that is shorter than what is asked for
	if runs <= life {
		own = newPeriods(m.policy.Zone, start, start+runs)
		budget -= stepsOfDay * int(runs/day)
	}
	for i, span := range [...]int64{hour, day, 7 * day, life} {
		if runs <= span {
			all[i] = mostFrom(rules, own, start, runs, clocks, &budget)
		} else {
			all[i] = most(rules, span, clocks, &budget)
		}
	}
	m.steps += max(budget, 0)
	m.known[key] = all
	return all
}

// WritePeople prints the views as a table and the sentences below it.
func WritePeople(w io.Writer, views []PersonView) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "CAMPAIGN\tHOUR\tDAY\tWEEK\tLIFE\tLIFE IS")
	for i := range views {
		v := &views[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", v.Campaign, v.PerHour, v.PerDay, v.PerWeek, v.PerLife, words(v.Life))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print people: %w", err)
	}
	var b strings.Builder
	for i := range views {
		v := &views[i]
		fmt.Fprintf(&b, "\n%s\n  a person reads: %s\n  strictest market: %s\n", v.Campaign, v.Sentence, v.Strictest)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print people: %w", err)
	}
	return nil
}
