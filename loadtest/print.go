package loadtest

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

const barWidth = 30

// Print writes the summary as text, for a terminal.
func (s *Summary) Print(w io.Writer) error {
	var b strings.Builder
	p := printer{&b}
	if s.Partial != "" {
		p.line("PARTIAL: the replay ended early (%s); what follows covers the %s events done.", s.Partial, group(s.Replayed))
	}
	if s.Synthetic != "" {
		p.line("SYNTHETIC LOG: %s", s.Synthetic)
	}
	p.line("Replay of %s", s.Log)
	p.line("  %s", s.RowStandsFor)
	for _, n := range s.Notes {
		p.line("  Note: %s.", n)
	}
	for _, n := range s.Warnings {
		p.line("  WARNING: %s.", n)
	}
	p.line("")
	p.read(s)
	p.outcome(s)
	p.histogram(s)
	p.recount(s.Recount)
	p.line("")
	p.line("Took %.1f s: %s events a second, on this machine, node and client together.", s.Seconds, group(int(s.EventsPerSecond)))
	if s.Partial != "" {
		p.line("PARTIAL: %s of %s events.", group(s.Replayed), group(s.Events))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type printer struct{ b *strings.Builder }

func (p printer) line(format string, args ...any) {
	fmt.Fprintf(p.b, format+"\n", args...)
}

// read prints what the log held.
func (p printer) read(s *Summary) {
	for _, f := range s.Files {
		p.line("%-40s %9s rows", f.File, group(f.Rows))
	}
	p.rejected("rejected", s.Rejected)
	p.line("%-40s %9s of %s events that the rows make", "replayed", group(s.Replayed), group(s.Events))
	for _, k := range s.ByKind {
		p.line("  %-38s %9s", k.Name, group(k.N))
	}
	p.rejected("refused by the node", s.Refused)
	p.line("period %s to %s (UTC)", s.From.Format(time.DateTime), s.To.Format(time.DateTime))
}

func (p printer) rejected(what string, r Rejected) {
	p.line("%-40s %9s", what, group(r.Rows))
	for _, c := range counts(r.ByReason) {
		p.line("  %-38s %9s", c.Name, group(c.N))
	}
	for _, row := range r.Sample {
		p.line("    %s line %d: %s", row.File, row.Line, strconv.QuoteToGraphic(row.Detail))
	}
}

// outcome prints what the policy did.
func (p printer) outcome(s *Summary) {
	p.line("")
	if s.Impressions == 0 {
		p.line("No impressions: nothing was asked of the policy.")
		return
	}
	p.line("%-24s %12s, to %s users", "impressions in the log", group(s.Impressions), group(s.Users))
	p.line("%-24s %12s  %5.1f %%", "  shown", group(s.Shown), percent(s.Shown, s.Impressions))
	p.line("%-24s %12s  %5.1f %%", "  spared", group(s.Spared), percent(s.Spared, s.Impressions))
	for _, r := range s.Reasons {
		p.line("    %-20s %12s  %5.1f %%", r.Name, group(r.N), percent(r.N, s.Impressions))
	}
	p.line("%-24s %12s of %s", "users who reached a cap", group(s.UsersAtCap), group(s.Users))
	if a := s.AfterPurchase; a != nil {
		p.avoided("of an item", a.Item)
		p.avoided("of a category", a.Category)
	} else {
		p.line("Exposures after a purchase: not reported, the log does not hold both kinds.")
	}
	if c := s.Clicks; c != nil {
		p.line("%-24s %12s on what was shown (%.2f %%), %s on what was spared (%.2f %%)", "clicks in the log",
			group(c.Shown), percent(c.Shown, s.Shown), group(c.Spared), percent(c.Spared, s.Spared))
	}
	if s.CampaignCount > 1 {
		p.line("campaigns (%d)%38s %12s", s.CampaignCount, "shown", "spared")
		for _, c := range s.Campaigns {
			p.line("  %-36s %12s %12s", c.Campaign, group(c.Shown), group(c.Spared))
		}
	}
}

func (p printer) avoided(what string, a Avoided) {
	if a.InLog > 0 {
		p.line("%-24s %12s already bought: %s avoided (%.1f %%), %s shown", "exposures "+what, group(a.InLog), group(a.Avoided), percent(a.Avoided, a.InLog), group(a.InLog-a.Avoided))
	}
}

// histogram prints users by exposures, before above after.
func (p printer) histogram(s *Summary) {
	if s.Impressions == 0 {
		return
	}
	most, last := 1, 0
	for i, b := range s.Exposures {
		most = max(most, b.Before, b.After)
		if b.Before+b.After > 0 {
			last = i
		}
	}
	bar := func(n int) string {
		width := n * barWidth / most
		if n > 0 && width == 0 {
			width = 1
		}
		return strings.Repeat("#", width)
	}
	p.line("")
	p.line("exposures per user     users in the log                              users under the policy")
	for _, b := range s.Exposures[:last+1] {
		p.line("%10s %12s %-*s %12s %s", b.label(), group(b.Before), barWidth, bar(b.Before), group(b.After), bar(b.After))
	}
	p.line("most exposed user: %s in the log, %s under the policy", group(s.MostBefore), group(s.MostAfter))
}

func (p printer) recount(r *Recount) {
	if r == nil {
		return
	}
	p.line("")
	p.line("Recount of the verdicts against %v, with histories of its own:", r.Caps)
	p.line("%-24s %12s of %s shown (%.3f per mille)", "  over-delivered", group(r.OverDelivered), group(r.Shown), 10*percent(r.OverDelivered, r.Shown))
	p.line("%-24s %12s skips for cap that none of these explains", "  unexplained", group(r.Unexplained))
	for _, text := range r.Sample {
		p.line("    %s", text)
	}
}

func percent(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return 100 * float64(n) / float64(of)
}

// group writes n with commas between thousands.
func group(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
