package faults

import (
	"encoding/json"
	"fmt"
	"testing"
)

// The same seed is the same load, another is another, and each kind of thing it promises takes place.
func TestWorkload(t *testing.T) {
	run := func(seed uint64) (log string, w *workload) {
		w = newWorkload(seed, 0, 20, 3)
		for range 2000 {
			log += fmt.Sprintf("%+v\n", w.next())
		}
		return log, w
	}
	one, _ := run(1)
	if again, _ := run(1); again != one {
		t.Error("another load from the same seed")
	}
	if other, _ := run(2); other == one {
		t.Error("the same load from another seed")
	}
	w := newWorkload(3, 0, 20, 3)
	reports, batches, actions, kinds, late := map[string]int{}, 0, map[action]int{}, map[kind]int{}, 0
	for range 5000 {
		s := w.next()
		actions[s.action]++
		if len(s.events) > 1 {
			batches++
		}
		for _, e := range s.events {
			kinds[e.kind]++
			reports[e.id]++
			if e.late > 0 {
				late++
			}
			if !json.Valid([]byte(e.body(1e9))) {
				t.Fatal(e.body(1e9))
			}
		}
	}
	doubled := 0
	for _, n := range reports {
		if n > 1 {
			doubled++
		}
	}
	if doubled < 50 || batches < 50 || late < 50 || len(actions) != 3 || len(kinds) != 3 {
		t.Errorf("%d doubled, %d batches, %d late, %v, %v", doubled, batches, late, actions, kinds)
	}
	for range 100_000 {
		w.next()
	}
	fresh := 0
	for range 5000 {
		for _, e := range w.next().events {
			if reports[e.id]++; reports[e.id] == 1 {
				fresh++
			}
		}
	}
	if fresh < 2000 {
		t.Errorf("%d new events in 5000 steps of a long run", fresh)
	}
	if candidates, of := questions(); !json.Valid([]byte("["+candidates+"]")) || len(of) != countedCampaigns+hiddenCampaigns+boughtItems+1 {
		t.Error(candidates)
	}
}
