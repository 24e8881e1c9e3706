package edge

import (
	"testing"
	"time"
)

// What a scenario cannot tell, since it goes by the wall clock or by damage, is said too,
// and what none has an example of.
func TestSentencesOfLists(t *testing.T) {
	for _, c := range []struct {
		check    Check
		reason   Reason
		discreet bool
		want     string
	}{
		{
			Check{Rule: "list_age", List: "customers", Within: "48h", Age: 3*24*60*60 + 7},
			StaleList, false,
			`Not shown: the list "customers", whose members this campaign leaves alone, is 3 days old; it may be 48 hours old at most.`,
		},
		{
			Check{Rule: "list_age", List: "customers", Within: "48h"},
			StaleList, true,
			`Not shown: a list that we were given, whose members this campaign leaves alone, has never come, and may be 48 hours old at most.`,
		},
		{
			Check{Rule: "list_age", List: "customers", Unknown: true},
			StaleList, false,
			`Not shown: the list "customers", whose members this campaign leaves alone, cannot be read, and when in doubt we show less.`,
		},
		{
			Check{Rule: "purchased", Per: "item", List: "orders", Unknown: true},
			Purchased, false,
			`Not shown: whether you bought this already cannot be read (list "orders"), and when in doubt we show less.`,
		},
		{
			Check{Rule: "opt_out_age", List: "left", Within: "48h", Age: 3*24*60*60 + 7},
			StaleList, false,
			`Not shown: the list "left" of people who opted out is 3 days old; it may be 48 hours old at most, and when in doubt we show less.`,
		},
		{
			Check{Rule: "opt_out_age", List: "left", Within: "48h"},
			StaleList, true,
			`Not shown: a list of people who opted out has never come, and may be 48 hours old at most, and when in doubt we show less.`,
		},
		{
			Check{Rule: "opt_out_age", List: "left", Unknown: true},
			StaleList, false,
			`Not shown: the list "left" of people who opted out cannot be read, and when in doubt we show less.`,
		},
		{
			Check{Rule: "cap", Per: "advertiser", Within: "7d", Limit: 4, Count: new(int), Unknown: true},
			Cap, false,
			`Not shown: how often you have seen advertisements of this advertiser in the last 7 days is no longer known in full, and when in doubt we show less; the limit is 4.`,
		},
		{
			Check{Rule: "cap", Per: "group:toys", Channel: "email", Within: "day", Limit: 4, Count: new(int), Unknown: true},
			Cap, false,
			`Not shown: how often you have seen advertisements of the group "toys" in the channel "email" today is no longer known in full, and when in doubt we show less; the limit is 4.`,
		},
		{
			Check{Rule: "list", List: "customers"},
			Suppressed, false,
			`Not shown: you are on the list "customers", whose members this campaign leaves alone.`,
		},
	} {
		e := &explanation{now: 1_793_500_000, zone: time.UTC, discreet: c.discreet, checks: []Check{{Rule: "active", Pass: true}, c.check}}
		if got := e.because(verdict{reason: c.reason}); got != c.want {
			t.Errorf("said %q\nwant %q", got, c.want)
		}
	}
}
