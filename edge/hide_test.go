package edge_test

import (
	"fmt"
	"strings"
	"testing"

	"restraint/caps"
	"restraint/edge"
)

// A hide by a token is that of /v1/events: of all identifiers, of this campaign alone,
// for each reason, by form and by query, and it can come twice.
func TestHide(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	hidden := func(who, campaign string) string {
		return n.decide(fmt.Sprintf(`{"user":{%s},"candidates":[{"campaign":%q}]}`, who, campaign)).Decisions[0].Reason
	}
	for i, why := range []string{"", "repeats", "already_bought", "inappropriate", "not_interested", "creepy"} {
		for _, form := range []bool{true, false} {
			user := fmt.Sprintf("u-%d-%v", i, form)
			token := n.link(t, fmt.Sprintf(`"user":{"id":%q,"buyeruid":"b-%s"}`, user, user), "shoes")
			target, body := "/v1/hide?campaign=shoes&t="+token, "why="+why
			if !form {
				target, body = target+"&why="+why, ""
			}
			n.must(204, "POST", target, "application/x-www-form-urlencoded", body, nil)
			n.must(204, "POST", target, "application/x-www-form-urlencoded", body, nil)
			if text := n.page(t, 200, "POST", target, body); !strings.Contains(text, "<strong>shoes</strong> is not shown to you for 90 days") {
				t.Errorf("%q:\n%s", why, text)
			}
			for _, who := range []string{fmt.Sprintf(`"id":%q`, user), fmt.Sprintf(`"buyeruid":"b-%s"`, user)} {
				if hidden(who, "shoes") != "hidden" || hidden(who, "single") != "" {
					t.Errorf("%q: %s: shoes %q, single %q", why, who, hidden(who, "shoes"), hidden(who, "single"))
				}
			}
			// What this path takes, events take too.
			if why != "" {
				n.event(fmt.Sprintf(`{"type":"hide","token":%q,"campaign":"shoes","why":%q}`, token, why))
			}
		}
	}
	if got := n.metric(`restraint_events_total{type="hide"}`); got != 6*2*3+10 {
		t.Errorf("%v hides counted", got)
	}
}

// A hide that is wrong changes nothing and names what is wrong.
func TestWrongHides(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	token := n.link(t, `"user":{"id":"u-1"}`, "shoes")
	const form = "application/x-www-form-urlencoded"
	target := "/v1/hide?campaign=shoes&t=" + token
	n.refused(t, 400, "POST", target, form, "why=bored", "why", "bored", "repeats", "creepy")
	n.refused(t, 400, "POST", target+"&why=Creepy", "", "", "why", "Creepy")
	n.refused(t, 400, "POST", target+"&why=creepy", form, "why=bored", "why", "bored") // the form is what the person chose
	n.refused(t, 413, "POST", target, form, "why="+strings.Repeat("x", 4<<10), "4096")
	n.refused(t, 415, "POST", target, "application/json", `{"why":"creepy"}`, "application/json", form)
	n.refused(t, 415, "POST", target, "multipart/form-data; boundary=x", "--x--", "multipart")
	n.refused(t, 405, "GET", target, "", "", "POST")
	n.refused(t, 405, "GET", "/v1/opt-out?t="+token, "", "", "POST")
	n.refused(t, 405, "POST", "/v1/why?campaign=shoes&t="+token, "", "", "GET")
	n.refused(t, 415, "POST", "/v1/opt-out?t="+token, "application/json", `{}`, "application/json")
	if s := n.whyOf(t, token, "shoes"); s.Hidden || s.OptedOut || !s.Show {
		t.Errorf("something was changed: %+v", s)
	}
}

