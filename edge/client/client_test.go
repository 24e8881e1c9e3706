package client_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restraint/edge"
	"restraint/edge/access"
	"restraint/edge/client"
)

// What a node decides is what the caller gets, over TCP and over a unix socket: verdicts,
// reasons, how long to wait, and names that JSON has to escape.
func TestDecide(t *testing.T) {
	socket := filepath.Join(shortDir(t), "node.sock")
	for _, listen := range []string{"127.0.0.1:0", "unix:" + socket} {
		n := startNode(t, listen, nil)
		c := newClient(t, nil, n.Addr())
		asked := &client.Request{
			ID: "r-\"\n1", User: client.User{ID: "u\\1"},
			Candidates: []client.Candidate{{Campaign: "shoes", Creative: "c-1", Item: "i-1"}, {Campaign: "nope"}, {Campaign: "quote\"d\\name"}},
		}
		a := decide(t, c, asked)
		if !a.ShowAt(0) || a.ShowAt(1) || !a.ShowAt(2) || a.ShowAt(3) || a.ShowAt(-1) || a.Decisions[1].Reason != "unknown_campaign" || a.Policy != 1 || a.Node != n.Addr() || a.Token != "" {
			t.Errorf("%s: %+v", listen, a)
		}
		seen := client.Event{Type: client.Impression, User: asked.User, Campaign: "quote\"d\\name"}
		taken, err := c.Report(t.Context(), seen, client.Event{Type: "clack"}, client.Event{Type: client.Hide, User: asked.User, Campaign: "shoes", Why: "creepy"})
		if err != nil || taken.Accepted != 2 || len(taken.Rejected) != 1 || taken.Rejected[0].Event != 1 || !strings.Contains(taken.Rejected[0].Detail, "type") {
			t.Errorf("%s: report: %+v %v", listen, taken, err)
		}
		a = decide(t, c, asked)
		if a.Decisions[0].Reason != "hidden" || a.Decisions[2].Reason != "cap" || a.Decisions[2].RetryAfter < 59*time.Minute || a.Decisions[2].RetryAfter > time.Hour+time.Second {
			t.Errorf("%s: %+v", listen, a)
		}
		c.Close()
		a, err = c.Decide(t.Context(), asked)
		fails(t, a, err, 3, false, client.Closed)
		if _, err := c.Report(t.Context(), seen); err == nil {
			t.Error("a closed client reports")
		}
	}
}

