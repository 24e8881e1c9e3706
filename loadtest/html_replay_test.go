package loadtest

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// htmlSummary is a summary in which every part of the page has something.
func htmlSummary() *Summary {
	s := &Summary{
		Log: "shop", RowStandsFor: "A row is one showing.", Notes: []string{"users are cohorts"}, Files: []FileRows{{"shop.csv", 12_346}},
		Rejected: Rejected{Rows: 7, ByReason: map[string]int{"time": 7}}, Refused: Rejected{Rows: 2, ByReason: map[string]int{"bad item": 2}},
		Events: 12_339, Replayed: 12_339, ByKind: []Count{{"impression", 12_000}, {"purchase", 339}},
		From: time.Date(2026, 1, 5, 1, 0, 0, 0, time.UTC), To: time.Date(2026, 1, 7, 9, 0, 0, 0, time.UTC), Users: 1234,
		Impressions: 12_000, Shown: 8001, Spared: 3999, Reasons: []Count{{"cap", 3000}, {"purchased", 555}, {"spacing", 300}, {"diversity", 100}, {"quiet_hours", 40}, {"hidden", 3}, {"child", 1}},
		Campaigns: []CampaignSplit{{"spring", 5000, 2500, Avoided{600, 555}}, {"autumn", 3001, 1499, Avoided{}}}, CampaignCount: 2, UsersAtCap: 432,
		AfterPurchase: &AfterPurchase{Item: Avoided{600, 555}, Category: Avoided{901, 702}}, Clicks: &Clicks{77, 11},
		Exposures: newHistogram(), MostBefore: 818, MostAfter: 29, MostExposed: []ExposedUser{{818, 29}, {515, 28}, {333, 27}},
		Recount: &Recount{Caps: []ExpectedCap{{Per: "campaign", Limit: 3, Within: 24 * time.Hour}}, Decisions: 12_000, Shown: 8001, OverDelivered: 6, Unexplained: 13, Sample: []string{"a finding"}},
		Periods: Periods{Seconds: 43200}, Seconds: 2.5, EventsPerSecond: 4936,
	}
	s.Exposures[1], s.Exposures[9] = Bucket{1, 1, 888, 999}, Bucket{501, 1000, 346, 0}
	for i := range 5 {
		p := Period{From: s.From.Truncate(24 * time.Hour).Add(time.Duration(i) * 12 * time.Hour), Shown: 1600 + i/4}
		for _, r := range s.Reasons {
			if n := r.N / 5; i < 4 && n > 0 {
				p.Spared = append(p.Spared, Count{r.Name, n})
			} else if i == 4 {
				p.Spared = append(p.Spared, Count{r.Name, r.N - 4*(r.N/5)})
			}
		}
		s.Periods.Steps = append(s.Periods.Steps, p)
	}
	return s
}

func replayHTML(t *testing.T, s *Summary, about ReplayPage) string {
	t.Helper()
	var out bytes.Buffer
	if err := s.WriteHTML(&out, about); err != nil {
		t.Fatal(err)
	}
	keepPage(t, out.Bytes())
	return out.String()
}

func TestReplayPageHoldsTheSummary(t *testing.T) {
	s := htmlSummary()
	page := mustBePage(t, replayHTML(t, s, ReplayPage{PolicyName: "shop.yaml", Policy: "campaigns: {}", Command: "restraint replay shop.csv", Version: "v9"}), false)
	want := []string{
		"12,346", "12,339", "12,000", "1,234", "8,001", "3,999", "33.3 %", "432", "888", "999", "346", "501-1000", "818 → 29", "A row is one showing.", "Users are cohorts.",
		"of an item that they had bought", "555 (92.5 %)", "of a category", "702 (77.9 %)", "199", "spring", "autumn", "campaign:3/24h", "a finding", "campaigns: {}", "restraint replay shop.csv", "v9",
		"bad item", "The policy is shop.yaml", "2026-01-05 01:00:00 UTC", "on what was shown (0.96 %)", "4,936 events a second", "other reasons",
	}
	for _, u := range s.MostExposed {
		want = append(want, fmt.Sprint(u.Before), fmt.Sprint(u.After))
	}
	for _, r := range s.Reasons {
		want = append(want, r.Name, group(r.N))
	}
	for _, p := range s.Periods.Steps {
		want = append(want, p.From.Format("2006-01-02 15:04"), group(p.Shown))
	}
	for _, w := range want {
		if !strings.Contains(page.text, w) {
			t.Errorf("the page lacks %q", w)
		}
	}
	if first := strings.Index(page.text, "What is assumed"); first < 0 || first > strings.Index(page.text, "Showings in the log") {
		t.Error("what is assumed is not the first thing")
	}
	if strings.Contains(page.text, "over 1000") {
		t.Error("buckets above the most exposed user are shown")
	}
}

