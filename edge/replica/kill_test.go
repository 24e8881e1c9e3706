package replica

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"restraint/caps"
)

const killDir = "RESTRAINT_TEST_KILL_DIR"

// killBatch is the n-th batch that the process to be killed records.
func killBatch(n int, keys []caps.Key) []caps.Change {
	return randomChanges(rand.New(rand.NewPCG(77, uint64(n))), keys, 10)
}

// TestKillChild is the process that TestKill kills: it records batch after batch and says so, with snapshots all the time.
func TestKillChild(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		t.Skip("only as a child of TestKill")
	}
	first, _ := strconv.Atoi(os.Getenv(killDir + "_FIRST"))
	o := testOptions(dir)
	o.SnapshotEvery, o.OutboxBytes = time.Millisecond, 1<<20
	k, _ := opened(t, o)
	keys := testKeys(60)
	for n := first; ; n++ {
		if err := k.Record(killBatch(n, keys)); err != nil {
			n-- // the outbox is full until the next snapshot
			continue
		}
		fmt.Printf("\nacknowledged %d\n", n)
	}
}

// A process killed with -9 while it records has, at the next start, every batch that it acknowledged and at most one more.
func TestKill(t *testing.T) {
	r, dir, keys, next := testRand(t), t.TempDir(), testKeys(60), 0
	for range 4 {
		last := killAfter(t, dir, next, 20+r.IntN(250))
		k, s := opened(t, testOptions(dir))
		want := newStore()
		for n := range last + 1 {
			applyAll(t, want, killBatch(n, keys))
		}
		next = last + 1
		if got := encoded(s, keys); !bytes.Equal(got, encoded(want, keys)) {
			for ; !bytes.Equal(got, encoded(want, keys)); next++ { // acknowledged, but we did not read it any more
				if next > last+5000 {
					t.Fatal("another state")
				}
				applyAll(t, want, killBatch(next, keys))
			}
		}
		crash(k)
	}
}

// killAfter runs the process from the batch first on, kills it once it has acknowledged so many, and returns the last one acknowledged.
func killAfter(t *testing.T, dir string, first, batches int) (last int) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestKillChild$", "-test.v")
	c.Env = append(os.Environ(), killDir+"="+dir, killDir+"_FIRST="+strconv.Itoa(first))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer io.Copy(io.Discard, out)
	defer c.Process.Kill()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if n, _ := fmt.Sscanf(lines.Text(), "acknowledged %d", &last); n == 1 {
			if batches--; batches == 0 {
				c.Process.Kill()
			}
		}
	}
	if batches > 0 {
		t.Fatalf("the process ended by itself, %d batches too early", batches)
	}
	return last
}
