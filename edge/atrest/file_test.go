package atrest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var seed = flag.Uint64("seed", 0, "seed of the random operations; 0: a new one")

// raw is a key of a test.
func raw(of byte) []byte {
	b := make([]byte, KeySize)
	for i := range b {
		b[i] = byte(i)*7 + of
	}
	return b
}

func keys(t testing.TB, of ...byte) Keys {
	t.Helper()
	var all []byte
	for _, o := range of {
		all = append(all, raw(o)...)
	}
	if len(of) == 0 {
		return Keys{}
	}
	k, err := ParseKeys(all)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func options(dir string, k Keys) Options {
	return Options{Dir: dir, Keys: k, Lock: filepath.Join(dir, "lock"), Leave: func(path string) bool { return path == "lock" }, Log: slog.New(slog.DiscardHandler)}
}

func openDisk(t testing.TB, dir string, k Keys) *Disk {
	t.Helper()
	d, err := Open(options(dir, k))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func openFile(t testing.TB, d *Disk, name string, flag int) *File {
	t.Helper()
	f, err := d.OpenFile(name, flag)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ReadFile is the content of a file, zeros where it is damaged.
func (d *Disk) ReadFile(name string) ([]byte, error) {
	content, _, err := d.readFile(name)
	return content, err
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// A file behaves as the bytes in memory that the same is done to, also when it is opened anew between.
func TestFileModel(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed=%d", *seed)
	r := rand.New(rand.NewPCG(*seed, 1))
	dir := t.TempDir()
	d := openDisk(t, dir, keys(t, 1))
	name := filepath.Join(dir, "log")
	f := openFile(t, d, name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	reader := openFile(t, d, name, os.O_RDONLY)
	var want []byte
	for step := range 3000 {
		switch r.IntN(10) {
		case 0, 1, 2, 3, 4:
			b := randomBytes(r, r.IntN([]int{10, 300, 5000, 30_000}[r.IntN(4)]))
			if n, err := f.WriteAt(b, int64(len(want))); n != len(b) || err != nil {
				t.Fatal(step, n, err)
			}
			want = append(want, b...)
		case 5:
			n := r.IntN(len(want) + 1)
			if len(want) < 100_000 {
				n = max(n, len(want)-r.IntN(6000))
			}
			if err := f.Truncate(int64(max(n, 0))); err != nil {
				t.Fatal(step, err)
			}
			want = want[:max(n, 0)]
			reader = openFile(t, d, name, os.O_RDONLY) // it does not know that what it saw is gone
		case 6:
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			f = openFile(t, d, name, os.O_RDWR)
		default:
			at := r.IntN(len(want) + 10)
			p := make([]byte, r.IntN(10_000))
			for _, from := range []*File{f, reader} {
				n, err := from.ReadAt(p, int64(at))
				rest := want[min(at, len(want)):]
				if n != min(len(p), len(rest)) || !bytes.Equal(p[:n], rest[:n]) || (n < len(p)) != errors.Is(err, io.EOF) || err != nil && !errors.Is(err, io.EOF) {
					t.Fatalf("step %d: %d of %d bytes at %d of %d: %v", step, n, len(p), at, len(want), err)
				}
			}
		}
		if info, err := f.Stat(); err != nil || info.Size() != int64(len(want)) {
			t.Fatalf("step %d: %d bytes, want %d; %v", step, info.Size(), len(want), err)
		}
	}
}

// What stands in the file is not what was written, and no two files or frames of one
// content are alike.
func TestNothingIsReadable(t *testing.T) {
	dir := t.TempDir()
	d := openDisk(t, dir, keys(t, 1))
	secret := bytes.Repeat([]byte("a name of somebody "), 500)
	var files [][]byte
	for _, name := range []string{"a", "b"} {
		f := openFile(t, d, filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND)
		for range 2 {
			if _, err := f.Write(secret[:100]); err != nil {
				t.Fatal(err)
			}
		}
		files = append(files, read(t, f.Name()))
	}
	seen := map[string]bool{}
	for _, b := range files {
		if len(b) != headSize+2*(overhead+100) || bytes.Contains(b, secret[:8]) {
			t.Errorf("%d bytes: %q", len(b), b)
		}
		for at := headSize; at < len(b); at += overhead + 100 {
			sealed := string(b[at+16 : at+overhead+100])
			if seen[sealed] || seen[sealed[:nonceSize]] {
				t.Error("one nonce or ciphertext twice")
			}
			seen[sealed], seen[sealed[:nonceSize]] = true, true
		}
	}
}

// The end of a file that a process was writing when it died counts as zeros until it is
// cut; all before it is there.
func TestTornEnd(t *testing.T) {
	dir := t.TempDir()
	d := openDisk(t, dir, keys(t, 1))
	name := filepath.Join(dir, "log")
	f := openFile(t, d, name, os.O_RDWR|os.O_CREATE)
	first, second := []byte("the first entry"), bytes.Repeat([]byte("second"), 1000)
	for _, b := range [][]byte{first, second} {
		if _, err := f.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	whole := read(t, name)
	begin := headSize + overhead + len(first)
	for size := len(whole) - 1; size > begin; size -= 97 {
		write(t, name, whole[:size])
		f := openFile(t, d, name, os.O_RDWR)
		content, err := d.ReadFile(name)
		if !errors.Is(err, ErrDamaged) || !bytes.HasPrefix(content, first) || len(content) == len(first) || len(content) >= len(first)+len(second) {
			t.Fatalf("cut to %d: %d bytes, %v", size, len(content), err)
		}
		rest := content[len(first):]
		if kept := bytes.TrimRight(rest, "\x00"); len(kept)%frameMost != 0 || !bytes.HasPrefix(second, kept) || len(kept) == len(rest) {
			t.Fatalf("cut to %d: %d bytes of the second", size, len(kept))
		} else if n := f.Unfinished(); int(n) != len(rest)-len(kept) {
			t.Fatalf("cut to %d: %d bytes are unfinished, and %d are not there", size, n, len(rest)-len(kept))
		}
		if err := f.Truncate(int64(len(first))); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(second, int64(len(first))); err != nil {
			t.Fatal(err)
		}
		if content, err := d.ReadFile(name); err != nil || f.Unfinished() != 0 || !bytes.Equal(content, append(bytes.Clone(first), second...)) {
			t.Fatalf("written again after %d: %d bytes, %v", size, len(content), err)
		}
	}
	for _, size := range []int{0, 5, headSize - 1} { // it died before it wrote anything
		write(t, name, whole[:size])
		if content, err := d.ReadFile(name); err != nil || len(content) != 0 {
			t.Errorf("%d bytes: %q %v", size, content, err)
		}
		f := openFile(t, d, name, os.O_RDWR)
		if _, err := f.WriteAt(first, 0); err != nil {
			t.Fatal(err)
		}
		if content, err := d.ReadFile(name); err != nil || !bytes.Equal(content, first) {
			t.Errorf("%d bytes: %q %v", size, content, err)
		}
	}
}

// A file is given its name when it is whole, its head written last; under any other name it
// is refused.
func TestPlace(t *testing.T) {
	dir := t.TempDir()
	d := openDisk(t, dir, keys(t, 1))
	f, err := d.CreateTemp(dir, "keys-")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 160)); err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte{7}, 10_000)
	if _, err := f.Write(body); err != nil {
		t.Fatal(err)
	}
	head := bytes.Repeat([]byte{9}, 160)
	if _, err := f.WriteAt(head, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(head, 100); err == nil {
		t.Error("written over the middle")
	}
	temporary, name := f.Name(), filepath.Join(dir, "placed")
	if err := f.Place(name); err != nil {
		t.Fatal(err)
	}
	if content, err := d.ReadFile(name); err != nil || !bytes.Equal(content, append(head, body...)) {
		t.Errorf("%d bytes, %v", len(content), err)
	}
	if err := os.Rename(name, temporary); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadFile(temporary); !errors.Is(err, ErrPath) {
		t.Errorf("under another name: %v", err)
	}
	if _, err := d.OpenFile(filepath.Join(dir, "..", "elsewhere"), os.O_RDWR|os.O_CREATE); err == nil || !strings.Contains(err.Error(), "not below") {
		t.Errorf("above the folder: %v", err)
	}
}

// A nil Disk opens files as they are.
func TestNil(t *testing.T) {
	var d *Disk
	name := filepath.Join(t.TempDir(), "plain")
	f := openFile(t, d, name, os.O_RDWR|os.O_CREATE)
	for _, err := range []error{
		func() error { _, err := f.Write([]byte("abc")); return err }(),
		func() error { _, err := f.WriteAt([]byte("def"), 2); return err }(), f.Truncate(4), f.Place(name + "d"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, read := range []func(string) ([]byte, error){d.ReadFile, d.ReadWhole, os.ReadFile} {
		if content, err := read(name + "d"); err != nil || string(content) != "abde" {
			t.Errorf("%q %v", content, err)
		}
	}
	if sealed, err := d.seal(name, []byte("x")); err != nil || string(sealed) != "x" || d.Fingerprint() != "" {
		t.Errorf("%q %v", sealed, err)
	}
}

func TestParseKeys(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"empty":          {nil, ErrKeySize},
		"short":          {raw(1)[:31], ErrKeySize},
		"a line break":   {append(raw(1), '\n'), ErrKeySize},
		"too many":       {bytes.Repeat(raw(1), MostKeys+1), ErrKeySize},
		"digits":         {bytes.Repeat([]byte("0123456789abcdef"), 4), ErrKeyText},
		"half of digits": {bytes.Repeat([]byte("0123456789abcdef"), 2), ErrKeyText},
		"zeros":          {make([]byte, 32), ErrKeyZero},
		"twice":          {append(raw(1), raw(1)...), ErrKeyZero},
		"good":           {raw(1), nil},
		"two":            {append(raw(2), raw(1)...), nil},
	} {
		k, err := ParseKeys(c.b)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %x", k, k, k, k, k), fmt.Sprint(&k)} {
			if len(c.b) > 8 && (strings.Contains(text, string(c.b[:8])) || strings.Contains(text, fmt.Sprintf("%x", c.b[:8]))) {
				t.Errorf("%s: it prints its key: %s", name, text)
			}
		}
	}
	one, two := keys(t, 1), keys(t, 2, 1)
	if len(one.Fingerprint()) != 16 || one.Fingerprint() == two.Fingerprint() || (Keys{}).Fingerprint() != "" {
		t.Errorf("%s %s", one.Fingerprint(), two.Fingerprint())
	}
}
