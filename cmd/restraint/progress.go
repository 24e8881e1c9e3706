package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// How often progress is drawn (chosen).
const (
	barEvery  = 200 * time.Millisecond // on a terminal
	lineEvery = 5 * time.Second        // elsewhere
	barCells  = 24
)

// progress shows how far an upload is: a bar on a terminal, else a line every
// few seconds. It draws as bytes pass, so it has no goroutine of its own. Its
// methods may be called concurrently: a request's body is read by the transport.
type progress struct {
	out      io.Writer
	terminal bool
	now      func() time.Time
	total    int64 // bytes; 0: not known
	rows     bool  // rows can be counted: the body is not compressed

	mu       sync.Mutex
	start    time.Time
	drawn    time.Time
	bytes    int64
	newlines int64
	told     int64 // rows that the node says it has read; 0: it did not say
	toldAt   time.Time
	width    int // of the bar on the screen
	finished bool
}

func newProgress(out io.Writer, terminal bool, now func() time.Time, total int64, rows bool) *progress {
	start := now()
	return &progress{out: out, terminal: terminal, now: now, total: total, rows: rows, start: start, drawn: start}
}

// reader returns r, watched.
func (p *progress) reader(r io.Reader) io.Reader { return &watched{r, p} }

// Write counts bytes that were received.
func (p *progress) Write(b []byte) (int, error) {
	p.add(b, false)
	return len(b), nil
}

type watched struct {
	io.Reader
	p *progress
}

// Read counts what it reads.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	w.p.add(b[:n], err == io.EOF)
	return n, err
}

// add counts bytes that were sent, and draws if it is time.
func (p *progress) add(b []byte, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		return
	}
	p.bytes += int64(len(b))
	if p.rows {
		p.newlines += int64(bytes.Count(b, []byte{'\n'}))
	}
	// The end of a file of known length may be read only after the answer.
	if last || p.total > 0 && p.bytes >= p.total {
		p.finishLocked("waiting for the node to build the list")
		return
	}
	every := lineEvery
	if p.terminal {
		every = barEvery
	}
	if now := p.now(); now.Sub(p.drawn) >= every {
		p.drawn = now
		p.drawLocked(now)
	}
}

// sent is how many bytes have passed.
func (p *progress) sent() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

// tell takes the rows that the node has read. They count in place of the lines
// that were sent: a row may have several lines, and a compressed file shows none.
func (p *progress) tell(rows int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told, p.toldAt = rows, p.now()
}

// finish ends the bar's line; nothing is drawn afterwards.
func (p *progress) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.finished {
		p.finishLocked("")
	}
}

func (p *progress) finishLocked(then string) {
	p.finished = true
	now := p.now()
	if p.terminal {
		p.drawLocked(now)
		_, _ = fmt.Fprintln(p.out)
	}
	if then != "" {
		_, _ = fmt.Fprintf(p.out, "sent %s in %s; %s\n", p.amountLocked(), roughTime(now.Sub(p.start)), then)
	}
}

// amountLocked is what has been sent: rows where they can be counted, and bytes.
func (p *progress) amountLocked() string {
	if p.rows {
		return plural(int(p.newlines), "row") + ", " + roughSize(p.bytes)
	}
	return roughSize(p.bytes)
}

func (p *progress) drawLocked(now time.Time) {
	fields := p.fieldsLocked(now.Sub(p.start))
	if !p.terminal {
		_, _ = fmt.Fprintln(p.out, strings.Join(fields, ", "))
		return
	}
	line := strings.Join(fields, "  ")
	if p.total > 0 {
		full := int(min(p.bytes*barCells/p.total, barCells))
		line = "[" + strings.Repeat("#", full) + strings.Repeat("-", barCells-full) + "] " + line
	}
	// Blanks cover what is left of a longer line.
	_, _ = fmt.Fprintf(p.out, "\r%-*s", p.width, line)
	p.width = len(line)
}

// fieldsLocked are percent of bytes, amount, rate, and time left, as far as known.
func (p *progress) fieldsLocked(elapsed time.Duration) []string {
	var fields []string
	if p.total > 0 {
		fields = append(fields, fmt.Sprintf("%3d %%", min(p.bytes*100/p.total, 100)))
	}
	seconds := elapsed.Seconds()
	rows, during := p.newlines, seconds
	if p.told > 0 {
		rows, during = p.told, p.toldAt.Sub(p.start).Seconds()
	}
	if p.rows || p.told > 0 {
		fields = append(fields, grouped(rows)+" rows")
		if during > 0 {
			fields = append(fields, grouped(int64(float64(rows)/during))+" rows/s")
		}
	} else {
		fields = append(fields, roughSize(p.bytes))
		if seconds > 0 {
			fields = append(fields, roughSize(int64(float64(p.bytes)/seconds))+"/s")
		}
	}
	if p.total > 0 && p.bytes > 0 {
		left := time.Duration(float64(elapsed) / float64(p.bytes) * float64(max(p.total-p.bytes, 0)))
		fields = append(fields, "ETA "+roughTime(left))
	}
	return fields
}
