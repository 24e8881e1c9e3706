package suppress

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// exported is a generation 5 of the list "l" with the members d and e.
func exported(t testing.TB) *Export {
	t.Helper()
	s, err := Open(Options{Dir: t.TempDir(), Hash: func(_ string, id []byte) Key { return sha256Key(id) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Declare([]Declaration{{Name: "l", Sources: []string{"user.id"}}}); err != nil {
		t.Fatal(err)
	}
	im := lineImport
	im.Generation, im.Start = 5, 3
	if _, err := s.Replace("l", strings.NewReader("d\ne\n"), im); err != nil {
		t.Fatal(err)
	}
	e, err := s.Export("l")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func encodeShipment(t testing.TB, sh *Shipment) []byte {
	t.Helper()
	b, err := AppendShipment(nil, sh)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestShipmentForm(t *testing.T) {
	e := exported(t)
	whole := encodeShipment(t, &e.Shipment)
	if got, err := ParseShipment(whole); err != nil || !reflect.DeepEqual(got, e.Shipment) {
		t.Fatalf("%+v is read as %+v, %v", e.Shipment, got, err)
	}
	for n := range whole {
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1
		for _, b := range [][]byte{whole[:n], flipped} {
			if _, err := ParseShipment(b); !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d: %v", n, err)
			}
		}
	}
	if _, err := ParseShipment(appendSealed(nil, map[string]any{"version": 4, "parts": 3})); !errors.Is(err, ErrVersion) {
		t.Fatalf("a version of the future: %v", err)
	}
	if _, err := ParseShipment(appendSealed(nil, map[string]any{"version": 1, "parts": 3})); !errors.Is(err, ErrDamaged) {
		t.Fatalf("an unknown field: %v", err)
	}
	sh := e.Shipment
	sh.Sources = []string{strings.Repeat("s", MaxShipmentBytes)}
	if b, err := AppendShipment([]byte("x"), &sh); string(b) != "x" || !errors.Is(err, ErrTooLarge) {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
}

func FuzzShipment(f *testing.F) {
	e := exported(f)
	_, body, _ := bytes.Cut(encodeShipment(f, &e.Shipment), []byte("\n"))
	f.Add(bytes.TrimSuffix(body, []byte("\n")))
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := ParseShipment(body); err == nil {
			t.Fatal("a shipment without its sum")
		}
		sh, err := ParseShipment(sealed(body)) // the JSON is worth more tries than the sum
		if err != nil {
			return
		}
		if again, err := ParseShipment(encodeShipment(t, &sh)); err != nil || !reflect.DeepEqual(again, sh) {
			t.Fatalf("%+v is read as %+v, %v", sh, again, err)
		}
	})
}

func sealed(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(append(append(hex.AppendEncode(nil, sum[:]), '\n'), body...), '\n')
}

// FuzzReceived reads any file: it is that of the shipment, or an error by its end.
func FuzzReceived(f *testing.F) {
	e := exported(f)
	whole, err := io.ReadAll(e.Reader())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), 0))
	f.Add([]byte(manifestMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		// Without the sum of the whole file, as where that was made to fit.
		keys := newShipmentKeys(bytes.NewReader(b), &e.Shipment, sha256.New(), vault{fingerprint: e.Fingerprint})
		keys.unsealed = true
		n := 0
		for {
			_, ok, err := keys.next()
			if err != nil && bytes.Equal(b, whole) || err == nil && !ok && !bytes.Equal(b, whole) {
				t.Fatalf("%d bytes, %d keys: %v", len(b), n, err)
			}
			if err != nil || !ok {
				return
			}
			n++
		}
	})
}

