package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// The client keeps a fixed number of connections busy, each with one request at a
// time. It does as little as it can, since its work is part of what is measured: the
// requests are bytes made beforehand, an answer is read only as far as its end must be
// found, and the clock is read once a request.

// Bounds of the client's histograms: two steps of a microsecond up to a minute, three
// digits. Longer times count as a minute.
const (
	leastLatency = 500
	mostLatency  = int64(time.Minute)
)

// answerReader reads one answer to its end and returns the length of its body.
type answerReader func(*wire) (body int, err error)

// target is where a closed loop sends, and what.
type target struct {
	addr     string // host:port
	requests [][]byte
	read     answerReader
	pid      int // of the server, whose processor time is counted
}

// sample is what one slice of a closed loop came to.
type sample struct {
	PerSecond float64 `json:"per_second"`
	P50US     float64 `json:"p50_us"`
	P99US     float64 `json:"p99_us"`
	P999US    float64 `json:"p99_9_us"`
	// CPUUS is the server's processor time for a request, user and system.
	CPUUS float64 `json:"server_cpu_us"`
	// ClientCPUUS is this program's, which is the same work whoever answers.
	ClientCPUUS float64 `json:"client_cpu_us"`
	// BodyBytes is the mean length of an answer's body.
	BodyBytes float64 `json:"answer_bytes"`
	Requests  int64   `json:"requests"`
}

// errAnswer: a server answered what it must not.
var errAnswer = errors.New("unexpected answer")

// loop is a closed loop over connections that stay open from slice to slice.
type loop struct {
	target *target
	wires  []*wire
}

func openLoop(ctx context.Context, t *target, connections int) (*loop, error) {
	l := &loop{target: t}
	for range connections {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", t.addr)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("connect to %s: %w", t.addr, err)
		}
		l.wires = append(l.wires, &wire{conn: c, buffer: make([]byte, 64<<10)})
	}
	return l, nil
}

func (l *loop) close() {
	for _, w := range l.wires {
		w.conn.Close()
	}
}

// run sends for that long and returns what it came to. Each connection goes through
// the requests from a place of its own.
func (l *loop) run(ctx context.Context, length time.Duration) (sample, error) {
	if err := ctx.Err(); err != nil {
		return sample{}, context.Cause(ctx)
	}
	parts := make([]share, len(l.wires))
	before, err := l.processTimes()
	if err != nil {
		return sample{}, err
	}
	var all sync.WaitGroup
	began := time.Now()
	for i, w := range l.wires {
		all.Go(func() { parts[i] = w.loop(l.target, i*len(l.target.requests)/len(l.wires), began, length) })
	}
	all.Wait()
	seconds := time.Since(began).Seconds()
	after, err := l.processTimes()
	if err != nil {
		return sample{}, err
	}
	h, bytes := hdr.New(leastLatency, mostLatency, 3), int64(0)
	for i := range parts {
		if parts[i].err != nil {
			return sample{}, fmt.Errorf("request to %s: %w", l.target.addr, parts[i].err)
		}
		h.Merge(parts[i].latencies)
		bytes += parts[i].bytes
	}
	n := h.TotalCount()
	if n == 0 {
		return sample{}, fmt.Errorf("request to %s: nothing was answered in %v", l.target.addr, length)
	}
	at := func(p float64) float64 { return float64(h.ValueAtPercentile(p)) / 1e3 }
	return sample{
		PerSecond: float64(n) / seconds, P50US: at(50), P99US: at(99), P999US: at(99.9),
		CPUUS: float64(after.server-before.server) / 1e3 / float64(n), ClientCPUUS: float64(after.client-before.client) / 1e3 / float64(n), BodyBytes: float64(bytes) / float64(n), Requests: n,
	}, nil
}

// processTimes are the processor times of both sides.
type processTimes struct{ server, client time.Duration }

