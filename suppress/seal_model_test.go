package suppress_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"restraint/suppress"
)

// epochs are those of a secret, of which the keys are hashes. The first is that of
// options.
type epochs struct {
	mu     sync.Mutex
	known  int // 0 to known
	active int
}

func epochName(number int) string {
	if number == 0 {
		return options("").Fingerprint
	}
	return fmt.Sprintf("e%015d", number)
}

func (e *epochs) use(active int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.active, e.known = active, max(e.known, active)
}

func (e *epochs) Active() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return epochName(e.active)
}

var errNoEpoch = errors.New("no such epoch")

func (e *epochs) Subkey(fingerprint, purpose string, salt []byte) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.known + 1 {
		switch {
		case epochName(i) != fingerprint:
		case i == 0:
			return nil, nil
		default:
			key := sha256.Sum256(fmt.Appendf(nil, "%s %s %x", fingerprint, purpose, salt))
			return key[:], nil
		}
	}
	return nil, errNoEpoch
}

// wantSealed fails where a key of u0 to u(n-1) stands in a file under the folder.
func wantSealed(t *testing.T, dir string, n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for id := range n {
			key := testHash("user.id", fmt.Appendf(nil, "u%d", id))
			if bytes.Contains(b, key[:8]) || bytes.Contains(b, key[8:]) {
				t.Errorf("%s has the key of u%d", filepath.Base(path), id)
				break
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// resealed is a store with one list in two generations and some changes: u3, u4, u5 and, until
// a second, u7 are members; without the second upload u1, u3 and u7 would be.
type resealed struct {
	t      *testing.T
	dir    string
	epochs epochs
	clock  *testClock
	s      *suppress.Store
}

func (r *resealed) open() {
	r.t.Helper()
	o := options(r.dir)
	o.Seals, o.Now = &r.epochs, r.clock.now
	r.s = open(r.t, o)
	if n := r.s.Notices(); len(n) > 0 {
		r.t.Fatalf("%v", n)
	}
	d := people("l")
	d.Exact = true
	declare(r.t, r.s, d)
}

func (r *resealed) fill() {
	r.t.Helper()
	for _, up := range []string{"u1\nu2\nu3\n", "u2\nu3\nu4\nu5\n"} {
		if _, err := r.s.Replace("l", strings.NewReader(up), plain); err != nil {
			r.t.Fatal(err)
		}
	}
	until := plain
	until.Until = uint32(r.clock.at) + 1000
	if _, err := r.s.Change("l", suppress.Add, strings.NewReader("u7\n"), until); err != nil {
		r.t.Fatal(err)
	}
	if err := r.s.Compact("l", r.s.Sequence()); err != nil { // u7 leaves at a second of its own
		r.t.Fatal(err)
	}
	if _, err := r.s.Change("l", suppress.Remove, strings.NewReader("u2\n"), plain); err != nil {
		r.t.Fatal(err)
	}
}

// check looks everybody up, by the filter and in the key file.
func (r *resealed) check(when string) {
	r.t.Helper()
	var got []int
	v, now := r.s.View(), uint32(r.clock.at)
	var p suppress.Probe
	for id := range 9 {
		key := testHash("user.id", fmt.Appendf(nil, "u%d", id))
		p.Reset(key)
		in := v.Contains(v.List("l"), &p, now)
		if settled, err := r.s.Member("l", key); err != nil || settled != in {
			r.t.Errorf("%s: u%d: %v, settled %v, %v", when, id, in, settled, err)
		}
		if in {
			got = append(got, id)
		}
		if id == 7 && v.Contains(v.List("l"), &p, now+1000) {
			r.t.Errorf("%s: u7 does not leave", when)
		}
	}
	if fmt.Sprint(got) != "[3 4 5 7]" {
		r.t.Errorf("%s: members %v", when, got)
	}
}

// reseal writes the list anew in the epoch in use; again it has nothing to do.
func (r *resealed) reseal(epoch int) {
	r.t.Helper()
	before, err := r.s.Status("l")
	if err != nil || !before.EarlierEpoch || before.Epoch != epochName(epoch-1) {
		r.t.Fatalf("%+v, %v", before, err)
	}
	if err := r.s.Reseal(); err != nil {
		r.t.Fatal(err)
	}
	after, err := r.s.Status("l")
	if err != nil || after.EarlierEpoch || after.Epoch != epochName(epoch) || after.Generation != before.Generation || after.Previous != before.Previous || after.Start != before.Start || after.Keys != before.Keys {
		r.t.Fatalf("%+v, before %+v, %v", after, before, err)
	}
	wantSealed(r.t, r.dir, 9)
	files, _ := filepath.Glob(filepath.Join(r.dir, "lists", "*", "*"))
	was := make([][]byte, len(files))
	for i, f := range files {
		was[i], _ = os.ReadFile(f)
	}
	if err := r.s.Reseal(); err != nil {
		r.t.Fatal(err)
	}
	for i, f := range files {
		if b, _ := os.ReadFile(f); !bytes.Equal(b, was[i]) {
			r.t.Errorf("%s was written again for nothing", filepath.Base(f))
		}
	}
}

// The files of a list go over to another epoch as they are: the same members, numbers
// and ends, and no key in clear; and nothing is done twice.
func TestReseal(t *testing.T) {
	r := &resealed{t: t, dir: t.TempDir(), clock: newTestClock()}
	r.open()
	r.fill()
	r.check("epoch 0")
	for epoch := 1; epoch <= 3; epoch++ {
		r.epochs.use(epoch)
		r.check("active, and not sealed anew")
		if epoch == 2 {
			r.s.Close()
			r.open()
			r.check("opened between")
		}
		r.reseal(epoch)
		r.check("sealed anew")
		r.s.Close()
		r.open()
		r.check("opened again")
	}
	if _, err := r.s.Rollback("l"); err != nil {
		t.Fatal(err)
	}
	if st, _ := r.s.Status("l"); st.Keys != 3 {
		t.Errorf("%d keys after the rollback", st.Keys)
	}
}

// A store without the secret of an epoch does not open, and nothing is lost by trying.
func TestSealedWithoutSecret(t *testing.T) {
	dir := t.TempDir()
	o := options(dir)
	o.Seals = &epochs{known: 1, active: 1}
	s := open(t, o)
	declare(t, s, people("l"))
	if _, err := s.Replace("l", strings.NewReader("u1\nu2\n"), plain); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Change("l", suppress.Add, strings.NewReader("u3\n"), plain); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, seals := range map[string]suppress.Seals{"no epochs": nil, "without this one": &epochs{}} {
		o.Seals = seals
		if _, err := suppress.Open(o); !errors.Is(err, suppress.ErrEpoch) || !strings.Contains(err.Error(), epochName(1)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o.Seals = &epochs{known: 2, active: 2}
	s = open(t, o)
	declare(t, s, people("l"))
	if st, err := s.Status("l"); err != nil || st.Keys != 3 || st.State != suppress.StateReady || len(s.Notices()) > 0 {
		t.Errorf("with it again: %+v, %v, %v", st, s.Notices(), err)
	}
}

// A list of which a file is damaged is not written anew, and says that it has to be uploaded
// again; then it is of the epoch in use.
func TestResealDamaged(t *testing.T) {
	dir, e := t.TempDir(), &epochs{}
	o := options(dir)
	o.Seals = e
	s := open(t, o)
	declare(t, s, people("l"), people("m"))
	for _, list := range []string{"l", "m"} {
		if _, err := s.Replace(list, strings.NewReader("u1\nu2\n"), plain); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "lists", "l", "*.keys"))
	if len(files) != 1 {
		t.Fatalf("%q", files)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	e.use(1)
	s = open(t, o)
	declare(t, s, people("l"), people("m"))
	if err := s.Reseal(); err != nil {
		t.Fatal(err)
	}
	damaged, _ := s.Status("l")
	whole, _ := s.Status("m")
	if damaged.State != suppress.StateDamaged || whole.EarlierEpoch || whole.State != suppress.StateReady ||
		len(s.Notices()) == 0 || !strings.Contains(s.Notices()[0].Detail, "upload it again") {
		t.Fatalf("%+v, %+v, %v", damaged, whole, s.Notices())
	}
	if _, err := s.Replace("l", strings.NewReader("u1\nu2\n"), plain); err != nil {
		t.Fatal(err)
	}
	if st, _ := s.Status("l"); st.State != suppress.StateReady || st.Epoch != epochName(1) || st.EarlierEpoch {
		t.Errorf("uploaded again: %+v", st)
	}
}

// Every byte of a sealed change counts; it shows no key, and only who has the secret opens it.
func TestSealedChange(t *testing.T) {
	e := &epochs{known: 1, active: 1}
	o := options(t.TempDir())
	o.Seals = e
	s := open(t, o)
	key := testHash("user.id", []byte("u1"))
	for _, c := range []suppress.Change{
		{List: "l", Op: suppress.Add, Until: 1_900_000_000, Keys: []suppress.Key{key, {2}}},
		{List: "list of orders", Op: suppress.Remove, Items: true, Keys: []suppress.Key{key}},
	} {
		b, err := s.AppendChange([]byte("x"), &c)
		if err != nil || b[0] != 'x' || c.Fingerprint != epochName(1) {
			t.Fatal(err)
		}
		b = b[1:]
		if bytes.Contains(b, key[:8]) || bytes.Contains(b, key[8:]) {
			t.Error("a key stands in it")
		}
		got, err := s.ParseChange(b)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c) {
			t.Errorf("%v, %v", got, err)
		}
		if _, err := suppress.ParseChange(b); !errors.Is(err, suppress.ErrEpoch) {
			t.Errorf("without the secret: %v", err)
		}
		other := open(t, options(t.TempDir()))
		if _, err := other.ParseChange(b); !errors.Is(err, suppress.ErrEpoch) {
			t.Errorf("in a store without epochs: %v", err)
		}
		if err := other.ApplyChange(5, &c); !errors.Is(err, suppress.ErrFingerprint) && !errors.Is(err, suppress.ErrEpoch) {
			t.Errorf("applied where its epoch is not known: %v", err)
		}
		for n := range b {
			flipped := bytes.Clone(b)
			flipped[n] ^= 1
			for _, wrong := range [][]byte{b[:n], flipped} {
				if _, err := s.ParseChange(wrong); !errors.Is(err, suppress.ErrDamaged) && !errors.Is(err, suppress.ErrVersion) {
					t.Fatalf("byte %d: %v", n, err)
				}
			}
		}
		clear := c
		clear.Fingerprint = epochName(0)
		plainForm, err := suppress.AppendChange(nil, &clear)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.ParseChange(plainForm); err != nil || s.ApplyChange(9, &got) != nil {
			t.Errorf("one from before: %v", err)
		}
	}
	// A full one is not too large.
	most := suppress.Change{List: strings.Repeat("n", 128), Op: suppress.Add, Until: 1, Keys: make([]suppress.Key, suppress.MaxChangeKeys)}
	b, err := s.AppendChange(nil, &most)
	if err != nil || len(b) > suppress.MaxChangeBytes {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if _, err := s.ParseChange(b); err != nil {
		t.Error(err)
	}
}

// Whatever bytes: an error, or a change that is written and read again.
func FuzzSealedChange(f *testing.F) {
	dir, err := os.MkdirTemp(f.TempDir(), "")
	if err != nil {
		f.Fatal(err)
	}
	o := options(dir)
	o.Seals = &epochs{known: 1, active: 1}
	s := open(f, o)
	b, err := s.AppendChange(nil, &suppress.Change{List: "l", Op: suppress.Add, Until: 9, Keys: []suppress.Key{{1}, {2}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := s.ParseChange(b)
		if err != nil {
			if !errors.Is(err, suppress.ErrDamaged) && !errors.Is(err, suppress.ErrVersion) && !errors.Is(err, suppress.ErrEpoch) {
				t.Fatal(err)
			}
			return
		}
		again, err := s.AppendChange(nil, &c)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := s.ParseChange(again); err != nil || fmt.Sprint(back.Keys, back.Until, back.Op, back.List) != fmt.Sprint(c.Keys, c.Until, c.Op, c.List) {
			t.Fatalf("%v, %v", back, err)
		}
	})
}