// Every field of a request arrives: each changes a verdict that without it is another.
func TestEveryFieldArrives(t *testing.T) {
	n := startNode(t, "127.0.0.1:0", nil)
	c := newClient(t, nil, n.Addr())
	offset := -60
	for name, x := range map[string]struct {
		campaign, reason string
		change           func(*client.Request)
	}{
		"nothing":  {"shoes", "", func(*client.Request) {}},
		"coppa":    {"glanced", "child", func(r *client.Request) { r.Regs.COPPA = client.Yes }},
		"no coppa": {"shoes", "", func(r *client.Request) { r.Regs.COPPA = client.No }},
		"lmt":      {"glanced", "opted_out", func(r *client.Request) { r.Device.LMT = client.Yes }},
		"dnt":      {"glanced", "opted_out", func(r *client.Request) { r.Device.DNT = client.Yes }},
		"gpc":      {"glanced", "opted_out", func(r *client.Request) { r.Regs.GPC = client.Yes }},
		"privacy":  {"glanced", "opted_out", func(r *client.Request) { r.Regs.USPrivacy = "1YYN" }},
		"gpp":      {"glanced", "opted_out", func(r *client.Request) { r.Regs.GPP, r.Regs.GPPSections = "DBABTA~1YYN", []int{6} }},
		"country":  {"shoes", "no_consent", func(r *client.Request) { r.Device.Geo = client.Geo{Country: "DEU", Region: "BY", UTCOffset: &offset} }},
		"gdpr":     {"shoes", "no_consent", func(r *client.Request) { r.Regs.GDPR = client.Yes }},
		"site":     {"beside", "not_beside", func(r *client.Request) { r.Site = &client.Inventory{Cat: []string{"1", "386"}, CatTax: 7} }},
		"page":     {"beside", "not_beside", func(r *client.Request) { r.Site = &client.Inventory{PageCat: []string{"386"}, CatTax: 7} }},
		"section":  {"beside", "not_beside", func(r *client.Request) { r.Site = &client.Inventory{SectionCat: []string{"386"}, CatTax: 7} }},
		"content":  {"beside", "not_beside", func(r *client.Request) { r.App = &client.Inventory{ContentCat: []string{"386"}, ContentCatTax: 7} }},
		"channel":  {"mail", "cap", func(r *client.Request) { r.Channel = "email" }},
		"web":      {"mail", "", func(r *client.Request) { r.Site = &client.Inventory{} }},
		"nobody":   {"shoes", "no_id", func(r *client.Request) { r.User = client.User{} }},
		"buyer":    {"single", "cap", func(r *client.Request) { r.User = client.User{BuyerUID: "b-1"} }},
		"ifa":      {"single", "cap", func(r *client.Request) { r.User = client.User{}; r.Device.IFA = "6d92078a-8246-4ba4-ae5b-76104861e7dc" }},
		"eid": {"single", "cap", func(r *client.Request) {
			r.User = client.User{EIDs: []client.EID{{Source: "x.com", UIDs: []string{"0"}}, {Source: "uidapi.com", UIDs: []string{"a", "e-1"}}}}
		}},
		"no interest": {"glanced", "stale_interest", func(*client.Request) {}},
		"one glance":  {"glanced", "stale_interest", func(r *client.Request) { r.Candidates[0].InterestAt = time.Now().Add(-time.Hour) }},
		"too soon":    {"glanced", "too_soon", interested(time.Second, 3, "own")},
		"elsewhere":   {"glanced", "stale_interest", interested(time.Hour, 3, "there")},
		"interested":  {"glanced", "", interested(time.Hour, 3, "own")},
	} {
		r := &client.Request{User: client.User{ID: "u-" + name}, Candidates: one(x.campaign)}
		if name == "channel" || name == "web" {
			if _, err := c.Report(t.Context(), client.Event{Type: client.Impression, User: r.User, Campaign: "mail", Channel: "email"}); err != nil {
				t.Fatal(err)
			}
		}
		x.change(r)
		if x.campaign == "single" {
			if _, err := c.Report(t.Context(), client.Event{Type: client.Impression, ID: name, User: r.User, Device: r.Device, Campaign: "single", At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		if d := decide(t, c, r).Decisions[0]; d.Reason != x.reason {
			t.Errorf("%s: %+v, want %q", name, d, x.reason)
		}
	}
}

func interested(ago time.Duration, count int, from string) func(*client.Request) {
	return func(r *client.Request) {
		k := &r.Candidates[0]
		k.InterestAt, k.InterestCount, k.InterestFrom = time.Now().Add(-ago), count, from
	}
}

// With want the decisions end with the last that is shown; a hold keeps its place until it
// is released, and the token reports the showing.
func TestWantHoldRelease(t *testing.T) {
	n := startNode(t, "127.0.0.1:0", nil)
	c := newClient(t, nil, n.Addr())
	r := &client.Request{User: client.User{ID: "u"}, Candidates: append(one("single"), one("shoes")...), Want: 1, Hold: true}
	a := decide(t, c, r)
	if len(a.Decisions) != 1 || !a.ShowAt(0) || a.Token == "" {
		t.Fatalf("%+v", a)
	}
	b := decide(t, c, r)
	if len(b.Decisions) != 2 || b.Decisions[0].Reason != "cap" || !b.ShowAt(1) {
		t.Errorf("a place that is held is given again: %+v", b)
	}
	if err := c.Release(t.Context(), a.Token); err != nil {
		t.Fatal(err)
	}
	if a = decide(t, c, r); !a.ShowAt(0) {
		t.Errorf("a place given back stays taken: %+v", a)
	}
	shown := client.Event{Type: client.Impression, Token: a.Token, Campaign: "single"}
	if taken, err := c.Report(t.Context(), shown, shown); err != nil || taken.Accepted != 2 {
		t.Errorf("%+v %v", taken, err)
	}
	if err := c.Release(t.Context(), "no token"); err == nil {
		t.Error("a token that is none is released")
	}
}

// A bid request is forwarded as it came, and what is put at its end counts.
func TestDecideBid(t *testing.T) {
	n := startNode(t, "127.0.0.1:0", nil)
	c := newClient(t, nil, n.Addr())
	for name, bid := range map[string]string{
		"plain": `{"id":"br-1","at":1,"imp":[{"id":"1"}],"user":{"id":"u-1"}}`, "blanks": " \n{\"user\":{\"id\":\"u-1\"} }\n", "candidates of its own": `{"user":{"id":"u-1"},"candidates":[{"campaign":"nope"}],"brief":true,"want":3,"hold":true}`,
	} {
		a, err := c.DecideBid(t.Context(), []byte(bid), &client.Terms{Candidates: append(one("nope"), one("shoes")...), Channel: "web"})
		if err != nil || len(a.Decisions) != 2 || a.ShowAt(0) || !a.ShowAt(1) || a.Token != "" {
			t.Errorf("%s: %+v %v", name, a, err)
		}
		a, err = c.DecideBid(t.Context(), []byte(bid), &client.Terms{Candidates: append(one("nope"), one("shoes")...), Want: 1, Token: true})
		if err != nil || a.ShowAt(0) || !a.ShowAt(1) || a.Token == "" {
			t.Errorf("%s, with a token: %+v %v", name, a, err)
		}
	}
	for _, bid := range []string{"", "{", "[]", "{}x", "x{}", `{"user"}`} {
		a, err := c.DecideBid(t.Context(), []byte(bid), &client.Terms{Candidates: one("shoes")})
		fails(t, a, err, 1, false, client.BadRequest)
	}
	a, err := c.DecideBid(t.Context(), []byte("{}"), &client.Terms{Candidates: one("shoes")})
	if err != nil || a.Decisions[0].Reason != "no_id" {
		t.Errorf("an empty bid request: %+v %v", a, err)
	}
}

// Every real bid request can be forwarded.
func TestDecideRealBids(t *testing.T) {
	files, err := filepath.Glob("../../../shared/data/bidrequests/br-*.json")
	if err != nil || len(files) == 0 {
		t.Skipf("no bid requests beside the repository: %v", err)
	}
	n := startNode(t, "127.0.0.1:0", nil)
	c := newClient(t, nil, n.Addr())
	for _, file := range files {
		bid, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.DecideBid(t.Context(), bid, &client.Terms{Candidates: one("shoes")})
		if err != nil || len(a.Decisions) != 1 {
			t.Errorf("%s: %+v %v", file, a, err)
		}
	}
}

// The caller's own faults are told with their fields, and are skips whatever OnFailure is.
func TestCallersFaults(t *testing.T) {
	n := startNode(t, "127.0.0.1:0", nil)
	c := newClient(t, func(o *client.Options) { o.OnFailure = client.Show }, n.Addr())
	r := &client.Request{User: client.User{ID: "u"}, Candidates: []client.Candidate{{Campaign: "shoes"}, {}, {Campaign: "x\xff"}}}
	a, err := c.Decide(t.Context(), r)
	failed := fails(t, a, err, 3, false, client.BadRequest)
	if failed.Status != 400 || len(failed.Fields) == 0 || failed.Addr != n.Addr() || !strings.Contains(err.Error(), "bad_request") {
		t.Errorf("%+v", failed)
	}
	a, err = c.Decide(t.Context(), &client.Request{})
	fails(t, a, err, 0, false, client.BadRequest)
	a, err = c.Decide(t.Context(), &client.Request{Candidates: one("x"), Hold: true})
	fails(t, a, err, 1, false, client.BadRequest)
	a, err = c.Decide(t.Context(), &client.Request{Candidates: one(strings.Repeat("x", 300<<10))})
	if failed = fails(t, a, err, 1, false, client.BadRequest); failed.Addr != "" {
		t.Errorf("a request that no node takes is sent: %v", err)
	}
	taken, err := c.Report(t.Context(), client.Event{Type: "clack"})
	if err == nil || len(taken.Rejected) != 1 || taken.Rejected[0].Detail == "" {
		t.Errorf("one event that is wrong: %+v %v", taken, err)
	}
	for _, events := range [][]client.Event{nil, make([]client.Event, 10_001), {{Type: client.Click, ID: strings.Repeat("x", 9<<20)}}} {
		if taken, err := c.Report(t.Context(), events...); err == nil || taken.Accepted != 0 {
			t.Errorf("%d events: %+v %v", len(events), taken, err)
		}
	}
}

// Keys: a right one is let in; none, a wrong one and one without the role are faults of
// the caller; one over its rate is not.
func TestKeys(t *testing.T) {
	file, texts := access.New(), map[string]string{}
	for name, rate := range map[string]int{"bid": 0, "metrics": 0, "slow": 1} {
		role := name
		if name == "slow" {
			role = "bid"
		}
		roles, err := access.ParseRoles(role)
		if err != nil {
			t.Fatal(err)
		}
		made, text, err := access.Make(access.Key{Client: name, Roles: roles, Rate: rate}, time.Now())
		if err == nil {
			file, err = file.Add(made)
		}
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = text
	}
	n := startNode(t, "127.0.0.1:0", func(o *edge.Options) { o.Keys = access.NewGate(file) })
	r := &client.Request{User: client.User{ID: "u"}, Candidates: append(one("shoes"), one("nope")...)}
	for key, status := range map[string]int{"": 401, "rk_wrong": 401, texts["metrics"]: 403} {
		c := newClient(t, func(o *client.Options) { o.Key, o.OnFailure = key, client.Show }, n.Addr())
		a, err := c.Decide(t.Context(), r)
		if failed := fails(t, a, err, 2, false, client.Forbidden); failed.Status != status || failed.Detail == "" {
			t.Errorf("%+v, want %d", failed, status)
		}
	}
	c := newClient(t, func(o *client.Options) { o.Key = texts["bid"] }, n.Addr())
	if a := decide(t, c, r); !a.ShowAt(0) || a.Decisions[1].Reason != "skip" {
		t.Errorf("%+v", a)
	}
	c = newClient(t, func(o *client.Options) { o.Key, o.OnFailure = texts["slow"], client.Show }, n.Addr())
	for range 1000 {
		a, err := c.Decide(t.Context(), r)
		if err != nil {
			if failed := fails(t, a, err, 2, true, client.Rate); failed.Status != 429 || failed.RetryAfter < time.Second {
				t.Errorf("%+v", failed)
			}
			return
		}
	}
	t.Error("a thousand requests at a rate of one a second were all answered")
}

// Each option that is wrong is named, all at once.
func TestOptions(t *testing.T) {
	_, err := client.New(client.Options{
		Addrs: []string{"nowhere", "http://x:1", "unix:x", "x:0", "x:99999", "a b:1", "a:1\r\n", "ok:1", "ok:1", ":8080"}, Key: "a b",
		Timeout: -1, ReportTimeout: -1, OnFailure: 9, Connections: -1,
	})
	if err == nil {
		t.Fatal("everything wrong is taken")
	}
	for _, word := range []string{`"nowhere"`, `"http://x:1"`, `"unix:x"`, `"x:0"`, `"x:99999"`, `"a b:1"`, `"a:1\r\n"`, `"ok:1" is given twice`, `":8080"`, "Key:", "Timeout", "OnFailure", "Connections"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s is not named in %v", word, err)
		}
	}
	if strings.Contains(err.Error(), "a b\"") && strings.Contains(err.Error(), "Key: \"") {
		t.Errorf("the key is told: %v", err)
	}
	if _, err := client.New(client.Options{}); err == nil {
		t.Error("a client without addresses")
	}
	for _, addr := range []string{"127.0.0.1:8080", "[::1]:80", "node-1.example:80", "unix:/run/r.sock"} {
		if _, err := client.New(client.Options{Addrs: []string{addr}}); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// shortDir is a directory whose path a socket's address can hold.
func shortDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "rc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
