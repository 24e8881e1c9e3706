package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// members are what a test needs to start nodes of one cluster.
type members struct {
	t       *testing.T
	address string
}

func newMembers(t *testing.T) members {
	_, address := natsServer(t, nil)
	return members{t, address}
}

// testMember is a node that refreshes its name when the test says so.
type testMember struct {
	*membership
	seenMu  sync.Mutex // guards changes
	changes []error
}

func (m *testMember) seen() []error {
	m.seenMu.Lock()
	defer m.seenMu.Unlock()
	return m.changes
}

// node opens a membership with a broker of its own. It never judges a lease to be old, and never refreshes its own.
func (c members) node(dir, name, fingerprint string, change func(*memberOptions)) *testMember {
	c.t.Helper()
	b, _ := testBroker(c.t, BrokerOptions{URLs: []string{c.address}, Node: name})
	ensured(c.t, b)
	var m testMember
	o := memberOptions{
		Dir: dir, Node: name, Fingerprint: fingerprint, Log: slog.New(slog.DiscardHandler), every: time.Hour, keep: time.Hour,
		Changed: func(reason error) {
			m.seenMu.Lock()
			defer m.seenMu.Unlock()
			m.changes = append(m.changes, reason)
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if m.membership, err = openMembership(b, o); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { m.close(context.Background()) })
	return &m
}

// joins calls join as its callers are told to: again, until the cluster has decided.
func (m *testMember) joins(t *testing.T) (err error) {
	t.Helper()
	soon(t, "a decision", func() bool {
		err = m.join(t.Context())
		return err == nil || errors.Is(err, ErrName) || errors.Is(err, ErrFingerprint)
	})
	return err
}

func TestMembershipSecret(t *testing.T) {
	c := newMembers(t)
	first := c.node(t.TempDir(), "a", secretHex, func(o *memberOptions) { o.SecretMade = true })
	if free, err := first.b.secretFree(t.Context()); err != nil || !free {
		t.Error(free, err)
	}
	if err := first.joins(t); err != nil {
		t.Fatal(err)
	}
	if free, err := first.b.secretFree(t.Context()); err != nil || free {
		t.Error(free, err)
	}
	if err := c.node(t.TempDir(), "b", secretHex, nil).joins(t); err != nil {
		t.Error(err)
	}
	for _, made := range []bool{false, true} {
		err := c.node(t.TempDir(), "c", otherHex, func(o *memberOptions) { o.SecretMade = made }).joins(t)
		if !errors.Is(err, ErrFingerprint) || !strings.Contains(err.Error(), secretHex) || !strings.Contains(err.Error(), otherHex) {
			t.Error(err)
		}
		if made && !strings.Contains(err.Error(), "copy the secret file") {
			t.Error(err)
		}
	}
}

// Three nodes with two secrets and two names start at once, in any order: all that joined have one secret, and names of their own.
func TestMembershipTogether(t *testing.T) {
	r := testRand(t)
	for range 8 {
		c := newMembers(t)
		var nodes []*testMember
		for i := range 3 {
			nodes = append(nodes, c.node(t.TempDir(), []string{"a", "b"}[r.IntN(2)], []string{secretHex, otherHex}[r.IntN(2)], func(o *memberOptions) { o.SecretMade = i == 0 }))
		}
		r.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		results := make([]error, len(nodes))
		var all sync.WaitGroup
		for i, m := range nodes {
			all.Go(func() { results[i] = m.joins(t) })
		}
		all.Wait()
		secret, names := "", map[string]bool{}
		for i, m := range nodes {
			if results[i] != nil {
				continue
			}
			if secret == "" {
				secret = m.options.Fingerprint
			}
			if m.options.Fingerprint != secret || names[m.options.Node] {
				t.Errorf("two secrets, or two nodes of one name")
			}
			names[m.options.Node] = true
		}
		for i, m := range nodes {
			if want := m.options.Fingerprint != secret; want != errors.Is(results[i], ErrFingerprint) {
				t.Errorf("%s %s: %v, in a cluster of %s", m.options.Node, m.options.Fingerprint, results[i], secret)
			}
			if m.options.Fingerprint == secret && !names[m.options.Node] {
				t.Errorf("%s: nobody has this name", m.options.Node)
			}
		}
	}
}

func TestMembershipName(t *testing.T) {
	c, dir := newMembers(t), t.TempDir()
	a := c.node(dir, "edge.1 ü", secretHex, nil)
	if err := a.joins(t); err != nil {
		t.Fatal(err)
	}
	other := c.node(t.TempDir(), "edge.1 ü", secretHex, nil)
	if err := other.joins(t); !errors.Is(err, ErrName) || !strings.Contains(err.Error(), "another name") {
		t.Fatal(err)
	}
	// kill -9: the same directory is back at once.
	again := c.node(dir, "edge.1 ü", secretHex, nil)
	if err := again.joins(t); err != nil {
		t.Fatal(err)
	}
	// A lost disk: another directory has to wait until the lease is old.
	other.options.keep = -time.Hour
	if err := other.joins(t); err != nil {
		t.Fatal(err)
	}
	// The one it was taken from was away only. It finds out, and comes back when the name is given back.
	for range 2 {
		again.refresh(t.Context())
	}
	if got := again.seen(); len(got) != 1 || !errors.Is(got[0], ErrName) || again.reason() == nil {
		t.Fatal(got)
	}
	other.refresh(t.Context())
	if other.reason() != nil || len(other.seen()) != 0 {
		t.Error(other.reason())
	}
	other.close(t.Context())
	again.refresh(t.Context())
	if got := again.seen(); len(got) != 2 || got[1] != nil || again.reason() != nil {
		t.Fatal(got)
	}
}

// Two processes over copies of one data directory: the later one has the name, and the earlier one is told what is wrong.
func TestMembershipCopiedDirectory(t *testing.T) {
	c, dir, copied := newMembers(t), t.TempDir(), t.TempDir()
	a := c.node(dir, "a", secretHex, nil)
	if err := a.joins(t); err != nil {
		t.Fatal(err)
	}
	copyDir(t, dir, copied)
	b := c.node(copied, "a", secretHex, nil)
	if err := b.joins(t); err != nil {
		t.Fatal(err)
	}
	a.refresh(t.Context())
	if got := a.seen(); len(got) != 1 || !errors.Is(got[0], ErrName) || !strings.Contains(got[0].Error(), "copy") {
		t.Fatal(got)
	}
}

// What can happen to a bucket under a node that has its name: nothing that takes it.
func TestMembershipHolds(t *testing.T) {
	server, address := natsServer(t, nil)
	c := members{t, address}
	a := c.node(t.TempDir(), "a", secretHex, nil)
	if err := a.joins(t); err != nil {
		t.Fatal(err)
	}
	holds := func(what string) {
		t.Helper()
		before := a.revision
		a.refresh(t.Context())
		if a.revision <= before || a.reason() != nil || len(a.seen()) != 0 {
			t.Errorf("%s: revision %d after %d, %v", what, a.revision, before, a.reason())
		}
	}
	holds("a quiet time")
	if _, err := a.kv.PutString(t.Context(), a.key, a.holder); err != nil {
		t.Fatal(err)
	}
	holds("a refresh that was stored and not answered")
	if err := a.kv.Delete(t.Context(), a.key); err != nil {
		t.Fatal(err)
	}
	holds("the name is deleted")
	if err := a.b.readJS.DeleteKeyValue(t.Context(), membersBucket); err != nil {
		t.Fatal(err)
	}
	a.refresh(t.Context())
	soon(t, "the bucket", func() bool { return a.b.ensure(t.Context()) == nil }) // its files go a little later
	a.refresh(t.Context())
	if a.reason() != nil || len(a.seen()) != 0 {
		t.Error(a.reason())
	}
	holds("the bucket is made anew")
	if e, err := a.kv.Get(t.Context(), fingerprintKey); err != nil || string(e.Value()) != secretHex {
		t.Error("the fingerprint is not there again", err)
	}
	// A bucket of others.
	if _, err := a.kv.PutString(t.Context(), fingerprintKey, otherHex); err != nil {
		t.Fatal(err)
	}
	if err := a.kv.Delete(t.Context(), a.key); err != nil {
		t.Fatal(err)
	}
	a.refresh(t.Context())
	if got := a.seen(); len(got) != 1 || !errors.Is(got[0], ErrFingerprint) {
		t.Error(got)
	}
	if _, err := a.kv.PutString(t.Context(), fingerprintKey, secretHex); err != nil {
		t.Fatal(err)
	}
	a.refresh(t.Context())
	if got := a.seen(); len(got) != 2 || got[1] != nil {
		t.Error(got)
	}
	server.Shutdown()
	server.WaitForShutdown()
	a.refresh(t.Context())
	if len(a.seen()) != 2 {
		t.Error("the servers are away, and so is the name")
	}
}

// The name is refreshed by itself, and given back at the end.
func TestMembershipRefreshes(t *testing.T) {
	c := newMembers(t)
	a := c.node(t.TempDir(), "a", secretHex, func(o *memberOptions) { o.every = 2 * time.Millisecond })
	if err := a.joins(t); err != nil {
		t.Fatal(err)
	}
	revision := func() uint64 {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.revision
	}
	first := revision()
	soon(t, "three refreshes", func() bool { return revision() >= first+3 })
	a.close(t.Context())
	if _, err := a.kv.Get(t.Context(), a.key); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Error(err)
	}
	if err := c.node(t.TempDir(), "a", secretHex, nil).joins(t); err != nil {
		t.Error(err)
	}
}

