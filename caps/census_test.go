package caps

import (
	"bytes"
	"errors"
	"testing"
)

// A census counts what the store that the snapshot is of says that it holds.
func TestCensus(t *testing.T) {
	s, keys := randomStore(t, testRand(t), roomy, 300)
	if err := s.Apply(&Change{Kind: ChangeErase, Keys: keys[:2], Until: benchNow, Now: benchNow}); err != nil {
		t.Fatal(err)
	}
	var c Census
	for _, step := range snapshotSteps(s, 2000, func() {}) {
		if err := c.Add(step); err != nil {
			t.Fatal(err)
		}
	}
	st := s.Stats()
	if c.Users != uint64(st.Users) || c.Counters != uint64(st.Counters) || c.RefusalUsers != uint64(st.RefusalUsers) ||
		c.Purchases+c.Choices != uint64(st.Refusals) || c.Erasures < 2 || c.Exposures < c.Counters/2 || c.Purchases == 0 || c.Choices == 0 {
		t.Errorf("%+v, the store says %+v", c, st)
	}
	if c.Oldest == 0 || c.Newest < c.Oldest || c.Newest > benchNow+MaxHold {
		t.Errorf("from %d to %d", c.Oldest, c.Newest)
	}
}

// It reads what is kept beside the store, and refuses what that refuses.
func TestCensusBeside(t *testing.T) {
	beside := &lines{held: []string{"a", "b"}}
	s := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Beside: beside})
	enc := bytes.Join(snapshotSteps(s, 2000, func() {}), nil)
	var c Census
	if err := c.Add(enc); err != nil || c.BesideRecords != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	c = Census{Beside: new(lines)}
	if err := c.Add(enc); err != nil || len(c.Beside.(*lines).held) != 2 {
		t.Errorf("%+v, %v", c.Beside, err)
	}
}

// What a store refuses to merge a census refuses to count.
func FuzzCensus(f *testing.F) {
	s := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
	f.Add([]byte{})
	for _, step := range snapshotSteps(s, 2000, func() {}) {
		f.Add(step)
	}
	f.Add([]byte{1, 3, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0})
	f.Add([]byte{1, 2, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0})
	f.Fuzz(func(t *testing.T, enc []byte) {
		into := New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
		err := into.MergeSnapshot(enc, benchNow)
		if errors.Is(err, ErrFull) {
			return
		}
		if e := new(Census).Add(enc); (e == nil) != (err == nil) {
			t.Fatalf("counted: %v, merged: %v", e, err)
		}
	})
}
