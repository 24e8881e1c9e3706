package audit

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restraint/edge/atrest"
)

// encrypted opens files below dir under a key.
func encrypted(t testing.TB, dir string) Opener {
	t.Helper()
	keys, err := atrest.ParseKeys([]byte("\x00a key of a test, of 32 bytes..."))
	if err != nil {
		t.Fatal(err)
	}
	disk, err := atrest.Open(atrest.Options{Dir: dir, Keys: keys, Lock: filepath.Join(dir, "lock"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return func(name string, flag int) (File, error) {
		f, err := disk.OpenFile(name, flag)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
}

// An encrypted log is the same log: it goes on over files and starts, is read, and is
// checked, by who has the key; nothing of it can be read on the disk.
func TestEncryptedLog(t *testing.T) {
	dir := t.TempDir()
	open := encrypted(t, dir)
	for round := range 3 {
		l := open.log(t, dir)
		fill(t, l, 4)
		if lines, err := l.Read(From{Seq: 2}, 2, 1<<20); err != nil || lines.Count != 2 || !bytes.Contains(lines.Text, []byte("a daily job")) {
			t.Errorf("%+v %v", lines, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Verify(open, dir, testKey, "", 1, []Witness{head(t, l)})
		if err != nil {
			t.Fatal(err)
		}
		r.good(t, 1+4*(round+1))
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) < 4 {
		t.Fatal(names, err)
	}
	for _, e := range names {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil || bytes.Contains(content, []byte("daily")) || len(content) == 32 {
			t.Errorf("%s can be read: %v", e.Name(), err)
		}
	}
}

func (o Opener) log(t testing.TB, dir string) *Log {
	return open(t, dir, func(to *Options) { to.Open, to.FileBytes = o, 1500 })
}

// What a process that died was writing is cut off, and an entry says so.
func TestEncryptedEndIsTorn(t *testing.T) {
	made := t.TempDir()
	l := encrypted(t, made).log(t, made)
	fill(t, l, 2)
	before := head(t, l)
	size := func() int {
		info, err := os.Stat(logPath(made, 1))
		if err != nil {
			t.Fatal(err)
		}
		return int(info.Size())
	}
	begin := size()
	fill(t, l, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for cut := begin + 1; cut < size(); cut += 29 {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(logPath(dir, 1), int64(cut)); err != nil {
			t.Fatal(err)
		}
		open := encrypted(t, dir)
		l := open.log(t, dir)
		fill(t, l, 1)
		r, err := Verify(open, dir, testKey, "", 1, []Witness{before, head(t, l)})
		if err != nil {
			t.Fatal(err)
		}
		r.good(t, 5)
		if len(r.Notes) != 1 || r.Notes[0].Action != RecordTorn {
			t.Fatalf("%+v", r.Notes)
		}
	}
}

// A signing key of which some cannot be read is no key: zeros in its place would sign what
// anybody could sign.
func TestEncryptedSigningKeyIsDamaged(t *testing.T) {
	dir := t.TempDir()
	disk := encrypted(t, dir)
	l := disk.log(t, dir)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, signerFile)
	sealed, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for at := range sealed {
		damaged := bytes.Clone(sealed)
		damaged[at] ^= 1
		if err := os.WriteFile(name, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := openSigner(disk, dir); err == nil || !strings.Contains(err.Error(), signerFile) {
			t.Fatalf("byte %d changed: signs with %q, %v", at, s.public(), err)
		}
	}
}
