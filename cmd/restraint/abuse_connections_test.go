package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// quietRows is the well-behaved client alone, to hold the others against.
func quietRows() []*attack {
	return []*attack{{name: "none", run: func(a *attempt) { time.Sleep(time.Until(a.until)) }}}
}

// slowLimit is twice what a node lets a slow caller have: a machine may be busy. The limit
// itself is tested with a clock of its own, in edge.
const slowLimit = 20 * time.Second

// slowAttack is everything that is slow, at once: each waits for the node to end it.
func slowAttack() *attack {
	const each = 40
	decide := func(a *attempt) string {
		return strings.TrimSuffix(a.node.request("POST", "/v1/decide", "bid", "application/json", strings.Repeat(" ", 1000)), strings.Repeat(" ", 1000))
	}
	kinds := []struct {
		name        string
		head, drips func(a *attempt) string // sent at once, then byte by byte
	}{
		{"headers byte by byte", func(*attempt) string { return "POST /v1/decide HTTP/1.1\r\nHost: x\r\n" }, func(*attempt) string { return "X-A: " + strings.Repeat("b", 1000) }},
		{"a body byte by byte", decide, func(*attempt) string { return strings.Repeat(" ", 1000) }},
		{"chunks byte by byte", func(a *attempt) string {
			return "POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + a.node.keys["bid"] + "\r\nTransfer-Encoding: chunked\r\n\r\n"
		}, func(*attempt) string { return strings.Repeat("1\r\n \r\n", 200) }},
		{"answers that are not taken", func(a *attempt) string {
			one := a.node.request("POST", "/v1/decide", "bid", "application/json", `{"user":{"id":"u"},"candidates":[`+strings.Repeat(`{"campaign":"nobody"},`, 499)+`{"campaign":"nobody"}]}`)
			return strings.Repeat(one, 300) // 300 answers of 20 kB, none of which is read
		}, func(*attempt) string { return "" }},
	}
	return &attack{
		name: "slow: headers, bodies, chunks byte by byte; no answer taken", conns: each * len(kinds),
		run: func(a *attempt) {
			a.each(func(i int) {
				kind := kinds[i%len(kinds)]
				c, err := a.node.reach(a.node.bid)
				if err != nil {
					a.wrong("%s: %v", kind.name, err)
					return
				}
				defer c.Close()
				a.requests.Add(1)
				began := time.Now()
				_ = c.SetDeadline(began.Add(slowLimit))
				_, err = io.WriteString(c, kind.head(a))
				for drips := kind.drips(a); err == nil && drips != ""; drips = drips[1:] {
					if _, err = io.WriteString(c, drips[:1]); err == nil {
						time.Sleep(100 * time.Millisecond) // this is the attack
					}
				}
				if took := time.Since(began); took > slowLimit-time.Second {
					a.wrong("%s: the node let it go on for %v", kind.name, took)
				}
			})
		},
	}
}

// connectionAttacks are those that only connect, or send headers without an end.
func connectionAttacks() []*attack {
	return []*attack{
		{
			name: "header flood: 15 kB of small ones, as fast as it goes", conns: 8,
			run: func(a *attempt) {
				text := "GET /v1/decide HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("a: b\r\n", 2500) + "\r\n"
				a.each(func(int) { a.repeat(a.node.bid, func() string { return text }) })
			},
			check: func(a *attempt) string { return a.only(401) },
		},
		{
			name: "header flood: 1 MB in one, or in many", conns: 8,
			run: func(a *attempt) {
				many := "GET /v1/decide HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Aaaaaaaa: bbbbbbbbbbbbbb\r\n", 40_000)
				one := "GET /v1/decide HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("b", 1<<20)
				line := "GET /" + strings.Repeat("b", 1<<20)
				a.each(func(i int) {
					a.repeat(a.node.bid, func() string { return []string{many, one, line}[i%3] })
				})
			},
			check: func(a *attempt) string { return a.only(0, 431) }, // 0: reset before the answer was read
		},
		{
			name: fmt.Sprintf("connection flood: %d from one address, silent", 3*abuseConnections), conns: 3 * abuseConnections,
			run: func(a *attempt) { a.flood(a.node.bid, "") },
		},
		{
			name: fmt.Sprintf("connection flood: %d from one address, each asks", 3*abuseConnections), conns: 3 * abuseConnections,
			run:   func(a *attempt) { a.flood(a.node.bid, "GET /v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\n") },
			check: func(a *attempt) string { return a.some(503) },
		},
		{
			name: "connections opened and closed as fast as it goes", conns: 8,
			run: func(a *attempt) {
				a.each(func(int) {
					for a.on() {
						if c, err := a.node.reach(a.node.bid); err == nil {
							a.requests.Add(1)
							c.Close()
						}
					}
				})
			},
		},
	}
}

// flood opens all connections of the row, sends each the text, and holds them until the
// attack is over.
func (a *attempt) flood(addr, text string) {
	var held sync.WaitGroup
	held.Add(a.row.conns)
	opened := make(chan struct{}, 64) // dials at once
	a.each(func(int) {
		opened <- struct{}{}
		c, err := a.node.reach(addr)
		if err == nil {
			defer c.Close()
			a.requests.Add(1)
			_, _ = io.WriteString(c, text)
		}
		<-opened
		held.Done()
		if err == nil && text != "" {
			status, body, _ := c.answer()
			a.met(status, body)
		}
		held.Wait()
		time.Sleep(time.Until(a.until))
	})
}

// only says what is wrong where an answer has none of the statuses, or none came.
func (a *attempt) only(statuses ...int) string {
	got := 0
	for status := range a.said {
		found := false
		for _, s := range statuses {
			found = found || s == status
		}
		if !found {
			return fmt.Sprintf("an answer %d, want %v", status, statuses)
		}
		if status != 0 {
			got++
		}
	}
	if got == 0 {
		return fmt.Sprintf("no answer, want %v", statuses)
	}
	return ""
}

// some says what is wrong where no answer has the status.
func (a *attempt) some(status int) string {
	if _, met := a.said[status]; !met {
		return fmt.Sprintf("no answer %d", status)
	}
	return ""
}