// copyTree is the directory as the end of the process would leave it now.
func copyTree(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// beforeRead runs do before each read.
type beforeRead struct {
	io.Reader
	do func()
}

func (b beforeRead) Read(p []byte) (int, error) {
	b.do()
	return b.Reader.Read(p[:min(len(p), 64)])
}

// TestInstallKilled ends the process before each read of the shipment and
// wherever a name on the disk has changed: the next start has the old generation
// or the new one, whole and trusted, and installs what it lacks.
func TestInstallKilled(t *testing.T) {
	e := exported(t)
	for _, start := range []string{"generation", "changes", "nothing"} {
		t.Run(start, func(t *testing.T) {
			dir := t.TempDir()
			s := diskStore(t, dir)
			old := prepareKilled(t, s, start)
			var left []string
			kill := func() { left = append(left, copyTree(t, dir)) }
			s.syncDir = func(d string) error {
				kill()
				return syncDir(d)
			}
			if l := s.lists["l"]; l.log != nil {
				l.log.syncDir = s.syncDir
			}
			kill()
			if _, err := s.Install("l", &e.Shipment, beforeRead{e.Reader(), kill}, nil); err != nil {
				t.Fatal(err)
			}
			kill()
			s.Close()
			installed := 0
			for n, dir := range left {
				s := diskStore(t, dir)
				st, _ := s.Status("l")
				want := old
				if st.Generation == 5 {
					want = "[d e late]"
					installed++
				}
				if got := membersOf(s); got != want && !(start == "nothing" && got == "[d e]") || !s.View().Trusted(0) || len(s.Notices()) > 0 {
					t.Fatalf("killed at %d: got %v, want %v: %+v %v", n, got, want, st, s.Notices())
				}
				if _, err := s.Install("l", &e.Shipment, e.Reader(), nil); err != nil {
					t.Fatal(err)
				}
				s.Close()
			}
			if installed == 0 || installed == len(left) {
				t.Fatalf("%d of %d have the new generation", installed, len(left))
			}
		})
	}
}

// prepareKilled makes what is there before, and says who is a member.
func prepareKilled(t *testing.T, s *Store, start string) string {
	t.Helper()
	late := []Key{sha256Key([]byte("late"))}
	switch start {
	case "nothing":
		return "[]"
	case "changes":
		if err := s.Apply("l", 4, Add, late); err != nil {
			t.Fatal(err)
		}
		return "[late]"
	}
	im := lineImport
	im.Generation, im.Start = 2, 1
	if _, err := s.Replace("l", strings.NewReader("a\nb\n"), im); err != nil {
		t.Fatal(err)
	}
	for seq, key := range map[uint64]Key{2: sha256Key([]byte("c")), 4: late[0]} {
		if err := s.Apply("l", seq, Add, []Key{key}); err != nil {
			t.Fatal(err)
		}
	}
	return "[a b c late]"
}

func membersOf(s *Store) string {
	var in []string
	for _, id := range []string{"a", "b", "c", "d", "e", "late"} {
		if yes, err := s.Member("l", sha256Key([]byte(id))); yes || err != nil {
			in = append(in, id)
		}
	}
	return fmt.Sprint(in)
}

// TestInstallNotDurable fails wherever Install syncs a directory: what the
// store says then is what the disk holds.
func TestInstallNotDurable(t *testing.T) {
	e := exported(t)
	failed, published := 0, 0
	for n := range 5 {
		dir := t.TempDir()
		s := diskStore(t, dir)
		old := prepareKilled(t, s, "generation")
		failAfter(s, n)
		_, err := s.Install("l", &e.Shipment, e.Reader(), nil)
		want := "[d e late]"
		if errors.Is(err, ErrNotDurable) {
			published++
		} else if err != nil {
			failed++
			want = old
		}
		got := membersOf(s)
		s.Close()
		s = diskStore(t, dir)
		if after := membersOf(s); got != want || after != want || len(s.Notices()) > 0 {
			t.Fatalf("fails after %d: got %v, and %v after a start, want %v: %v, %v", n, got, after, want, err, s.Notices())
		}
		if all, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(all) > 0 {
			t.Fatalf("left behind: %q", all)
		}
		s.Close()
	}
	if failed == 0 || published == 0 {
		t.Fatalf("%d failed, %d were published without being durable", failed, published)
	}
}
