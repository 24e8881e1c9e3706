package backup

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// keyOf is the key for a salt under some secret.
func keyOf(secret string) func(salt []byte) ([]byte, error) {
	return func(salt []byte) ([]byte, error) {
		key := sha256.Sum256(append([]byte(secret), salt...))
		return key[:], nil
	}
}

type part struct {
	Section
	content []byte
}

func write(t testing.TB, secret string, parts ...part) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, &Head{Taken: time.Unix(1793500000, 0).UTC(), Node: "edge-1", Fingerprint: "f0", Epoch: "f0"}, keyOf(secret))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		s, err := w.Section(p.Kind, p.Name)
		if err == nil {
			_, err = s.Write(p.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if int64(out.Len()) != w.Bytes() {
		t.Errorf("%d bytes written, %d said", out.Len(), w.Bytes())
	}
	return out.Bytes()
}

// read reads a file to its end; secret "": without opening it.
func read(file io.Reader, secret string) (parts []part, err error) {
	r, err := NewReader(file)
	if err != nil {
		return nil, err
	}
	if secret != "" {
		key, _ := keyOf(secret)(r.Head.Salt)
		if err := r.Open(key); err != nil {
			return nil, err
		}
	}
	for {
		s, err := r.Next()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		var content []byte
		if err == nil {
			content, err = io.ReadAll(r)
		}
		if err != nil {
			return parts, err
		}
		s.At = 0
		parts = append(parts, part{s, content})
	}
}

func some() []part {
	random := rand.New(rand.NewPCG(1, 2))
	long := make([]byte, 3*clearBytes+17)
	for i := range long {
		long[i] = byte(random.Uint32())
	}
	return []part{
		{Section{Kind: "policy", Name: "00000001"}, []byte("{}")},
		{Section{Kind: "empty"}, nil},
		{Section{Kind: "counters"}, long},
		{Section{Kind: "list", Name: "ÄÖ/../x\x00\n"}, []byte("k")},
	}
}

func TestReadsWhatWasWritten(t *testing.T) {
	want := some()
	file := write(t, "s", want...)
	got, err := read(bytes.NewReader(file), "s")
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if !bytes.Equal(got[i].content, want[i].content) || got[i].Section != want[i].Section {
			t.Errorf("section %d: %v with %d bytes", i, got[i].Section, len(got[i].content))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d sections, not %d", len(got), len(want))
	}
	if sealed, err := read(bytes.NewReader(file), ""); err != nil || len(sealed) != len(want) || bytes.Equal(sealed[0].content, want[0].content) {
		t.Errorf("without the key: %v, %q", err, sealed[0].content)
	}
	r, _ := NewReader(bytes.NewReader(file))
	if h := r.Head; h.Node != "edge-1" || !h.Taken.Equal(time.Unix(1793500000, 0)) || len(h.Salt) != SaltSize {
		t.Errorf("%+v", h)
	}
	if _, err := read(bytes.NewReader(file), "another"); !errors.Is(err, ErrSeal) || !errors.Is(err, ErrDamaged) {
		t.Errorf("another key: %v", err)
	}
	if again := write(t, "s", want...); bytes.Equal(again, file) {
		t.Error("two files have one salt")
	}
}

// Sections that are not read are checked all the same.
func TestSkippedSectionIsChecked(t *testing.T) {
	file := write(t, "s", some()...)
	file[len(file)/2] ^= 1
	r, err := NewReader(bytes.NewReader(file))
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
}

// One changed byte anywhere is found, with and without the key, and the error says where.
func TestEveryChangedByteIsFound(t *testing.T) {
	file := write(t, "s", part{Section{Kind: "policy", Name: "1"}, []byte("some text")}, part{Section{Kind: "counters"}, bytes.Repeat([]byte("c"), 300)})
	for _, secret := range []string{"", "s"} {
		for at := range file {
			for _, bit := range []byte{1, 0x80} {
				damaged := bytes.Clone(file)
				damaged[at] ^= bit
				if _, err := read(bytes.NewReader(damaged), secret); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
					t.Fatalf("byte %d ^ %#x, key %q: %v", at, bit, secret, err)
				} else if at > 16 && strings.Contains(err.Error(), "%!") {
					t.Fatal(err)
				}
			}
		}
	}
	file[len(file)-100] ^= 1
	if _, err := read(bytes.NewReader(file), ""); err == nil || !strings.Contains(err.Error(), "byte ") {
		t.Errorf("it does not say where: %v", err)
	}
}

