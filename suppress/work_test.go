package suppress_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"restraint/suppress"
)

// stepped gives n lines, then what it is told to wait for, then its end.
type stepped struct {
	lines io.Reader
	told  chan struct{}
	wait  chan struct{}
	once  bool
}

func (r *stepped) Read(b []byte) (int, error) {
	n, err := r.lines.Read(b)
	if errors.Is(err, io.EOF) && !r.once {
		r.once = true
		close(r.told)
		<-r.wait
	}
	return n, err
}

// TestWork: what is under way in a list, how many rows of it are read, and that a
// replacement is shown before a change.
func TestWork(t *testing.T) {
	s := open(t, options(t.TempDir()))
	declare(t, s, suppress.Declaration{Name: "l", Sources: []string{"user.id"}})
	plain := suppress.Import{Format: suppress.Plain}
	start := func(rows int, run func(io.Reader) error) (end func()) {
		var body strings.Builder
		for n := range rows {
			fmt.Fprintf(&body, "user-%d\n", n)
		}
		r := &stepped{lines: strings.NewReader(body.String()), told: make(chan struct{}), wait: make(chan struct{})}
		done := make(chan error, 1)
		go func() { done <- run(r) }()
		<-r.told
		return func() {
			close(r.wait)
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	add := func(r io.Reader) error { _, err := s.Change("l", suppress.Add, r, plain); return err }
	check := func(when, what string, rows uint64) {
		t.Helper()
		st, err := s.Status("l")
		if err != nil || (st.Work == nil) != (what == "") {
			t.Fatalf("%s: %+v, %v", when, st, err)
		}
		if w := st.Work; w != nil && (w.What != what || w.Rows != rows || w.Bytes == 0 || w.Building || w.Since.IsZero()) {
			t.Errorf("%s: %+v, want %s with %d rows", when, w, what, rows)
		}
	}
	check("at rest", "", 0)
	endFirst := start(5_000, add)
	check("a change", "change", 4096)
	endSecond := start(10_000, add)
	check("another change", "change", 8192)
	endFirst()
	check("the first change has ended", "change", 8192)
	endUpload := start(20_000, func(r io.Reader) error { _, err := s.Replace("l", r, plain); return err })
	check("a replacement beside a change", "upload", 16384)
	endUpload()
	check("the replacement has ended", "change", 8192)
	endSecond()
	check("all have ended", "", 0)
	p, _, err := s.Prepare("l", suppress.Add, strings.NewReader("u1\n"), plain)
	if err != nil {
		t.Fatal(err)
	}
	check("a change is prepared", "", 0)
	p.Close()
}
