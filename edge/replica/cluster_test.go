package replica

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"restraint/caps"
)

// What one node records, all have: also one that joins later with nothing, and one that was down.
func TestClusterConverges(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	r, keys, want := testRand(t), testKeys(60), newStore()
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	var members []member
	for _, dir := range dirs[:2] {
		members = append(members, join(t, dir, b.ClientURL()))
	}
	write := func(rounds int) {
		for range rounds {
			changes := randomChanges(r, keys, 12)
			record(t, members[r.IntN(len(members))].Keeper, changes...)
			applyAll(t, want, changes)
		}
	}
	write(60)
	members = append(members, join(t, dirs[2], b.ClientURL()))
	write(60)
	settled(t, members...)
	for _, m := range members {
		wantSame(t, m.store, want, keys)
	}

	closed(t, members[1].Keeper)
	crash(members[2].Keeper)
	alive := members
	members = members[:1]
	write(60)
	for i := 1; i < len(alive); i++ {
		members = append(members, join(t, dirs[i], b.ClientURL()))
	}
	settled(t, members...)
	for i, m := range members {
		wantSame(t, m.store, want, keys)
		if st := m.Stats(); st.Cluster.Unusable+st.Cluster.Foreign+st.Notices != 0 || st.Cluster.Events.Gap != "" {
			t.Errorf("node %d: %+v", i, st)
		}
		closed(t, m.Keeper)
	}
}

// While the broker is away, nodes go on, also when they start anew; when it is back, they agree.
func TestBrokerAway(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir, 0)
	url, port := b.ClientURL(), b.Addr().(*net.TCPAddr).Port
	r, keys, want := testRand(t), testKeys(30), newStore()
	dirs := []string{t.TempDir(), t.TempDir()}
	members := []member{join(t, dirs[0], url), join(t, dirs[1], url)}
	write := func() {
		for i := range 40 {
			changes := randomChanges(r, keys, 12)
			record(t, members[i%2].Keeper, changes...)
			applyAll(t, want, changes)
		}
	}
	write()
	settled(t, members...)
	stopBroker(b)
	write()
	crash(members[0].Keeper)
	members[0] = join(t, dirs[0], url)
	write()
	if st := members[0].Stats(); st.Cluster.Connected || st.Cluster.Events.Reached || st.OutboxOldest == 0 {
		t.Errorf("without a broker: %+v", st.Cluster)
	}
	startBroker(t, dir, port)
	settled(t, members...)
	for _, m := range members {
		wantSame(t, m.store, want, keys)
		closed(t, m.Keeper)
	}
}

// While the broker is away, the outbox takes changes up to its size; then they are refused and nothing is applied, and taken again when the
// broker is back.
func TestOutboxFillsWhileBrokerAway(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, dir, 0)
	url, port := b.ClientURL(), b.Addr().(*net.TCPAddr).Port
	o := testOptions(t.TempDir())
	o.Now, o.BrokerSync, o.OutboxBytes = time.Now, time.Millisecond, 1<<20
	o.Broker = &BrokerOptions{Node: "a", URLs: []string{url}}
	k, s := opened(t, o)
	one := member{k, s}
	settled(t, one)
	stopBroker(b)
	r, keys, want := testRand(t), testKeys(30), newStore()
	for full := false; !full; {
		changes := randomChanges(r, keys, 30)
		switch err := k.Record(changes); {
		case err == nil:
			applyAll(t, want, changes)
		case errors.Is(err, ErrOutboxFull):
			full = true
		default:
			t.Fatal(err)
		}
		if err := k.snapshot(); err != nil {
			t.Fatal(err)
		}
	}
	wantSame(t, s, want, keys)
	startBroker(t, dir, port)
	settled(t, one)
	until(t, "there is room again", func() bool {
		if err := k.snapshot(); err != nil {
			t.Fatal(err)
		}
		changes := randomChanges(r, keys, 30)
		err := k.Record(changes)
		if err == nil {
			applyAll(t, want, changes)
		}
		return err == nil
	})
	other := join(t, t.TempDir(), url)
	settled(t, one, other)
	wantSame(t, other.store, want, keys)
	closed(t, k)
	closed(t, other.Keeper)
}

// The outbox is let go of also where all of it is of one content, so that one of the two streams has nothing to be sent.
func TestOutboxIsReleased(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	for name, kind := range map[string]caps.ChangeKind{"events": caps.ChangeExpose, "refusals": caps.ChangeChoice} {
		one := join(t, t.TempDir(), b.ClientURL())
		record(t, one.Keeper, caps.Change{Kind: kind, Keys: testKeys(1), Now: testNow, Exposure: caps.Exposure{Identity: 1, At: testNow}, Stamp: testNow})
		end := one.outbox.end()
		until(t, "all of the "+name+" is released", func() bool { return one.cluster.released() == end })
		closed(t, one.Keeper)
	}
}

