package replica

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"restraint/caps"
)

// A node knows of every other whether it has forgotten, and of one that does not answer that it does not know.
func TestErasedAsksTheNodes(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	root := t.TempDir()
	one, two := join(t, filepath.Join(root, "one"), b.ClientURL()), join(t, filepath.Join(root, "two.of=2"), b.ClientURL())
	settled(t, one, two)
	keys := testKeys(3)
	ask := func(m member, until caps.Second) []NodeErased {
		t.Helper()
		nodes, err := m.Erased(t.Context(), keys[:2], until)
		if err != nil {
			t.Fatal(err)
		}
		return nodes
	}
	is := func(nodes []NodeErased, name string, answered, applied bool) {
		t.Helper()
		if len(nodes) != 1 || nodes[0].Node != name || nodes[0].Answered != answered || nodes[0].Applied != applied || nodes[0].Seen.IsZero() {
			t.Errorf("%+v, want %s %v %v", nodes, name, answered, applied)
		}
	}
	is(ask(one, testNow), "two.of=2", true, false)
	record(t, one.Keeper, caps.Change{Kind: caps.ChangeErase, Keys: keys[:1], Now: testNow, Until: testNow})
	settled(t, one, two)
	is(ask(one, testNow), "two.of=2", true, false) // one of the two keys
	record(t, one.Keeper, caps.Change{Kind: caps.ChangeErase, Keys: keys[:2], Now: testNow, Until: testNow})
	settled(t, one, two)
	until(t, "the erasure applied on the other", func() bool { return two.store.Erased(keys[1]) == testNow })
	is(ask(one, testNow), "two.of=2", true, true)
	is(ask(two, testNow), "one", true, true)
	is(ask(one, testNow+1), "two.of=2", true, false) // a later one

	crash(two.Keeper)
	is(ask(one, testNow), "two.of=2", false, false)
	closed(t, one.Keeper)
}

func TestNodeNames(t *testing.T) {
	for _, name := range []string{"edge-1", "a.b", "=", "=41", "ü x", "", "A_z9"} {
		if got := nameOf(keyOf(name)); got != name {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// What is no question, or of another cluster, is not answered.
func TestHasErasedRefuses(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	one := join(t, t.TempDir(), b.ClientURL())
	erase := caps.Change{Kind: caps.ChangeErase, Keys: testKeys(1), Until: testNow}
	encode := func(codec Codec, changes ...caps.Change) []byte {
		enc, err := codec.AppendBatch(nil, changes)
		if err != nil {
			t.Fatal(err)
		}
		return enc
	}
	mine := one.codec
	other := mine
	other.Fingerprint++
	many := erase
	many.Keys = testKeys(caps.MaxKeys + 1)[:caps.MaxKeys]
	for name, question := range map[string][]byte{
		"nothing":        nil,
		"damaged":        encode(mine, erase)[1:],
		"another secret": encode(other, erase),
		"two batches":    bytes.Repeat(encode(mine, erase), 2),
		"too many":       encode(mine, many, erase),
		"another change": encode(mine, caps.Change{Kind: caps.ChangeChoice, Keys: testKeys(1), Field: 1, Stamp: 1}),
	} {
		if applied, err := one.cluster.hasErased(question); err == nil || applied {
			t.Errorf("%s: %v, %v", name, applied, err)
		}
	}
	if _, err := one.cluster.hasErased(encode(mine, erase)); err != nil {
		t.Error(err)
	}
	closed(t, one.Keeper)
}

// A node whose clock was years ahead holds what an erasure asked of another does not reach. It does not say that the person is forgotten, until an
// erasure that it is asked for itself, which goes by what it holds, has reached that too.
func TestErasedAheadIsNotApplied(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	root, keys := t.TempDir(), testKeys(1)
	real := func(name string, forward time.Duration) member {
		o := testOptions(filepath.Join(root, name))
		o.Broker = &BrokerOptions{Node: name, URLs: []string{b.ClientURL()}, Log: o.Log}
		o.Now, o.ahead = func() time.Time { return time.Now().Add(forward) }, ahead
		k, s := opened(t, o)
		return member{k, s}
	}
	fast, right := real("fast", 5*365*24*time.Hour), real("right", 0)
	far, until := caps.Second(fast.options.Now().Unix()), caps.Second(time.Now().Unix())+caps.ErasureSkew
	exposure := caps.Change{Kind: caps.ChangeExpose, Keys: keys, Now: far, Exposure: caps.Exposure{Identity: 7, At: far}, Scopes: []caps.Counted{{Scope: scope(1), Keep: 3}}}
	applied := func() bool {
		t.Helper()
		settled(t, fast, right)
		nodes, err := right.Erased(t.Context(), keys, until)
		if err != nil || len(nodes) != 1 || !nodes[0].Answered {
			t.Fatalf("%+v, %v", nodes, err)
		}
		return nodes[0].Applied
	}
	record(t, fast.Keeper, exposure)
	settled(t, fast, right)
	record(t, right.Keeper, caps.Change{Kind: caps.ChangeErase, Keys: keys, Now: until, Until: until})
	if held := fast.store.Lookup(keys[0], 0); len(held.Counters) == 0 {
		t.Fatal("the test has no effect")
	}
	if applied() {
		t.Error("it still holds what is ahead, and says that the person is forgotten")
	}
	record(t, fast.Keeper, caps.Change{Kind: caps.ChangeErase, Keys: keys, Now: far, Until: far + caps.ErasureSkew})
	if !applied() {
		t.Error("it holds nothing, and does not say that the person is forgotten")
	}
	closed(t, fast.Keeper)
	closed(t, right.Keeper)
}
