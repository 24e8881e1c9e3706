package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

// callerAttacks are callers that use what they may, more than they should, and such as have no
// right to.
func callerAttacks() []*attack {
	return []*attack{
		{
			name: "chosen identifiers and campaigns: 16 of 1,024 bytes, 500 names", conns: 4,
			run: func(a *attempt) {
				var uids, names strings.Builder
				for i := range 16 {
					fmt.Fprintf(&uids, `{"source":"s%d","uids":[{"id":"%s%d"}]},`, i, strings.Repeat("\\u00e9", 500), i)
				}
				for i := range 500 {
					fmt.Fprintf(&names, `{"campaign":"%s%d","creative":"%s","item":"%s"},`, strings.Repeat("c", 120), i, strings.Repeat("x", 60), strings.Repeat("y", 60))
				}
				body := `{"user":{"eids":[` + strings.TrimSuffix(uids.String(), ",") + `]},"candidates":[` + strings.TrimSuffix(names.String(), ",") + `]}`
				a.each(func(int) {
					a.repeat(a.node.bid, func() string { return a.node.request("POST", "/v1/decide", "bid", "application/json", body) })
				})
			},
			check: func(a *attempt) string { return a.only(200) },
		},
		{name: "one person: 20,000 showings of as many items and creatives", conns: 2, run: onePerson},
		{name: "tokens: replayed, forged, cut, another cluster's, not one", conns: 4, run: tokens, check: func(a *attempt) string { return a.only(200, 202, 204, 400) }},
		{
			name: "wrong keys as fast as it goes, from the address of the others", conns: 8,
			run: func(a *attempt) {
				before := a.node.metric(a.t, "restraint_keys_slowed_total")
				a.each(func(i int) {
					k := 0
					a.repeat(a.node.bid, func() string {
						k++
						return fmt.Sprintf("POST /v1/decide HTTP/1.1\r\nHost: x\r\nX-Api-Key: rk_aaaaaaaa_%052d\r\nContent-Length: 0\r\n\r\n", k*100+i)
					})
				})
				if a.node.metric(a.t, "restraint_keys_slowed_total") == before {
					a.wrong("nobody was slowed")
				}
			},
			check: func(a *attempt) string { return a.only(401) },
		},
		{
			name: "a key far over its rate", conns: 4,
			run: func(a *attempt) {
				a.each(func(int) {
					c, err := a.node.reach(a.node.bid)
					if err != nil {
						a.wrong("%v", err)
						return
					}
					defer c.Close()
					text := a.node.request("POST", "/v1/decide", "slow", "application/json", `{"user":{"id":"u"},"candidates":[{"campaign":"shoes"}]}`)
					for a.on() { // it keeps its connection
						a.requests.Add(1)
						_, _ = io.WriteString(c, text)
						status, body, err := c.answer()
						if err != nil {
							a.wrong("%v", err)
							return
						}
						a.met(status, body)
					}
				})
			},
			check: func(a *attempt) string { return a.some(429) + a.only(200, 429) },
		},
	}
}

// onePerson reports showings of ever other items to one person.
func onePerson(a *attempt) {
	const lines = 10_000
	a.each(func(i int) {
		var b strings.Builder
		for k := range lines {
			fmt.Fprintf(&b, `{"type":"impression","id":"%d-%d","user":{"id":"bot"},"campaign":"shoes","creative":"c-%d-%d","item":"sku-%d-%d"}`+"\n", i, k, i, k, i, k)
		}
		status, said := a.once(a.node.bid, a.node.request("POST", "/v1/events", "bid", "application/x-ndjson", b.String()))
		if status != 202 || !strings.Contains(said, fmt.Sprintf(`"accepted":%d`, lines)) {
			a.wrong("%d %.200s", status, said)
		}
	})
	if a.node.metric(a.t, "restraint_dropped_scopes_total") == 0 {
		a.wrong("of 40,000 counters of one person none was dropped")
	}
	status, said := a.node.ask(a.t, "POST", "/v1/decide", "ops", "", []byte(`{"user":{"id":"bot"},"candidates":[{"campaign":"shoes"}]}`))
	if status != 200 || !strings.Contains(said, `"reason":"cap"`) {
		a.wrong("what was dropped lets the campaign be shown: %d %s", status, said)
	}
	time.Sleep(time.Until(a.until))
}

// tokens reports one showing again and again, and with tokens that are none.
func tokens(a *attempt) {
	status, said := a.node.ask(a.t, "POST", "/v1/decide", "bid", "", []byte(`{"user":{"id":"t-1"},"want":1,"hold":true,"candidates":[{"campaign":"shoes","creative":"c","item":"i"}]}`))
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(said), &answer); status != 200 || err != nil || answer.Token == "" {
		a.wrong("no token: %d %s", status, said)
		return
	}
	token := answer.Token
	flip := []byte(token)
	flip[len(flip)/2] ^= 1
	wrong := []string{string(flip), token[:len(token)-1], token + "A", token[1:], strings.Repeat("A", len(token)), strings.Repeat("A", 1024), strings.Repeat("A", 5000), "", "..%2f", token[:8]}
	var turn atomic.Int64
	a.each(func(int) {
		for a.on() {
			k := int(turn.Add(1))
			if k%2 == 0 {
				path := "/v1/impression?campaign=shoes&t=" + token
				if got, said := a.once(a.node.bid, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); got != 204 {
					a.wrong("a showing that was reported: %d %.200s", got, said)
				}
				continue
			}
			t := wrong[k%len(wrong)]
			for _, text := range []string{
				"GET /v1/impression?campaign=shoes&t=" + t + " HTTP/1.1\r\nHost: x\r\n\r\n", "GET /v1/why?campaign=shoes&t=" + t + " HTTP/1.1\r\nHost: x\r\n\r\n",
				"POST /v1/opt-out?t=" + t + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
				a.node.request("POST", "/v1/events", "bid", "application/json", fmt.Sprintf(`{"type":"impression","token":%q,"campaign":"shoes"}`, t)),
			} {
				if got, said := a.once(a.node.bid, text); got != 400 {
					a.wrong("%.60s with a token that is none: %d %.200s", text, got, said)
				}
			}
		}
	})
	status, said = a.node.ask(a.t, "POST", "/v1/decide?explain=1", "ops", "", []byte(`{"user":{"id":"t-1"},"candidates":[{"campaign":"shoes","creative":"c","item":"i"}]}`))
	if status != 200 || !strings.Contains(said, `"limit":3,"count":1`) {
		a.wrong("one showing, reported many times, is not counted once: %d %s", status, said)
	}
}
