package suppress_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"restraint/suppress"
)

const backupSecret = "0123456789abcdef"

func backupStore(t *testing.T, changes int) *suppress.Store {
	t.Helper()
	o := options(t.TempDir())
	o.MaxChanges, o.MaxShrink = changes, 1
	return open(t, o)
}

// copied makes another store of what a backup has.
func copied(t *testing.T, of *suppress.Store, b *suppress.Backup) *suppress.Store {
	t.Helper()
	s := backupStore(t, 1<<20)
	check := suppress.NewChecker(backupSecret, nil)
	for _, e := range []*suppress.Export{b.Previous, b.Current} {
		if e == nil {
			continue
		}
		if err := check.Check(&e.Shipment, e.Reader()); err != nil {
			t.Fatal(err)
		}
		sh := e.Shipment
		if b.Previous != nil && e == b.Current {
			sh.Order = max(sh.Order, b.Previous.Generation+1)
		}
		if _, err := s.Install(b.List, &sh, e.Reader(), nil); err != nil {
			t.Fatal(err)
		}
	}
	err := b.Changes(func(seq uint64, c *suppress.Change) error {
		form, err := of.AppendChange(nil, c)
		if err != nil {
			return err
		}
		parsed, err := check.ParseChange(form)
		if err != nil {
			return err
		}
		return s.ApplyChange(seq, &parsed)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func members(t *testing.T, s *suppress.Store, list, ids string) (in string) {
	t.Helper()
	for id := range strings.SplitSeq(ids, "") {
		yes, err := s.Member(list, testHash("user.id", []byte(id)))
		if err != nil {
			t.Fatal(err)
		}
		if yes {
			in += id
		}
	}
	return in
}

// A backup has the generation in use, the one before and the changes since, as one.
func TestBackup(t *testing.T) {
	s := backupStore(t, 300)
	declare(t, s, suppress.Declaration{Name: "l", Sources: []string{"user.id"}, Exact: true}, suppress.Declaration{Name: "changed", Sources: []string{"user.id"}})
	do := func(_ suppress.Report, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	in := func(ids string) io.Reader { return strings.NewReader(strings.Join(strings.Split(ids, ""), "\n")) }
	force := plain
	force.Force = true
	do(s.Replace("l", in("abc"), force))
	do(s.Replace("l", in("cde"), force))
	do(s.Change("l", suppress.Add, in("fg"), plain))
	do(s.Change("l", suppress.Remove, in("cg"), plain))
	do(s.Change("changed", suppress.Add, in("xy"), plain))
	do(s.Change("changed", suppress.Remove, in("y"), plain))

	b, err := s.Backup("l")
	if err != nil {
		t.Fatal(err)
	}
	do(s.Replace("l", in("z"), force)) // what follows is not in it
	other := copied(t, s, b)
	declare(t, other, suppress.Declaration{Name: "l", Sources: []string{"user.id"}, Exact: true})
	if got := members(t, other, "l", "abcdefgz"); got != "def" {
		t.Errorf("%q", got)
	}
	if _, err := other.Rollback("l"); err != nil {
		t.Fatal(err)
	}
	if got := members(t, other, "l", "abcdefgz"); got != "abf" {
		t.Errorf("rolled back: %q", got)
	}

	if b, err = s.Backup("changed"); err != nil || b.Current != nil || b.Previous != nil {
		t.Fatalf("%+v, %v", b, err)
	}
	other = copied(t, s, b)
	if got := members(t, other, "changed", "xyz"); got != "x" {
		t.Errorf("never uploaded: %q", got)
	}
	if _, err := s.Backup("nobody"); !errors.Is(err, suppress.ErrUnknownList) {
		t.Errorf("%v", err)
	}
}

// What is folded into a generation while a backup is made is in the one or the other.
func TestBackupBesideFolds(t *testing.T) {
	s := backupStore(t, 64)
	declare(t, s, suppress.Declaration{Name: "l", Sources: []string{"user.id"}})
	stop, began := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	acknowledged := 0
	var changing sync.WaitGroup
	changing.Go(func() {
		for i := 0; ; i++ {
			var keys []suppress.Key
			for j := range 10 {
				keys = append(keys, testHash("user.id", fmt.Appendf(nil, "%d", 10*i+j)))
			}
			c := suppress.Change{List: "l", Op: suppress.Add, Keys: keys, Fingerprint: backupSecret}
			err := s.ApplyChange(uint64(i+1), &c)
			if errors.Is(err, suppress.ErrFull) {
				if err = s.Compact("l", uint64(i)); err == nil {
					err = s.ApplyChange(uint64(i+1), &c)
				}
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			acknowledged = 10 * (i + 1)
			mu.Unlock()
			if i == 20 {
				close(began)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	<-began
	for range 20 {
		mu.Lock()
		want := acknowledged
		mu.Unlock()
		b, err := s.Backup("l")
		if err != nil {
			t.Fatal(err)
		}
		other := copied(t, s, b)
		for i := range want {
			if in, err := other.Member("l", testHash("user.id", fmt.Appendf(nil, "%d", i))); !in || err != nil {
				t.Fatalf("%d of %d that were acknowledged is in neither: %v", i, want, err)
			}
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	changing.Wait()
}

// A list that was never uploaded becomes one that others can take.
func TestRenumber(t *testing.T) {
	s := backupStore(t, 300)
	apply := func(seq uint64, op suppress.Op, id string) {
		t.Helper()
		if err := s.ApplyChange(seq, &suppress.Change{List: "l", Op: op, Keys: []suppress.Key{testHash("user.id", []byte(id))}, Fingerprint: backupSecret}); err != nil {
			t.Fatal(err)
		}
	}
	apply(3, suppress.Add, "a")
	apply(4, suppress.Add, "b")
	if err := s.Renumber("l", 1<<40); !errors.Is(err, suppress.ErrNoPrevious) {
		t.Errorf("before there is a generation: %v", err)
	}
	if err := s.Compact("l", s.Sequence()); err != nil {
		t.Fatal(err)
	}
	if err := s.Renumber("l", 1<<40); err != nil {
		t.Fatal(err)
	}
	if p := s.Publication("l"); p != (suppress.Publication{Order: 1 << 40, Generation: 1 << 40}) {
		t.Errorf("%+v", p)
	}
	for _, number := range []uint64{0, 1, 1 << 40, 1<<62 + 1} {
		if err := s.Renumber("l", number); !errors.Is(err, suppress.ErrOlder) {
			t.Errorf("%d: %v", number, err)
		}
	}
	if err := s.Renumber("nobody", 1<<40); !errors.Is(err, suppress.ErrUnknownList) {
		t.Errorf("%v", err)
	}
	apply(5, suppress.Remove, "b") // it goes on

	e, err := s.Export("l")
	if err != nil {
		t.Fatal(err)
	}
	other := backupStore(t, 300)
	if _, err := other.Install("l", &e.Shipment, e.Reader(), nil); err != nil {
		t.Fatal(err)
	}
	if got := members(t, s, "l", "abc") + " " + members(t, other, "l", "abc"); got != "a ab" {
		t.Errorf("%q", got)
	}
}

// What is not as a store sends it is refused.
func TestChecker(t *testing.T) {
	sh, file := exportOf(t, "", suppress.Declaration{Name: "l", Sources: []string{"user.id"}})
	check := suppress.NewChecker("", nil)
	if err := check.Check(&sh, bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	for at := range file {
		damaged := bytes.Clone(file)
		damaged[at] ^= 1
		for _, b := range [][]byte{damaged, file[:at]} {
			if err := check.Check(&sh, bytes.NewReader(b)); err == nil {
				t.Fatalf("byte %d", at)
			}
		}
	}
	if err := suppress.NewChecker("other", nil).Check(&sh, bytes.NewReader(file)); !errors.Is(err, suppress.ErrFingerprint) {
		t.Errorf("another secret: %v", err)
	}
	c := suppress.Change{List: "l", Op: suppress.Add, Keys: make([]suppress.Key, 1), Fingerprint: "other"}
	form, err := suppress.AppendChange(nil, &c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := check.ParseChange(form); !errors.Is(err, suppress.ErrFingerprint) {
		t.Errorf("a change under another secret: %v", err)
	}
}
