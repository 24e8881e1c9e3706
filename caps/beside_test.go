package caps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// lines is a Beside: a set of lines.
type lines struct{ held []string }

func (l *lines) Apply(c *Change) {
	l.put(fmt.Sprintf("%x:%d:%d:%d", c.Keys[0], c.Field, c.Stamp, c.Value))
}

func (l *lines) put(line string) {
	if i, found := slices.BinarySearch(l.held, line); !found {
		l.held = slices.Insert(l.held, i, line)
	}
}

func (l *lines) AppendNext(dst []byte, at *any) ([]byte, bool) {
	next, _ := (*at).(int)
	if next == len(l.held) {
		return dst, false
	}
	*at = next + 1
	return append(dst, l.held[next]...), true
}

func (l *lines) Merge(record []byte) error {
	if len(record) == 0 {
		return errors.New("an empty line")
	}
	l.put(string(record))
	return nil
}

// snapshotOf is a whole snapshot, by steps.
func snapshotOf(s *Store, at Cursor) (steps [][]byte) {
	for more := true; more; {
		var step []byte
		if step, more = s.AppendSnapshot(nil, &at, 1000); len(step) > 0 {
			steps = append(steps, step)
		}
	}
	return steps
}

// What is kept beside a store gets the reports and no other change, nothing of them is in
// the store, and a snapshot has it, unless it is asked for the store alone.
func TestBeside(t *testing.T) {
	set := &lines{}
	s := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1, Beside: set})
	if s.HasBeside() {
		t.Error("nothing is kept beside it yet")
	}
	r := Change{Kind: ChangeReport, Keys: []Key{{1}}, Field: 7, Stamp: 8, Value: 9}
	choice := Change{Kind: ChangeChoice, Keys: []Key{{2}}, Field: 7, Stamp: 8, Value: 9}
	for _, c := range []*Change{&r, &choice, &r} {
		if err := errors.Join(s.Apply(c), s.Reapply(c)); err != nil {
			t.Fatal(err)
		}
	}
	if len(set.held) != 1 || !s.HasBeside() || s.Stats().RefusalUsers != 1 {
		t.Fatalf("%q, %+v", set.held, s.Stats())
	}
	if got := snapshotOf(s, Cursor{Alone: true}); len(got) != 1 || got[0][1] != wireRefusals {
		t.Errorf("alone: %x", got)
	}
	steps := snapshotOf(s, Cursor{})
	if len(steps) != 2 || steps[1][1] != wireBeside {
		t.Fatalf("%x", steps)
	}
	other := &lines{held: []string{"x"}}
	into, without := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1, Beside: other}), New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
	j := into.NewJoin()
	for _, step := range steps {
		if err := errors.Join(j.Merge(step, 10), without.MergeSnapshot(step, 10)); err != nil {
			t.Fatal(err)
		}
	}
	if len(other.held) != 2 || into.Stats().RefusalUsers != 1 || without.Stats().RefusalUsers != 1 {
		t.Errorf("merged: %q", other.held)
	}
	record := steps[1]
	for what, change := range map[string]func(b []byte) []byte{
		"version": func(b []byte) []byte { b[0] = 2; return b },
		"zero":    func(b []byte) []byte { b[2] = 1; return b },
		"longer":  func(b []byte) []byte { b[4]++; return b },
		"too long": func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[4:], MaxBeside+1)
			return append(b, make([]byte, MaxBeside)...)
		},
		"its own": func(b []byte) []byte { binary.LittleEndian.PutUint32(b[4:], 0); return b[:wireBesideHead] },
	} {
		if err := into.MergeSnapshot(change(slices.Clone(record)), 10); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if bad := (Change{Kind: ChangeReport, Keys: []Key{{1}, {2}}}); !errors.Is(s.Apply(&bad), ErrMalformed) {
		t.Error("a report of two keys is taken")
	}
}
