package loadtest

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// paced runs a pacer with workers that take so long for each arrival; release, when not
// nil, is waited for instead.
func paced(t *testing.T, workers int, segments []Segment, until time.Duration, work func(turn)) (p *pacer, turns []turn, unsent int) {
	t.Helper()
	a, err := newAlarm()
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	p = &pacer{began: time.Now(), arrivals: newArrivals(segments, ArrivalsEven, 1), alarm: a, until: until, workers: workers}
	p.unsent = func(_, _ time.Duration) { unsent++ }
	var mu sync.Mutex
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			seat := &seat{wake: make(chan struct{}, 1)}
			for {
				at, ok := p.take(seat)
				if !ok {
					return
				}
				if now := p.now(); now < at.due || now < at.free {
					t.Errorf("due at %v, free at %v, sent at %v", at.due, at.free, now)
				}
				mu.Lock()
				turns = append(turns, at)
				mu.Unlock()
				work(at)
			}
		})
	}
	all.Wait()
	return p, turns, unsent
}

func TestPacerGivesEveryArrivalOnce(t *testing.T) {
	segments := []Segment{{0.3, 5000, 5000}}
	for _, workers := range []int{1, 2, 50} {
		_, turns, unsent := paced(t, workers, segments, time.Hour, func(turn) {})
		if unsent != 0 || len(turns) != 1500 {
			t.Fatalf("%d workers: %d turns, %d given up", workers, len(turns), unsent)
		}
		slices.SortFunc(turns, func(a, b turn) int { return int(a.due - b.due) })
		for i, due := range all(segments, ArrivalsEven, 1) {
			if turns[i].due != due {
				t.Fatalf("turn %d is due at %v, not %v", i, turns[i].due, due)
			}
		}
	}
}

// Where every worker is busy, arrivals wait, and it is known since when one was free.
func TestPacerCountsWaiting(t *testing.T) {
	var once sync.Once
	const stall = 100 * time.Millisecond
	p, turns, unsent := paced(t, 1, []Segment{{0.2, 1000, 1000}}, time.Hour, func(turn) {
		once.Do(func() { newStopwatch().pass(stall) })
	})
	late := 0
	for _, at := range turns {
		if at.free > at.due {
			late++
		}
	}
	if len(turns) != 200 || unsent != 0 || p.most != 1 {
		t.Errorf("%d turns, %d given up, %d busy", len(turns), unsent, p.most)
	}
	if late < 95 { // those due in the stall, at least
		t.Errorf("only %d waited for the one worker", late)
	}
}

// As many are busy at one time as are needed, and no wait is counted where some are
// free.
func TestPacerUsesFewWorkers(t *testing.T) {
	p, turns, _ := paced(t, 100, []Segment{{0.2, 100, 100}}, time.Hour, func(turn) {})
	if len(turns) != 20 || p.most > 20 {
		t.Errorf("%d turns, %d busy at once", len(turns), p.most)
	}
	for _, at := range turns {
		if at.free != at.due {
			t.Errorf("due at %v, but a worker was free only at %v", at.due, at.free)
		}
	}
}

func TestPacerGivesUp(t *testing.T) {
	_, turns, unsent := paced(t, 2, []Segment{{0.05, 10_000, 10_000}}, 60*time.Millisecond, func(turn) {
		newStopwatch().pass(70 * time.Millisecond)
	})
	if len(turns) != 2 || unsent != 498 {
		t.Errorf("%d turns, %d given up", len(turns), unsent)
	}
}

func TestPacerStops(t *testing.T) {
	var p *pacer
	a, err := newAlarm()
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	p = &pacer{began: time.Now(), arrivals: newArrivals([]Segment{{3600, 0.01, 0.01}}, ArrivalsEven, 1), alarm: a, until: time.Hour, workers: 1}
	p.unsent = func(_, _ time.Duration) { t.Error("something was due") }
	seat := &seat{wake: make(chan struct{}, 1)}
	if _, ok := p.take(seat); !ok {
		t.Fatal("the first is due at once")
	}
	go p.stop()
	if _, ok := p.take(seat); ok {
		t.Error("an arrival after the stop")
	}
}

// stopwatch lets time pass that is part of what is tested.
type stopwatch struct{ alarm *alarm }

func newStopwatch() stopwatch {
	a, err := newAlarm()
	if err != nil {
		panic(err)
	}
	return stopwatch{a}
}

func (s stopwatch) pass(d time.Duration) {
	s.alarm.wait(d)
	s.alarm.close()
}
