package edge

import (
	"context"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"restraint/edge/shared/sharedtest"
)

// share runs the sharing of a node's counts until the end is called.
func (c *countingNode) share() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.joined.Run(ctx) })
	end = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	c.t.Cleanup(end)
	return end
}

// The counts of three nodes sum, on each of them; a restart does not double them, and a
// node that was away is included once it is back.
func TestCountsOfThreeNodesSum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.New()
		links := []*sharedtest.Link{store.Link(), store.Link(), store.Link()}
		var nodes []*countingNode
		var ends []func()
		for i, name := range []string{"a", "b", "c"} {
			nodes = append(nodes, openCounts(t, name, t.TempDir(), links[i]))
			ends = append(ends, nodes[i].share())
		}
		all := func(want ...uint64) {
			t.Helper()
			settle()
			for i, c := range nodes {
				c.has(want[min(i, len(want)-1)])
			}
		}
		for i, c := range nodes {
			c.show(countStart, "x", uint64(100*(i+1)))
			c.tick(countStart + 5)
		}
		all(600)

		// Killed and started again, with what it had not written lost.
		nodes[1].show(countStart+10, "x", 7)
		ends[1]()
		nodes[1] = nodes[1].again()
		ends[1] = nodes[1].share()
		nodes[1].show(countStart+20, "x", 1)
		nodes[1].tick(countStart + 25)
		all(601)

		// Away, and back.
		links[2].Cut(true)
		nodes[2].show(countStart+30, "x", 1000)
		nodes[2].tick(countStart + 35)
		nodes[0].show(countStart+30, "x", 2)
		nodes[0].tick(countStart + 35)
		all(603, 603, 1601)
		links[2].Cut(false)
		all(1603)

		// Hours pass into days and months, on each node by itself.
		for _, days := range []uint32{1, 3, 90} {
			for _, c := range nodes {
				c.tick(countStart + days*daySeconds)
			}
			all(1603)
		}

		// A node that lost its disk, and the cluster that lost its end.
		store.Change(func(now *sharedtest.State) {
			maps.DeleteFunc(now.Documents, func(_ string, d sharedtest.Document) bool { return d.Revision > now.Last/2 })
			now.Last /= 2
		})
		ends[0]()
		nodes[0] = openCounts(t, "a", t.TempDir(), links[0])
		ends[0] = nodes[0].share()
		nodes[0].show(countStart+90*daySeconds, "x", 5)
		nodes[0].tick(countStart + 90*daySeconds)
		time.Sleep(5 * time.Minute) // all is looked through by then
		all(1608)

		// After the time for which anything is kept it goes on every node, also of one that is
		// there no more.
		ends[2]()
		nodes = nodes[:2]
		for range 2 {
			for _, c := range nodes {
				c.tick(countStart + 600*daySeconds)
			}
			settle()
		}
		all(0)
		for _, c := range nodes {
			for name := range c.books {
				if !c.isOwn(name) && name[len(countPrefix)] == 'c' {
					t.Errorf("%s is still there on %s", name, c.name)
				}
			}
		}
	})
}

// settle lets the nodes of a bubble do what they have to.
func settle() {
	time.Sleep(10 * time.Second) // the bubble's clock
	synctest.Wait()
}
