package replica

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"restraint/caps"
)

// What the broker stored in the second decides what becomes of a change, and nothing else does.
func TestStampCuts(t *testing.T) {
	const stored = testNow
	latest, reach := stored+ahead, stored+ahead+caps.ErasureSkew
	expose := func(at caps.Second) caps.Change {
		return caps.Change{Kind: caps.ChangeExpose, Exposure: caps.Exposure{Identity: 1, At: at}}
	}
	stamped := func(kind caps.ChangeKind, at caps.Second, value uint32) caps.Change {
		return caps.Change{Kind: kind, Stamp: at, Value: value}
	}
	erase := func(until caps.Second) caps.Change { return caps.Change{Kind: caps.ChangeErase, Until: until} }
	for i, c := range []struct {
		in, want caps.Change
		ok       bool
	}{
		{expose(latest), expose(latest), true},
		{expose(latest + 1), expose(stored), true},
		{expose(caps.Never), expose(stored), true},
		{stamped(caps.ChangePurchase, latest, 0), stamped(caps.ChangePurchase, latest, 0), true},
		{stamped(caps.ChangePurchase, caps.Never, 0), stamped(caps.ChangePurchase, stored, 0), true},
		{stamped(caps.ChangeReturn, latest+1, 0), stamped(caps.ChangeReturn, stored-1, 0), true},
		{erase(reach), erase(reach), true},
		{erase(caps.Never), erase(reach), true},
		{stamped(caps.ChangeChoice, reach+1, 0), stamped(caps.ChangeChoice, reach+1, 0), true},
		{stamped(caps.ChangeChoice, caps.Never, 1), stamped(caps.ChangeChoice, reach+1, 1), true},
		{stamped(caps.ChangeChoice, caps.Never, 0), stamped(caps.ChangeChoice, reach+1, 0), false},
	} {
		got := c.in
		ok, whole := stamp{stored: stored}.cut(&got, ahead)
		same := got.Exposure == c.in.Exposure && got.Stamp == c.in.Stamp && got.Until == c.in.Until
		if ok != c.ok || got.Exposure != c.want.Exposure || got.Stamp != c.want.Stamp || got.Until != c.want.Until || whole != (same && ok) {
			t.Errorf("%d: %+v, %v, %v; want %+v, %v", i, got, ok, whole, c.want, c.ok)
		}
		if ok, whole := unbounded.cut(&got, ahead); !ok || !whole {
			t.Errorf("%d: cut though nothing is bounded", i)
		}
	}
}

