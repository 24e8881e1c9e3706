package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestPushFollowsRows: a node tells the rows of an upload that is under way, and the
// progress of a compressed file shows them.
func TestPushFollowsRows(t *testing.T) {
	asked := make(chan struct{})
	var told atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"list":"acme","work":{"what":"upload","since":"2026-11-22T00:00:00Z","rows":1234567}}`)
			if told.CompareAndSwap(false, true) {
				close(asked)
			}
			return
		}
		_, _ = io.CopyN(io.Discard, r.Body, 2<<20)
		<-asked
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, pushedJSON)
	}))
	defer server.Close()
	// The file is long enough for the rest of it to be on its way when the node is asked.
	file := writeFile(t, "a.csv.gz", "\x1f\x8b"+strings.Repeat("\x00", 40<<20))
	var out, errs bytes.Buffer
	c := newClock()
	code := run(t.Context(), &process{
		args: []string{"push", "--addr", server.URL, "--list", "acme", file}, lookup: noEnv, stdin: strings.NewReader(""),
		stdout: &out, stderr: &errs, terminal: true, now: func() time.Time { c.pass(10 * time.Millisecond); return c.now() },
	})
	result{code, out.String(), errs.String()}.must(t, 0, "1,234,567 rows", " rows/s", " %", "ETA ")
}

func TestProgressOfRowsTold(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	p := newProgress(&out, false, c.now, 4<<20, false)
	c.pass(5 * time.Second)
	p.tell(50_000)
	c.pass(5 * time.Second)
	p.add(make([]byte, 1<<20), false)
	if want := " 25 %, 50,000 rows, 10,000 rows/s, ETA 30s\n"; out.String() != want {
		t.Errorf("line %q, want %q", out.String(), want)
	}
	if p.sent() != 1<<20 {
		t.Errorf("sent %d", p.sent())
	}
}
