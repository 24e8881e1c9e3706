package atrest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// written is a file of three writes, and where in it the frames begin; the last is its end.
func written(t *testing.T, d *Disk, name string) (content []byte, frames []int) {
	t.Helper()
	f := openFile(t, d, name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	at := headSize
	for i, size := range []int{40, 9000, 300} {
		part := bytes.Repeat([]byte{byte('a' + i)}, size)
		if _, err := f.Write(part); err != nil {
			t.Fatal(err)
		}
		content = append(content, part...)
		for ; size > 0; size -= frameMost {
			frames = append(frames, at)
			at += overhead + min(size, frameMost)
		}
	}
	return content, append(frames, at)
}

// Whatever is changed in a file, what can be read of it is what was written, or zeros with
// an error: never something else, and never fewer bytes without an error but at its end.
func TestTamper(t *testing.T) {
	dir := t.TempDir()
	d := openDisk(t, dir, keys(t, 1))
	name, other := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	content, frames := written(t, d, name)
	written(t, d, other)
	whole, foreign := read(t, name), read(t, other)
	frame := func(b []byte, i int) []byte { return b[frames[i]:frames[i+1]] }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for what, b := range map[string][]byte{
		"a frame is taken out":          join(whole[:frames[1]], whole[frames[2]:]),
		"two frames change places":      join(whole[:frames[1]], frame(whole, 2), frame(whole, 1), whole[frames[3]:]),
		"a frame comes twice":           join(whole[:frames[2]], frame(whole, 1), whole[frames[2]:]),
		"a frame is of another file":    join(whole[:frames[1]], frame(foreign, 1), whole[frames[2]:]),
		"a byte more between frames":    join(whole[:frames[1]], []byte{0}, whole[frames[1]:]),
		"the head is of another file":   join(foreign[:headSize], whole[headSize:]),
		"the frames are of another one": join(whole[:headSize], foreign[headSize:]),
		"it is another file":            foreign,
	} {
		write(t, name, b)
		check(t, d, name, what, content, what == "a frame comes twice" || what == "a byte more between frames")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for at := range whole {
		if at > headSize+200 && r.IntN(10) > 0 {
			continue
		}
		b := bytes.Clone(whole)
		b[at] ^= 1 << r.IntN(8)
		write(t, name, b)
		check(t, d, name, "a bit", content, false)
	}
	for _, i := range []int{1, 2, 3, 4} { // the end cut off between two frames is what a log looked like before
		write(t, name, whole[:frames[i]])
		if got, err := d.ReadFile(name); err != nil || !bytes.HasPrefix(content, got) || len(got) == len(content) {
			t.Errorf("without its end: %d bytes, %v", len(got), err)
		}
		if _, err := d.ReadWhole(name); !errors.Is(err, ErrDamaged) {
			t.Errorf("without its end, of a file that is whole: %v", err)
		}
	}
}

// check reads a file that was changed; repeated says that nothing of its content was.
func check(t *testing.T, d *Disk, name, what string, want []byte, repeated bool) {
	t.Helper()
	got, err := d.ReadFile(name)
	if err == nil && !repeated || err != nil && repeated || err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrPath) && !errors.Is(err, ErrKey) &&
		!errors.Is(err, ErrVersion) && !errors.Is(err, ErrPlain) {
		t.Errorf("%s: %v", what, err)
	}
	for i := range got {
		if got[i] != 0 && (i >= len(want) || got[i] != want[i]) {
			t.Fatalf("%s: byte %d is %q", what, i, got[i])
		}
	}
	if repeated && !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes of %d", what, len(got), len(want))
	}
}

