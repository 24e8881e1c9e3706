package main

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a time that tests move by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Unix(1_800_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestProgressBar(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	rows := strings.Repeat("0123456789abcd\n", 1000) // 15,000 bytes
	p := newProgress(&out, true, c.now, 30_000, true)
	p.add([]byte(rows[:7500]), false)
	if out.Len() != 0 {
		t.Fatalf("drawn at once: %q", out.String())
	}
	c.pass(barEvery)
	p.add([]byte(rows[7500:]), false)
	want := "\r[############------------]  50 %  1,000 rows  5,000 rows/s  ETA 0s"
	if out.String() != want {
		t.Errorf("drawn\n%q, want\n%q", out.String(), want)
	}
	out.Reset()
	c.pass(9800 * time.Millisecond)
	p.add(nil, false)
	if want := "\r[############------------]  50 %  1,000 rows  100 rows/s  ETA 10s "; out.String() != want {
		t.Errorf("drawn\n%q, want\n%q", out.String(), want)
	}
	out.Reset()
	c.pass(10 * time.Second)
	p.add([]byte(rows), false)
	p.add(nil, true)
	p.finish() // says nothing twice
	p.add([]byte(rows), false)
	got := out.String()
	for _, want := range []string{
		"[########################] 100 %  2,000 rows  100 rows/s  ETA 0s",
		"\nsent 2,000 rows, 29.3 KiB in 20s; waiting for the node to build the list\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if strings.Count(got, "\n") != 2 {
		t.Errorf("drawn %q", got)
	}
}

func TestProgressLines(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	p := newProgress(&out, false, c.now, 0, true) // standard input: no size
	for range 20 {
		p.add([]byte("a\nb\n"), false)
		c.pass(time.Second)
	}
	p.finish()
	want := "12 rows, 2 rows/s\n22 rows, 2 rows/s\n32 rows, 2 rows/s\n"
	if out.String() != want {
		t.Errorf("lines\n%s, want\n%s", out.String(), want)
	}
}

func TestProgressOfCompressed(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	p := newProgress(&out, false, c.now, 4<<20, false)
	c.pass(10 * time.Second)
	p.add(bytes.Repeat([]byte("\n"), 1<<20), false)
	if want := " 25 %, 1.0 MiB, 102.4 KiB/s, ETA 30s\n"; out.String() != want {
		t.Errorf("line %q, want %q", out.String(), want)
	}
	if strings.Contains(out.String(), "rows") {
		t.Error("rows of a compressed file are counted")
	}
}

// The transport reads on while the command already reports.
func TestProgressFromTwoSides(t *testing.T) {
	c := newClock()
	p := newProgress(io.Discard, true, c.now, 1000, true)
	r := p.reader(strings.NewReader(strings.Repeat("a\n", 10_000)))
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(io.Discard, r) })
	p.finish()
	wg.Wait()
}

func TestReplayProgress(t *testing.T) {
	c := newClock()
	var out bytes.Buffer
	draw := replayProgress(&process{stderr: &out, terminal: true, now: c.now})
	draw(10, 100)
	c.pass(10 * time.Second)
	draw(50, 100)
	draw(100, 100)
	want := "\r 50 %  50 of 100 rows  5 rows/s  ETA 10s       \r100 %  100 of 100 rows  10 rows/s  ETA 0s        \n"
	if out.String() != want {
		t.Errorf("drawn %q, want %q", out.String(), want)
	}
}
