package main

import (
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var overloadFor = flag.Duration("overload-for", 700*time.Millisecond, "how long BenchmarkOverload overloads a node each time")

// overloadDeadline is how long the callers of BenchmarkOverload have use for an answer.
const overloadDeadline = 20 * time.Millisecond

// BenchmarkOverload asks a node on one processor for twice as many decisions as it answers,
// over 1,000 connections, at the times of a schedule, and counts those that are answered in 20
// ms from when they were to be asked: with limits.wait and without. A request has 500
// candidates, so that it costs the node far more than its caller.
//
//	go test ./cmd/restraint -run '^$' -bench Overload -benchtime 1x -overload-for 5s
func BenchmarkOverload(b *testing.B) {
	for _, wait := range []string{"0s", "10ms"} {
		b.Run("wait="+wait, func(b *testing.B) {
			b.Setenv("GOMAXPROCS", "1")
			s := startServed(b, b.TempDir(), "--limits-wait", wait, "--policy", writeFile(b, "policy.yaml", servedPolicy))
			n := &abused{served: s, bid: s.listen}
			body := `{"user":{"id":"u"},"candidates":[` + strings.TrimSuffix(strings.Repeat(`{"campaign":"shoes","creative":"c","item":"i"},`, 500), ",") + `],"brief":true}`
			o := &overload{node: n, text: n.request("POST", "/v1/decide", "", "application/json", body)}
			o.connect(b, 1000)
			for b.Loop() {
				most := o.closed(b, 16)
				o.open(b, 2*most)
				per := func(n int64) float64 { return float64(n) / overloadFor.Seconds() }
				b.ReportMetric(most, "most/s")
				b.ReportMetric(per(o.late.Load()), "late/s")
				b.ReportMetric(per(o.good.Load()), "in-time/s")
				b.ReportMetric(per(o.refused.Load()), "refused/s")
				b.ReportMetric(per(o.elsewhere.Load()), "elsewhere/s")
			}
			_ = s.cmd.Process.Kill()
			<-s.exited
		})
	}
}

// overload is many callers of one node.
type overload struct {
	node  *abused
	text  string
	wires []*wire

	good, late, refused, elsewhere atomic.Int64
}

func (o *overload) connect(b *testing.B, n int) {
	for range n {
		c := o.node.dial(b, o.node.bid)
		_ = c.SetDeadline(time.Time{})
		o.wires = append(o.wires, c)
		b.Cleanup(func() { c.Close() })
	}
}

// ask sends the request and reads the answer, of which it looks at no more than it must.
func (o *overload) ask(c *wire) (status int, err error) {
	if _, err = io.WriteString(c, o.text); err != nil {
		return 0, err
	}
	length := 0
	for {
		line, err := c.r.ReadSlice('\n')
		switch text := string(line); {
		case err != nil:
			return 0, err
		case status == 0:
			_, err = fmt.Sscanf(text, "HTTP/1.1 %d", &status)
		case strings.HasPrefix(text, "Content-Length: "):
			length, err = strconv.Atoi(strings.TrimSpace(text[16:]))
		case text == "\r\n":
			_, err = c.r.Discard(length)
			return status, err
		}
		if err != nil {
			return 0, err
		}
	}
}

// closed is how many a second are answered to so many who ask again when they are answered.
func (o *overload) closed(b *testing.B, callers int) float64 {
	var done atomic.Int64
	until := time.Now().Add(*overloadFor)
	var running sync.WaitGroup
	for _, c := range o.wires[:callers] {
		running.Go(func() {
			for time.Now().Before(until) {
				if status, err := o.ask(c); err != nil || status != 200 {
					b.Errorf("%d, %v", status, err)
					return
				}
				done.Add(1)
			}
		})
	}
	running.Wait()
	return float64(done.Load()) / overloadFor.Seconds()
}

// open asks so many a second in all, whatever the answers take. Each caller has some of the
// connections, and after a 503 asks another node for a while, as edge/client does.
func (o *overload) open(b *testing.B, rate float64) {
	const callers = 100
	began := time.Now()
	var running sync.WaitGroup
	for i := range callers {
		due, away := make(chan time.Time, 1<<16), new(away)
		for _, c := range o.wires[i*len(o.wires)/callers : (i+1)*len(o.wires)/callers] {
			running.Go(func() {
				for at := range due {
					if !away.is() {
						o.one(b, c, at, away)
						continue
					}
					o.elsewhere.Add(1)
				}
			})
		}
		running.Go(func() {
			defer close(due)
			every := time.Duration(callers / rate * float64(time.Second))
			for at := began.Add(every * time.Duration(i) / callers); at.Sub(began) < *overloadFor; at = at.Add(every) {
				time.Sleep(time.Until(at))
				due <- at
			}
		})
	}
	running.Wait()
}

// one asks once, for an answer that was due from then on.
func (o *overload) one(b *testing.B, c *wire, due time.Time, away *away) {
	status, err := o.ask(c)
	took := time.Since(due)
	switch {
	case err != nil || status != 200 && status != 503:
		b.Errorf("%d, %v", status, err)
	case status == 503:
		o.refused.Add(1)
		away.goes()
	case took <= overloadDeadline:
		o.good.Add(1)
		away.back()
	default:
		o.late.Add(1)
		away.back()
	}
}

// away is how long a caller leaves a node alone: 200 ms, doubled with each 503 in a row up to
// 2 s.
type away struct {
	mu    sync.Mutex
	until time.Time
	times int
}

func (a *away) is() bool { a.mu.Lock(); defer a.mu.Unlock(); return time.Now().Before(a.until) }
func (a *away) back()    { a.mu.Lock(); defer a.mu.Unlock(); a.times = 0 }

func (a *away) goes() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := time.Now(); now.After(a.until) {
		a.until = now.Add(min(2*time.Second, 200*time.Millisecond<<a.times))
		a.times++
	}
}
