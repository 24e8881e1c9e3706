package replica

import (
	"encoding/json"
	"errors"
	"testing"

	"restraint/caps"
)

// In another epoch a copy is made at once, whoever has the secret takes those of either, and those of before go with the next.
func TestCopiesThroughEpochs(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	seals, keys := newSeals(1, 0), testKeys(3)
	seals.learn(0)
	one := sealedJoin(t, t.TempDir(), b.ClientURL(), seals)
	record(t, one.Keeper, caps.Change{Kind: caps.ChangeChoice, Keys: keys[:1], Now: testNow, Field: 1, Stamp: testNow, Value: 1})
	settled(t, one)
	kv, err := one.broker.keyValue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := copierOf(one)
	copied := func() (all []manifest) {
		t.Helper()
		one.since.Add(1)
		if err := one.snapshot(); err != nil {
			t.Fatal(err)
		}
		if err := c.copyIfDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all, err = manifests(t.Context(), kv); err != nil {
			t.Fatal(err)
		}
		return all
	}
	until(t, "there is a copy of epoch 0", func() bool { all := copied(); return len(all) == 1 && hexOf(all[0].Fingerprint) == secretHex })
	first, _ := manifests(t.Context(), kv)
	other := first[0] // as if another node had made it
	other.Node = "other"
	value, _ := json.Marshal(&other)
	if _, err := kv.Put(t.Context(), manifestPrefix+nameKey(other.Node), value); err != nil {
		t.Fatal(err)
	}
	seals.learn(1)
	until(t, "the epoch is in use", func() bool { return activeOf(seals) == 1 })
	until(t, "there is a copy of epoch 1", func() bool { return hexOf(copied()[0].Fingerprint) == sealFingerprint(1) })

	without := copierOf(one)
	without.keeper = &Keeper{options: one.options, codec: testCodec, log: one.log, files: one.files, notices: notices{log: one.log}}
	for name, want := range map[string]struct {
		of     string
		c      *copier
		refuse error
	}{
		"of before":         {"other", c, nil},
		"of the epoch":      {one.options.Broker.Node, c, nil},
		"without its seals": {one.options.Broker.Node, without, ErrEpoch},
	} {
		s := newStore()
		_, ok, err := want.c.fetch(t.Context(), s, func(m *manifest) bool { return m.Node == want.of })
		if !errors.Is(err, want.refuse) || ok != (want.refuse == nil) || ok && s.Stats().RefusalUsers != 1 {
			t.Errorf("%s: %v, %v, %+v", name, ok, err, s.Stats())
		}
	}
	if err := c.copy(t.Context(), kv); err != nil {
		t.Fatal(err)
	}
	all, err := manifests(t.Context(), kv)
	if err != nil || len(all) != 1 || hexOf(all[0].Fingerprint) != sealFingerprint(1) {
		t.Errorf("left %+v, %v", all, err)
	}
	closed(t, one.Keeper)
}
