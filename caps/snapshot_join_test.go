package caps

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
)

// joinScene is a peer that had to evict, a node that has some of the same events, and a store with room for all of them, which knows the
// truth.
type joinScene struct {
	rand              *rand.Rand
	keys              []Key
	now               Second
	peer, node, truth *Store
	n                 uint32
}

func newJoinScene(t *testing.T, peer, node Options, users int) *joinScene {
	r := testRand(t)
	c := &joinScene{rand: r, now: benchNow, peer: New(peer), node: New(node), truth: New(Options{Memory: 64 << 20, Shards: 4})}
	for range users {
		c.keys = append(c.keys, randomKey(r))
	}
	return c
}

func (c *joinScene) scopes(i int) []Counted {
	return []Counted{{scopeTag(1, i%7), 4}, {scopeTag(2, i%5), 4}, {scopeTag(3, c.rand.IntN(3)), 4}}
}

// expose shows something to a user, on the stores.
func (c *joinScene) expose(i int, stores ...*Store) {
	c.now += Second(c.rand.IntN(30))
	c.n++
	scopes := c.scopes(i)
	for _, s := range append(stores, c.truth) {
		s.Expose(c.keys[i:i+1], Exposure{Identity: c.n, At: c.now}, nil, scopes, c.now)
	}
}

// check looks for a limit that the truth calls full and the node does not, and counts those that it calls full without need.
func (c *joinScene) check(t *testing.T, node *Store) (fuller, asked int) {
	t.Helper()
	var p, want Person
	for i := range c.keys {
		node.Lock(&p, c.keys[i:i+1], c.now)
		c.truth.Lock(&want, c.keys[i:i+1], c.now)
		for _, scope := range []uint64{scopeTag(1, i%7), scopeTag(2, i%5), scopeTag(3, 0), scopeTag(3, 1), scopeTag(3, 2), scopeTag(9, 9)} {
			for limit := 1; limit <= 4; limit++ {
				since := c.now - Second(c.rand.IntN(int(c.now-benchNow)+100))
				is, was := p.Full(scope, limit, since), want.Full(scope, limit, since)
				if was && !is {
					t.Fatalf("user %d is shown one too many: %d within %d s", i, limit, c.now-since)
				}
				if p.Unseen(scope) && is {
					t.Fatalf("user %d: full of a scope that is called unseen", i)
				}
				asked++
				if is && !was {
					fuller++
				}
			}
		}
		p.Unlock()
		want.Unlock()
	}
	return fuller, asked
}

// A peer has evicted users whole, and this node has seen some of what they were shown, before the peer's copy comes or while it is being
// merged. What it had not seen of them must count as full, not as nothing.
func TestJoinSnapshotOfEvicted(t *testing.T) {
	small := Options{Memory: 4 * MinShardMemory, Shards: 4}
	for _, o := range []Options{small, {Memory: MinShardMemory, Shards: 1}, {Memory: 16 << 20, Shards: 64}, {Memory: 3 << 20, Shards: 2}} {
		c := newJoinScene(t, small, o, 6000)
		for i := range c.keys { // before this node came
			c.expose(i, c.peer)
		}
		for range 1500 { // both are there
			c.expose(c.rand.IntN(len(c.keys)), c.peer, c.node)
		}
		for range 6000 { // this node is away, and the peer evicts
			c.expose(c.rand.IntN(len(c.keys)), c.peer)
		}
		if st := c.peer.Stats(); st.EvictedCuts == 0 {
			t.Fatalf("no cut went to the buckets: %+v", st)
		}
		between := func() { // this node follows already
			for range 3 {
				c.expose(c.rand.IntN(len(c.keys)), c.peer, c.node)
			}
		}
		steps := snapshotSteps(c.peer, 4000, func() {})
		j := c.node.NewJoin()
		for _, step := range steps {
			if err := j.Merge(step, c.now); err != nil {
				t.Fatal(err)
			}
			between()
		}
		fuller, asked := c.check(t, c.node)
		t.Logf("%+v: %d of %d answers fuller than the truth", o, fuller, asked)
		for i := range c.node.shards {
			checkTable(t, &c.node.shards[i].exposures)
		}
		// Again, and by several at once, it comes to the same.
		var wg sync.WaitGroup
		again := c.node.NewJoin()
		for _, kinds := range []func(byte) bool{func(k byte) bool { return !HasCuts(k) }, HasCuts} {
			for g := range 3 {
				wg.Go(func() {
					for i, step := range steps {
						if i%3 == g && kinds(step[1]) {
							if err := again.Merge(step, c.now); err != nil {
								panic(err)
							}
						}
					}
				})
			}
			wg.Wait()
		}
		c.check(t, c.node)
	}
}

