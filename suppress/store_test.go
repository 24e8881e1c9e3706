package suppress_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"restraint/suppress"
)

// TestWholeGenerations swaps two sets of members that have nothing in common
// while readers look: a view holds one of them whole.
func TestWholeGenerations(t *testing.T) {
	d := people("l")
	d.Exact = true
	s := numberStore(t, d, 300)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var p suppress.Probe
			for {
				select {
				case <-stop:
					return
				default:
				}
				v := s.View()
				at, in := v.List("l"), 0
				for n := range uint64(600) {
					p.Reset(number(n))
					if v.Contains(at, &p, 0) {
						in++
						if p.Reset(number((n + 300) % 600)); v.Contains(at, &p, 0) {
							t.Errorf("a view has members of two generations")
						}
					}
				}
				if in != 300 {
					t.Errorf("a view has %d members, want 300", in)
				}
			}
		})
	}
	for i := range 10 {
		from := uint64(i%2) * 300
		if _, err := s.Replace("l", &numbers{at: from, to: from + 300}, plain); err != nil {
			t.Error(err)
		}
		if _, err := s.Rollback("l"); i > 0 && err != nil {
			t.Error(err)
		}
		d.Filter = []string{suppress.FilterBloom, suppress.FilterFuse}[i%2]
		declare(t, s, d, people(fmt.Sprint("other ", i)))
	}
	close(stop)
	readers.Wait()
}

// TestReadersBesideChanges adds keys one at a time, through growth of the sieve
// and compactions, while readers ask for those that are certain to be there.
func TestReadersBesideChanges(t *testing.T) {
	s := numberStore(t, people("l"), 100)
	var mu sync.Mutex
	added := uint64(100)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			var p suppress.Probe
			for {
				mu.Lock()
				n := added
				mu.Unlock()
				v := s.View()
				for i := range n {
					p.Reset(number(i))
					if !v.Contains(v.List("l"), &p, 0) {
						t.Errorf("%d of %d is let through", i, n)
						return
					}
				}
				if n == 1000 {
					return
				}
			}
		})
	}
	for n := uint64(100); n < 1000; n++ {
		if err := s.Apply("l", n, suppress.Add, []suppress.Key{number(n)}); err != nil {
			t.Error(err)
		}
		mu.Lock()
		added = n + 1
		mu.Unlock()
		if n%200 == 0 {
			if err := s.Compact("l", math.MaxUint64); err != nil {
				t.Error(err)
			}
		}
	}
	readers.Wait()
}

// TestMerge applies the same changes in several orders, doubled, and with an
// upload somewhere among them: one state without the upload, one with it.
func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	type event struct {
		seq uint64
		op  suppress.Op
		key suppress.Key
	}
	var events []event
	for range 300 {
		events = append(events, event{rng.Uint64N(200) + 1, suppress.Op(rng.IntN(2) + 1), number(rng.Uint64N(40))})
	}
	want := make(map[bool]string)
	for round := range 8 {
		d := people("l")
		d.Exact = true
		s := numberStore(t, d, 0)
		batch := append([]event(nil), events...)
		if round > 0 {
			batch = append(batch, events[:100]...)
			rng.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		}
		upload, at := round >= 4, rng.IntN(len(batch))
		for i, e := range batch {
			if err := s.Apply("l", e.seq, e.op, []suppress.Key{e.key}); err != nil {
				t.Fatal(err)
			}
			if upload && i == at {
				im := plain
				im.Start = 50
				if _, err := s.Replace("l", &numbers{to: 20}, im); err != nil {
					t.Fatal(err)
				}
			}
		}
		got := ""
		var p suppress.Probe
		for n := range uint64(40) {
			p.Reset(number(n))
			got += fmt.Sprint(s.View().Contains(0, &p, 0), " ")
		}
		if want[upload] == "" {
			want[upload] = got
		}
		if got != want[upload] {
			t.Fatalf("round %d: %s\nwant %s", round, got, want[upload])
		}
	}
}