// A node whose clock is years ahead destroys nothing on others: a person it erases counts again when the skew is over, one that it shows something to
// is not full for years, and what it permits opens nothing that was refused. All that read it come to the same, at whatever time they read it.
func TestFastClockDestroysNothing(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	root := t.TempDir()
	real := func(name string) member {
		o := testOptions(filepath.Join(root, name))
		o.Broker = &BrokerOptions{Node: name, URLs: []string{b.ClientURL()}, Log: o.Log}
		o.Now, o.ahead = time.Now, ahead
		k, s := opened(t, o)
		return member{k, s}
	}
	fast, one, two := real("fast"), real("one"), real("two")
	settled(t, fast, one, two)
	now := caps.Second(time.Now().Unix())
	far, keys := now+5*365*86400, testKeys(4)
	record(t, one.Keeper,
		caps.Change{Kind: caps.ChangeChoice, Keys: keys, Now: now, Field: caps.FieldOptOut, Stamp: now, Value: 1},
		caps.Change{Kind: caps.ChangeChoice, Keys: keys, Now: now, Field: 3, Stamp: now, Value: 1})
	settled(t, fast, one, two)
	scopes := []caps.Counted{{Scope: scope(1), Keep: 3}}
	record(t, fast.Keeper, caps.Change{Kind: caps.ChangeExpose, Keys: keys[:1], Now: now, Exposure: caps.Exposure{Identity: 7, At: far}, Scopes: scopes})
	record(t, fast.Keeper, caps.Change{Kind: caps.ChangePurchase, Keys: keys[:1], Now: now, Tags: []uint64{4}, Stamp: far})
	record(t, fast.Keeper, caps.Change{Kind: caps.ChangeChoice, Keys: keys[1:2], Now: now, Field: caps.FieldOptOut, Stamp: far, Value: 0})
	record(t, fast.Keeper, caps.Change{Kind: caps.ChangeChoice, Keys: keys[2:3], Now: now, Field: 5, Stamp: far, Value: 1})
	record(t, fast.Keeper, caps.Change{Kind: caps.ChangeErase, Keys: keys[3:], Now: now, Until: far})
	settled(t, fast, one, two)
	late := real("late") // reads it all from the stream, some time after
	settled(t, late, one, two)

	same := encoded(one.store, keys)
	for _, m := range []member{two, late} {
		if !bytes.Equal(encoded(m.store, keys), same) {
			t.Errorf("the nodes differ:\n%x\n%x", encoded(m.store, keys), same)
		}
	}
	h := one.store.Lookup(keys[0], now)
	if at := h.Counters[0].Exposures[0].At; at < now || at > now+60 || h.Purchases[0].Bought < now || h.Purchases[0].Bought > now+60 {
		t.Errorf("%+v at %d", h, now)
	}
	choice := func(key caps.Key, field uint64) (stamp caps.Second, value uint32) {
		for _, c := range one.store.Lookup(key, now).Choices {
			if c.Field == field {
				return c.Stamp, c.Value
			}
		}
		return 0, 0
	}
	if stamp, value := choice(keys[1], caps.FieldOptOut); stamp != now || value != 1 {
		t.Errorf("an opt-out lost to a permission of a wrong clock: %d at %d, now %d", value, stamp, now)
	}
	if stamp, value := choice(keys[2], 5); value != 1 || stamp > now+3600 {
		t.Errorf("a refusal of a wrong clock: %d at %d, now %d", value, stamp, now)
	}
	if e := one.store.Erased(keys[3]); e < now || e > now+3600 {
		t.Errorf("erased up to %d, now %d", e, now)
	}
	if n := one.Stats().Cluster.Ahead; n < 5 {
		t.Errorf("%d changes counted as ahead", n)
	}
	for _, m := range []member{fast, one, two, late} {
		closed(t, m.Keeper)
	}
}

// A change that is heard before its stream has it is applied only where the stream will say the same; the rest waits for the stream.
func TestHeardAheadWaits(t *testing.T) {
	c := &cluster{ahead: ahead}
	c.clock.Store(&clockRead{asked: time.Now(), servers: time.Now()})
	now := caps.Second(time.Now().Unix())
	for i, x := range []struct {
		change   caps.Change
		ok, wait bool
	}{
		{caps.Change{Kind: caps.ChangeExpose, Exposure: caps.Exposure{At: now}}, true, false},
		{caps.Change{Kind: caps.ChangeExpose, Exposure: caps.Exposure{At: now + ahead}}, false, true},
		{caps.Change{Kind: caps.ChangeErase, Until: now + caps.ErasureSkew}, true, false},
		{caps.Change{Kind: caps.ChangeErase, Until: now + 2*ahead}, false, true},
		{caps.Change{Kind: caps.ChangeHold, Until: now + 100*ahead}, true, false},
	} {
		if ok, wait := c.allow(&x.change, c.heardStamp()); ok != x.ok || wait != x.wait {
			t.Errorf("%d: %v %v", i, ok, wait)
		}
	}
	blind := &cluster{ahead: ahead} // the servers' time is not known
	ok, wait := blind.allow(&caps.Change{Kind: caps.ChangeExpose, Exposure: caps.Exposure{At: 1}}, blind.heardStamp())
	hold, _ := blind.allow(&caps.Change{Kind: caps.ChangeHold}, blind.heardStamp())
	if ok || !wait || !hold {
		t.Errorf("%v %v %v", ok, wait, hold)
	}
}