// Who has a record with the peer is as he was joined: nobody is taken for evicted who was not.
func TestJoinSparesWhoIsKnown(t *testing.T) {
	c := newJoinScene(t, Options{Memory: 16 << 20, Shards: 4}, Options{Memory: 16 << 20, Shards: 2}, 3000)
	for i := range c.keys {
		c.expose(i, c.peer)
		if i%3 == 0 {
			c.expose(i, c.peer, c.node)
		}
	}
	with, without := c.node, New(Options{Memory: 16 << 20, Shards: 2})
	for _, step := range snapshotSteps(c.node, 64<<10, func() {}) {
		if err := without.MergeSnapshot(step, c.now); err != nil {
			t.Fatal(err)
		}
	}
	plain := snapshotSteps(c.peer, 4000, func() {})
	for _, sh := range []int{0, 1, 2, 3} { // somebody was evicted from every bucket, whoever that was
		for b := range c.peer.shards[sh].exposureBudget / 256 {
			c.peer.shards[sh].raiseBucket(firstOf(int(b), int(c.peer.shards[sh].exposureBudget/256)), benchNow+5)
		}
	}
	stranger := randomKey(c.rand) // the peer does not know him
	for _, s := range []*Store{with, without} {
		s.Expose([]Key{stranger}, Exposure{Identity: 1, At: c.now}, nil, c.scopes(1), c.now)
	}
	j := with.NewJoin()
	for _, step := range snapshotSteps(c.peer, 4000, func() {}) {
		if err := j.Merge(step, c.now); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range plain {
		if err := without.MergeSnapshot(step, c.now); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(encoded(with, c.keys, c.now), encoded(without, c.keys, c.now)) {
		t.Error("the cut of a bucket went into the record of somebody whom the peer knows")
	}
	if h := with.Lookup(stranger, c.now); h.Cut != benchNow+5 || len(h.Counters) != 3 || h.Counters[0].Cut != benchNow+5 || len(h.Counters[0].Exposures) != 1 {
		t.Errorf("somebody whom the peer does not know: %+v", h)
	}
}

// An erasure takes the cut with it, as it takes all of that time.
func TestJoinKeepsErasure(t *testing.T) {
	c := newJoinScene(t, Options{Memory: 1 << 20, Shards: 1}, Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1}, 1)
	c.peer.shards[0].raiseBucket(uint64(uint32(hashOfKey(c.keys[0]))), benchNow+5)
	if err := c.node.Erase(c.keys, benchNow+5, benchNow+10); err != nil {
		t.Fatal(err)
	}
	c.node.Expose(c.keys, Exposure{Identity: 1, At: benchNow + 8}, nil, c.scopes(0), benchNow+10)
	j := c.node.NewJoin()
	for _, step := range snapshotSteps(c.peer, 4000, func() {}) {
		if err := j.Merge(step, benchNow+10); err != nil {
			t.Fatal(err)
		}
	}
	if h := c.node.Lookup(c.keys[0], benchNow+10); h.Cut != 0 || len(h.Counters) != 3 {
		t.Errorf("%+v", h)
	}
}

func hashOfKey(k Key) uint64 {
	w := wordsOf(&k)
	return hashOf(&w)
}
