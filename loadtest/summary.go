package loadtest

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Summary is what a replay found.
type Summary struct {
	Log          string `json:"log"`
	RowStandsFor string `json:"row_stands_for"`
	// Synthetic is the generator's own label; "" for a real log.
	Synthetic string `json:"synthetic,omitempty"`
	// Partial is why the replay ended early; "" where it is complete. All
	// figures but Files, Rejected and Events then cover what was done.
	Partial  string   `json:"partial,omitempty"`
	Notes    []string `json:"notes,omitempty"`
	Warnings []string `json:"warnings,omitempty"`

	Files    []FileRows `json:"files"`
	Rejected Rejected   `json:"rejected"`
	// Refused are rows that the node refused, by file and line.
	Refused Rejected `json:"refused_by_node"`

	Events   int `json:"events"`   // what the rows were made into
	Replayed int `json:"replayed"` // of Events
	// ByKind counts Replayed by impression, click, purchase, return, other.
	ByKind []Count `json:"by_kind"`
	// From and To are the times of the first and the last event, UTC.
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Users int       `json:"users"` // with a decided impression

	Impressions int `json:"impressions"` // decided
	Shown       int `json:"shown"`
	Spared      int `json:"spared"`
	// Reasons are those of the spared, most frequent first.
	Reasons []Count `json:"reasons"`
	// Campaigns with the most impressions, at most 10.
	Campaigns     []CampaignSplit `json:"campaigns"`
	CampaignCount int             `json:"campaign_count"`
	// UsersAtCap had at least one showing skipped for the reason cap.
	UsersAtCap int `json:"users_at_cap"`

	// AfterPurchase is nil where the log does not hold both showings and
	// purchases of items or categories.
	AfterPurchase *AfterPurchase `json:"after_purchase,omitempty"`
	// Clicks is nil where no decided impression was clicked in the log.
	Clicks *Clicks `json:"clicks,omitempty"`

	// Exposures counts users by showings, in the log and through the policy.
	Exposures []Bucket `json:"exposures"`
	// MostBefore and MostAfter are the showings of the most exposed user.
	MostBefore int `json:"most_before"`
	MostAfter  int `json:"most_after"`
	// MostExposed are the users with the most showings in the log, at most 20, the most
	// exposed first; there is no identifier in it.
	MostExposed []ExposedUser `json:"most_exposed"`

	// Periods are the decided impressions by the log's own time.
	Periods Periods `json:"periods"`

	// Recount is nil where ReplayOptions.Check is empty.
	Recount *Recount `json:"recount,omitempty"`

	// Seconds of sending, reading the log not included; both figures belong to
	// this machine and node, not to the policy.
	Seconds         float64 `json:"seconds"`
	EventsPerSecond float64 `json:"events_per_second"`
}

// ExposedUser is one user's showings, in the log and through the policy.
type ExposedUser struct {
	Before int `json:"before"`
	After  int `json:"after"`
}

// mostExposed is how many of the most exposed users are in a summary.
const mostExposed = 20

// CampaignSplit is one campaign's impressions.
type CampaignSplit struct {
	Campaign string `json:"campaign"`
	Shown    int    `json:"shown"`
	Spared   int    `json:"spared"`
	// AfterPurchase are those of them that showed an item, or an item of a category,
	// which the user had bought.
	AfterPurchase Avoided `json:"after_purchase"`
}

// AfterPurchase counts showings to users who, earlier in the log, had bought
// the same item or category and not returned it. Avoided ones were skipped,
// whatever the reason.
type AfterPurchase struct {
	Item     Avoided `json:"item"`
	Category Avoided `json:"category"`
}

// Avoided is how many of the showings in the log did not take place.
type Avoided struct {
	InLog   int `json:"in_log"`
	Avoided int `json:"avoided"`
}

// Clicks are the log's own clicks, by what became of the showing.
type Clicks struct {
	Shown  int `json:"on_shown"`
	Spared int `json:"on_spared"`
}

// Bucket is a range of showings per user, both ends included; To 0: no end.
type Bucket struct {
	From   int `json:"from"`
	To     int `json:"to"`
	Before int `json:"users_before"`
	After  int `json:"users_after"`
}

func (b Bucket) label() string {
	switch b.To {
	case b.From:
		return fmt.Sprint(b.From)
	case 0:
		return fmt.Sprintf("over %d", b.From-1)
	}
	return fmt.Sprintf("%d-%d", b.From, b.To)
}

// histogramEnds are the last counts of the buckets, the first being 0 alone.
var histogramEnds = []int{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}

func newHistogram() []Bucket {
	buckets, from := []Bucket{{}}, 1
	for _, to := range histogramEnds {
		buckets, from = append(buckets, Bucket{From: from, To: to}), to+1
	}
	return append(buckets, Bucket{From: from})
}

func bucketOf(n int) int {
	if n == 0 {
		return 0
	}
	i, _ := slices.BinarySearch(histogramEnds, n)
	return i + 1
}

