package loadtest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSpanOfALog(t *testing.T) {
	at := func(text string) int64 {
		when, err := time.Parse(time.DateTime, text)
		if err != nil {
			t.Fatal(err)
		}
		return when.Unix()
	}
	for _, c := range []struct {
		first, last, from string
		length            int64
		periods           int
	}{
		{"2026-01-05 10:00:30", "2026-01-05 10:00:30", "2026-01-05 10:00:00", 60, 1},
		{"2026-01-05 10:00:30", "2026-01-05 10:59:59", "2026-01-05 10:00:00", 60, 60},
		{"2026-01-05 10:00:30", "2026-01-05 11:00:00", "2026-01-05 10:00:00", 300, 13},
		{"2026-01-05 10:00:30", "2026-02-05 00:00:00", "2026-01-05 00:00:00", 43200, 0},
		{"2026-01-08 10:00:30", "2026-12-05 00:00:00", "2026-01-05 00:00:00", 7 * 86400, 48}, // a Thursday; periods begin on Mondays
		{"1960-01-01 10:00:30", "1960-01-01 10:00:40", "1960-01-01 10:00:00", 60, 1},
	} {
		s := spanOf(at(c.first), at(c.last))
		if c.periods == 0 { // 63 halves of a day are too many
			c.from, c.length, c.periods = "2026-01-05 00:00:00", 86400, 32
		}
		if s != (span{at(c.from), c.length, c.periods}) {
			t.Errorf("%s to %s: %+v from %s, want %s, %d x %d s", c.first, c.last, s, time.Unix(s.from, 0).UTC(), c.from, c.periods, c.length)
		}
	}
	// Whatever the log, its first and last second lie in the first and the last period.
	for _, length := range []int64{0, 1, 59, 3600, 86400 * 100, 86400 * 365 * 50, 86400 * 365 * 2000} {
		for _, first := range []int64{-1e10, -1, 0, firstMonday - 1, 1_700_000_000} {
			s := spanOf(first, first+length)
			if into := first - s.from; into < 0 || into >= s.length || (first+length-s.from)/s.length != int64(s.periods-1) {
				t.Errorf("%d and %d s on: %+v", first, length, s)
			}
			if s.periods > mostPeriods && s.length != periodLengths[len(periodLengths)-1] {
				t.Errorf("%d and %d s on: %d periods", first, length, s.periods)
			}
		}
	}
}

// What a summary says of periods, of the most exposed and of what was bought adds up to
// what it says in all, however many workers there were.
func TestSummaryAddsUp(t *testing.T) {
	var log strings.Builder
	log.WriteString("t,u,c,i,k\n")
	for i, user := range strings.Split(strings.Repeat("a b c d e f g h i j k l m n o p q r s t u v w x a a a b b c ", 3), " ") {
		if user != "" {
			log.WriteString(strings.Join([]string{time.Unix(int64(1000+40*i), 0).UTC().Format("2006-01-02T15:04:05"), user, "c1", "x", "view"}, ",") + "\n")
		}
	}
	log.WriteString("1970-01-01T00:16:41,b,c2,x,buy\n1970-01-01T00:16:42,b,c2,x,view\n")
	var first string
	for _, workers := range []int{1, 3} {
		o := options(newFakeNode(t), log.String())
		o.Columns.TimeFormat, o.Workers = "2006-01-02T15:04:05", workers
		s := mustReplay(t, o)
		shown, spared := 0, map[string]int{}
		for i, p := range s.Periods.Steps {
			shown += p.Shown
			for _, c := range p.Spared {
				spared[c.Name] += c.N
			}
			if i > 0 && p.From.Sub(s.Periods.Steps[i-1].From) != time.Duration(s.Periods.Seconds)*time.Second {
				t.Errorf("period %d begins at %s", i, p.From)
			}
		}
		if shown != s.Shown || !slices.Equal(counts(spared), s.Reasons) || s.Spared == 0 {
			t.Errorf("periods have %d shown and %v, the summary %d and %v", shown, spared, s.Shown, s.Reasons)
		}
		if n := len(s.MostExposed); n != mostExposed || s.Users != 24 || s.MostExposed[0] != (ExposedUser{s.MostBefore, 3}) || s.MostExposed[0].Before != 12 {
			t.Errorf("%d most exposed of %d, the first %+v", n, s.Users, s.MostExposed[0])
		}
		if !slices.IsSortedFunc(s.MostExposed, func(a, b ExposedUser) int { return b.Before - a.Before }) {
			t.Errorf("most exposed out of order: %v", s.MostExposed)
		}
		if c := s.Campaigns[0]; c.Campaign != "c1" || c.Shown+c.Spared != 90 || c.AfterPurchase != (Avoided{9, 9}) {
			t.Errorf("campaign %+v", c)
		}
		if c := s.Campaigns[1]; c.AfterPurchase != (Avoided{1, 1}) || s.AfterPurchase.Item != (Avoided{10, 10}) {
			t.Errorf("campaign %+v, in all %+v", c, s.AfterPurchase.Item)
		}
		s.Seconds, s.EventsPerSecond = 0, 0
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = string(text)
		} else if string(text) != first {
			t.Errorf("with %d workers:\n%s\nwith one:\n%s", workers, text, first)
		}
	}
}