// The node whose clock is behind chooses after the one whose clock is ahead, by one more than the stamp that it saw: that one wins on all nodes, in
// whatever order they hear of the two.
func TestSlowClockChoosesLast(t *testing.T) {
	keys := testKeys(1)
	fastOptIn := caps.Change{Kind: caps.ChangeChoice, Keys: keys, Now: testNow, Field: caps.FieldOptOut, Stamp: testNow + ahead, Value: 0}
	slowOptOut := caps.Change{Kind: caps.ChangeChoice, Keys: keys, Now: testNow - 60, Field: caps.FieldOptOut, Stamp: testNow + ahead + 1, Value: 1}
	for _, order := range [][]caps.Change{{fastOptIn, slowOptOut}, {slowOptOut, fastOptIn}} {
		s := newStore()
		for i := range order {
			c := order[i]
			if ok, whole := (stamp{stored: testNow}).cut(&c, ahead); !ok || !whole {
				t.Fatalf("%+v is cut", c)
			}
			if err := s.Reapply(&c); err != nil {
				t.Fatal(err)
			}
		}
		h := s.Lookup(keys[0], testNow)
		if i := slices.IndexFunc(h.Choices, func(c caps.Choice) bool { return c.Field == caps.FieldOptOut }); i < 0 || h.Choices[i].Value != 1 {
			t.Errorf("%+v", h.Choices)
		}
	}
}

// A node whose clock is years ahead has let go of what has not expired, and has what others cut to the servers' time: no copy of its snapshot
// is made, and one that was made by an earlier program is not taken.
func TestCopyOfAFastClockIsNotTaken(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	root := t.TempDir()
	real := func(name string, forward time.Duration) member {
		o := testOptions(filepath.Join(root, name))
		o.Broker = &BrokerOptions{Node: name, URLs: []string{b.ClientURL()}, Log: o.Log}
		o.Now, o.ahead = func() time.Time { return time.Now().Add(forward) }, ahead
		k, s := opened(t, o)
		return member{k, s}
	}
	fast, right := real("fast", 5*365*24*time.Hour), real("right", 0)
	far := caps.Second(fast.options.Now().Unix())
	record(t, fast.Keeper, caps.Change{
		Kind: caps.ChangeExpose, Keys: testKeys(1), Now: far, Exposure: caps.Exposure{Identity: 7, At: far}, Scopes: []caps.Counted{{Scope: scope(1), Keep: 3}},
	})
	settled(t, fast, right)
	copied := func(m member, ahead caps.Second) (n int, err error) {
		t.Helper()
		m.since.Add(1)
		if err := m.snapshot(); err != nil {
			t.Fatal(err)
		}
		kv, err := m.broker.keyValue(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := copierOf(m)
		c.ahead = ahead
		failed := c.copy(t.Context(), kv)
		copies, err := manifests(t.Context(), kv)
		if err != nil {
			t.Fatal(err)
		}
		return len(copies), failed
	}
	if n, err := copied(fast, ahead); n != 0 || err == nil {
		t.Errorf("%d copies of the fast one, %v", n, err)
	}
	if n, err := copied(fast, caps.Never); n != 1 || err != nil {
		t.Fatalf("the test has no effect: %d copies, %v", n, err)
	}
	s := newStore()
	if _, ok, err := copierOf(right).fetch(t.Context(), s, func(*manifest) bool { return true }); ok || err == nil || s.Stats().Users != 0 {
		t.Errorf("taken: %v, %v", ok, err)
	}
	if n, err := copied(right, ahead); n != 1 || err != nil {
		t.Errorf("%d copies of the one whose clock is right, %v", n, err)
	}
	if _, ok, err := copierOf(right).fetch(t.Context(), s, func(*manifest) bool { return true }); !ok || err != nil || s.Stats().Users != 1 {
		t.Errorf("not taken: %v", err)
	}
	closed(t, fast.Keeper)
	closed(t, right.Keeper)
}