func summarize(o *ReplayOptions, p Preset, l *eventLog, workers []*worker, took time.Duration) Summary {
	s := Summary{
		Log: o.Name, RowStandsFor: p.Stands, Notes: p.Notes, Synthetic: l.label,
		Files: l.files, Rejected: l.rejected, Refused: newRejected(),
		Events: len(l.rows), MostExposed: []ExposedUser{}, Exposures: newHistogram(), Seconds: took.Seconds(),
		From: time.Unix(0, l.rows[0].at).UTC(), To: time.Unix(0, l.rows[len(l.rows)-1].at).UTC(),
	}
	kindsOf, reasons, campaigns := map[string]int{}, map[string]int{}, map[string]campaignTally{}
	var clicks Clicks
	var item, category split
	periods := newStretches(workers[0].tally.periods.span)
	if len(o.Check) > 0 {
		s.Recount = &Recount{Caps: o.Check}
	}
	for _, w := range workers {
		t := &w.tally
		for k, n := range t.kinds {
			if n > 0 {
				kindsOf[kind(k).String()] += n
				s.Replayed += n
			}
		}
		for reason, n := range t.reasons {
			reasons[reason] += n
			s.Spared += n
		}
		for c, n := range t.campaigns {
			sum := campaigns[l.names.text[c]]
			campaigns[l.names.text[c]] = campaignTally{sum.all.plus(n.all), sum.bought.plus(n.bought)}
		}
		for _, u := range t.users {
			s.addUser(u)
		}
		s.keepMostExposed()
		s.Shown += t.shown
		s.Refused.merge(t.refused)
		clicks.Shown += t.clicksShown
		clicks.Spared += t.clicksSpared
		item, category = item.plus(t.afterItem), category.plus(t.afterCategory)
		periods.merge(&t.periods)
		if w.oracle != nil {
			s.Recount.merge(w.oracle.Recount())
		}
	}
	s.Impressions = s.Shown + s.Spared
	s.Periods = periods.report()
	s.ByKind, s.Reasons = counts(kindsOf), counts(reasons)
	s.CampaignCount = len(campaigns)
	s.Campaigns = mostShown(campaigns)
	if clicks != (Clicks{}) {
		s.Clicks = &clicks
	}
	if l.hasBoth() {
		s.AfterPurchase = &AfterPurchase{Item: item.avoided(), Category: category.avoided()}
	}
	if took > 0 {
		s.EventsPerSecond = float64(s.Replayed) / took.Seconds()
	}
	s.Warnings = warnings(reasons)
	return s
}

func (s *Summary) addUser(u exposed) {
	s.Users++
	s.MostExposed = append(s.MostExposed, ExposedUser{int(u.before), int(u.after)})
	s.Exposures[bucketOf(int(u.before))].Before++
	s.Exposures[bucketOf(int(u.after))].After++
	s.MostBefore = max(s.MostBefore, int(u.before))
	s.MostAfter = max(s.MostAfter, int(u.after))
	if u.capped {
		s.UsersAtCap++
	}
}

// keepMostExposed leaves the most exposed of the users added so far.
func (s *Summary) keepMostExposed() {
	slices.SortFunc(s.MostExposed, func(a, b ExposedUser) int {
		return cmp.Or(cmp.Compare(b.Before, a.Before), cmp.Compare(b.After, a.After))
	})
	s.MostExposed = slices.Clone(s.MostExposed[:min(len(s.MostExposed), mostExposed)])
}

func (s split) avoided() Avoided { return Avoided{InLog: s.shown + s.spared, Avoided: s.spared} }

func mostShown(campaigns map[string]campaignTally) []CampaignSplit {
	out := []CampaignSplit{}
	for name, n := range campaigns {
		out = append(out, CampaignSplit{name, n.all.shown, n.all.spared, n.bought.avoided()})
	}
	slices.SortFunc(out, func(a, b CampaignSplit) int {
		return cmp.Or(cmp.Compare(b.Shown+b.Spared, a.Shown+a.Spared), cmp.Compare(a.Campaign, b.Campaign))
	})
	return out[:min(len(out), 10)]
}

// hasBoth says whether the log holds showings and purchases that can meet: of
// an item, or of a category.
func (l *eventLog) hasBoth() bool {
	var shownItem, shownCategory, boughtItem, boughtCategory bool
	for i := range l.rows {
		r := &l.rows[i]
		switch r.kind {
		case kindImpression:
			shownItem, shownCategory = shownItem || r.item != 0, shownCategory || r.category != 0
		case kindPurchase:
			boughtItem, boughtCategory = boughtItem || r.item != 0, boughtCategory || r.category != 0
		}
	}
	return shownItem && boughtItem || shownCategory && boughtCategory
}

// warnings name skips that say more about the set-up than about the policy.
func warnings(reasons map[string]int) []string {
	var out []string
	for _, w := range []struct{ reason, text string }{
		{"unknown_campaign", "the node's policy does not have their campaign: put a policy with the campaign names of this log"},
		{"inactive", "their campaign was not active at the time of the row: look at its dates in the policy"},
		{"no_consent", "the log has no consent signals: replay with a market that requires none"},
		{"no_id", "the node took no identifier from them"},
	} {
		if n := reasons[w.reason]; n > 0 {
			out = append(out, fmt.Sprintf("%d impressions were skipped as %s, which is not what the policy spares: %s", n, w.reason, w.text))
		}
	}
	return out
}

func (r *Rejected) merge(other Rejected) {
	r.Rows += other.Rows
	for reason, n := range other.ByReason {
		r.ByReason[reason] += n
	}
	r.Sample = append(r.Sample, other.Sample...)
	r.Sample = r.Sample[:min(len(r.Sample), maxSampled)]
}