func TestBusy(t *testing.T) {
	s := numberStore(t, people("l"), 10)
	entered, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := s.Replace("l", &duringRead{&numbers{to: 20}, func() { close(entered); <-leave }}, plain)
		done <- err
	}()
	<-entered
	_, replace := s.Replace("l", &numbers{to: 30}, plain)
	_, rollback := s.Rollback("l")
	for _, err := range []error{replace, rollback, s.Delete("l"), s.Compact("l", 1)} {
		var busy *suppress.BusyError
		if !errors.Is(err, suppress.ErrBusy) || !errors.As(err, &busy) || busy.Work == nil || busy.Work.What != "upload" ||
			!strings.Contains(err.Error(), `upload of "l", under way since `+busy.Work.Since.UTC().Format(time.RFC3339)) {
			t.Errorf("beside an upload: %v", err)
		}
	}
	if st, _ := s.Status("l"); st.Work == nil || st.Work.What != "upload" {
		t.Errorf("beside an upload: %+v", st)
	}
	if _, err := s.Change("l", suppress.Add, strings.NewReader("1000\n"), plain); err != nil {
		t.Errorf("a change beside an upload: %v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if st, _ := s.Status("l"); st.Keys != 21 || st.Generation != 2 || st.Work != nil {
		t.Fatalf("got %+v", st)
	}
}

func TestUndeclared(t *testing.T) {
	s := numberStore(t, people("l"), 10)
	at := s.View().List("l")
	declare(t, s, people("other"))
	v := s.View()
	var p suppress.Probe
	p.Reset(number(1))
	if v.List("l") != -1 || v.Ready(at) || v.Contains(at, &p, 0) || v.List("other") == at {
		t.Fatal("an undeclared list is in use, or its index is")
	}
	if _, err := s.Rollback("l"); !errors.Is(err, suppress.ErrUnknownList) {
		t.Fatal(err)
	}
	declare(t, s, people("other"), people("l"))
	v = s.View()
	if v.List("l") != at || !v.Ready(at) || !v.Contains(at, &p, 0) || v.Ready(v.List("other")) {
		t.Fatal("the list has lost its members or its index")
	}
	for _, d := range []suppress.Declaration{
		{},
		{Name: "x"},
		{Name: "x", Sources: []string{"a"}, Rate: 2},
		{Name: "x", Sources: []string{"a"}, Filter: "cuckoo"},
		{Name: "x", Sources: []string{"a"}, Items: true},
	} {
		if s.Declare([]suppress.Declaration{d}) == nil {
			t.Errorf("declared %+v", d)
		}
	}
}

func TestState(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	d := people("l")
	d.MaxAge = time.Hour
	s := open(t, suppress.Options{Dir: t.TempDir(), Hash: numberHash, Now: func() time.Time { return now }})
	declare(t, s, d)
	want := func(state suppress.State, age int64) {
		t.Helper()
		if st, err := s.Status("l"); err != nil || st.State != state || st.AgeSeconds != age {
			t.Fatalf("got %+v, %v", st, err)
		}
	}
	want(suppress.StateNone, 0)
	if _, err := s.Replace("l", &numbers{to: 3}, plain); err != nil {
		t.Fatal(err)
	}
	want(suppress.StateReady, 0)
	now = now.Add(time.Hour + time.Second)
	if _, err := s.Change("l", suppress.Add, &numbers{at: 5, to: 6}, plain); err != nil {
		t.Fatal(err)
	}
	want(suppress.StateStale, 3601) // a change does not make an old export young
	if v := s.View(); v.Uploaded(v.List("l")) != 1_800_000_000 {
		t.Fatal(v.Uploaded(v.List("l")))
	}
	if in, err := s.Member("l", number(5)); !in || err != nil {
		t.Fatal(in, err)
	}
	if in, err := s.Member("l", number(4)); in || err != nil {
		t.Fatal(in, err)
	}
	if err := s.Delete("l"); err != nil {
		t.Fatal(err)
	}
	if st, _ := s.Status("l"); st.State != suppress.StateNone || st.Keys != 0 {
		t.Fatalf("after delete: %+v", st)
	}
}

func TestFull(t *testing.T) {
	s := open(t, suppress.Options{Dir: t.TempDir(), Hash: numberHash, MaxChanges: 10})
	declare(t, s, people("l"))
	var keys []suppress.Key
	for n := range uint64(11) {
		keys = append(keys, number(n))
	}
	if err := s.Apply("l", 1, suppress.Add, keys[:10]); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply("l", 2, suppress.Add, keys[1:]); !errors.Is(err, suppress.ErrFull) {
		t.Fatal(err)
	}
	if err := s.Compact("l", 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply("l", 2, suppress.Add, keys[1:]); err != nil {
		t.Fatal(err)
	}
	if st, _ := s.Status("l"); st.Keys != 11 {
		t.Fatalf("got %+v", st)
	}
}