// A broker whose store was put back to an older copy, or was lost, gets back what the nodes have, and they notice.
func TestBrokerRolledBack(t *testing.T) {
	for _, empty := range []bool{false, true} {
		t.Run(fmt.Sprintf("empty=%t", empty), func(t *testing.T) {
			dir, old := t.TempDir(), t.TempDir()
			b := startBroker(t, dir, 0)
			url, port := b.ClientURL(), b.Addr().(*net.TCPAddr).Port
			r, keys, want := testRand(t), testKeys(30), newStore()
			members := []member{join(t, t.TempDir(), url), join(t, t.TempDir(), url)}
			write := func(n int) {
				for i := range n {
					changes := randomChanges(r, keys, 12)
					record(t, members[i%2].Keeper, changes...)
					applyAll(t, want, changes)
				}
			}
			write(40)
			settled(t, members...)
			stopBroker(b)
			if !empty {
				copyDir(t, dir, old)
			}
			b = startBroker(t, dir, port)
			write(40)
			settled(t, members...)
			stopBroker(b)
			write(20) // so that it may have grown again when it is looked at
			b = startBroker(t, old, port)
			for _, m := range members {
				until(t, "the loss is noticed", func() bool { return m.Stats().Notices > 0 })
			}
			fresh := join(t, t.TempDir(), url)
			settled(t, append(members, fresh)...)
			for _, m := range append(members, fresh) {
				wantSame(t, m.store, want, keys)
				closed(t, m.Keeper)
			}
			stopBroker(b)
		})
	}
}

// A node that comes after the stream has dropped its first messages takes the snapshot of another, and says so where there is none.
func TestJoinAfterTheStreamsAge(t *testing.T) {
	for _, copies := range []bool{true, false} {
		t.Run(fmt.Sprintf("copies=%t", copies), func(t *testing.T) {
			b := startBroker(t, t.TempDir(), 0)
			nc, err := nats.Connect(b.ClientURL())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			js, _ := jetstream.New(nc)
			if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
				Name: eventsStream, Subjects: []string{eventsSubject + ".>"}, MaxBytes: 64 << 10, Discard: jetstream.DiscardOld,
			}); err != nil {
				t.Fatal(err)
			}
			r, keys, want := testRand(t), testKeys(60), newStore()
			write := func(m member, n int) {
				for range n {
					changes := randomChanges(r, keys, 30)
					record(t, m.Keeper, changes...)
					applyAll(t, want, changes)
				}
			}
			late := join(t, t.TempDir(), b.ClientURL()) // it has read a little, and is down then
			dir := late.options.Dir
			one := join(t, t.TempDir(), b.ClientURL())
			write(one, 3)
			settled(t, one, late)
			closed(t, late.Keeper)
			first := func() uint64 {
				s, err := js.Stream(t.Context(), eventsStream)
				if err != nil {
					t.Fatal(err)
				}
				return s.CachedInfo().State.FirstSeq
			}
			for first() < 40 {
				write(one, 20)
				settled(t, one)
			}
			if copies {
				if err := one.snapshot(); err != nil {
					t.Fatal(err)
				}
				kv, err := one.broker.keyValue(t.Context())
				if err == nil {
					err = one.cluster.copier.copy(t.Context(), kv)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			write(one, 3)
			for _, dir := range []string{dir, t.TempDir()} {
				m := join(t, dir, b.ClientURL())
				if copies {
					settled(t, one, m)
					wantSame(t, m.store, want, keys)
				} else {
					until(t, "the gap is told", func() bool { return m.Stats().Cluster.Events.Gap != "" })
				}
				closed(t, m.Keeper)
			}
			closed(t, one.Keeper)
		})
	}
}

// A node with another secret, or with the name of another, does not start; what one sends all the same is left out and counted.
func TestClusterRefuses(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	dir := t.TempDir()
	one := join(t, dir, b.ClientURL())
	settled(t, one)
	for want, o := range map[error]Options{
		ErrFingerprint: {Fingerprint: otherHex, Broker: &BrokerOptions{Node: "other"}},
		ErrName:        {Fingerprint: secretHex, Broker: &BrokerOptions{Node: filepath.Base(dir)}},
	} {
		o.Dir, o.Broker.URLs = t.TempDir(), []string{b.ClientURL()}
		k, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Restore(newStore()); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		closed(t, k)
	}
	foreign := Codec{Fingerprint: 1}
	message, err := foreign.AppendBatch(nil, randomChanges(testRand(t), testKeys(5), 5))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range [][]byte{message, []byte("no batch"), message[:20]} {
		if _, err := one.broker.publishJS.Publish(t.Context(), eventsSubject+".x", m); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "foreign changes and nonsense are counted", func() bool {
		c := one.Stats().Cluster
		return c.Foreign > 0 && c.Unusable > 1
	})
	if n := one.store.Stats(); n.Users+n.RefusalUsers != 0 {
		t.Errorf("%+v", n)
	}
	closed(t, one.Keeper)
}

// Holds reach the other nodes, and are held there until they end.
func TestHoldsTravel(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	members := []member{join(t, t.TempDir(), b.ClientURL()), join(t, t.TempDir(), b.ClientURL())}
	settled(t, members...)
	key := testKeys(1)
	hold := caps.Change{Kind: caps.ChangeHold, Keys: key, Now: testNow, Identity: 5, Until: testNow + 60, Scopes: []caps.Counted{{Scope: scope(1)}}}
	held := func(now caps.Second) bool {
		var p caps.Person
		members[1].store.Lock(&p, key, now)
		defer p.Unlock()
		return p.Full(scope(1), 1, now-100)
	}
	until(t, "the hold is held", func() bool {
		members[0].Hold([]caps.Change{hold}) // a listener may not be there yet
		return held(testNow)
	})
	if held(testNow + 61) {
		t.Error("a hold that has ended is held")
	}
	for _, m := range members {
		closed(t, m.Keeper)
	}
}
