package loadtest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
)

// BenchmarkGenerator is one request of the generator, with a target in the same process
// that reads it and writes an answer made before: what a request costs, and that it
// allocates nothing.
func BenchmarkGenerator(b *testing.B) {
	for _, candidates := range []int{1, 20, 50} {
		b.Run(fmt.Sprintf("candidates=%d", candidates), func(b *testing.B) {
			c := LoadConfig{Users: 1_000_000, Zipf: 0.8, Identifiers: 2, Candidates: candidates, CreativePercent: 100, ItemPercent: 50, CategoryPercent: 50}
			p, r := mustPolicy(b, testPolicy), rand.New(rand.NewPCG(1, 1))
			o := &LoadOptions{Config: c}
			l := &loader{options: o, timeout: time.Minute, target: target{network: "tcp", address: answering(b, candidates), host: "h"}}
			l.maker = newDecideMaker(&o.Config, makeCandidates(p, &o.Config, r, time.Now()), nil, nil)
			l.decideHead = l.head("/v1/decide")
			at := &phase{began: time.Now(), timeline: &timeline{step: time.Hour}}
			w := &loadWorker{loader: l, random: r, decided: newDecided(), measured: newMeasured(at.timeline), open: true}
			defer w.disconnect()
			w.once(at, turn{})
			b.ReportAllocs()
			for b.Loop() {
				now := at.now()
				w.once(at, turn{now, now})
			}
			if w.measured.good != w.measured.offered {
				b.Fatalf("errors: %v", w.measured.errors)
			}
		})
	}
}

// answering is the address of a target that answers each request with verdicts.
func answering(b *testing.B, candidates int) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { listener.Close() })
	body := `{"policy":1,"decisions":[` + strings.Repeat(`{"campaign":"spring-shoes","show":true},{"campaign":"spring-shoes","show":false,"reason":"cap","retry_after":5400},`, candidates)
	body = strings.Join(strings.SplitAfter(body, "},")[:candidates], "")
	body = strings.TrimSuffix(body, ",") + "]}\n"
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf := make([]byte, 64<<10)
		for n := 0; ; {
			k, err := c.Read(buf[n:])
			if err != nil {
				return
			}
			// Every request ends as its candidates do.
			if n += k; bytes.HasSuffix(buf[:n], []byte("}]}")) {
				if _, err := c.Write(answer); err != nil {
					return
				}
				n = 0
			}
		}
	}()
	return listener.Addr().String()
}
