package loadtest

import (
	"testing"
	"time"
)

func TestOracleWindowIsFreeWhenMoreThanItHasPassed(t *testing.T) {
	o := NewOracle(ExpectedCap{Per: "campaign", Limit: 2, Within: time.Hour}, ExpectedCap{Per: "all", Limit: 3, Within: 2 * time.Hour})
	for _, step := range []struct {
		at       int64
		campaign string
		full     bool
	}{
		{0, "a", false},
		{10, "a", false},
		{20, "a", true},    // two within the hour
		{20, "b", false},   // another campaign
		{30, "b", true},    // three of all
		{3600, "a", true},  // the first is an hour old: still inside
		{7200, "b", true},  // all: 0 is exactly two hours old
		{7201, "b", false}, // and now more
		{7201, "a", true},  // all: 10, 20 and 7201
	} {
		a := Asked{User: "u", Campaign: step.campaign, At: step.at}
		if _, full := o.Full(a); full != step.full {
			t.Errorf("%+v: full is %t", step, full)
		}
		o.Check(a, !step.full, map[bool]string{true: "cap", false: ""}[step.full])
	}
	if r := o.Recount(); r.OverDelivered+r.Unexplained != 0 || r.Decisions != 9 || r.Shown != 4 {
		t.Errorf("recount %+v", r)
	}
	o.Check(Asked{User: "u", Campaign: "a", At: 7202}, true, "")
	o.Check(Asked{User: "other", Campaign: "a", At: 7202}, false, "cap")
	o.Check(Asked{User: "third", Campaign: "a", At: 7202}, false, "purchased")
	if r := o.Recount(); r.OverDelivered != 1 || r.Unexplained != 1 || len(r.Sample) != 2 {
		t.Errorf("recount %+v", r)
	}
}

func TestOracleCountsByItem(t *testing.T) {
	o := NewOracle(ExpectedCap{Per: "item", Limit: 1, Within: 24 * time.Hour})
	o.Check(Asked{User: "u", Campaign: "a", Item: "x", At: 1}, true, "")
	if _, full := o.Full(Asked{User: "u", Campaign: "b", Item: "x", At: 2}); !full {
		t.Error("the item was shown under another campaign and is not full")
	}
	if _, full := o.Full(Asked{User: "u", Campaign: "b", At: 2}); full {
		t.Error("a candidate without an item is held to a cap per item")
	}
}

func TestParseExpectedCap(t *testing.T) {
	for text, want := range map[string]ExpectedCap{
		"3/24h":         {"campaign", 3, 24 * time.Hour},
		"item:5/30d":    {"item", 5, 720 * time.Hour},
		"all:30/7d":     {"all", 30, 168 * time.Hour},
		"creative:1/1m": {"creative", 1, time.Minute},
	} {
		if got, err := ParseExpectedCap(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "3", "3/", "/24h", "0/24h", "3/24", "3/0d", "3/500ms", "3/1500ms", "user:3/24h", "x/24h", "3/99999999d"} {
		if got, err := ParseExpectedCap(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