// The button opts out as /v1/users/preferences does, over all identifiers, also right
// after somebody opted in, and what is chosen for the place remains.
func TestOptOutButton(t *testing.T) {
	n := startNode(t, "", whyPolicy, nil)
	const both = `"user":{"id":"u-1","buyeruid":"b-1"}`
	token := n.link(t, both, "shoes")
	for range 3 {
		n.prefer(t, `{`+both+`,"personalisation":false}`)
		n.prefer(t, `{`+both+`,"personalisation":true}`) // stamped ahead of the clock
		if s := n.whyOf(t, token, "shoes"); s.OptedOut {
			t.Fatalf("not opted in: %+v", s)
		}
		n.must(204, "POST", "/v1/opt-out?t="+token, "", "", nil)
		if s := n.whyOf(t, token, "shoes"); !s.OptedOut || s.Reason != "opted_out" {
			t.Fatalf("not opted out: %+v", s)
		}
	}
	text := n.page(t, 200, "POST", "/v1/opt-out?t="+token, "")
	if !strings.Contains(text, "<h1>Opted out</h1>") || !strings.Contains(text, "without end") {
		t.Errorf("%s", text)
	}
	if text = n.page(t, 200, "GET", "/v1/why?campaign=shoes&t="+token, ""); strings.Contains(text, "opt-out?") || !strings.Contains(text, "You are opted out") {
		t.Errorf("%s", text)
	}
	for _, who := range []string{`"user":{"id":"u-1"}`, `"user":{"buyeruid":"b-1"}`} {
		d := n.decide(`{` + who + `,"candidates":[{"campaign":"shoes"},{"campaign":"place"}]}`).Decisions
		if d[0].Reason != "opted_out" || !d[1].Show {
			t.Errorf("%s: %+v", who, d)
		}
		if h := n.lookUp(t, `{`+who+`}`); h.Preferences.Personalisation {
			t.Errorf("%s: %+v", who, h.Preferences)
		}
	}
	if got := n.metric(`restraint_opt_outs_total`); got != 4 {
		t.Errorf("%v opt-outs counted", got)
	}
}

// What was answered is kept over a restart.
func TestRefusalsByTokenAreKept(t *testing.T) {
	dir := t.TempDir()
	change, closed := withKeeper(t, dir)
	n := startNode(t, dir, testPolicy, change)
	var a answer
	n.must(200, "POST", "/v1/decide", "application/json",
		`{"user":{"id":"u-1"},"at":1793500000,"want":1,"token":true,"candidates":[{"campaign":"shoes"}]}`, &a)
	n.must(204, "POST", "/v1/hide?campaign=shoes&t="+a.Token, "", "", nil)
	n.must(204, "POST", "/v1/opt-out?t="+a.Token, "", "", nil)
	n.stop()
	closed()
	change, closed = withKeeper(t, dir)
	defer closed()
	n = startNode(t, dir, testPolicy, change)
	defer n.stop()
	h := n.lookUp(t, `{"user":{"id":"u-1"},"at":1793500010}`)
	if h.Preferences.Personalisation || len(h.Hidden) != 1 || h.Hidden[0].Campaign != "shoes" {
		t.Errorf("after a restart: %+v", h)
	}
}

// Without room for one more refusal the person is told that it is not kept, and to try
// again, as a problem and as a page.
func TestRefusalsByTokenFull(t *testing.T) {
	n := startNode(t, "", testPolicy, func(o *edge.Options) {
		o.Caps = caps.Options{Memory: 1 << 20, RefusalMemory: 64 << 10, Shards: 1}
	})
	for i := range 5000 {
		token := n.link(t, fmt.Sprintf(`"user":{"id":"u-%d"}`, i), "shoes")
		if status, answer := n.do("POST", "/v1/opt-out?t="+token, "", ""); status == 204 {
			continue
		} else if status != 503 {
			t.Fatalf("%d %s", status, answer)
		}
		for _, target := range []string{"/v1/hide?campaign=shoes&t=" + token, "/v1/opt-out?t=" + token} {
			n.refused(t, 503, "POST", target, "", "", "again later")
			if text := n.page(t, 503, "POST", target, ""); !strings.Contains(text, "Nothing was changed") || !strings.Contains(text, "try again") {
				t.Errorf("%s:\n%s", target, text)
			}
		}
		if s := n.whyOf(t, token, "shoes"); s.Hidden || s.OptedOut {
			t.Errorf("refused and yet changed: %+v", s)
		}
		return
	}
	t.Fatal("never full")
}
