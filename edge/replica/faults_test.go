package replica

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"restraint/caps"
)

// script records and takes snapshots, and returns what was acknowledged and all that was tried. It does not mind errors.
func script(t *testing.T, dir string, hook func(op, name string, data []byte) error) (acknowledged, tried [][]caps.Change) {
	r, keys := rand.New(rand.NewPCG(8, 8)), testKeys(30)
	o := testOptions(dir)
	o.files = testFiles{hook: hook}
	o.OutboxBytes = 1 << 20
	k, err := Open(o)
	if err != nil {
		return nil, nil
	}
	if err := k.Restore(newStore()); err == nil {
		for i := range 12 {
			changes := randomChanges(r, keys, 8)
			tried = append(tried, changes)
			if k.Record(changes) == nil {
				acknowledged = append(acknowledged, changes)
			}
			if i%4 == 3 {
				k.snapshot()
			}
			if i == 4 { // so that segments go
				k.outbox.mu.Lock()
				k.outbox.rollAt = 1
				k.outbox.mu.Unlock()
			}
		}
		crash(k)
	} else {
		k.Close()
	}
	return acknowledged, tried
}

// Whichever operation fails, once, by half or from then on: nothing acknowledged is lost, and nothing is there that nobody recorded.
func TestEveryFault(t *testing.T) {
	var ops []string
	script(t, t.TempDir(), func(op, name string, data []byte) error { ops = append(ops, op); return nil })
	if len(ops) < 60 {
		t.Fatalf("%d operations", len(ops))
	}
	keys := testKeys(30)
	for _, mode := range []string{"once", "half", "half-and-no-truncate", "from-then-on"} {
		bit := 0
		for fail, op := range ops {
			if strings.HasPrefix(mode, "half") && op != "write" {
				continue
			}
			dir, n := t.TempDir(), -1
			hook := func(op, name string, data []byte) error {
				n++
				switch {
				case mode == "from-then-on" && n >= fail || mode == "once" && n == fail:
				case strings.HasPrefix(mode, "half") && n == fail:
					bit++
					return errHalf
				case mode == "half-and-no-truncate" && n > fail && op == "truncate":
				default:
					return nil
				}
				bit++
				return errors.Join(errInjected, syscall.ENOSPC)
			}
			acknowledged, tried := script(t, dir, hook)
			k, s := opened(t, testOptions(dir))
			crash(k)
			restored := encoded(s, keys)
			for _, changes := range acknowledged {
				applyAll(t, s, changes)
			}
			if !bytes.Equal(encoded(s, keys), restored) {
				t.Fatalf("%s %d: something acknowledged is lost", mode, fail)
			}
			all := newStore()
			for _, changes := range tried {
				applyAll(t, s, changes)
				applyAll(t, all, changes)
			}
			wantSame(t, s, all, keys)
		}
		if bit == 0 {
			t.Fatalf("%s: no fault was met", mode)
		}
	}
}

// A write that fails leaves the outbox as it was; one that cannot be undone ends it until the next start.
func TestFailedWrite(t *testing.T) {
	for _, undo := range []bool{true, false} {
		failing := false
		o := testOptions(t.TempDir())
		o.files = testFiles{hook: func(op, name string, data []byte) error {
			switch {
			case failing && op == "write":
				return errHalf
			case failing && op == "truncate" && !undo:
				return errInjected
			}
			return nil
		}}
		k, _ := opened(t, o)
		r, keys, want := testRand(t), testKeys(9), newStore()
		round := func(expect bool) {
			changes := randomChanges(r, keys, 5)
			err := k.Record(changes)
			if (err == nil) != expect {
				t.Fatal(err)
			}
			if err == nil {
				applyAll(t, want, changes)
			} else if !failing && !errors.Is(err, ErrOutboxBroken) {
				t.Fatal(err)
			}
		}
		round(true)
		failing = true
		round(false)
		failing = false
		round(undo)
		crash(k)
		o.files = nil
		k, s := opened(t, o)
		wantSame(t, s, want, keys)
		crash(k)
	}
}
