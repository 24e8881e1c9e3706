package faults

import (
	"strings"
	"testing"
)

func eventOf(k kind, id, user, of string) event {
	return event{kind: k, id: id, pair: pair{user, of}}
}

// sent is a history of reports: an event with what came of each.
func sent(reports ...any) *history {
	h := newHistory()
	for i := 0; i < len(reports); i += 2 {
		e := reports[i].(event)
		h.begin(e)
		h.end(e, "a", reports[i+1].(outcome))
	}
	return h
}

func said(node, user, of string, v verdict) reading {
	return reading{node: node, user: user, verdicts: map[string]verdict{of: v}}
}

func TestBounds(t *testing.T) {
	e1, e2, e3, e4 := eventOf(impression, "1", "u", "c"), eventOf(impression, "2", "u", "c"), eventOf(impression, "3", "u", "c"), eventOf(impression, "4", "u", "c")
	for name, c := range map[string]struct {
		h    *history
		want bounds
	}{
		"nothing":                   {sent(), bounds{0, 0}},
		"acknowledged":              {sent(e1, acknowledged), bounds{1, 1}},
		"twice is once":             {sent(e1, acknowledged, e1, acknowledged, e1, unknown), bounds{1, 1}},
		"refused":                   {sent(e1, refused), bounds{0, 0}},
		"unknown":                   {sent(e1, unknown), bounds{0, 1}},
		"refused after unknown":     {sent(e1, unknown, e1, refused), bounds{0, 1}},
		"unknown then acknowledged": {sent(e1, unknown, e1, acknowledged), bounds{1, 1}},
		"all":                       {sent(e1, acknowledged, e2, unknown, e3, refused, e4, acknowledged, e4, acknowledged), bounds{2, 3}},
	} {
		got := c.h.bounds(impression)
		if got[pair{"u", "c"}] != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		for count := range 5 {
			wrong := checkBounds(got, []reading{said("a", "u", "c", verdict{count: count})}, 255)
			if right := count >= c.want.least && count <= c.want.most; (len(wrong) == 0) != right {
				t.Errorf("%s: a count of %d: %q", name, count, wrong)
			}
		}
	}
	if len(checkBounds(sent(e1, acknowledged).bounds(impression), []reading{said("a", "v", "c", verdict{count: 1})}, 255)) != 1 {
		t.Error("a count for somebody nothing was sent about is right")
	}
	under := sent(e1, acknowledged)
	under.begin(e2)
	if b := under.bounds(impression)[pair{"u", "c"}]; b != (bounds{1, 2}) {
		t.Errorf("with one under way: %+v", b)
	}
	if under.acknowledgedBy("a", impression, e1.pair) != 1 || under.acknowledgedBy("b", impression, e1.pair) != 0 || under.tried(impression, e1.pair) != 2 {
		t.Error("by node")
	}
}

func TestReadWhileEventsGoOn(t *testing.T) {
	for count, right := range []bool{false, true, true, false} {
		wrong := checkRead(said("a", "u", "c", verdict{count: count}), "c", bounds{1, 2}, 255)
		if (len(wrong) == 0) != right {
			t.Errorf("%d: %q", count, wrong)
		}
	}
}

func TestAgreement(t *testing.T) {
	v := verdict{show: true, count: 3}
	same := []reading{said("a", "u", "c", v), said("b", "u", "c", v), said("a", "w", "c", verdict{})}
	if wrong := checkAgreement(same); len(wrong) != 0 {
		t.Error(wrong)
	}
	for _, other := range []verdict{{show: true, count: 2}, {show: false, count: 3}, {show: true, count: 3, reason: "cap"}, {show: true, count: 3, full: true}} {
		if wrong := checkAgreement([]reading{said("a", "u", "c", v), said("b", "u", "c", other)}); len(wrong) != 1 {
			t.Errorf("%+v: %q", other, wrong)
		}
	}
	if wrong := checkAgreement([]reading{said("a", "u", "c", v), {node: "b", user: "u"}}); len(wrong) != 1 {
		t.Errorf("a node that says nothing: %q", wrong)
	}
}

func TestRefusals(t *testing.T) {
	all := func(string) bool { return true }
	h := sent(eventOf(hide, "1", "u", "known"), acknowledged, eventOf(hide, "2", "u", "perhaps"), unknown)
	for _, c := range []struct {
		of    string
		v     verdict
		wrong string
	}{
		{"known", verdict{reason: "hidden"}, ""},
		{"known", verdict{show: true}, "lost"},
		{"known", verdict{reason: "cap"}, "lost"},
		{"perhaps", verdict{show: true}, ""},
		{"perhaps", verdict{reason: "hidden"}, ""},
		{"never", verdict{show: true}, ""},
		{"never", verdict{reason: "hidden"}, "nobody sent"},
	} {
		wrong := strings.Join(checkRefusals(h.bounds(hide), []reading{said("a", "u", c.of, c.v)}, "hidden", all), "")
		if (wrong == "") != (c.wrong == "") || !strings.Contains(wrong, c.wrong) {
			t.Errorf("%+v: %q", c, wrong)
		}
	}
}

func TestOvershoot(t *testing.T) {
	u, w := pair{"u", "c"}, pair{"w", "c"}
	shows := []shown{{u, "a", 0, 0}, {u, "a", 1, 1}, {u, "b", 2, 1}, {w, "b", 4, 2}}
	if o := measureOvershoot(shows, 2); o.shown != 4 || o.over != 2 || o.perMille() != 500 || o.perUser["u"] != 3 {
		t.Errorf("%+v", o)
	}
	if wrong := checkOvershoot(shows, 2); len(wrong) != 1 {
		t.Errorf("%q", wrong)
	}
	if wrong := checkOvershoot(shows[:3], 2); len(wrong) != 0 {
		t.Errorf("%q", wrong)
	}
}

func TestApart(t *testing.T) {
	p := pair{"u", "c"}
	for _, c := range []struct {
		known         int
		before, after map[string]int
		wrong         int
	}{
		{0, nil, map[string]int{"a": 3, "b": 3}, 0},
		{0, nil, map[string]int{"a": 4, "b": 3}, 1},
		{2, map[string]int{"a": 2}, map[string]int{"a": 3, "b": 1}, 0},
		{2, map[string]int{"a": 2}, map[string]int{"a": 4, "b": 2}, 2},
		{3, map[string]int{"b": 3}, map[string]int{"a": 1, "b": 3}, 1},
		{5, map[string]int{"b": 5}, map[string]int{"b": 5}, 0}, // parted before
		{5, map[string]int{"b": 5}, map[string]int{"b": 6}, 1},
	} {
		wrong := checkApart(map[pair]int{p: c.known}, map[pair]map[string]int{p: c.before}, map[pair]map[string]int{p: c.after}, 3)
		if len(wrong) != c.wrong {
			t.Errorf("%+v: %q", c, wrong)
		}
	}
}

func TestMembers(t *testing.T) {
	for _, c := range []struct {
		v     verdict
		right bool
	}{{verdict{reason: "suppressed"}, true}, {verdict{reason: "stale_list"}, true}, {verdict{show: true}, false}, {verdict{reason: "cap"}, false}} {
		if (len(checkMembers(said("a", "u", "c", c.v), "c")) == 0) != c.right {
			t.Errorf("%+v", c)
		}
	}
	if len(checkMembers(reading{}, "c")) != 1 {
		t.Error("no answer is right")
	}
}
