package edge_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"restraint/edge"
)

// store is what the nodes of a test share, in memory.
type store struct {
	mu      sync.Mutex
	last    uint64 // revision
	kept    map[string]sharedDocument
	changed chan struct{} // closed at each change
}

type sharedDocument struct {
	document []byte
	revision uint64
}

func newStore() *store {
	return &store{kept: map[string]sharedDocument{}, changed: make(chan struct{})}
}

// change changes the store behind the nodes' backs.
func (s *store) change(f func(s *store)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *store) get(name string) sharedDocument {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[name]
}

// put writes a document as a stranger could.
func (s *store) put(document []byte) {
	s.change(func(s *store) {
		s.last++
		s.kept["policy"] = sharedDocument{document, s.last}
	})
}

// link is one node's way to the store, which can be cut.
type link struct {
	*store
	away   atomic.Bool
	before func() // called before each Put of the policy that is not away
	losing atomic.Pointer[string]
}

// lose makes Put lose documents whose names begin with prefix, until the end is called.
func (l *link) lose(prefix string) (end func()) {
	l.losing.Store(&prefix)
	return func() { l.losing.Store(nil) }
}

func (l *link) options(o *edge.Options) { o.Shared = l }

func (l *link) cut(away bool) {
	l.away.Store(away)
	l.change(func(*store) {})
}

func (l *link) Put(_ context.Context, name string, document []byte, revision uint64) (uint64, error) {
	if losing := l.losing.Load(); l.away.Load() || losing != nil && strings.HasPrefix(name, *losing) {
		return 0, errors.Join(edge.ErrAway, errors.New("no servers"))
	}
	if name == "policy" && l.before != nil {
		l.before()
	}
	conflict := false
	var next uint64
	l.change(func(s *store) {
		if conflict = s.kept[name].revision != revision; !conflict {
			s.last++
			next = s.last
			s.kept[name] = sharedDocument{bytes.Clone(document), next}
		}
	})
	if conflict {
		return 0, edge.ErrConflict
	}
	return next, nil
}

func (l *link) List(_ context.Context, prefix string, each func(string, []byte, uint64)) error {
	if l.away.Load() {
		return errors.Join(edge.ErrAway, errors.New("no servers"))
	}
	l.mu.Lock()
	now := maps.Clone(l.kept)
	l.mu.Unlock()
	for name, d := range now {
		if strings.HasPrefix(name, prefix) {
			each(name, d.document, d.revision)
		}
	}
	return nil
}

func (l *link) Follow(ctx context.Context, prefix string, changed func(string, []byte, uint64)) {
	told := map[string]sharedDocument{}
	for ctx.Err() == nil {
		l.mu.Lock()
		now, wake := maps.Clone(l.kept), l.changed
		l.mu.Unlock()
		if !l.away.Load() {
			for name := range told {
				if _, ok := now[name]; !ok {
					delete(told, name)
					changed(name, nil, 0)
				}
			}
			names := slices.SortedFunc(maps.Keys(now), func(a, b string) int { return int(now[a].revision) - int(now[b].revision) })
			for _, name := range names {
				if d := now[name]; strings.HasPrefix(name, prefix) && (told[name].revision != d.revision || !bytes.Equal(told[name].document, d.document)) {
					told[name] = d
					changed(name, d.document, d.revision)
				}
			}
		}
		select {
		case <-wake:
		case <-ctx.Done():
		}
	}
}

// eventually asks until it is so, for at most a minute.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(time.Minute)
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("not so after a minute: %s", what)
		}
		<-ticker.C
	}
}

// limit is the test policy with another limit of the campaign shoes.
func limit(n string) string { return strings.Replace(testPolicy, "limit: 3", "limit: "+n, 1) }

// inForce waits until the version with the text is in force on the nodes.
func inForce(t *testing.T, version int, text string, nodes ...*node) {
	t.Helper()
	for i, n := range nodes {
		var a answer
		eventually(t, "the policy on node "+string(rune('a'+i)), func() bool {
			a = answer{}
			status, body := n.do("POST", "/v1/decide", "application/json", `{"user":{"id":"u-1"},"candidates":[{"campaign":"shoes"}]}`)
			return status == 200 && json.Unmarshal(body, &a) == nil && a.Policy >= version
		})
		if _, body := n.do("GET", "/v1/policy", "", ""); a.Policy != version || string(body) != text {
			t.Fatalf("node %c: version %d, want %d\n%s", 'a'+i, a.Policy, version, body)
		}
	}
}

// history is what a node says of its versions, newest first.
func (n *node) history() (versions []int) {
	n.t.Helper()
	var h struct {
		Versions []struct{ Version int }
	}
	n.must(200, "GET", "/v1/policy/history", "", "", &h)
	for _, v := range h.Versions {
		versions = append(versions, v.Version)
	}
	return versions
}

// condition is what a node says of a condition of its readiness.
func (n *node) condition(name string) (ready bool, detail string) {
	n.t.Helper()
	_, body := n.do("GET", "/readyz", "", "")
	var r struct {
		Conditions []struct {
			Name, Detail string
			Ready        bool
		}
	}
	if err := json.Unmarshal(body, &r); err != nil {
		n.t.Fatal(err)
	}
	for _, c := range r.Conditions {
		if c.Name == name {
			return c.Ready, c.Detail
		}
	}
	n.t.Fatalf("no condition %q: %s", name, body)
	return false, ""
}

// written is a policy document as a node writes it.
type written struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	From    string    `json:"from"`
	SHA256  string    `json:"sha256"`
	Text    string    `json:"text"`
}

// policyDocument is a document that holds the text under the number.
func policyDocument(version int, text string) written {
	sum := sha256.Sum256([]byte(text))
	return written{Version: version, At: time.Unix(1_790_000_000, 0).UTC(), From: "elsewhere", SHA256: hex.EncodeToString(sum[:]), Text: text}
}

func (w written) packed(t *testing.T) []byte {
	t.Helper()
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	return pack(t, text)
}

func pack(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// metric is the value of a metric without labels.
func (n *node) metric(name string) (value float64) {
	n.t.Helper()
	_, body := n.do("GET", "/metrics", "", "")
	for line := range strings.Lines(string(body)) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				n.t.Fatal(err)
			}
			return value
		}
	}
	n.t.Fatalf("no metric %s", name)
	return 0
}
