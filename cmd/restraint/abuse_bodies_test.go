package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// bodyAttacks are bodies that cost more than they look like.
func bodyAttacks() []*attack {
	deep := func(open, shut string, n int) string { return strings.Repeat(open, n) + strings.Repeat(shut, n) }
	return []*attack{
		{
			name: "huge Content-Length, one byte: 300 x 8 MB", conns: 300,
			run: func(a *attempt) {
				a.each(func(int) {
					a.hold(*abuseFor, "POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Api-Key: "+a.node.keys["bid"]+"\r\nContent-Length: 8000000\r\n\r\n{")
				})
			},
		},
		{
			name: "bodies held back: 300 x 1 MB, all but the last byte", conns: 300,
			run: func(a *attempt) {
				body := strings.TrimSuffix(a.node.request("POST", "/v1/events", "bid", "application/json", strings.Repeat(" ", 1<<20)), " ")
				a.each(func(int) { a.hold(wireTime, body) })
			},
			check: func(a *attempt) string { return a.some(503) },
		},
		{
			name: "deep JSON: 100,000 levels", conns: 4,
			run: func(a *attempt) {
				bodies := []string{
					a.node.request("POST", "/v1/decide", "bid", "application/json", `{"x":`+deep("[", "]", 100_000)+`,"candidates":[{"campaign":"shoes"}]}`),
					a.node.request("POST", "/v1/decide", "bid", "application/json", deep(`{"ext":`, "}", 30_000)),
					a.node.request("POST", "/v1/events", "bid", "application/json", `{"type":"click","user":`+deep(`{"user":`, "}", 100_000)+"}"),
				}
				a.each(func(i int) { a.repeat(a.node.bid, func() string { return bodies[i%3] }) })
			},
			check: func(a *attempt) string { return a.only(400) },
		},
		{name: "policies: deep, and aliases of aliases (YAML and JSON)", conns: 2, run: policyBombs, check: func(a *attempt) string { return a.only(400) }},
		{name: "compression bombs: gzip and zstd of zeros, a zstd window of 1 GB", conns: 4, run: bombs},
		{
			name: "10,000 lines of nonsense as events", conns: 4,
			run: func(a *attempt) {
				bodies := []string{strings.Repeat("x\n", 10_000), strings.Repeat(`{"type":"impression","user":{"id":7},"campaign":"`+strings.Repeat("c", 200)+"\"}\n", 10_000), strings.Repeat("{}\n", 10_001)}
				a.each(func(i int) {
					a.repeat(a.node.bid, func() string { return a.node.request("POST", "/v1/events", "bid", "application/x-ndjson", bodies[i%3]) })
				})
			},
			check: func(a *attempt) string { return a.only(202, 400) },
		},
	}
}

// hold sends text on a connection of its own and stays, until it is answered or one of the
// others is, but no longer than that.
func (a *attempt) hold(long time.Duration, text string) {
	c, err := a.node.reach(a.node.bid)
	if err != nil {
		a.wrong("%v", err)
		return
	}
	defer c.Close()
	a.requests.Add(1)
	_, _ = io.WriteString(c, text)
	for deadline := time.Now().Add(long); time.Now().Before(deadline) && a.answers[5].Load() == 0; {
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := c.r.Peek(1); err == nil {
			status, body, _ := c.answer()
			a.met(status, body)
			return
		}
	}
}

// policyBombs puts policies that are larger than they look like.
func policyBombs(a *attempt) {
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 20 {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	campaigns := strings.Replace(laughs.String(), "a0: &a0", "sensitive: &a0", 1) + "campaigns: *a20\n"
	bodies := []string{
		laughs.String(), campaigns, "campaigns: &a {a: *a}\n", strings.Repeat("[", 50_000), strings.Repeat("{a: ", 20_000), strings.Repeat("- ", 50_000),
		`{"campaigns":` + strings.Repeat(`{"a":`, 50_000) + strings.Repeat("}", 50_000) + "}", strings.Repeat("a:\n", 300_000), "campaigns: !!binary " + strings.Repeat("A", 1<<20), strings.Repeat("&a ", 10_000) + "x",
	}
	var mu sync.Mutex
	next := 0
	a.each(func(int) {
		for {
			mu.Lock()
			k := next
			next++
			mu.Unlock()
			if k >= len(bodies) {
				return
			}
			status, said := a.once(a.node.admin, a.node.request("PUT", "/v1/policy", "ops", "application/yaml", bodies[k]))
			if status != 400 {
				a.wrong("policy %d, %.40q: %d %.300s", k, bodies[k], status, said)
			}
		}
	})
}

// bombs uploads lists that are small until they are unpacked.
func bombs(a *attempt) {
	zeros := make([]byte, 1<<20)
	var zipped, packed bytes.Buffer
	z := gzip.NewWriter(&zipped)
	s, _ := zstd.NewWriter(&packed)
	for _, w := range []io.WriteCloser{z, s} {
		_, _ = w.Write(zeros)
		_ = w.Close()
	}
	const times = 100                                                    // one after the other they are a file, too
	wide := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00} // a frame with a window of 1 GiB
	upload := func(encoding string, body []byte) string {
		return fmt.Sprintf("PUT /v1/lists/customers?id=user.id&force=1 HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nContent-Type: text/plain\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", a.node.keys["crm"], encoding, len(body), body)
	}
	texts := []string{upload("gzip", bytes.Repeat(zipped.Bytes(), times)), upload("zstd", bytes.Repeat(packed.Bytes(), times)), upload("zstd", wide), upload("gzip", packed.Bytes())}
	a.each(func(i int) {
		status, said := a.once(a.node.admin, texts[i])
		if status < 400 || status >= 500 {
			a.wrong("bomb %d: %d %.300s", i, status, said)
		}
	})
}