// The columns of the pictures add up to the summary, and the rarest reasons are one part.
func TestReplayColumns(t *testing.T) {
	s := htmlSummary()
	all, why := s.columns()
	sum := func(values []int) (n int) {
		for _, v := range values {
			n += v
		}
		return n
	}
	if len(all.At) != 5 || sum(all.Parts[0].Values) != s.Shown || sum(all.Parts[1].Values) != s.Spared {
		t.Errorf("columns %+v", all)
	}
	if len(why.Parts) != mostColours {
		t.Fatalf("%d parts", len(why.Parts))
	}
	for i, p := range why.Parts[:5] {
		if p.Name != s.Reasons[i].Name || sum(p.Values) != s.Reasons[i].N {
			t.Errorf("part %+v, want %+v", p, s.Reasons[i])
		}
	}
	if p := why.Parts[5]; p.Name != "other reasons" || sum(p.Values) != 4 {
		t.Errorf("the rest %+v", p)
	}
	s.Reasons = s.Reasons[:6] // as many as there are colours: each its own
	for i := range s.Periods.Steps {
		s.Periods.Steps[i].Spared = slices.DeleteFunc(s.Periods.Steps[i].Spared, func(c Count) bool { return c.Name == "child" })
	}
	if _, why := s.columns(); len(why.Parts) != 6 || why.Parts[5].Name != "hidden" || sum(why.Parts[5].Values) != 3 {
		t.Errorf("parts %+v", why.Parts)
	}
}

func TestReplayPageSaysWhatItIsWorth(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Summary)
		says   []string
		not    []string
	}{
		"partial":      {func(s *Summary) { s.Partial, s.Replayed = "interrupted", 99 }, []string{"Not complete:", "the 99 of 12,339 events", `class="first warn"`}, nil},
		"warning":      {func(s *Summary) { s.Warnings = []string{"3 were inactive"} }, []string{"3 were inactive", `class="first warn"`}, nil},
		"made up":      {func(s *Summary) { s.Synthetic = "synthetic log, seed 1" }, []string{"A made-up log:"}, nil},
		"no showings":  {func(s *Summary) { *s = Summary{Log: "x", Exposures: newHistogram()} }, []string{"nothing was asked of the policy"}, []string{"Showings per user"}},
		"no purchases": {func(s *Summary) { s.AfterPurchase = nil }, []string{"nothing can be said of showings of what people had bought"}, []string{"Showings of what people had bought"}},
		"none bought":  {func(s *Summary) { s.AfterPurchase = &AfterPurchase{} }, []string{"nobody was shown what they had bought"}, nil},
		"all shown": {func(s *Summary) {
			s.Spared, s.Reasons = 0, nil
			for i := range s.Periods.Steps {
				s.Periods.Steps[i].Spared = nil
			}
		}, []string{"Nothing was spared."}, []string{"by reason</h3>"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := htmlSummary()
			c.change(s)
			text := replayHTML(t, s, ReplayPage{Addr: "127.0.0.1:8081"})
			mustBePage(t, text, false)
			main := text[strings.Index(text, "<main>"):]
			for _, want := range append(c.says, "The policy is the one that the node at 127.0.0.1:8081 had.") {
				if !strings.Contains(main, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			for _, not := range c.not {
				if strings.Contains(main, not) {
					t.Errorf("the page says %q", not)
				}
			}
		})
	}
}

// No user of the log is in the page of a whole replay.
func TestReplayPageHasNoIdentifier(t *testing.T) {
	o := options(newFakeNode(t), "t,u,c,i,k\n1000,annette,a,x,view\n1001,annette,a,x,view\n1001,bertram,a,x,view\n1001,annette,a,x,view\n1003,annette,a,x,view\nsoon,bertram,a,x,view\n1003,annette,,x,view\n")
	o.Check = []ExpectedCap{{Per: "campaign", Limit: 1, Within: time.Hour}} // finds what it need not
	s := mustReplay(t, o)
	if s.Recount.OverDelivered == 0 || s.Rejected.Rows != 2 {
		t.Fatalf("%+v %+v", s.Recount, s.Rejected)
	}
	text := replayHTML(t, &s, ReplayPage{})
	if found := regexp.MustCompile(`annette|bertram`).FindString(text); found != "" {
		t.Errorf("%s is in the page", found)
	}
}
