package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const day = 86400

// plain maps a log of the columns t,u,c,i,k.
var plain = Columns{
	Time: "t", TimeFormat: "unix", User: []string{"u"}, Campaign: "c", Item: []string{"i"},
	Kind: "k", Impressions: []string{"view"}, Clicks: []string{"click"}, Purchases: []string{"buy"}, Returns: []string{"back"},
}

func options(f *fakeNode, log string) ReplayOptions {
	return ReplayOptions{Addr: f.addr(), Log: strings.NewReader(log), Columns: plain, Advertiser: "acme", Workers: 2, Window: 4}
}

func mustReplay(t *testing.T, o ReplayOptions) Summary {
	t.Helper()
	s, err := Replay(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReplayCountsWhatIsSpared(t *testing.T) {
	f := newFakeNode(t)
	var text bytes.Buffer
	o := options(f, `t,u,c,i,k
1000,ann,a,x,view
1001,ann,a,x,view
1002,bob,a,x,view
1003,ann,a,x,view
1004,ann,a,y,view
1005,ann,a,x,click
1006,bob,a,x,buy
1007,bob,a,x,view
1008,bob,a,y,view
1009,bob,a,x,back
1010,bob,a,x,view
88000,ann,a,y,view
1011,bob,a,x,cart
`)
	o.Summary = &text
	o.Check = []ExpectedCap{{Per: "campaign", Limit: 3, Within: 24 * time.Hour}}
	s := mustReplay(t, o)
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"impressions", s.Impressions, 9},
		{"shown", s.Shown, 7},
		{"spared", s.Spared, 2},
		{"users", s.Users, 2},
		{"users at a cap", s.UsersAtCap, 1},
		{"events", s.Events, 13},
		{"replayed", s.Replayed, 13},
		{"after purchase", s.AfterPurchase.Item, Avoided{InLog: 1, Avoided: 1}},
		{"most before", s.MostBefore, 5},
		{"most after", s.MostAfter, 4},
		{"over-delivered", s.Recount.OverDelivered, 0},
		{"unexplained", s.Recount.Unexplained, 0},
		{"partial", s.Partial, ""},
		{"events at the node", f.events, 9},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
	if got := s.Exposures[3]; got != (Bucket{From: 3, To: 5, Before: 2, After: 2}) {
		t.Errorf("bucket 3-5: %+v", got)
	}
	for _, want := range []string{"Replay of replay", "cap ", "purchased ", "of an item", "most exposed user: 5 in the log, 4 under the policy", "click ", "other "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("summary lacks %q:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "ann") || strings.Contains(text.String(), "PARTIAL") {
		t.Errorf("summary names a user, or calls itself partial:\n%s", text.String())
	}
	j, err := json.Marshal(s)
	if err != nil || !strings.Contains(string(j), `"spared":2`) {
		t.Errorf("JSON %s: %v", j, err)
	}
}

func TestReplaySortsRowsOfTheFile(t *testing.T) {
	f := newFakeNode(t)
	o := options(f, "t,u,c,i,k\n3000,ann,a,z,view\n1000,ann,a,x,view\n2000,ann,a,y,view\n1000,ann,a,w,view\n")
	o.Workers = 1
	mustReplay(t, o)
	var items []string
	for _, d := range f.decisions {
		items = append(items, d.Candidates[0].Item)
	}
	if got := strings.Join(items, ""); got != "xwyz" {
		t.Errorf("order of items: %s, want xwyz", got)
	}
}

func TestReplaySendsWhatItWasTold(t *testing.T) {
	f := newFakeNode(t)
	o := options(f, "t,u,c,i,k\n1000,\"a \"\"q\"\" \\ b\",a,é,view\n")
	o.Source, o.Country, o.Run = "user.id", "DEU", "second"
	mustReplay(t, o)
	d := f.decisions[0]
	if d.User.ID != `second:a "q" \ b` || d.Device.Geo.Country != "DEU" || d.Candidates[0].Item != "é" || d.At != 1000 {
		t.Errorf("sent %+v", d)
	}
	o = options(f, "t,u,c,i,k\n1000,x,a,y,view\n")
	mustReplay(t, o)
	if d := f.decisions[1]; d.User.EIDs[0].Source != "restraint.replay" || d.User.EIDs[0].UIDs[0].ID != "x" {
		t.Errorf("sent %+v", d.User)
	}
}

func TestRecountFindsOverDelivery(t *testing.T) {
	f := newFakeNode(t)
	f.leaky = true
	o := options(f, "t,u,c,i,k\n1,u,a,x,view\n2,u,a,x,view\n3,u,a,x,view\n4,u,a,x,view\n5,u,a,x,view\n")
	o.Check = []ExpectedCap{{Per: "campaign", Limit: 3, Within: 24 * time.Hour}}
	if s := mustReplay(t, o); s.Recount.OverDelivered != 2 || len(s.Recount.Sample) != 2 {
		t.Errorf("recount %+v, want 2 over-delivered", s.Recount)
	}
}

func TestReplayRefusesNodesThatCannot(t *testing.T) {
	log := "t,u,c,i,k\n1,u,a,x,view\n"
	for name, c := range map[string]struct {
		change func(*fakeNode)
		want   error
	}{
		"wall clock": {func(f *fakeNode) { f.clock = "wall" }, ErrClock},
		"not ready":  {func(f *fakeNode) { f.ready = http.StatusServiceUnavailable }, ErrNotReady},
		"bid listener": {func(f *fakeNode) {
			f.fail = func(p string) int {
				if p == "/v1/status" {
					return http.StatusNotFound
				}
				return 0
			}
		}, ErrNode},
		"no key": {func(f *fakeNode) {
			f.fail = func(p string) int {
				if p == "/v1/decide" {
					return http.StatusUnauthorized
				}
				return 0
			}
		}, ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeNode(t)
			c.change(f)
			if _, err := Replay(t.Context(), options(f, log)); !errors.Is(err, c.want) || f.events > 0 {
				t.Errorf("got %v and %d events, want %v", err, f.events, c.want)
			}
		})
	}
	f := newFakeNode(t)
	o := options(f, log)
	f.server.Close()
	if _, err := Replay(t.Context(), o); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "--clock=request") {
		t.Errorf("node away: %v", err)
	}
}

