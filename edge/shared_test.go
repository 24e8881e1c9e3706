package edge_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"restraint/edge"
	"restraint/edge/shared/sharedtest"
)

// link is one node's way to the documents that the nodes of a test share.
type link struct{ *sharedtest.Link }

func newLink(s *sharedtest.Store) *link { return &link{s.Link()} }

func (l *link) options(o *edge.Options) { o.Shared = l }

// beforePolicy has f called before each Put of the policy that comes through; nil: no more.
func (l *link) beforePolicy(f func()) {
	l.Before(func(name string) {
		if name == "policy" && f != nil {
			f()
		}
	})
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
