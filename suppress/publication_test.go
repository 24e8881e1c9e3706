package suppress_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"restraint/suppress"
)

// numbered is an import with a generation and a start of the cluster.
func numbered(generation, start uint64) suppress.Import {
	im := plain
	im.Generation, im.Start, im.Force = generation, start, true
	return im
}

func replaceAs(t *testing.T, s *suppress.Store, to, generation, start uint64) {
	t.Helper()
	rep, err := s.Replace("l", &numbers{to: to}, numbered(generation, start))
	if err != nil || rep.Generation != generation {
		t.Fatalf("got %+v, %v", rep, err)
	}
}

func addAs(t *testing.T, s *suppress.Store, seq uint64, numbers ...uint64) {
	t.Helper()
	var keys []suppress.Key
	for _, n := range numbers {
		keys = append(keys, number(n))
	}
	if err := s.Apply("l", seq, suppress.Add, keys); err != nil {
		t.Fatal(err)
	}
}

func wantStatus(t *testing.T, s *suppress.Store, keys int64, p suppress.Publication, previous uint64) {
	t.Helper()
	st, err := s.Status("l")
	if err != nil || st.Keys != keys || s.Publication("l") != p || st.Generation != p.Generation || st.Previous != previous {
		t.Fatalf("got %+v, %v; want %d keys, %+v, previous %d", st, err, keys, p, previous)
	}
}

// TestGivenGeneration numbers uploads from outside.
func TestGivenGeneration(t *testing.T) {
	dir := t.TempDir()
	s := damageStore(t, dir)
	if _, err := s.Replace("l", &numbers{to: 3}, numbered(1, 0)); !errors.Is(err, suppress.ErrImport) {
		t.Fatalf("generation 1: %v", err)
	}
	addAs(t, s, 5, 90, 91)
	replaceAs(t, s, 3, 57, 20)
	addAs(t, s, 9, 92) // late: before the upload, and so only to be rolled back to
	for range 2 {
		wantStatus(t, s, 3, suppress.Publication{Order: 57, Generation: 57}, 1)
		if _, err := s.Replace("l", &numbers{to: 3}, numbered(57, 0)); !errors.Is(err, suppress.ErrOlder) {
			t.Fatalf("a number that was used: %v", err)
		}
		s.Close()
		s = damageStore(t, dir)
	}
	if _, err := s.Rollback("l"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wantStatus(t, s, 3, suppress.Publication{Order: 57, Generation: 1}, 57)
		for n := uint64(90); n < 93; n++ {
			if in, err := s.Member("l", number(n)); !in || err != nil {
				t.Fatalf("%d is let through: %v", n, err)
			}
		}
		s.Close()
		s = damageStore(t, dir)
	}
}

// TestReplaceAs: what could not be published is not in use, and what was can be
// installed elsewhere.
func TestReplaceAs(t *testing.T) {
	s, other := damageStore(t, t.TempDir()), damageStore(t, t.TempDir())
	replaceAs(t, s, 3, 57, 20)
	away := errors.New("away")
	if _, err := s.ReplaceAs("l", &numbers{to: 5}, numbered(60, 60), func(*suppress.Export) error { return away }); !errors.Is(err, away) {
		t.Fatal(err)
	}
	wantStatus(t, s, 3, suppress.Publication{Order: 57, Generation: 57}, 0)
	rep, err := s.ReplaceAs("l", &numbers{to: 4}, numbered(61, 61), func(e *suppress.Export) error {
		wantStatus(t, s, 3, suppress.Publication{Order: 57, Generation: 57}, 0)
		_, err := other.Install("l", &e.Shipment, e.Reader(), nil)
		return err
	})
	if err != nil || rep.Generation != 61 {
		t.Fatalf("%+v, %v", rep, err)
	}
	wantStatus(t, s, 4, suppress.Publication{Order: 61, Generation: 61}, 57)
	wantStatus(t, other, 4, suppress.Publication{Order: 61, Generation: 61}, 0)
	dry := numbered(0, 0)
	dry.DryRun = true
	if _, err := s.ReplaceAs("l", &numbers{to: 4}, dry, func(*suppress.Export) error { return away }); err != nil {
		t.Fatal("a dry run is published")
	}
}

// TestNothingBefore: a list that never had members is not rolled back to.
func TestNothingBefore(t *testing.T) {
	s := damageStore(t, t.TempDir())
	replaceAs(t, s, 3, 57, 20)
	wantStatus(t, s, 3, suppress.Publication{Order: 57, Generation: 57}, 0)
	if _, err := s.Rollback("l"); !errors.Is(err, suppress.ErrNoPrevious) {
		t.Fatal(err)
	}
	addAs(t, s, 7, 90)
	wantStatus(t, s, 3, suppress.Publication{Order: 57, Generation: 57}, 1)
}

// TestStartBeforeCompaction: changes that were folded in cannot apply over an
// upload that started before them.
func TestStartBeforeCompaction(t *testing.T) {
	dir := t.TempDir()
	s := damageStore(t, dir)
	addAs(t, s, 30, 90)
	if err := s.Compact("l", 30); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var gap *suppress.ReplayError
		_, err := s.Replace("l", &numbers{to: 3}, numbered(57, 20))
		if !errors.As(err, &gap) || !errors.Is(err, suppress.ErrReplay) || gap.After != 20 || gap.Through != 30 {
			t.Fatal(err)
		}
		wantStatus(t, s, 1, suppress.Publication{Order: 1, Generation: 1}, 0)
		s.Close()
		s = damageStore(t, dir)
	}
	replaceAs(t, s, 3, 57, 30)
}

func TestDeleteAs(t *testing.T) {
	dir := t.TempDir()
	s := damageStore(t, dir)
	replaceAs(t, s, 3, 57, 20)
	if err := s.DeleteAs("l", 56, 56); !errors.Is(err, suppress.ErrOlder) {
		t.Fatal(err)
	}
	addAs(t, s, 61, 90)
	for range 2 {
		if err := s.DeleteAs("l", 60, 60); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, s, 1, suppress.Publication{Order: 60, Generation: 60}, 0)
		s.Close()
		s = damageStore(t, dir)
	}
	if err := s.DeleteAs("never heard of", 60, 60); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Replace("l", &numbers{to: 3}, numbered(59, 59)); !errors.Is(err, suppress.ErrOlder) {
		t.Fatal(err)
	}
}

// TestPointerOfBefore opens a list whose pointer says nothing of publications.
func TestPointerOfBefore(t *testing.T) {
	dir := t.TempDir()
	s := damageStore(t, dir)
	upload(t, s, 3)
	add(t, s, 10, 12)
	upload(t, s, 5)
	s.Close()
	path := filepath.Join(dir, "lists", "l", "current")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body := regexp.MustCompile(`"(order|kept)":\d+,?`).ReplaceAll(b[65:len(b)-1], nil)
	sum := sha256.Sum256(body)
	old := append(hex.AppendEncode(nil, sum[:]), '\n')
	if err := os.WriteFile(path, append(append(old, body...), '\n'), 0o600); err != nil || len(body) > len(b)-75 {
		t.Fatalf("%s: %v", b, err)
	}
	s = damageStore(t, dir)
	wantStatus(t, s, 5, suppress.Publication{Order: 2, Generation: 2}, 1)
	if len(s.Notices()) > 0 {
		t.Fatal(s.Notices())
	}
}
