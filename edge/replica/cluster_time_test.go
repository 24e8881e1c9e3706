package replica

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"restraint/caps"
)

// An impression under a token from before the erasure: whoever applies it first and the erasure later has the person back. So a node that
// comes new must have read the refusals before the events.
func TestClusterErasureBeforeOldTokens(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	one := join(t, t.TempDir(), b.ClientURL())
	settled(t, one)
	keys, person := testKeys(200), testKeys(1)
	for i := range 1500 {
		var changes []caps.Change
		for n := range 60 {
			changes = append(changes, caps.Change{Kind: caps.ChangeChoice, Keys: keys[20+n : 21+n], Now: testNow, Field: 2, Stamp: testNow + caps.Second(i), Value: 1})
		}
		record(t, one.Keeper, changes...)
	}
	record(t, one.Keeper, caps.Change{Kind: caps.ChangeErase, Keys: person, Now: testNow, Until: testNow + 10})
	record(t, one.Keeper, caps.Change{
		Kind: caps.ChangeExpose, Keys: person, Now: testNow + 20,
		Exposure: caps.Exposure{Identity: 1, At: testNow + 20, Issued: testNow - 5}, Scopes: []caps.Counted{{Scope: scope(1), Keep: 20}},
	})
	settled(t, one)
	fresh := join(t, t.TempDir(), b.ClientURL())
	settled(t, fresh)
	if !bytes.Equal(encoded(fresh.store, person), encoded(one.store, person)) {
		t.Error("the erased person is back on a node that came new")
	}
	closed(t, fresh.Keeper)
	closed(t, one.Keeper)
}

// A peer whose clock runs a minute or more ahead must not end the holds that this node places.
func TestClusterFastPeerEndsHolds(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	one := join(t, t.TempDir(), b.ClientURL())
	settled(t, one)
	keys := testKeys(2)
	enc, err := one.codec.AppendBatch(nil, []caps.Change{{
		Kind: caps.ChangeExpose, Keys: keys[1:], Now: testNow + 86400,
		Exposure: caps.Exposure{Identity: 1, At: testNow}, Scopes: []caps.Counted{{Scope: scope(1), Keep: 1}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	one.cluster.message(enc, "another", unbounded)
	var p caps.Person
	one.store.Lock(&p, keys[:1], testNow+1)
	p.Take(7, testNow+61, []caps.Counted{{Scope: scope(1)}})
	p.Hold(0)
	p.Unlock()
	one.store.Lock(&p, keys[:1], testNow+2)
	if !p.Full(scope(1), 1, testNow-100) {
		t.Errorf("a hold of 60 s does not hold a second later; the store's clock is %d s ahead of this node's", one.store.Now()-testNow)
	}
	p.Unlock()
	closed(t, one.Keeper)
}

// Nothing happens for a while, and all is known: a restart without the broker must know that, or it is not ready after an idle hour.
func TestClusterIdleIsKnown(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, t.TempDir(), 0)
	url := b.ClientURL()
	one := join(t, dir, url)
	record(t, one.Keeper, randomChanges(testRand(t), testKeys(5), 5)...)
	settled(t, one)
	if err := one.snapshot(); err != nil {
		t.Fatal(err)
	}
	pauseFor(3*time.Second, nil)
	stop := time.Now()
	closed(t, one.Keeper)
	stopBroker(b)
	one = join(t, dir, url)
	if known := one.Stats().Cluster.Events.Known; stop.Sub(known) > 2500*time.Millisecond {
		t.Errorf("known until %s before the stop", stop.Sub(known))
	}
	closed(t, one.Keeper)
}

// The clock of the node that copied was wrong, far ahead: others go on copying.
func TestClusterCopyFromTheFuture(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	one := join(t, t.TempDir(), b.ClientURL())
	record(t, one.Keeper, randomChanges(testRand(t), testKeys(5), 5)...)
	settled(t, one)
	if err := one.snapshot(); err != nil {
		t.Fatal(err)
	}
	kv, err := one.broker.keyValue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := copier{keeper: one.Keeper, broker: one.broker, node: "other", every: -time.Minute, whole: one.cluster.whole, now: one.cluster.serversNow, at: one.cluster.positions, ahead: one.cluster.ahead}
	for _, m := range []string{
		`{"node":"gone","fingerprint":"1","object":"x","bytes":1,"sha256":"","begun":"2099-01-01T00:00:00Z"}`,
	} {
		if _, err := kv.Put(t.Context(), manifestPrefix+"gone", []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	kv.Delete(t.Context(), copierKey)
	before, _ := manifests(t.Context(), kv)
	if err := c.copyIfDue(t.Context()); err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Fatal(err)
	}
	after, _ := manifests(t.Context(), kv)
	if len(after) == len(before) && len(after) < 2 {
		t.Error("no copy until 2099")
	}
	closed(t, one.Keeper)
}

// The outbox is full because the broker is away: a snapshot makes no room, so what is refused asks for none.
func TestClusterFullOutboxTakesNoSnapshots(t *testing.T) {
	o := joining(t, "nats://127.0.0.1:1", func(o *Options) { o.OutboxBytes = 256 << 10 })
	k, _ := opened(t, o)
	r, keys := testRand(t), testKeys(60)
	for errors.Is(k.Record(randomChanges(r, keys, 40)), nil) {
	}
	number := func() uint32 {
		l, err := k.snapshotFiles()
		if err != nil {
			t.Fatal(err)
		}
		return l.next
	}
	pauseFor(200*time.Millisecond, nil)
	before := number()
	for range 100 {
		if err := k.Record(randomChanges(r, keys, 40)); err != nil && !errors.Is(err, ErrOutboxFull) {
			t.Fatal(err)
		}
		pauseFor(10*time.Millisecond, nil)
	}
	if n := number() - before; n > 3 {
		t.Errorf("%d snapshots of everything in a second", n)
	}
	closed(t, k)
}