// A file that was cut off anywhere is not whole, nor is one with something behind it.
func TestCutAnywhereIsFound(t *testing.T) {
	file := write(t, "s", part{Section{Kind: "policy", Name: "1"}, []byte("some text")})
	for n := range file {
		if _, err := read(bytes.NewReader(file[:n]), "s"); !errors.Is(err, ErrCut) {
			t.Fatalf("%d of %d bytes: %v", n, len(file), err)
		}
	}
	if _, err := read(io.MultiReader(bytes.NewReader(file), strings.NewReader("x")), "s"); !errors.Is(err, ErrDamaged) {
		t.Errorf("with a byte behind it: %v", err)
	}
	broken := errors.New("broken")
	if _, err := read(io.MultiReader(bytes.NewReader(file[:60]), failing{broken}), "s"); !errors.Is(err, broken) || errors.Is(err, ErrDamaged) {
		t.Errorf("a disk that fails: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Whoever has no key cannot make a file of parts of others, nor leave one out: all sums can be made right, the seals cannot.
func TestForgedFileIsRefused(t *testing.T) {
	file := write(t, "s", part{Section{Kind: "policy", Name: "1"}, []byte("a")}, part{Section{Kind: "counters"}, []byte("b")})
	forged := func(change func(parts []frame) []frame) []byte {
		var frames []frame
		r, err := NewReader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		head := bytes.Clone(file[:r.at])
		for r.at < int64(len(file)) {
			what, err := r.nextFrame()
			if err != nil {
				t.Fatal(err)
			}
			frames = append(frames, frame{what, bytes.Clone(r.rest)})
		}
		out := &bytes.Buffer{}
		w := &Writer{out: out, all: sha256.New()}
		_ = w.write(head)
		for _, f := range change(frames) {
			if f.what == frameSection {
				w.sections++
			}
			if f.what == frameLast { // its sums are made right
				all := w.all.Sum(nil)
				tag := f.content[lastSize-tagSize:]
				f.content = append(append(append([]byte{}, le64(w.sections)...), le64(uint64(w.at))...), append(all, tag...)...)
			}
			if err := w.finish(append(w.begin(f.what), f.content...)); err != nil {
				t.Fatal(err)
			}
		}
		return out.Bytes()
	}
	if _, err := read(bytes.NewReader(forged(func(f []frame) []frame { return f })), "s"); err != nil {
		t.Fatalf("as it was: %v", err)
	}
	for name, change := range map[string]func([]frame) []frame{
		"a section left out":   func(f []frame) []frame { return append(append([]frame{}, f[:3]...), f[6:]...) },
		"a section renamed":    func(f []frame) []frame { f[0].content = []byte("\x06policy2"); return f },
		"content of another":   func(f []frame) []frame { f[1], f[4] = f[4], f[1]; f[2], f[5] = f[5], f[2]; return f },
		"a section at its end": func(f []frame) []frame { return append(f[:6], append([]frame{f[0], f[1], f[2]}, f[6:]...)...) },
	} {
		file := forged(change)
		if _, err := read(bytes.NewReader(file), ""); err != nil {
			t.Errorf("%s: the forger's sums are wrong: %v", name, err)
		}
		if _, err := read(bytes.NewReader(file), "s"); !errors.Is(err, ErrSeal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type frame struct {
	what    byte
	content []byte
}

func le64(n uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	return b
}

func TestNewerVersionIsSaid(t *testing.T) {
	file := write(t, "s")
	file[8]++
	if _, err := NewReader(bytes.NewReader(file)); !errors.Is(err, ErrVersion) {
		t.Errorf("%v", err)
	}
}

func TestWriterKeepsItsError(t *testing.T) {
	full := errors.New("no space")
	if _, err := NewWriter(failing{full}, &Head{}, keyOf("s")); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	w, _ := NewWriter(io.Discard, &Head{}, keyOf("s"))
	w.out = failing{full}
	s, err := w.Section("policy", "")
	if s != nil || !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("closed: %v", err)
	}
	w, _ = NewWriter(io.Discard, &Head{}, keyOf("s"))
	for _, kind := range []string{"", "Policy", "a-b", strings.Repeat("k", 33)} {
		if _, err := w.Section(kind, ""); err == nil {
			t.Errorf("kind %q is taken", kind)
		}
	}
}

// Whatever the bytes are, reading them ends, and takes no more memory than some frames; what is read to its end is what would be written.
func FuzzReader(f *testing.F) {
	f.Add(write(f, "s"))
	f.Add(write(f, "s", part{Section{Kind: "policy", Name: "1"}, []byte("some text")}))
	f.Add([]byte(magic + "\x01\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, file []byte) {
		parts, err := read(bytes.NewReader(file), "")
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
			t.Fatalf("%v", err)
		}
		if err == nil && len(file) < headFixed {
			t.Fatalf("%d sections of nothing", len(parts))
		}
		if again, e := read(bytes.NewReader(file), ""); fmt.Sprint(e) != fmt.Sprint(err) || !reflect.DeepEqual(again, parts) {
			t.Fatalf("read again: %v, not %v", e, err)
		}
	})
}
