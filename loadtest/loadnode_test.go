package loadtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// loadNode is a node for load tests: one rule, 2 showings of a campaign in 24 hours.
type loadNode struct {
	t      *testing.T
	server *httptest.Server
	policy string

	leaky  bool               // lets every fifth showing through although the cap is full
	stingy bool               // skips every fifth for a cap that is not
	reason string             // of every verdict, when not ""
	fail   func(n int) int    // status of the n-th decide request, 0: as it should be
	before func(n int)        // what happens before the n-th is answered
	answer func(n int) string // in place of an answer
	closes func(n int) bool   // the connection after the n-th

	stale atomic.Bool // answers one event with 408, as to a connection that was silent

	mu       sync.Mutex
	decides  int
	judged   int
	shown    map[string]int
	events   map[string]int // by type
	accepted map[string]bool
	tokens   int
	auth     map[string]bool
}

const loadNodePolicy = `
campaigns:
  a: {advertiser: x, caps: [{per: campaign, limit: 2, within: 24h}]}
  b: {advertiser: x, caps: [{per: campaign, limit: 2, within: 24h}]}
`

func newLoadNode(t *testing.T) *loadNode {
	f := &loadNode{
		t: t, policy: loadNodePolicy, shown: map[string]int{}, events: map[string]int{}, accepted: map[string]bool{}, auth: map[string]bool{},
	}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

func (f *loadNode) addr() string { return strings.TrimPrefix(f.server.URL, "http://") }

func (f *loadNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the generator gave up
	}
	f.mu.Lock()
	f.auth[r.Header.Get("Authorization")] = true
	f.mu.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "GET /readyz":
	case "GET /v1/policy":
		w.Header().Set("ETag", `"7"`)
		_, _ = io.WriteString(w, f.policy)
	case "GET /metrics":
		f.mu.Lock()
		n := f.decides
		f.mu.Unlock()
		_, _ = io.WriteString(w, metricsText([4]int{n, 0, 0, 0}, float64(n)*5e-6, 1))
	case "POST /v1/decide":
		f.decide(w, body)
	case "POST /v1/events":
		f.event(w, body)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (f *loadNode) decide(w http.ResponseWriter, body []byte) {
	f.mu.Lock()
	f.decides++
	n := f.decides
	f.mu.Unlock()
	if f.before != nil {
		f.before(n)
	}
	if f.closes != nil && f.closes(n) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			c.Close()
		}
		return
	}
	if f.fail != nil && f.fail(n) != 0 {
		w.WriteHeader(f.fail(n))
		return
	}
	if f.answer != nil {
		_, _ = io.WriteString(w, f.answer(n))
		return
	}
	_, _ = io.WriteString(w, f.verdicts(body))
}

func (f *loadNode) verdicts(body []byte) string {
	var d wireDecide
	if err := json.Unmarshal(body, &d); err != nil || len(d.Candidates) == 0 || d.User.EIDs[0].Source != LoadSource {
		f.t.Errorf("decide request %s: %v", body, err)
		return ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	beside := map[string]int{}
	for _, c := range d.Candidates {
		f.judged++
		n := f.shown[d.User.key()+"\x00"+c.Campaign] + beside[c.Campaign]
		show := n < 2
		switch {
		case show && f.stingy && f.judged%5 == 0:
			show = false
		case !show && f.leaky && f.judged%5 == 0:
			show = true
		}
		switch {
		case f.reason != "":
			out = append(out, fmt.Sprintf(`{"campaign":%q,"show":false,"reason":%q}`, c.Campaign, f.reason))
		case show:
			out = append(out, fmt.Sprintf(`{"campaign":%q,"show":true}`, c.Campaign))
			if d.Want > 0 {
				beside[c.Campaign]++
			}
		default:
			out = append(out, fmt.Sprintf(`{"campaign":%q,"show":false,"reason":"cap"}`, c.Campaign))
		}
	}
	token := ""
	if d.Token != nil && *d.Token {
		f.tokens++
		token = `"token":"` + strings.ReplaceAll(d.User.key(), `"`, "") + `",`
	}
	return `{"policy":7,` + token + `"decisions":[` + strings.Join(out, ",") + "]}\n"
}

func (f *loadNode) event(w http.ResponseWriter, body []byte) {
	if f.stale.Swap(false) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestTimeout)
		return
	}
	var e struct {
		wireEvent
		Token string
		Why   string
	}
	if err := json.Unmarshal(body, &e); err != nil {
		f.t.Errorf("event %s: %v", body, err)
	}
	f.mu.Lock()
	f.events[e.Type]++
	who := e.Token
	if who == "" {
		who = e.User.key()
		if f.accepted[e.ID] || e.ID == "" {
			f.t.Errorf("identity %q twice", e.ID)
		}
		f.accepted[e.ID] = true
	}
	if e.Type == "impression" {
		f.shown[who+"\x00"+e.Campaign]++
	}
	if e.Type == "purchase" && e.Advertiser != "x" || e.Type == "hide" && e.Why == "" || e.Type != "purchase" && e.Campaign == "" {
		f.t.Errorf("event %s", body)
	}
	f.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"accepted":1,"rejected":[]}`)
}

// loadOptions are small and quick: a second of 300 requests.
func (f *loadNode) options() LoadOptions {
	return LoadOptions{
		Config: LoadConfig{
			Addr: f.addr(), Schedule: ShapeConstant, Arrivals: ArrivalsEven, Rate: 500, DurationSeconds: 0.6, TimeoutSeconds: 10,
			Connections: 16, Mix: []Weight{{"decide", 50}, {"impression", 50}}, Seed: 1, Users: 40, Zipf: 1, Identifiers: 2,
			Candidates: 4, CreativePercent: 100, ItemPercent: 50, CategoryPercent: 50, ConsentStrings: 10,
		},
		Admin: f.addr(),
	}
}

func mustLoad(t *testing.T, o LoadOptions) *Report {
	t.Helper()
	r, err := Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	mustFitSchema(t, text)
	return r
}

// onUnix serves the node on a unix socket, too.
func (f *loadNode) onUnix(path string) {
	l, err := net.Listen("unix", path)
	if err != nil {
		f.t.Fatal(err)
	}
	s := &http.Server{Handler: f, ReadHeaderTimeout: time.Minute}
	go s.Serve(l)
	f.t.Cleanup(func() { s.Close() })
}
