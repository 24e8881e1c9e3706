package edge_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restraint/edge"
	"restraint/edge/identity"
	"restraint/edge/shared/sharedtest"
)

// epochSecrets are the secret of so many nodes, each read for itself from one file with one
// epoch after the first, in which nobody writes yet.
func epochSecrets(t *testing.T, n int) (all []identity.Secret) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, bytes.Repeat([]byte{7}, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.Rotate(path, time.Unix(1_790_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	for range n {
		s, err := identity.ReadSecret(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func goOver(t *testing.T, s identity.Secret) {
	t.Helper()
	if err := s.Epochs().Activate(s.Epochs().Newest().Fingerprint); err != nil {
		t.Fatal(err)
	}
}

// epochLists are nodes that share lists, each with the secret as it read it.
type epochLists struct {
	t       *testing.T
	secrets []identity.Secret
	store   *sharedtest.Store
	lists   *lists
	dirs    []string
	nodes   []*node
	keys    [][16]byte // of asked
}

const epochAsked = "u1 u2 u3 u4 u5 u6"

func (c *epochLists) start() *node {
	l, i := newLink(c.store), len(c.nodes)
	c.dirs = append(c.dirs, c.t.TempDir())
	n := startNode(c.t, c.dirs[i], testPolicy, func(o *edge.Options) {
		o.Name, o.Secret = fmt.Sprint("node ", i), c.secrets[i]
		o.Shared, o.Lists = l, &listLink{lists: c.lists, link: l}
	})
	c.nodes = append(c.nodes, n)
	return n
}

// clear says whether a key stands in b, or a half of one.
func (c *epochLists) clear(b []byte) bool {
	for _, key := range c.keys {
		if bytes.Contains(b, key[:8]) || bytes.Contains(b, key[8:]) {
			return true
		}
	}
	return false
}

// Lists hold on all nodes while these go over to another epoch one after the other; then
// no file of a node or of the cluster has a key in clear, both uploads are there to roll
// back to, and a node that joins takes them.
func TestListsThroughEpochs(t *testing.T) {
	c := &epochLists{t: t, secrets: epochSecrets(t, 4), store: sharedtest.New(), lists: newLists()}
	for _, user := range strings.Fields(epochAsked) {
		c.keys = append(c.keys, identity.NewHasher(c.secrets[0]).Key("user.id", []byte(user)))
	}
	for range 3 {
		c.start()
	}
	put := func(i, status int, path, body string) {
		t.Helper()
		method := "POST"
		if path == "" {
			method = "PUT"
		}
		c.nodes[i].must(status, method, customers+path+"?id=user.id", "text/plain", body, nil)
	}
	put(0, 201, "", "u1\nu2\n")
	members(t, "u1 u2", epochAsked, c.nodes...)
	put(1, 200, "", "u3\nu4\n")
	put(2, 200, "/add", "u5\n")
	members(t, "u3 u4 u5", epochAsked, c.nodes...)
	for i := range 3 {
		goOver(t, c.secrets[i])
		put(i, 200, "/add", "u6\n")
		members(t, "u3 u4 u5 u6", epochAsked, c.nodes...)
		put((i+1)%3, 200, "/remove", "u6\n")
		members(t, "u3 u4 u5", epochAsked, c.nodes...)
	}
	c.sealed()
	goOver(t, c.secrets[3])
	joiner := c.start()
	eventually(t, "the joiner is ready", func() bool { status, _ := joiner.do("GET", "/readyz", "", ""); return status == 200 })
	members(t, "u3 u4 u5", epochAsked, c.nodes...)
	joiner.must(200, "POST", customers+"/rollback", "", "", nil)
	members(t, "u1 u2 u5", epochAsked, c.nodes...)
	for i, n := range c.nodes {
		if ready, detail := n.condition("lists"); !ready || detail != "" {
			t.Errorf("node %d: %v %q", i, ready, detail)
		}
	}
}

// sealed waits until the cluster's uploads and the files of each node are, and the nodes say so.
func (c *epochLists) sealed() {
	t := c.t
	t.Helper()
	newest := c.secrets[0].Epochs().Newest().Fingerprint
	eventually(t, "the cluster's uploads are sealed", func() bool {
		document := string(c.store.Get("list.customers").Content)
		return strings.Count(document, newest) == 2 && !strings.Contains(document, c.secrets[0].Fingerprint())
	})
	c.lists.mu.Lock()
	files := 0
	for _, b := range c.lists.files { // those of before are swept within the hour
		if !c.clear(b) {
			files++
		}
	}
	c.lists.mu.Unlock()
	if files < 2 {
		t.Errorf("%d sealed files in the cluster", files)
	}
	for i, dir := range c.dirs {
		eventually(t, "the files of the node are sealed", func() bool {
			files, err := filepath.Glob(filepath.Join(dir, "suppress", "lists", "customers", "*"))
			for _, f := range files {
				if b, err := os.ReadFile(f); err == nil && c.clear(b) { // or replaced meanwhile
					return false
				}
			}
			return err == nil && len(files) > 2
		})
		var status struct {
			Secret struct {
				Active, Newest int
				Epochs         []identity.Epoch
			}
			Lists []struct {
				List, Epoch  string
				EarlierEpoch bool `json:"earlier_epoch"`
			}
		}
		eventually(t, "the node says so", func() bool {
			status.Lists = nil
			c.nodes[i].must(200, "GET", "/v1/status", "", "", &status)
			for _, l := range status.Lists {
				if l.List == "customers" {
					return l.Epoch == newest && !l.EarlierEpoch
				}
			}
			return false
		})
		if status.Secret.Active != 1 || status.Secret.Newest != 1 || len(status.Secret.Epochs) != 2 {
			t.Errorf("node %d: %+v", i, status.Secret)
		}
	}
}

// A node that goes over decides, counts and erases as before: a token and a receipt of
// before are good, and so are new ones, which say nothing to who has the first secret alone.
func TestTokensThroughEpochs(t *testing.T) {
	secrets := epochSecrets(t, 2)
	n := startNode(t, "", testPolicy, func(o *edge.Options) { o.Secret = secrets[0] })
	old := identity.NewTokens(secrets[1]) // in epoch 0, as of a node that has not gone over yet
	ask := func() string {
		var a struct{ Token string }
		n.must(200, "POST", "/v1/decide", "application/json", `{"user":{"id":"u1"},"want":1,"token":true,"candidates":[{"campaign":"welcome"}]}`, &a)
		return a.Token
	}
	before := ask()
	erase := func() (receipt string) {
		var a struct{ Receipt string }
		n.must(200, "POST", "/v1/users/erase", "application/json", `{"user":{"id":"u2"}}`, &a)
		return a.Receipt
	}
	receipt := erase()
	goOver(t, secrets[0])
	after := ask()
	var g identity.Grant
	now := uint32(time.Now().Unix())
	if err := old.Open(&g, []byte(before), now); err != nil {
		t.Errorf("a token of before: %v", err)
	}
	root, err := identity.ParseSecret(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.NewTokens(root).Open(&g, []byte(after), now); err == nil {
		t.Error("a token of the epoch opens with the first secret")
	}
	for _, token := range []string{before, after} {
		n.must(204, "GET", "/v1/impression?t="+token+"&campaign=welcome", "", "", nil)
	}
	for _, r := range []string{receipt, erase()} {
		n.must(200, "GET", "/v1/users/erasures/"+r, "", "", nil)
	}
}
