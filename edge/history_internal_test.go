package edge

import (
	"reflect"
	"testing"
	"time"
)

// counted are counters at a second, of which everything grows by one a second.
func counted(second int) (c counters) {
	n := uint64(second)
	c.at = time.Unix(1_790_000_000+int64(second), 0)
	c.decisions[Shown], c.decisions[Cap] = n, 2*n
	c.events, c.answers = 3*n, [3]uint64{4 * n, n, 0}
	c.latency[3], c.latency[len(c.latency)-1] = n, n
	return c
}

func at(c counters) func() counters { return func() counters { return c } }

// A node keeps the last hour and no more, in steps that lie side by side; the last one is
// under way.
func TestHistoryKeepsAnHour(t *testing.T) {
	var h history
	if a := h.answer(at(counted(0))); len(a.End) != 0 || a.Requests == nil {
		t.Errorf("before the first step: %+v", a)
	}
	for i := range 3 * historySteps {
		h.note(counted(10 * i))
	}
	last := 10*(3*historySteps-1) + 4
	a := h.answer(at(counted(last)))
	if len(a.End) != historySteps+1 || cap(h.past) > 2*historySteps {
		t.Fatalf("%d steps, room for %d", len(a.End), cap(h.past))
	}
	for i := range a.End {
		seconds := uint64(10)
		if i == historySteps {
			seconds = 4
		}
		if end := float64(1_790_000_000 + last - 4 - 10*(historySteps-1-i)); i < historySteps && a.End[i] != end || a.Seconds[i] != float64(seconds) {
			t.Fatalf("step %d ends at %f and has %f seconds", i, a.End[i], a.Seconds[i])
		}
		counts := a.Latency.Counts[i]
		if a.Decisions["show"][i] != seconds || a.Decisions["cap"][i] != 2*seconds || a.Events[i] != 3*seconds || a.Answers["2xx"][i] != 4*seconds ||
			a.Answers["4xx"][i] != seconds || a.Answers["5xx"][i] != 0 || a.Requests[i] != 2*seconds || counts[3] != seconds || counts[len(latencyBounds)] != seconds {
			t.Fatalf("step %d: %v", i, counts)
		}
	}
	if len(a.Decisions) != 2 || len(a.Latency.UpToUS) != len(a.Latency.Counts[0])-1 {
		t.Errorf("%d kinds of decisions, %d bounds", len(a.Decisions), len(a.Latency.UpToUS))
	}
}

// A step of next to no time is part of the next; a reason has a value for each step, also
// for those before it came up.
func TestHistorySteps(t *testing.T) {
	var h history
	first, short, second := counted(0), counted(4), counted(10)
	second.decisions[Spacing] = 7
	third := counted(20)
	third.decisions[Spacing] = 7
	h.note(first)
	h.note(short)
	h.note(second)
	fourth := third
	fourth.at = third.at.Add(1234 * time.Millisecond)
	fourth.decisions[Suppressed] = 1
	h.note(third)
	a := h.answer(at(fourth))
	if !reflect.DeepEqual(a.Seconds, []float64{10, 10, 1.234}) || a.End[2] != 1_790_000_021.234 {
		t.Errorf("seconds %v, end %v", a.Seconds, a.End)
	}
	for name, want := range map[string][]uint64{"show": {10, 10, 0}, "spacing": {7, 0, 0}, "suppressed": {0, 0, 1}} {
		if !reflect.DeepEqual(a.Decisions[name], want) {
			t.Errorf("%s: %v, want %v", name, a.Decisions[name], want)
		}
	}
}
