package faults

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	of := func(seed uint64) []planned { return schedule(rand.New(rand.NewPCG(seed, 0)), 7, time.Minute) }
	s := of(1)
	if !reflect.DeepEqual(s, of(1)) || reflect.DeepEqual(s, of(2)) {
		t.Error("a schedule is not that of its seed")
	}
	first, total := map[int]bool{}, time.Duration(0)
	for i, p := range s {
		if total += p.after + p.lasts; i < 7 {
			first[p.fault] = true
		}
	}
	if len(first) != 7 || total < time.Minute || longest(s) > 2*time.Second {
		t.Errorf("%d of 7 faults in the first seven, %v in all: %+v", len(first), total, s)
	}
}

// longest is the longest fault.
func longest(s []planned) (most time.Duration) {
	for _, p := range s {
		most = max(most, p.lasts)
	}
	return most
}

// fault is one that a schedule can call for. strike begins it; heal ends it and asserts that it took place.
type fault struct {
	name         string
	strike, heal func(t *testing.T)
}

// unleash runs a schedule of the faults under load, then everything is healed and verified.
func unleash(t *testing.T, random *rand.Rand, l *load, faults []fault, short time.Duration) {
	t.Helper()
	length := short
	if *durationFlag > 0 {
		length = *durationFlag
	}
	plan := schedule(random, len(faults), length)
	struck := map[string]int{}
	for len(plan) > 0 {
		stretch := min(len(plan), 12) // verified in between, so that what is wrong is found near its cause
		l.during(t, func() {
			for _, p := range plan[:stretch] {
				f := faults[p.fault]
				<-time.After(p.after)
				f.strike(t)
				<-time.After(p.lasts)
				f.heal(t)
				struck[f.name]++
			}
			l.awaitMore(t, 50)
		})
		plan = plan[stretch:]
		l.verify(t)
		if t.Failed() {
			t.Logf("after %v", struck)
			return
		}
	}
	t.Logf("%v", struck)
	l.summary(t)
}

// Faults of a single node in random order.
func TestRandomFaults(t *testing.T) {
	random := scenario(t)
	n, l := loaded(t, random)
	extra := 0
	unleash(t, random, l, []fault{
		killed(n, func(*testing.T) {}),
		{"terminate", func(t *testing.T) { n.terminate(t) }, func(t *testing.T) { n.start(t) }},
		frozen(&n.process),
		killed(n, func(t *testing.T) { // a damaged snapshot
			if all := n.snapshots(t); len(all) > 1 {
				rewrite(t, all[len(all)-1], func(b []byte) []byte { return damages["bit-flipped"](random, b) })
			}
		}),
		killed(n, func(t *testing.T) { // a write that was torn
			segments, err := filepath.Glob(filepath.Join(n.data(), "counters", "outbox", "*.seg"))
			if err != nil || len(segments) == 0 {
				return
			}
			rewrite(t, segments[len(segments)-1], func(b []byte) []byte { return append(b, "rsbt\x01\x00\x01\x00"[:1+random.IntN(8)]...) })
		}),
		killed(n, func(t *testing.T) { // snapshots that were not finished
			name := filepath.Join(n.data(), "counters", "snapshots", "00ffffff.snap.tmp")
			if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
				t.Error(err)
			}
		}),
		{"policy", func(t *testing.T) {
			extra++
			n.mustPut(t, "/v1/policy", "application/yaml", suitePolicy("  extra-"+string(rune('a'+extra%26))+": {advertiser: extra}\n"))
		}, func(*testing.T) {}},
	}, 12*time.Second)
}

// killed is kill -9, something done to the files, and a new start.
func killed(n *node, then func(t *testing.T)) fault {
	return fault{"kill", func(t *testing.T) { n.kill(t); then(t) }, func(t *testing.T) { n.start(t) }}
}

// frozen is SIGSTOP and SIGCONT.
func frozen(p *process) fault {
	return fault{"freeze " + p.name, func(t *testing.T) { p.freeze(t) }, func(t *testing.T) {
		if processState(p.pid()) != 'T' {
			t.Errorf("%s did not stand still", p.name)
		}
		p.thaw(t)
	}}
}
