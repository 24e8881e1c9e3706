package replica

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restraint/caps"
)

var crashesFlag = flag.Int("crashes", 30, "crashes of the model test")

// crasher drives a Keeper with random changes and snapshots, and copies its directory at random moments: also in the middle of a write, and
// between the operations of a snapshot.
type crasher struct {
	t     *testing.T
	rand  *rand.Rand
	keys  []caps.Key
	dir   string
	acked []caps.Change // all that was acknowledged since the first start
	now   []caps.Change // being recorded
	k     *Keeper

	until   int // operations until the crash
	crashed string
	survive []caps.Change // acknowledged at the crash
	maybe   []caps.Change // being recorded at the crash
	where   map[string]int
}

// hook copies the directory when it is time.
func (c *crasher) hook(op, name string, data []byte) error {
	if strings.HasSuffix(name, ".tmp") && op == "write" && c.rand.IntN(3) == 0 && c.now == nil {
		c.record() // beside the snapshot
	}
	if c.until--; c.until != 0 || c.crashed != "" {
		return nil
	}
	c.crashed = c.t.TempDir()
	copyDir(c.t, c.dir, c.crashed)
	c.survive, c.maybe = c.acked[:len(c.acked):len(c.acked)], c.now
	if inside, err := filepath.Rel(c.dir, name); err == nil && op == "write" {
		f, err := os.OpenFile(filepath.Join(c.crashed, inside), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			c.t.Fatal(err)
		}
		f.Write(data[:c.rand.IntN(len(data)+1)])
		f.Close()
	}
	c.where[op+" "+filepath.Ext(name)]++
	return nil
}

func (c *crasher) record() {
	c.now = randomChanges(c.rand, c.keys, 12)
	if err := c.k.Record(c.now); err != nil {
		c.t.Fatal(err)
	}
	c.acked, c.now = append(c.acked, c.now...), nil
}

func (c *crasher) options() Options {
	o := testOptions(c.dir)
	o.files = testFiles{hook: c.hook}
	return o
}

// life is one process, from its start to its crash.
func (c *crasher) life() {
	c.until, c.crashed = 1+c.rand.IntN(60), ""
	var s *caps.Store
	c.k, s = opened(c.t, c.options())
	c.k.outbox.rollAt = int64(1 + c.rand.IntN(8<<10))
	c.check(s)
	for c.crashed == "" {
		if c.rand.IntN(8) == 0 {
			if err := c.k.snapshot(); err != nil {
				c.t.Fatal(err)
			}
			continue
		}
		c.record()
	}
	crash(c.k)
	c.dir, c.acked = c.crashed, c.survive
}

// check compares a store that was restored with one that saw what was acknowledged; what was being recorded may be there, whole.
func (c *crasher) check(s *caps.Store) {
	want := newStore()
	applyAll(c.t, want, c.acked)
	got := encoded(s, c.keys)
	if bytes.Equal(got, encoded(want, c.keys)) {
		return
	}
	if applyAll(c.t, want, c.maybe); !bytes.Equal(got, encoded(want, c.keys)) {
		c.t.Fatalf("another state after a crash (%v)", c.where)
	}
	c.acked = append(c.acked, c.maybe...)
}

// However and whenever a process dies, the next one has exactly what was acknowledged.
func TestModelCrash(t *testing.T) {
	c := &crasher{t: t, rand: testRand(t), keys: testKeys(40), dir: t.TempDir(), where: map[string]int{}}
	for lives := 0; lives < *crashesFlag || len(c.where) < 4 && lives < 20**crashesFlag; lives++ {
		c.life()
	}
	t.Logf("%d changes survive; crashes at %v", len(c.acked), c.where)
	if len(c.where) < 4 {
		t.Error("too few kinds of moment")
	}
}
