package suppress_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"restraint/suppress"
)

var big = flag.Bool("big", false, "measure false positives at 1e7 keys too")

// number is the key of a number, uniform as a keyed hash is.
func number(n uint64) (k suppress.Key) {
	binary.LittleEndian.PutUint64(k[:8], splitmix(2*n))
	binary.LittleEndian.PutUint64(k[8:], splitmix(2*n+1))
	return k
}

func splitmix(n uint64) uint64 {
	n *= 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// numberHash makes the key of an identifier that is a decimal number, so that
// tests at size do not measure SHA-256.
func numberHash(_ string, id []byte) suppress.Key {
	n := uint64(0)
	for _, c := range id {
		n = n*10 + uint64(c-'0')
	}
	return number(n)
}

// numbers is a file of the numbers from..to, one a line.
type numbers struct {
	at, to uint64
	buf    []byte
}

func (n *numbers) Read(p []byte) (int, error) {
	for len(n.buf) < len(p) && n.at < n.to {
		n.buf = append(strconv.AppendUint(n.buf, n.at, 10), '\n')
		n.at++
	}
	if len(n.buf) == 0 {
		return 0, io.EOF
	}
	k := copy(p, n.buf)
	n.buf = append(n.buf[:0], n.buf[k:]...)
	return k, nil
}

func numberStore(t testing.TB, d suppress.Declaration, keys uint64) *suppress.Store {
	t.Helper()
	s := open(t, suppress.Options{Dir: t.TempDir(), Hash: numberHash})
	declare(t, s, d)
	if keys > 0 {
		if _, err := s.Replace(d.Name, &numbers{to: keys}, plain); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestFalsePositives looks every member up and a number of strangers: the
// members are all in, and of the strangers no more than the stated rate, with
// three standard deviations for the sample.
func TestFalsePositives(t *testing.T) {
	sizes := []uint64{1e4, 1e6}
	if *big {
		sizes = append(sizes, 1e7)
	}
	for _, keys := range sizes {
		for _, kind := range []string{suppress.FilterBloom, suppress.FilterFuse} {
			for _, exact := range []bool{false, true} {
				if exact && keys > 1e4 && !*big {
					continue
				}
				t.Run(fmt.Sprintf("keys=%.0e/%s/exact=%v", float64(keys), kind, exact), func(t *testing.T) {
					d := people("l")
					d.Filter, d.Exact = kind, exact
					began := time.Now()
					s := numberStore(t, d, keys)
					built := time.Since(began)
					measure(t, s, keys, exact)
					t.Logf("built in %v", built)
				})
			}
		}
	}
}

func measure(t *testing.T, s *suppress.Store, keys uint64, exact bool) {
	v := s.View()
	at := v.List("l")
	var p suppress.Probe
	for n := range keys {
		p.Reset(number(n))
		if !v.Contains(at, &p) {
			t.Fatalf("member %d is let through", n)
		}
	}
	strangers, wrong := uint64(500_000), 0
	if *big {
		strangers *= 20
	}
	for n := range strangers {
		p.Reset(number(1<<40 + n))
		if v.Contains(at, &p) {
			wrong++
		}
	}
	most := float64(strangers) * suppress.DefaultRate
	if got := float64(wrong); got > most+3*math.Sqrt(most) || exact && wrong > 0 {
		t.Fatalf("%d of %d strangers are taken for members", wrong, strangers)
	}
	st, err := s.Status("l")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("measured %.2e, estimated %.2e, %.3f bytes a key in memory",
		float64(wrong)/float64(strangers), st.FalsePositiveRate, float64(st.Bytes)/float64(keys))
}

// TestWholeGenerations swaps two sets of members that have nothing in common
// while readers look: a view holds one of them whole.
func TestWholeGenerations(t *testing.T) {
	d := people("l")
	d.Exact = true
	s := numberStore(t, d, 300)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
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
					if v.Contains(at, &p) {
						in++
						if p.Reset(number((n + 300) % 600)); v.Contains(at, &p) {
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
	for i := range 20 {
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
					if !v.Contains(v.List("l"), &p) {
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
			got += fmt.Sprint(s.View().Contains(0, &p), " ")
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
		if !errors.Is(err, suppress.ErrBusy) {
			t.Errorf("beside an upload: %v", err)
		}
	}
	if _, err := s.Change("l", suppress.Add, strings.NewReader("1000\n"), plain); err != nil {
		t.Errorf("a change beside an upload: %v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if st, _ := s.Status("l"); st.Keys != 21 || st.Generation != 2 {
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
	if v.List("l") != -1 || v.Ready(at) || v.Contains(at, &p) || v.List("other") == at {
		t.Fatal("an undeclared list is in use, or its index is")
	}
	if _, err := s.Rollback("l"); !errors.Is(err, suppress.ErrUnknownList) {
		t.Fatal(err)
	}
	declare(t, s, people("other"), people("l"))
	v = s.View()
	if v.List("l") != at || !v.Ready(at) || !v.Contains(at, &p) || v.Ready(v.List("other")) {
		t.Fatal("the list has lost its members or its index")
	}
	for _, d := range []suppress.Declaration{{}, {Name: "x"}, {Name: "x", Sources: []string{"a"}, Rate: 2},
		{Name: "x", Sources: []string{"a"}, Filter: "cuckoo"}, {Name: "x", Sources: []string{"a"}, Items: true}} {
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
	if err := s.Delete("l"); err != nil {
		t.Fatal(err)
	}
	if st, _ := s.Status("l"); st.State != suppress.StateNone || st.Keys != 0 {
		t.Fatalf("after delete: %+v", st)
	}
}

// corrupt changes one byte of the file at a place counted from its end.
func corrupt(t *testing.T, path string, fromEnd int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-fromEnd] ^= 0x40
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamage(t *testing.T) {
	dir := t.TempDir()
	keys := func(g int) string {
		all, _ := filepath.Glob(filepath.Join(dir, "lists", "l", fmt.Sprintf("%010d-*.keys", g)))
		if len(all) != 1 {
			t.Fatalf("generation %d has %q", g, all)
		}
		return all[0]
	}
	reopen := func() *suppress.Store {
		s := open(t, suppress.Options{Dir: dir, Hash: numberHash})
		declare(t, s, people("l"))
		return s
	}
	upload := func(s *suppress.Store, to uint64) {
		if _, err := s.Replace("l", &numbers{to: to}, plain); err != nil {
			t.Fatal(err)
		}
	}
	want := func(s *suppress.Store, state suppress.State, members int64, notices int) {
		t.Helper()
		st, _ := s.Status("l")
		if st.State != state || st.Keys != members || len(s.Notices()) != notices {
			t.Fatalf("got %+v\n%v", st, s.Notices())
		}
	}
	s := reopen()
	upload(s, 100)
	upload(s, 200)
	if _, err := s.Change("l", suppress.Add, &numbers{at: 500, to: 505}, plain); err != nil {
		t.Fatal(err)
	}
	s.Close()
	corrupt(t, keys(2), 40)
	s = reopen()
	want(s, suppress.StateReady, 105, 1) // the generation before, and the changes over it
	upload(s, 300)
	s.Close()

	corrupt(t, filepath.Join(dir, "lists", "l", "current"), 3)
	s = reopen()
	want(s, suppress.StateReady, 300, 1)
	if _, err := s.Change("l", suppress.Add, &numbers{at: 500, to: 501}, plain); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Change("l", suppress.Add, &numbers{at: 501, to: 503}, plain); err != nil {
		t.Fatal(err)
	}
	s.Close()

	log := filepath.Join(dir, "lists", "l", "changes.log")
	st, err := os.Stat(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(log, st.Size()-1); err != nil { // a torn tail
		t.Fatal(err)
	}
	s = reopen()
	want(s, suppress.StateReady, 301, 1)
	s.Close()
	s = reopen()
	want(s, suppress.StateReady, 301, 0)
	s.Close()

	corrupt(t, keys(1), 1)
	corrupt(t, keys(3), 1)
	for range 2 { // it stays known that the list is damaged
		s = reopen()
		if st, _ := s.Status("l"); st.State != suppress.StateDamaged || s.View().Ready(0) || len(s.Notices()) == 0 {
			t.Fatalf("got %+v", st)
		}
		s.Close()
	}
	s = reopen()
	upload(s, 10)
	if st, _ := s.Status("l"); st.State != suppress.StateReady || st.Generation < 4 {
		t.Fatalf("got %+v", st)
	}
}

func TestOtherSecret(t *testing.T) {
	o := suppress.Options{Dir: t.TempDir(), Hash: numberHash, Fingerprint: "one"}
	s := open(t, o)
	declare(t, s, people("l"), people("changes only"))
	if _, err := s.Replace("l", &numbers{to: 3}, plain); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply("changes only", 1, suppress.Add, []suppress.Key{number(1)}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	o.Fingerprint = "two"
	_, err := suppress.Open(o)
	if !errors.Is(err, suppress.ErrFingerprint) || !strings.Contains(err.Error(), `"one"`) || !strings.Contains(err.Error(), `"two"`) {
		t.Fatal(err)
	}
	os.RemoveAll(filepath.Join(o.Dir, "lists", "l"))
	if _, err := suppress.Open(o); !errors.Is(err, suppress.ErrFingerprint) {
		t.Fatalf("a journal of another secret: %v", err)
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

func TestAllocations(t *testing.T) {
	for _, kind := range []string{suppress.FilterBloom, suppress.FilterFuse} {
		for _, exact := range []bool{false, true} {
			d := people("l")
			d.Filter, d.Exact, d.Rate = kind, exact, 1e-8
			s := numberStore(t, d, 1000)
			if err := s.Apply("l", 1, suppress.Add, []suppress.Key{number(5000)}); err != nil {
				t.Fatal(err)
			}
			var p suppress.Probe
			for _, n := range []uint64{1, 5000, 1 << 40} { // base, change, stranger
				key := number(n)
				if got := testing.AllocsPerRun(100, func() {
					v := s.View()
					p.Reset(key)
					v.Contains(v.List("l"), &p)
				}); got >= 1 {
					t.Errorf("%s, exact %v, key %d: %v allocations", kind, exact, n, got)
				}
			}
		}
	}
	id, dst := []byte(" "+base64Of("a@example.com")), make([]byte, 0, 64)
	if got := testing.AllocsPerRun(100, func() { dst, _ = suppress.Canonical(dst[:0], "email_sha256", id) }); got >= 1 {
		t.Errorf("Canonical: %v allocations", got)
	}
}
