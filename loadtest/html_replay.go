package loadtest

import (
	"fmt"
	"io"
	"slices"
	"time"

	"restraint/loadtest/plot"
)

// ReplayPage is what a replay's page says beside the summary.
type ReplayPage struct {
	// PolicyName is where the policy came from, and Policy its text; "" where it is the
	// node's own.
	PolicyName, Policy string
	// Addr is the node that the log was replayed through; "" for one made for it.
	Addr string
	// Command is how to run it again, "" to leave that out. It is shown as it is, so it
	// must hold no key.
	Command string
	// Version is that of the program.
	Version string
}

// replayContent is what replay.html shows.
type replayContent struct {
	page
	*Summary
	ReplayPage

	OverTime, WhySpared *plot.Columns // nil where there is nothing to draw
}

// WriteHTML writes the summary as one page that stands by itself: nothing is fetched, no
// script runs, and it opens from a file. There is no identifier of a user in it.
func (s *Summary) WriteHTML(w io.Writer, about ReplayPage) error {
	c := replayContent{page: newPage("What a policy spared: "+s.Log, nil), Summary: s, ReplayPage: about}
	if s.Impressions > 0 {
		c.OverTime, c.WhySpared = s.columns()
	}
	return writePage(w, "replay", &c)
}

// mostColours is how many parts of a column have a colour of their own; what is rarer is
// one part together.
const mostColours = 6

// columns draws the periods: shown and spared, and the spared by reason.
func (s *Summary) columns() (overTime, why *plot.Columns) {
	steps, length := s.Periods.Steps, periodText(s.Periods.Seconds)
	overTime = &plot.Columns{
		Title: "Showings over time", XLabel: "periods of " + length + ", UTC", YLabel: "showings",
		Parts: []plot.Part{{Name: "shown", Colour: 3}, {Name: "spared", Colour: 2}},
		Text: fmt.Sprintf("Each column is %s of the log: %s of %s showings were spared.",
			length, group(s.Spared), group(s.Impressions)),
	}
	why = &plot.Columns{Title: "Spared showings over time, by reason", XLabel: overTime.XLabel, YLabel: "spared showings"}
	place := map[string]int{}
	for i, r := range s.Reasons {
		if i == mostColours-1 && len(s.Reasons) > mostColours {
			why.Parts = append(why.Parts, plot.Part{Name: "other reasons", Colour: i + 1})
		}
		place[r.Name] = min(i, mostColours-1)
		if i < mostColours && len(why.Parts) == i {
			why.Parts = append(why.Parts, plot.Part{Name: r.Name, Colour: i + 1})
		}
	}
	for i := range why.Parts {
		why.Parts[i].Values = make([]int, len(steps))
	}
	most, at := 0, 0
	for i, p := range steps {
		overTime.At = append(overTime.At, periodName(p.From, s.Periods.Seconds))
		spared := 0
		for _, c := range p.Spared {
			why.Parts[place[c.Name]].Values[i] += c.N
			spared += c.N
		}
		if spared > most {
			most, at = spared, i
		}
		overTime.Parts[0].Values = append(overTime.Parts[0].Values, p.Shown)
		overTime.Parts[1].Values = append(overTime.Parts[1].Values, spared)
	}
	why.At = overTime.At
	if most == 0 {
		return overTime, nil
	}
	overTime.Text += fmt.Sprintf(" The most, %s, in the period that began at %s.", group(most), steps[at].From.Format("2006-01-02 15:04"))
	why.Text = "The same columns without what was shown, on a scale of their own."
	return overTime, why
}

// periodText is the length of a period for people.
func periodText(seconds int64) string {
	for _, u := range []struct {
		seconds int64
		name    string
	}{{7 * 86400, "week"}, {86400, "day"}, {3600, "hour"}, {60, "minute"}} {
		if n := seconds / u.seconds; n == 1 {
			return "one " + u.name
		} else if n > 1 {
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return fmt.Sprintf("%d seconds", seconds)
}

func periodName(from time.Time, seconds int64) string {
	if seconds >= 86400 {
		return from.Format(time.DateOnly)
	}
	return from.Format("01-02 15:04")
}

// pair is how many users had so many showings, or how many one of them had.
type pair struct {
	Label         string
	Before, After int
}

// ByExposures are the users by showings, as far as there are any.
func (c *replayContent) ByExposures() (rows []pair) {
	full := 0
	for i, b := range c.Exposures {
		rows = append(rows, pair{b.label(), b.Before, b.After})
		if b.Before+b.After > 0 {
			full = i + 1
		}
	}
	return rows[:full]
}

// MostUsers is the most users of one row of ByExposures.
func (c *replayContent) MostUsers() (n int) {
	for _, b := range c.Exposures {
		n = max(n, b.Before, b.After)
	}
	return n
}

// ReasonsPer are the rejected rows by reason.
func (c *replayContent) ReasonsPer(r Rejected) []Count { return counts(r.ByReason) }

// Bought are the showings of what the user had bought, in the log.
func (c *replayContent) Bought() (rows []boughtRow) {
	if c.AfterPurchase == nil {
		return nil
	}
	for _, r := range []boughtRow{{"of an item that they had bought", c.AfterPurchase.Item}, {"of a category that they had bought from", c.AfterPurchase.Category}} {
		if r.InLog > 0 {
			rows = append(rows, r)
		}
	}
	return rows
}

// boughtRow is one line of Bought.
type boughtRow struct {
	Label string
	Avoided
}

// Left took place under the policy.
func (r boughtRow) Left() int { return r.InLog - r.Avoided.Avoided }

// MostBought is the most showings of one row of Bought.
func (c *replayContent) MostBought() int {
	return max(c.AfterPurchase.Item.InLog, c.AfterPurchase.Category.InLog)
}

// MostOfCampaign is the most showings of one campaign.
func (c *replayContent) MostOfCampaign() (n int) {
	for _, s := range c.Campaigns {
		n = max(n, s.Shown+s.Spared)
	}
	return n
}

// ShareSpared is how much of a campaign's showings was spared.
func (c *replayContent) ShareSpared(s CampaignSplit) string {
	return share(float64(s.Spared), float64(s.Shown+s.Spared))
}

// AnyBought says whether any campaign showed what had been bought.
func (c *replayContent) AnyBought() bool {
	return slices.ContainsFunc(c.Campaigns, func(s CampaignSplit) bool { return s.AfterPurchase.InLog > 0 })
}
