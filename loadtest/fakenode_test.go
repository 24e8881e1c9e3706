package loadtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeNode is a node with two rules: 3 showings of a campaign in any 24 hours,
// and none of an item or category that was bought.
type fakeNode struct {
	t      *testing.T
	server *httptest.Server

	clock string
	ready int
	leaky bool // forgets the cap

	mu        sync.Mutex
	shown     map[string][]int64 // user, campaign
	bought    map[string]bool    // user, item or category
	newest    map[string]int64   // user
	ids       map[string]bool
	decided   int
	events    int
	fail      func(path string) int // a status instead of an answer, 0: none
	reject    func(line string) string
	decisions []wireDecide
}

type wireUser struct {
	ID   string
	EIDs []struct {
		Source string
		UIDs   []struct{ ID string }
	}
}

func (u wireUser) key() string {
	if u.ID != "" {
		return "user.id:" + u.ID
	}
	return u.EIDs[0].Source + ":" + u.EIDs[0].UIDs[0].ID
}

type wireCandidate struct{ Campaign, Creative, Item, Category string }

type wireDecide struct {
	At         int64
	User       wireUser
	Device     struct{ Geo struct{ Country string } }
	Candidates []wireCandidate
	Want       int
	Hold       *bool
	Token      *bool
}

type wireEvent struct {
	Type, ID   string
	At         int64
	User       wireUser
	Advertiser string
	wireCandidate
}

func newFakeNode(t *testing.T) *fakeNode {
	f := &fakeNode{
		t: t, clock: "request", ready: http.StatusOK,
		shown: map[string][]int64{}, bought: map[string]bool{}, newest: map[string]int64{}, ids: map[string]bool{},
	}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeNode) addr() string { return strings.TrimPrefix(f.server.URL, "http://") }

func (f *fakeNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Errorf("read body: %v", err)
	}
	if f.fail != nil {
		if status := f.fail(r.URL.Path); status != 0 {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"title":"No","detail":"made to fail"}`)
			return
		}
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /readyz":
		w.WriteHeader(f.ready)
	case "GET /v1/status":
		fmt.Fprintf(w, `{"clock":%q}`, f.clock)
	case "POST /v1/decide":
		f.decide(w, body)
	case "POST /v1/events":
		w.WriteHeader(http.StatusAccepted)
		f.report(w, body)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// inOrder checks what a replay promises of each user.
func (f *fakeNode) inOrder(user string, at int64) {
	if at < f.newest[user] {
		f.t.Errorf("user %q: %d after %d", user, at, f.newest[user])
	}
	f.newest[user] = at
}

func (f *fakeNode) decide(w io.Writer, body []byte) {
	var d wireDecide
	if err := json.Unmarshal(body, &d); err != nil || len(d.Candidates) != 1 || d.Want != 1 || d.Hold == nil || *d.Hold || d.Token == nil || *d.Token {
		f.t.Errorf("decide request %s: %v", body, err)
	}
	f.decided++
	f.decisions = append(f.decisions, d)
	c, user := d.Candidates[0], d.User.key()
	f.inOrder(user, d.At)
	inside := 0
	for _, at := range f.shown[user+"\x00"+c.Campaign] {
		if d.At-at <= 86400 {
			inside++
		}
	}
	reason := ""
	switch {
	case f.bought[user+"\x00i"+c.Item] || f.bought[user+"\x00c"+c.Category]:
		reason = "purchased"
	case inside >= 3 && !f.leaky:
		reason = "cap"
	}
	answer := map[string]any{"campaign": c.Campaign, "show": reason == ""}
	if reason != "" {
		answer["reason"] = reason
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"policy": 1, "decisions": []any{answer}})
}

func (f *fakeNode) report(w io.Writer, body []byte) {
	answer := accepted{}
	lines := slices.Collect(bytes.Lines(body))
	if len(lines) > 10000 {
		f.t.Errorf("%d lines in a batch", len(lines))
	}
	for i, line := range lines {
		var e wireEvent
		if err := json.Unmarshal(line, &e); err != nil {
			f.t.Errorf("event %q: %v", line, err)
		}
		if f.reject != nil {
			if detail := f.reject(string(line)); detail != "" {
				answer.Rejected = append(answer.Rejected, struct {
					Line   int    `json:"line"`
					Detail string `json:"detail"`
				}{i + 1, detail})
				continue
			}
		}
		if f.ids[e.ID] {
			f.t.Errorf("identity %q twice", e.ID)
		}
		f.ids[e.ID] = true
		f.events++
		answer.Accepted++
		f.apply(e)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *fakeNode) apply(e wireEvent) {
	user := e.User.key()
	f.inOrder(user, e.At)
	switch e.Type {
	case "impression":
		f.shown[user+"\x00"+e.Campaign] = append(f.shown[user+"\x00"+e.Campaign], e.At)
	case "purchase", "return":
		if e.Advertiser == "" {
			f.t.Errorf("event without an advertiser: %+v", e)
		}
		if e.Item != "" {
			f.bought[user+"\x00i"+e.Item] = e.Type == "purchase"
		}
		if e.Category != "" {
			f.bought[user+"\x00c"+e.Category] = e.Type == "purchase"
		}
	default:
		f.t.Errorf("event type %q", e.Type)
	}
}