// What package documentation says is not noticed: an older copy of the same file.
func TestOlderCopyIsNotNoticed(t *testing.T) {
	dir := t.TempDir()
	d := openDisk(t, dir, keys(t, 1))
	name := filepath.Join(dir, "document")
	for _, content := range []string{"older", "newer"} {
		before, _ := os.ReadFile(name)
		if err := d.WriteFile(name, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if before != nil {
			write(t, name, before)
		}
	}
	if got, err := d.ReadWhole(name); err != nil || string(got) != "older" {
		t.Errorf("%q %v", got, err)
	}
}

// A file that was written whole is read whole or not at all.
func TestReadWhole(t *testing.T) {
	dir := t.TempDir()
	d := openDisk(t, dir, keys(t, 1))
	for _, size := range []int{0, 1, frameMost, frameMost + 1, 3 * frameMost} {
		name, content := filepath.Join(dir, "document"), bytes.Repeat([]byte{'x'}, size)
		if err := d.WriteFile(name, content); err != nil {
			t.Fatal(err)
		}
		if got, err := d.ReadWhole(name); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
		whole := read(t, name)
		for cut := len(whole) - 1; cut >= headSize; cut -= 61 {
			write(t, name, whole[:cut])
			if got, err := d.ReadWhole(name); !errors.Is(err, ErrDamaged) || got != nil {
				t.Fatalf("%d of %d bytes: %q %v", cut, len(whole), got, err)
			}
		}
	}
}

// The end of a file that was written whole cannot be made up by who cuts it
// between two frames and adds an empty one.
func TestEndIsMadeUp(t *testing.T) {
	dir := t.TempDir()
	d := openDisk(t, dir, keys(t, 1))
	name := filepath.Join(dir, "document")
	if err := d.WriteFile(name, bytes.Repeat([]byte{'x'}, 2*frameMost)); err != nil {
		t.Fatal(err)
	}
	whole := read(t, name)
	for frames := range 2 {
		content := frames * frameMost
		_, foreign := appendHead(nil, &d.keys.all[0], "document") // another salt, so another key
		made := appendFrames(nil, foreign, int64(content), nil, true)
		write(t, name, append(bytes.Clone(whole[:headSize+frames*(overhead+frameMost)]), made...))
		if got, err := d.ReadWhole(name); !errors.Is(err, ErrDamaged) || got != nil {
			t.Errorf("%d bytes and an end that is made up: %d bytes, %v", content, len(got), err)
		}
	}
}

// FuzzOpen: no file has its reader panic, take more memory than a little over its size, or
// read anything that was not written under the key.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	d := openDisk(f, dir, keys(f, 1))
	sealed, err := d.seal(filepath.Join(dir, "file"), bytes.Repeat([]byte("content"), 1000))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:headSize])
	f.Add(append(bytes.Clone(sealed[:headSize]), sealed[headSize+overhead+frameMost:]...))
	d.strict = false
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(dir, "file")
		if len(b) > headSize {
			copy(b, sealed[:headSize]) // or nothing behind it is ever read
		}
		write(t, name, b)
		for _, flag := range []int{os.O_RDONLY, os.O_RDWR} {
			file, err := d.OpenFile(name, flag)
			if err != nil {
				continue
			}
			info, err := file.Stat()
			if err != nil || info.Size() > int64(3*len(b)+frameMost) {
				t.Fatalf("%d bytes of %d, %v", info.Size(), len(b), err)
			}
			content := make([]byte, info.Size())
			_, _ = file.ReadAt(content, 0)
			if !isPart(content, bytes.Repeat([]byte("content"), 1000)) && len(b) > headSize {
				t.Error("it was never written")
			}
			if flag == os.O_RDWR && len(b) > headSize {
				if _, err := file.Write([]byte("more")); err == nil {
					if got, _ := d.ReadFile(name); !bytes.HasSuffix(got, []byte("more")) {
						t.Errorf("what was added is not there in %d bytes", len(got))
					}
				}
			}
			_ = file.Close()
		}
	})
}

func isPart(got, want []byte) bool {
	for i, c := range got {
		if c != 0 && (i >= len(want) || c != want[i]) {
			return false
		}
	}
	return true
}