func (l *loop) processTimes() (t processTimes, err error) {
	if t.server, err = processTime(l.target.pid); err != nil {
		return t, err
	}
	t.client, err = processTime(os.Getpid())
	return t, err
}

// share is one connection's share of a slice.
type share struct {
	latencies *hdr.Histogram
	bytes     int64
	err       error
}

// longestAnswer is how long one answer may take.
const longestAnswer = 30 * time.Second

// wire is one connection.
type wire struct {
	conn     net.Conn
	buffer   []byte
	from, to int // what was read and not yet used
	next     int // request, from slice to slice
}

func (w *wire) loop(t *target, first int, began time.Time, length time.Duration) (p share) {
	p.latencies = hdr.New(leastLatency, mostLatency, 3)
	if p.err = w.conn.SetDeadline(began.Add(length + longestAnswer)); p.err != nil {
		return p
	}
	for sent := time.Since(began); sent < length; {
		if _, p.err = w.conn.Write(t.requests[(first+w.next)%len(t.requests)]); p.err != nil {
			return p
		}
		w.next++
		var body int
		if body, p.err = t.read(w); p.err != nil {
			return p
		}
		p.bytes += int64(body)
		now := time.Since(began)
		if p.latencies.RecordValue(min(int64(now-sent), mostLatency)) != nil {
			panic("BUG: a latency out of the histogram's range")
		}
		sent = now
	}
	return p
}

// ask sends one request and returns a copy of what was answered to it, from its
// first byte to its last.
func (w *wire) ask(request []byte, read answerReader) ([]byte, error) {
	if err := w.conn.SetDeadline(time.Now().Add(longestAnswer)); err != nil {
		return nil, err
	}
	if _, err := w.conn.Write(request); err != nil {
		return nil, err
	}
	w.from, w.to = 0, 0
	if _, err := read(w); err != nil {
		return nil, err
	}
	return bytes.Clone(w.buffer[:w.from]), nil
}

// more reads what is there. The buffer begins with the answer and grows with it.
func (w *wire) more() error {
	if w.from == w.to {
		w.from, w.to = 0, 0
	}
	if w.to == len(w.buffer) {
		w.buffer = append(w.buffer, make([]byte, len(w.buffer))...)
	}
	n, err := w.conn.Read(w.buffer[w.to:])
	if n > 0 {
		w.to += n
		return nil
	}
	return err
}

// readHTTP reads an answer of status 200 or 202 with a Content-Length.
func readHTTP(w *wire) (int, error) {
	for {
		head, _, whole := bytes.Cut(w.buffer[w.from:w.to], []byte("\r\n\r\n"))
		if !whole {
			if err := w.more(); err != nil {
				return 0, err
			}
			continue
		}
		body, err := bodyLength(head)
		if err != nil {
			return 0, err
		}
		end := w.from + len(head) + 4 + body
		for w.to < end {
			if err := w.more(); err != nil {
				return 0, err
			}
		}
		w.from = end
		return body, nil
	}
}

var (
	statuses      = [][]byte{[]byte("HTTP/1.1 200 "), []byte("HTTP/1.1 202 ")}
	contentLength = []byte("\r\nContent-Length: ")
)

func bodyLength(head []byte) (int, error) {
	if !bytes.HasPrefix(head, statuses[0]) && !bytes.HasPrefix(head, statuses[1]) {
		return 0, fmt.Errorf("%w: %q, want status 200 or 202", errAnswer, head)
	}
	_, rest, ok := bytes.Cut(head, contentLength)
	if !ok {
		return 0, fmt.Errorf("%w: %q has no Content-Length", errAnswer, head)
	}
	value, _, _ := bytes.Cut(rest, []byte("\r"))
	n, err := strconv.Atoi(string(value))
	if err != nil || n < 0 || n > 64<<20 {
		return 0, fmt.Errorf("%w: Content-Length %q", errAnswer, value)
	}
	return n, nil
}
