package policy

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"
)

// PersonView is what one campaign is like for a person.
type PersonView struct {
	Campaign string
	// The most showings a person can get in any hour, 24 hours, 7 days and Life
	// seconds, by the campaign's caps and spacing together. The advertisements of
	// one answer (want) count as one where only the spacing parts them.
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
	plain := &Market{CapFactor: millionths}
	views := make([]PersonView, len(p.Campaigns))
	known := map[string][4]Most{}
	steps := peopleSteps
	for i := range p.Campaigns {
		c := &p.Campaigns[i]
		v := &views[i]
		v.Campaign = c.ID
		v.Life = min(p.Retention.Exposures, c.To-c.From)
		usual := p.mosts(c, plain, known, &steps)
		v.PerHour, v.PerDay, v.PerWeek, v.PerLife = usual[0], usual[1], usual[2], usual[3]
		v.Sentence = p.sentence(c, usual, v.Life)
		v.Strictest = p.fate(c, strict, p.mosts(c, strict, known, &steps), v.Life)
	}
	return views
}

// mosts computes the most showings by hour, day, week and life, once for all
// campaigns with the same rules.
func (p *Policy) mosts(c *Campaign, m *Market, known map[string][4]Most, steps *int) (all [4]Most) {
	rules := c.bounding(m)
	runs := int64(c.To) - int64(c.From)
	start := int64(0)
	if c.From > 0 {
		_, offset := time.Unix(int64(c.From), 0).In(p.Zone).Zone()
		start = int64(c.From) + int64(offset)
	}
	key := fmt.Sprint(rules, start, runs)
	if runs > math.MaxUint32-forever/2 { // no end to speak of
		key = fmt.Sprint(rules)
	}
	if all, ok := known[key]; ok {
		return all
	}
	budget := min(campaignSteps, max(*steps, 0))
	*steps -= budget
	for i, span := range [...]int64{hour, day, 7 * day, int64(p.Retention.Exposures)} {
		if runs <= span {
			all[i] = mostFrom(rules, start, runs, &budget)
		} else {
			all[i] = most(rules, span, &budget)
		}
	}
	*steps += max(budget, 0)
	known[key] = all
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
