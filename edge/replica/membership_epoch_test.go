package replica

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restraint/caps"
)

// epochNode opens a membership that knows these epochs and may be refused for want of one.
func (c members) epochNode(dir, name string, seals *testSeals) *testMember {
	return c.node(dir, name, secretHex, func(o *memberOptions) { o.Seals = seals })
}

// entersOrNot joins until the cluster has decided, also on the epoch.
func (m *testMember) entersOrNot(t *testing.T) (err error) {
	t.Helper()
	soon(t, "a decision", func() bool {
		err = m.join(t.Context())
		return err == nil || errors.Is(err, ErrEpoch)
	})
	return err
}

// look refreshes by hand until the condition holds.
func (m *testMember) look(t *testing.T, what string, holds func() bool) {
	t.Helper()
	soon(t, what, func() bool { m.refresh(t.Context()); return holds() })
}

func activeOf(s *testSeals) int { n, _ := s.Active(); return n }

// The cluster goes over to the newest epoch when the last node that is alive has it, and not before; whoever comes without it then is
// refused, and is told what it lacks.
func TestMembershipGoesOverTogether(t *testing.T) {
	c := newMembers(t)
	seals := []*testSeals{newSeals(0, 0), newSeals(0, 0), newSeals(0, 0)}
	dirs, nodes := []string{t.TempDir(), t.TempDir(), t.TempDir()}, []*testMember{}
	for i, name := range []string{"a", "b", "c.d"} {
		n := c.epochNode(dirs[i], name, seals[i])
		if err := n.entersOrNot(t); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	for i := range 2 {
		seals[i].learn(2)
		nodes[i].look(t, "the lack of the third is known", func() bool { return len(nodes[i].awaited()) == 2-i })
	}
	if nodes[1].awaited()[0] != "c.d" || activeOf(seals[0])+activeOf(seals[1]) != 0 {
		t.Errorf("awaits %q; active %d, %d", nodes[1].awaited(), activeOf(seals[0]), activeOf(seals[1]))
	}
	seals[2].learn(2)
	nodes[2].look(t, "over", func() bool { return activeOf(seals[2]) == 2 })
	for i := range 2 {
		nodes[i].look(t, "the others follow", func() bool { return activeOf(seals[i]) == 2 })
		if text, err := os.ReadFile(filepath.Join(dirs[i], epochFile)); err != nil || strings.TrimSpace(string(text)) != sealFingerprint(2) {
			t.Errorf("kept %q, %v", text, err)
		}
		if nodes[i].reason() != nil {
			t.Error(nodes[i].reason())
		}
	}
	old := newSeals(1, 0)
	err := c.epochNode(t.TempDir(), "e", old).entersOrNot(t)
	if !errors.Is(err, ErrEpoch) || !strings.Contains(err.Error(), sealFingerprint(2)) || !strings.Contains(err.Error(), sealFingerprint(1)) || activeOf(old) != 0 {
		t.Errorf("a node without the epoch: %v", err)
	}
	if err := c.node(t.TempDir(), "e", secretHex, nil).entersOrNot(t); !errors.Is(err, ErrEpoch) {
		t.Errorf("a node that knows of no epochs: %v", err)
	}
	late := newSeals(2, 0)
	if err := c.epochNode(t.TempDir(), "e", late).entersOrNot(t); err != nil || activeOf(late) != 2 {
		t.Errorf("a node with it: %v, active %d", err, activeOf(late))
	}
	// A start without the servers goes on in it; without its secret there is none.
	again := newSeals(3, 0)
	if err := lastEpoch(dirs[0], again); err != nil || activeOf(again) != 2 {
		t.Errorf("%v, active %d", err, activeOf(again))
	}
	if err := lastEpoch(dirs[0], newSeals(1, 0)); !errors.Is(err, ErrEpoch) || !strings.Contains(err.Error(), sealFingerprint(2)) {
		t.Errorf("without the secret: %v", err)
	}
}

// A node that is in the cluster when it goes over without knowing it is out of it until it has the file.
func TestMembershipBehindInEpochs(t *testing.T) {
	c := newMembers(t)
	behind, ahead := newSeals(0, 0), newSeals(1, 0)
	n := c.epochNode(t.TempDir(), "behind", behind)
	if err := n.entersOrNot(t); err != nil {
		t.Fatal(err)
	}
	m := c.epochNode(t.TempDir(), "ahead", ahead)
	m.options.keep = 1 // as if the other had not been seen for long
	if err := m.entersOrNot(t); err != nil {
		t.Fatal(err)
	}
	m.look(t, "over", func() bool { return activeOf(ahead) == 1 })
	n.look(t, "out", func() bool { return errors.Is(n.reason(), ErrEpoch) })
	behind.learn(1)
	n.look(t, "in again", func() bool { return n.reason() == nil && activeOf(behind) == 1 })
	if got := n.seen(); len(got) != 2 || !errors.Is(got[0], ErrEpoch) || got[1] != nil {
		t.Errorf("told %v", got)
	}
}

// A bucket that was made anew is told the epoch in use, and one that says an earlier one too.
func TestMembershipTellsLostEpoch(t *testing.T) {
	c := newMembers(t)
	seals := newSeals(2, 2)
	n := c.epochNode(t.TempDir(), "a", seals)
	if err := n.entersOrNot(t); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"", "1 " + sealFingerprint(1)} {
		var err error
		if value == "" {
			err = n.kv.Delete(t.Context(), epochKey)
		} else {
			_, err = n.kv.PutString(t.Context(), epochKey, value)
		}
		if err != nil {
			t.Fatal(err)
		}
		n.look(t, "told", func() bool {
			e, err := n.kv.Get(t.Context(), epochKey)
			return err == nil && string(e.Value()) == "2 "+sealFingerprint(2)
		})
	}
	if activeOf(seals) != 2 {
		t.Error("it went back")
	}
	for _, wrong := range []string{"", "1", "x y", "0 " + secretHex, "-1 " + secretHex, "1 123", "1 " + secretHex + " "} {
		if _, _, err := parseEpochValue([]byte(wrong)); !errors.Is(err, ErrVersion) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// sealedJoin opens a node over the directory that knows these epochs.
func sealedJoin(t *testing.T, dir, url string, seals *testSeals) member {
	t.Helper()
	return joinWith(t, dir, url, func(o *Options) { o.Seals = seals })
}

// Nodes of several epochs hear all of one another, through changes of epoch under way, restarts and deaths, and hold what one holds that never
// changed. What one cannot open waits in the stream until it can.
func TestClusterThroughEpochs(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	r, keys, want := testRand(t), testKeys(40), newStore()
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	seals, members := make([]*testSeals, 3), make([]member, 3)
	for i := range members {
		seals[i] = newSeals(0, 0)
		members[i] = sealedJoin(t, dirs[i], b.ClientURL(), seals[i])
	}
	settled(t, members...)
	work := func() {
		for range 15 {
			changes := randomChanges(r, keys, 10)
			record(t, members[r.IntN(3)].Keeper, changes...)
			applyAll(t, want, changes)
		}
	}
	for epoch := 1; epoch <= 2; epoch++ {
		for _, i := range r.Perm(3) {
			seals[i].learn(epoch)
			work()
			if r.IntN(2) == 0 {
				crash(members[i].Keeper)
				members[i] = sealedJoin(t, dirs[i], b.ClientURL(), seals[i])
			}
		}
		until(t, "all write in the epoch", func() bool {
			return activeOf(seals[0]) == epoch && activeOf(seals[1]) == epoch && activeOf(seals[2]) == epoch
		})
		work()
	}
	settled(t, members...)
	for i := range members {
		wantSame(t, members[i].store, want, keys)
	}
	// What no node here can open yet.
	ahead := sealedCodec(3, 3)
	change := []caps.Change{{Kind: caps.ChangeChoice, Keys: keys[:1], Now: testNow, Field: 77, Stamp: testNow, Value: 1}}
	message, err := ahead.AppendBatch(nil, change)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := members[0].broker.publishJS.Publish(t.Context(), refusalsSubject+".0", message); err != nil {
		t.Fatal(err)
	}
	until(t, "it is said", func() bool {
		return strings.Contains(members[1].Stats().Cluster.Refusals.Gap+members[1].cluster.refusals.stuckAt(), sealFingerprint(3))
	})
	wantSame(t, members[1].store, want, keys)
	applyAll(t, want, change)
	for i := range members {
		seals[i].learn(3)
	}
	settled(t, members...)
	for i := range members {
		wantSame(t, members[i].store, want, keys)
		closed(t, members[i].Keeper)
	}
	// A node that comes with nothing, and one that comes without the epoch.
	late := sealedJoin(t, t.TempDir(), b.ClientURL(), newSeals(3, 0))
	settled(t, late)
	wantSame(t, late.store, want, keys)
	closed(t, late.Keeper)
	o := testOptions(t.TempDir())
	o.Seals, o.Broker = newSeals(2, 0), &BrokerOptions{Node: "without", URLs: []string{b.ClientURL()}}
	k, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Restore(newStore()); !errors.Is(err, ErrEpoch) {
		t.Errorf("without the epoch: %v", err)
	}
	closed(t, k)
}

func (f *follower) stuckAt() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stuck
}
