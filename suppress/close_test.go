package suppress_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restraint/suppress"
)

// TestCloseMeanwhile closes the store while something is under way: what ends
// after that is refused, and what was acknowledged before is there after it.
func TestCloseMeanwhile(t *testing.T) {
	for name, late := range map[string]func(s *suppress.Store, r io.Reader) error{
		"change": func(s *suppress.Store, r io.Reader) error {
			_, err := s.Change("l", suppress.Add, r, plain)
			return err
		},
		"remove": func(s *suppress.Store, r io.Reader) error {
			_, err := s.Change("l", suppress.Remove, r, plain)
			return err
		},
		"replace": func(s *suppress.Store, r io.Reader) error {
			_, err := s.Replace("l", r, plain)
			return err
		},
		"change of many": func(s *suppress.Store, r io.Reader) error {
			_, err := s.Change("l", suppress.Add, io.MultiReader(r, &numbers{at: 1000, to: 1200}), plain)
			return err
		},
		"compact": func(s *suppress.Store, _ io.Reader) error {
			s.Close()
			return s.Compact("l", math.MaxUint64)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := damageStore(t, dir)
			add(t, s, 500, 505)
			add(t, s, 505, 510)
			before := filesOf(t, dir)
			if err := late(s, &duringRead{strings.NewReader("501\n502\n"), func() { s.Close() }}); !errors.Is(err, suppress.ErrClosed) {
				t.Fatalf("got %v", err)
			}
			if after := filesOf(t, dir); after != before {
				t.Fatalf("files %s\nwere %s", after, before)
			}
			s = damageStore(t, dir)
			if st, _ := s.Status("l"); st.Keys != 10 || !trusted(s) || len(s.Notices()) > 0 {
				t.Fatalf("got %+v %v", st, s.Notices())
			}
		})
	}
}

// filesOf is every file of the list "l" with its content.
func filesOf(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "lists", "l", "*"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	var b strings.Builder
	for _, path := range all {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(filepath.Base(path) + " " + string(content) + "\n")
	}
	return b.String()
}

// TestShape declares a list of users as one of items, and the other way round.
func TestShape(t *testing.T) {
	orders := people("l")
	orders.Items = true
	csv := suppress.Import{Format: suppress.CSV, ID: "user.id", Column: "u", ItemColumn: "sku"}
	o := options(t.TempDir())
	o.MaxShrink = 1
	s := open(t, o)
	d := people("l")
	want := func(trust bool, notices int) {
		t.Helper()
		for start := range 2 {
			if trusted(s) != trust || start == 1 && len(s.Notices()) != notices {
				t.Fatalf("trusted: %v, notices %v", trusted(s), s.Notices())
			}
			if st, _ := s.Status("l"); (st.State == suppress.StateReady) != trust {
				t.Fatalf("got %+v", st)
			}
			s.Close()
			s = open(t, o)
			declare(t, s, d)
		}
	}
	declare(t, s, d)
	if _, err := s.Change("l", suppress.Add, strings.NewReader("u1\n"), plain); err != nil {
		t.Fatal(err)
	}
	want(true, 0)
	d = orders
	declare(t, s, d)
	want(false, 1)
	if _, err := s.Change("l", suppress.Add, strings.NewReader("u,sku\nu1,hat\n"), csv); !errors.Is(err, suppress.ErrImport) {
		t.Fatalf("a change of another shape: %v", err)
	}
	var many strings.Builder // more than fits in memory
	for n := range 400 {
		fmt.Fprintf(&many, "u%d,hat\n", n)
	}
	if _, err := s.Change("l", suppress.Add, strings.NewReader("u,sku\n"+many.String()), csv); !errors.Is(err, suppress.ErrImport) {
		t.Fatalf("a big change of another shape: %v", err)
	}
	d = people("l")
	declare(t, s, d) // back: the members are as they were
	want(true, 0)
	if _, err := s.Replace("l", strings.NewReader("u1\nu2\n"), plain); err != nil {
		t.Fatal(err)
	}
	d = orders
	declare(t, s, d)
	want(false, 1)
	if _, err := s.Replace("l", strings.NewReader("u,sku\nu1,hat\n"), csv); err != nil {
		t.Fatal(err)
	}
	if st, err := s.Rollback("l"); !errors.Is(err, suppress.ErrNoPrevious) {
		t.Fatalf("rolled back to members of another shape: %+v, %v", st, err)
	}
	want(true, 0)
	if _, err := s.Change("l", suppress.Add, strings.NewReader("u,sku\nu2,hat\n"), csv); err != nil {
		t.Fatal(err)
	}
	want(true, 0)
}

// TestShapeApplied: changes that come before any declaration are what is
// declared first, also after a restart.
func TestShapeApplied(t *testing.T) {
	o := options(t.TempDir())
	s := open(t, o)
	if err := s.Apply("l", 1, suppress.Add, []suppress.Key{number(1)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Compact("l", 1); !errors.Is(err, suppress.ErrUnknownList) {
		t.Fatalf("compacted members of no known shape: %v", err)
	}
	declare(t, s, people("l"))
	if !trusted(s) {
		t.Fatal(s.Notices())
	}
	s.Close()
	s = open(t, o)
	d := people("l")
	d.Items = true
	declare(t, s, d)
	if trusted(s) || len(s.Notices()) != 1 {
		t.Fatal("users are taken for purchases")
	}
}

// TestZeroShares: a share of zero allows none.
func TestZeroShares(t *testing.T) {
	o := options(t.TempDir())
	o.MaxRejected, o.MaxShrink = 0, 0
	s := open(t, o)
	declare(t, s, people("l"))
	body := strings.Repeat("u1\n", 999)
	if _, err := s.Replace("l", strings.NewReader(body+"u\x00\n"), plain); !errors.Is(err, suppress.ErrRejected) {
		t.Fatalf("one rejected row of 1000: %v", err)
	}
	if _, err := s.Replace("l", strings.NewReader("u1\nu2\nu3\n"), plain); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Replace("l", strings.NewReader("u1\nu2\n"), plain); !errors.Is(err, suppress.ErrShrink) {
		t.Fatalf("a loss of one member of three: %v", err)
	}
	for _, bad := range []float64{-0.1, 1.1, math.NaN()} {
		o.MaxShrink = bad
		if _, err := suppress.Open(o); err == nil {
			t.Errorf("max_shrink %g is taken", bad)
		}
	}
}

func TestListNames(t *testing.T) {
	o := options(t.TempDir())
	s := open(t, o)
	for _, bad := range []string{"", ".", "..", "a/b", strings.Repeat("x", 129)} {
		if err := s.Declare([]suppress.Declaration{people(bad)}); !errors.Is(err, suppress.ErrName) {
			t.Errorf("declared %q: %v", bad, err)
		}
		if err := s.Apply(bad, 1, suppress.Add, []suppress.Key{number(1)}); !errors.Is(err, suppress.ErrName) {
			t.Errorf("changed %q: %v", bad, err)
		}
	}
	name := strings.Repeat("ü", 64)
	declare(t, s, people(name))
	if _, err := s.Replace(name, strings.NewReader("u1\n"), plain); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, o)
	declare(t, s, people(name))
	if !has(t, s, name, "user.id", "u1") || len(s.Notices()) > 0 {
		t.Fatal("a list with a long name is not found again", s.Notices())
	}
}
