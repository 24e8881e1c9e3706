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

// Lists hold on all nodes while these go over to another epoch one after the other; then
// no file of a node or of the cluster has a key in clear, both uploads are there to roll
// back to, and a node that joins takes them.
func TestListsThroughEpochs(t *testing.T) {
	secrets, s, all := epochSecrets(t, 4), newStore(), newLists()
	var nodes []*node
	var dirs []string
	start := func(i int) *node {
		l := &link{store: s}
		dirs = append(dirs, t.TempDir())
		n := startNode(t, dirs[i], testPolicy, func(o *edge.Options) {
			o.Name, o.Secret = fmt.Sprint("node ", i), secrets[i]
			o.Shared, o.Lists = l, &listLink{lists: all, link: l}
		})
		nodes = append(nodes, n)
		return n
	}
	for i := range 3 {
		start(i)
	}
	const asked = "u1 u2 u3 u4 u5 u6"
	nodes[0].must(201, "PUT", customers+"?id=user.id", "text/plain", "u1\nu2\n", nil)
	members(t, "u1 u2", asked, nodes...)
	nodes[1].must(200, "PUT", customers+"?id=user.id", "text/plain", "u3\nu4\n", nil)
	nodes[2].must(200, "POST", customers+"/add?id=user.id", "text/plain", "u5\n", nil)
	members(t, "u3 u4 u5", asked, nodes...)
	for i := range 3 {
		goOver(t, secrets[i])
		nodes[i].must(200, "POST", customers+"/add?id=user.id", "text/plain", "u6\n", nil)
		members(t, "u3 u4 u5 u6", asked, nodes...)
		nodes[(i+1)%3].must(200, "POST", customers+"/remove?id=user.id", "text/plain", "u6\n", nil)
		members(t, "u3 u4 u5", asked, nodes...)
	}
	var keys [][16]byte
	for _, user := range strings.Fields(asked) {
		keys = append(keys, identity.NewHasher(secrets[0]).Key("user.id", []byte(user)))
	}
	clear := func(b []byte) bool {
		for _, key := range keys {
			if bytes.Contains(b, key[:8]) || bytes.Contains(b, key[8:]) {
				return true
			}
		}
		return false
	}
	newest := secrets[0].Epochs().Newest().Fingerprint
	eventually(t, "the cluster's uploads are sealed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		document := string(s.kept["list.customers"].document)
		return strings.Count(document, newest) == 2 && !strings.Contains(document, secrets[0].Fingerprint())
	})
	for i, dir := range dirs {
		eventually(t, "the files of the node are sealed", func() bool {
			files, err := filepath.Glob(filepath.Join(dir, "suppress", "lists", "customers", "*"))
			for _, f := range files {
				if b, err := os.ReadFile(f); err == nil && clear(b) { // or replaced meanwhile
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
		nodes[i].must(200, "GET", "/v1/status", "", "", &status)
		if status.Secret.Active != 1 || status.Secret.Newest != 1 || len(status.Secret.Epochs) != 2 {
			t.Errorf("node %d: %+v", i, status.Secret)
		}
		for _, l := range status.Lists {
			if l.List == "customers" && (l.Epoch != newest || l.EarlierEpoch) {
				t.Errorf("node %d: %+v", i, l)
			}
		}
	}
	goOver(t, secrets[3])
	joiner := start(3)
	eventually(t, "the joiner is ready", func() bool { status, _ := joiner.do("GET", "/readyz", "", ""); return status == 200 })
	members(t, "u3 u4 u5", asked, nodes...)
	// Of the files that the cluster keeps, those in use are sealed; the ones before are swept within the hour.
	all.mu.Lock()
	sealed := 0
	for _, b := range all.files {
		if !clear(b) {
			sealed++
		}
	}
	all.mu.Unlock()
	if sealed < 2 {
		t.Errorf("%d sealed files", sealed)
	}
	joiner.must(200, "POST", customers+"/rollback", "", "", nil)
	members(t, "u1 u2 u5", asked, nodes...)
	for i, n := range nodes {
		if ready, detail := n.condition("lists"); !ready || detail != "" {
			t.Errorf("node %d: %v %q", i, ready, detail)
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