// Without servers a membership opens, does not join, and closes.
func TestMembershipAlone(t *testing.T) {
	address, _ := freePort(t)
	b, _ := testBroker(t, BrokerOptions{URLs: []string{address}})
	m, err := openMembership(b, memberOptions{Dir: t.TempDir(), Node: "a", Fingerprint: secretHex, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.join(t.Context()); err == nil || errors.Is(err, ErrName) || errors.Is(err, ErrFingerprint) {
		t.Error(err)
	}
	m.close(t.Context())
}

func TestDirectoryID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	id, err := directoryID(dir)
	if err != nil || len(id) != 32 {
		t.Fatal(id, err)
	}
	if again, err := directoryID(dir); err != nil || again != id {
		t.Error(again, err)
	}
	if other, err := directoryID(t.TempDir()); err != nil || other == id {
		t.Error(other, err)
	}
	if files := matches(t, dir, "*"); len(files) != 1 {
		t.Error(files)
	}
	for _, wrong := range []string{"", "x", id + "00", strings.Repeat("g", 32)} {
		if err := os.WriteFile(filepath.Join(dir, "id"), []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := directoryID(dir); err == nil || !strings.Contains(err.Error(), "remove the file") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestKeyOf(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"edge-1", "edge_1", "edge.1", "edge=2E1", "a b", "*", ">", "", "ü", "a..b", "\x00"} {
		key := keyOf(name)
		if before, ok := seen[key]; ok {
			t.Errorf("%q and %q are both %q", before, name, key)
		}
		seen[key] = name
		if strings.ContainsAny(key, " .*>\x00") {
			t.Errorf("%q: %q", name, key)
		}
	}
	if got := keyOf("edge-1"); got != "edge-1" {
		t.Error(fmt.Sprint(got))
	}
}