func TestReplayWaitsForABusyNode(t *testing.T) {
	f := newFakeNode(t)
	busy := 3
	f.fail = func(p string) int {
		if strings.HasPrefix(p, "/v1/events") && busy > 0 {
			busy--
			return http.StatusServiceUnavailable
		}
		return 0
	}
	if s := mustReplay(t, options(f, "t,u,c,i,k\n1,u,a,x,view\n")); s.Shown != 1 || f.events != 1 {
		t.Errorf("shown %d, events %d", s.Shown, f.events)
	}
}

func TestReplayCountsRowsTheNodeRefuses(t *testing.T) {
	f := newFakeNode(t)
	f.reject = func(line string) string {
		if strings.Contains(line, `"item":"y"`) {
			return "item: not today"
		}
		return ""
	}
	s := mustReplay(t, options(f, "t,u,c,i,k\n1,u,a,x,view\n2,u,a,y,view\n"))
	if s.Refused.Rows != 1 || s.Refused.Sample[0].Line != 3 || !strings.Contains(s.Refused.Sample[0].Detail, "not today") {
		t.Errorf("refused %+v", s.Refused)
	}
}

func TestReplayEndsWithAPartialSummary(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFakeNode(t)
	var log strings.Builder
	log.WriteString("t,u,c,i,k\n")
	for range 100 {
		log.WriteString("1,u,a,x,view\n2,v,a,x,view\n")
	}
	f.fail = func(string) int {
		if f.decided == 21 {
			cancel()
		}
		return 0
	}
	var text bytes.Buffer
	o := options(f, log.String())
	o.Summary = &text
	s, err := Replay(ctx, o)
	if !errors.Is(err, context.Canceled) || s.Partial == "" || s.Replayed < 20 || s.Replayed >= 200 || s.Events != 200 {
		t.Errorf("%v, replayed %d of %d, partial %q", err, s.Replayed, s.Events, s.Partial)
	}
	if s.Shown != f.events {
		t.Errorf("%d shown, %d events at the node", s.Shown, f.events)
	}
	if strings.Count(text.String(), "PARTIAL") != 2 {
		t.Errorf("summary does not say that it is partial:\n%s", text.String())
	}
}

func TestReplayOverAUnixSocket(t *testing.T) {
	f := newFakeNode(t)
	folder, err := os.MkdirTemp("", "replay") // t.TempDir may be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	path := filepath.Join(folder, "node.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: f}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
	o := options(f, "t,u,c,i,k\n1,u,a,x,view\n")
	o.Addr = "unix:" + path
	if s := mustReplay(t, o); s.Shown != 1 {
		t.Errorf("shown %d", s.Shown)
	}
}

func TestOptionsNameEveryFault(t *testing.T) {
	_, err := Replay(t.Context(), ReplayOptions{Addr: "x:1"})
	for _, want := range []string{"--time-column", "--user-column", "--campaign-column", "no log"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	if _, err := Replay(t.Context(), ReplayOptions{Preset: "nope"}); err == nil || !strings.Contains(err.Error(), "open-bandit") {
		t.Errorf("unknown preset: %v", err)
	}
}
