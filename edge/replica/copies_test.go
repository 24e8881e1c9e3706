package replica

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/crc32"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"restraint/caps"
)

// The node whose copy is taken had too little memory and evicted somebody whole, of whom this node knows a part. What it does not know of
// him is to count as full.
func TestCopyOfANodeThatEvicted(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	url, dir, person := b.ClientURL(), t.TempDir(), testKeys(1)
	_, stream := streamWith(t, url, jetstream.StreamConfig{Name: eventsStream, Subjects: []string{eventsSubject + ".>"}})
	k, err := Open(joining(t, url, nil))
	if err != nil {
		t.Fatal(err)
	}
	small := member{k, caps.New(caps.Options{Memory: 4 * caps.MinShardMemory, RefusalMemory: testMemory, Shards: 4})}
	if err := k.Restore(small.store); err != nil {
		t.Fatal(err)
	}
	n := uint32(0)
	shown := func(key caps.Key, at caps.Second) caps.Change {
		n++
		return caps.Change{
			Kind: caps.ChangeExpose, Keys: []caps.Key{key}, Now: testNow,
			Exposure: caps.Exposure{Identity: n, At: at}, Scopes: []caps.Counted{{Scope: scope(1), Keep: 20}},
		}
	}
	full := func(s *caps.Store) bool {
		var p caps.Person
		s.Lock(&p, person, testNow)
		defer p.Unlock()
		return p.Full(scope(1), 4, testNow)
	}
	one := join(t, dir, url)
	record(t, small.Keeper, shown(person[0], testNow))
	settled(t, small, one)
	one.since.Add(1)
	if err := one.snapshot(); err != nil {
		t.Fatal(err)
	}
	crash(one.Keeper)

	for i := range 3 {
		record(t, small.Keeper, shown(person[0], testNow+caps.Second(i)))
	}
	for crowd := uint64(0); small.store.Lookup(person[0], testNow).Counters != nil || small.store.Stats().EvictedCuts == 0; {
		var changes []caps.Change
		for range 200 {
			crowd++
			var key caps.Key
			binary.LittleEndian.PutUint64(key[:], crowd*0x9e3779b97f4a7c15)
			binary.LittleEndian.PutUint64(key[8:], crowd*0xd6e8feb86659fd93)
			changes = append(changes, shown(key, testNow+100+caps.Second(crowd/100)))
		}
		record(t, small.Keeper, changes...)
		if crowd > 1e6 {
			t.Fatalf("nobody was evicted: %+v", small.store.Stats())
		}
	}
	if !full(small.store) {
		t.Fatal("the one that evicted does not count him as full")
	}
	settled(t, small)
	info, err := stream.Info(t.Context())
	if err == nil {
		err = stream.Purge(t.Context(), jetstream.WithPurgeSequence(info.State.LastSeq))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := small.snapshot(); err != nil {
		t.Fatal(err)
	}
	kv, err := small.broker.keyValue(t.Context())
	if err == nil {
		err = small.cluster.copier.copy(t.Context(), kv)
	}
	if err != nil {
		t.Fatal(err)
	}

	k, s := opened(t, joining(t, url, func(o *Options) { o.Dir, o.Broker.Node = dir, filepath.Base(dir) }))
	one = member{k, s}
	until(t, "the copy is taken", func() bool { return one.cluster.whole() })
	if held := one.store.Lookup(person[0], testNow).Counters; len(held) != 1 {
		t.Fatalf("the test has no effect: %+v", held)
	}
	if !full(one.store) {
		t.Errorf("shown four times, and a limit of four is not full: %+v", one.store.Lookup(person[0], testNow))
	}
	closed(t, one.Keeper)
	closed(t, small.Keeper)
}

// copierOf is a copier like that of the member, which nobody runs.
func copierOf(m member) *copier {
	of := &m.cluster.copier
	return &copier{keeper: of.keeper, broker: of.broker, node: of.node, every: of.every, whole: of.whole, at: of.at, now: of.now, ahead: of.ahead}
}

// A copy that does not verify is of use to nobody: the node that finds it says so and takes its manifest away, so that another is made, and
// a node that waits for one does not wait for its age.
func TestDamagedCopyIsReplaced(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	one := join(t, t.TempDir(), b.ClientURL())
	record(t, one.Keeper, exposed(0))
	settled(t, one)
	one.since.Add(1)
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
	copies, err := manifests(t.Context(), kv)
	if err != nil || len(copies) != 1 {
		t.Fatalf("%d copies, %v", len(copies), err)
	}
	whole := copies[0]
	for name, damage := range map[string]func(m *manifest){
		"other bytes":          func(m *manifest) { m.SHA256 = strings.Repeat("0", len(m.SHA256)) },
		"a part is not there":  func(m *manifest) { m.Object += ".gone" },
		"it came less far":     func(m *manifest) { m.Events.Next++ },
		"it is of other times": func(m *manifest) { m.Refusals.Time++ },
	} {
		m := whole
		damage(&m)
		value, err := json.Marshal(&m)
		if err == nil {
			_, err = kv.Put(t.Context(), manifestPrefix+nameKey(m.Node), value)
		}
		if err != nil {
			t.Fatal(err)
		}
		c, s := copierOf(one), newStore()
		notices := one.Stats().Notices
		if _, ok, err := c.fetch(t.Context(), s, func(*manifest) bool { return true }); ok || err == nil || s.Stats().Users != 0 {
			t.Errorf("%s: taken %v, %v, %d users", name, ok, err, s.Stats().Users)
		}
		if left, err := manifests(t.Context(), kv); err != nil || len(left) != 0 || one.Stats().Notices == notices {
			t.Errorf("%s: %d copies left, %v, %d notices", name, len(left), err, one.Stats().Notices-notices)
		}
		if err := c.copyIfDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m, ok, err := c.fetch(t.Context(), s, func(*manifest) bool { return true }); !ok || err != nil || m.Object == whole.Object || s.Stats().Users != 1 {
			t.Errorf("%s: no other copy is made: %v, %v", name, ok, err)
		}
	}
	closed(t, one.Keeper)
}

// A copy of a later program is for others.
func TestCopyOfALaterProgramStays(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	one := join(t, t.TempDir(), b.ClientURL())
	settled(t, one)
	kv, err := one.broker.keyValue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	objects, err := one.broker.snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	later := (&snapshotFrom{fingerprint: one.codec.Fingerprint}).append(nil)
	binary.LittleEndian.PutUint32(later[4:], snapshotSealed+1)
	binary.LittleEndian.PutUint32(later[100:], crc32.Checksum(later[:100], castagnoli))
	sum := sha256.Sum256(later)
	m := manifest{Node: "later", Fingerprint: one.codec.Fingerprint, Object: manifestPrefix + "later", Bytes: int64(len(later)), SHA256: hex.EncodeToString(sum[:])}
	err = putParts(t.Context(), objects, m.Object, bytes.NewReader(later), m.Bytes)
	value, _ := json.Marshal(&m)
	if err == nil {
		_, err = kv.Put(t.Context(), manifestPrefix+nameKey(m.Node), value)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := one.cluster.copier.fetch(t.Context(), newStore(), func(*manifest) bool { return true }); ok || !errors.Is(err, ErrVersion) {
		t.Errorf("%v, %v", ok, err)
	}
	if left, err := manifests(t.Context(), kv); err != nil || len(left) != 1 {
		t.Errorf("%d copies left, %v", len(left), err)
	}
	closed(t, one.Keeper)
}

// A copy of streams that are there no more, or of another secret, does not keep a node from making one that others can take.
func TestCopyOfAnotherStreamIsNone(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	one := join(t, t.TempDir(), b.ClientURL())
	record(t, one.Keeper, exposed(0), caps.Change{Kind: caps.ChangeErase, Keys: testKeys(1), Now: testNow, Until: testNow - 5})
	settled(t, one)
	one.since.Add(1)
	if err := one.snapshot(); err != nil {
		t.Fatal(err)
	}
	kv, err := one.broker.keyValue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, at := copierOf(one), one.cluster.positions()
	for name, change := range map[string]func(m *manifest){
		"same":             func(*manifest) {},
		"earlier events":   func(m *manifest) { m.Events.Created-- },
		"earlier refusals": func(m *manifest) { m.Refusals.Created-- },
		"another secret":   func(m *manifest) { m.Fingerprint++ },
	} {
		m := manifest{Node: "other", Fingerprint: one.codec.Fingerprint, Object: "x", Bytes: 1, Events: at.events, Refusals: at.refusals}
		change(&m)
		value, err := json.Marshal(&m)
		if err == nil {
			_, err = kv.Put(t.Context(), manifestPrefix+nameKey(m.Node), value)
		}
		if err == nil {
			err = kv.Delete(t.Context(), manifestPrefix+nameKey(c.node))
		}
		if err == nil {
			err = c.copyIfDue(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		copies, err := manifests(t.Context(), kv)
		if want := name != "same"; err != nil || (len(copies) == 2) != want {
			t.Errorf("%s: %d copies, %v", name, len(copies), err)
		}
	}
	closed(t, one.Keeper)
}
