package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// written is a log of twelve entries in several files, with the heads that were signed
// over entries 6 and 12.
func written(t testing.TB, dir string) (heads []Witness) {
	t.Helper()
	l := open(t, dir, func(o *Options) { o.FileBytes = 1600 })
	fill(t, l, 5)
	heads = append(heads, head(t, l))
	fill(t, l, 6)
	heads = append(heads, head(t, l))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return heads
}

// lines are the lines of all files, and where each begins a file.
func readAll(t testing.TB, dir string) (files []string, all [][]byte) {
	t.Helper()
	found, err := logFiles(dir)
	if err != nil || len(found) < 3 {
		t.Fatal(found, err)
	}
	for _, f := range found {
		text, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		files, all = append(files, f.path), append(all, text)
	}
	return files, all
}

// Every way to tamper is found, and the first entry that is wrong is named.
func TestTampering(t *testing.T) {
	line := func(text []byte, i int) []byte { return bytes.SplitAfter(text, []byte("\n"))[i] }
	for _, c := range []struct {
		name   string
		tamper func(t *testing.T, files []string, text [][]byte) // changes text of files, or files themselves
		seq    uint64
		file   int // of the fault, from 0; -1: of the end of the log
		line   int
		what   string
		heads  bool // without a head it cannot be found
	}{
		{"a byte of the first entry", func(_ *testing.T, _ []string, text [][]byte) { edit(text[0], "edge-1", "edge-2") }, 1, 0, 1, "was altered", false},
		{"a byte of an entry", func(_ *testing.T, _ []string, text [][]byte) { edit(line(text[0], 1), "a daily job", "a dally job") }, 2, 0, 2, "was altered", false},
		{"the number of an entry", func(_ *testing.T, _ []string, text [][]byte) { edit(line(text[0], 1), `"seq":2`, `"seq":9`) }, 2, 0, 2, "was altered", false},
		{"the mac of an entry", func(_ *testing.T, _ []string, text [][]byte) {
			l := line(text[0], 1)
			l[len(l)-10] ^= 1
		}, 2, 0, 2, "was altered", false},
		{"the mac of the last entry, and its hash by another key", func(_ *testing.T, _ []string, text [][]byte) {
			forge(&text[len(text)-1], [32]byte{9})
		}, 12, -2, 0, "was altered", false},
		{"an entry that is no JSON", func(_ *testing.T, _ []string, text [][]byte) { copy(line(text[0], 2), "xxxx") }, 3, 0, 3, "no entry", false},
		{"an entry deleted", func(_ *testing.T, _ []string, text [][]byte) {
			text[0] = bytes.Replace(text[0], line(text[0], 1), nil, 1)
		}, 2, 0, 2, "it is missing", false},
		{"the first entry deleted", func(_ *testing.T, _ []string, text [][]byte) {
			text[0] = bytes.Replace(text[0], line(text[0], 0), nil, 1)
		}, 1, 0, 1, "it is missing", false},
		{"two swapped", func(_ *testing.T, _ []string, text [][]byte) {
			a, b := slices.Clone(line(text[0], 1)), slices.Clone(line(text[0], 2))
			text[0] = slices.Concat(line(text[0], 0), b, a, bytes.Join(bytes.SplitAfter(text[0], []byte("\n"))[3:], nil))
		}, 2, 0, 2, "it is missing", false},
		{"one twice", func(_ *testing.T, _ []string, text [][]byte) {
			text[0] = bytes.Replace(text[0], line(text[0], 1), slices.Concat(line(text[0], 1), line(text[0], 1)), 1)
		}, 2, 0, 3, "a second time", false},
		{"an entry of another chain put in", func(t *testing.T, _ []string, text [][]byte) {
			dir := t.TempDir()
			written(t, dir)
			_, other := readAll(t, dir)
			text[0] = bytes.Replace(text[0], line(text[0], 1), line(other[0], 1), 1)
		}, 2, 0, 2, "does not follow", false},
		{"a line break in an entry", func(_ *testing.T, _ []string, text [][]byte) { edit(line(text[0], 1), "a daily job", "a daily\njob") }, 2, 0, 2, "no entry", false},
		{"a long line", func(_ *testing.T, _ []string, text [][]byte) {
			text[0] = bytes.Replace(text[0], line(text[0], 1), append(bytes.Repeat([]byte("x"), 3*MaxLine), '\n'), 1)
		}, 2, 0, 2, "more than", false},
		{"a file cut in the middle of a line", func(_ *testing.T, _ []string, text [][]byte) { text[1] = text[1][:len(text[1])-20] }, 0, 1, 0, "not whole", false},
		{"the last file cut in the middle of a line", func(_ *testing.T, _ []string, text [][]byte) {
			last := &text[len(text)-1]
			*last = (*last)[:len(*last)-20]
		}, 12, -2, 0, "not whole", false},
		{"a file removed", func(t *testing.T, files []string, text [][]byte) {
			text[1] = nil
			if err := os.Remove(files[1]); err != nil {
				t.Fatal(err)
			}
		}, 0, 2, 1, "are missing", false},
		{"the first file removed", func(t *testing.T, files []string, text [][]byte) {
			text[0] = nil
			if err := os.Remove(files[0]); err != nil {
				t.Fatal(err)
			}
		}, 1, 1, 1, "are missing", false},
		{"a file emptied", func(_ *testing.T, _ []string, text [][]byte) { text[1] = []byte{} }, 0, 2, 1, "are missing", false},
		{"everything removed", func(t *testing.T, files []string, text [][]byte) {
			for i := range files {
				text[i] = nil
				if err := os.Remove(files[i]); err != nil {
					t.Fatal(err)
				}
			}
		}, 1, -1, 0, "no entry at all", false},
		{"the end cut off", func(_ *testing.T, _ []string, text [][]byte) {
			last := &text[len(text)-1]
			*last = (*last)[:bytes.LastIndexByte((*last)[:len(*last)-1], '\n')+1]
		}, 12, -1, 0, "the end was cut off: it is missing", true},
		{"the last file removed", func(t *testing.T, files []string, text [][]byte) {
			last := len(files) - 1
			text[last] = nil
			if err := os.Remove(files[last]); err != nil {
				t.Fatal(err)
			}
		}, 0, -1, 0, "the end was cut off: ", true},
		{"all put back to an older copy", func(t *testing.T, files []string, text [][]byte) {
			for i := 1; i < len(files); i++ {
				text[i] = nil
				if err := os.Remove(files[i]); err != nil {
					t.Fatal(err)
				}
			}
			text[0] = slices.Concat(line(text[0], 0), line(text[0], 1))
		}, 3, -1, 0, "entries 3 to 12 are missing, 10 in all", true},
		{"another log put in its place", func(t *testing.T, files []string, text [][]byte) {
			dir := t.TempDir()
			written(t, dir)
			_, other := readAll(t, dir)
			copy(text, other)
		}, 1, -1, 0, "another log was put in its place", true},
		{"the end written anew by who has the secret", func(_ *testing.T, _ []string, text [][]byte) {
			edit(text[len(text)-1], `"keys":5`, `"keys":6`)
			forge(&text[len(text)-1], testKey)
		}, 12, -1, 0, "was written anew from there or before", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			heads := written(t, dir)
			verify(t, dir, heads...).good(t, 12)
			files, text := readAll(t, dir)
			c.tamper(t, files, text)
			for i := range files {
				if text[i] == nil {
					continue
				}
				if err := os.WriteFile(files[i], text[i], 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if r := verify(t, dir); c.heads != (r.FaultsTotal == 0) {
				t.Errorf("without heads: %v", r.Faults)
			}
			r := verify(t, dir, heads...)
			if r.FaultsTotal == 0 || len(r.Faults) == 0 {
				t.Fatalf("nothing found: %+v", r)
			}
			f := r.Faults[0]
			file := c.file
			if file == -2 {
				file = len(files) - 1
			}
			if !strings.Contains(f.What, c.what) || c.seq != 0 && f.Seq != c.seq || f.Seq == 0 ||
				(file < 0) != (f.File == "") || file >= 0 && f.File != filepath.Base(files[file]) || c.line != 0 && f.Line != c.line {
				t.Errorf("%s, want entry %d, line %d and %q", f, c.seq, c.line, c.what)
			}
			// The node goes on, and what was done stays to be seen.
			if l, err := Open(Options{Dir: dir, Node: "edge-1", Key: testKey}); err != nil {
				t.Error(err)
			} else {
				fill(t, l, 2)
				again := verify(t, dir, heads...)
				if err := l.Close(); err != nil || again.FaultsTotal == 0 && !strings.Contains(c.what, "not whole") {
					t.Errorf("after the node went on: %v %v", again.Faults, err)
				}
			}
		})
	}
}

// edit replaces a text in place; both have the same length.
func edit(text []byte, old, with string) {
	at := bytes.Index(text, []byte(old))
	copy(text[at:], with)
}

// forge gives the last line of a text the mac that it has under a key.
func forge(text *[]byte, key [32]byte) {
	line := (*text)[:len(*text)-1]
	begin := bytes.LastIndexByte(line, '\n') + 1
	end := len(line) - len(macBefore) - macText - len(macAfter)
	copy(line[end+len(macBefore):], macOf(line[begin:end], &key))
}

func TestWrongSecret(t *testing.T) {
	dir := t.TempDir()
	written(t, dir)
	r, err := Verify(nil, dir, [32]byte{4}, "", 1, nil)
	if err != nil || r.FaultsTotal != 12 || r.Faults[0].Seq != 1 || !strings.Contains(r.Faults[0].What, "under another secret") {
		t.Errorf("%v %v", r.Faults, err)
	}
}

// Files that were taken away on purpose are no fault where that is said.
func TestVerifyFrom(t *testing.T) {
	dir := t.TempDir()
	heads := written(t, dir)
	files, err := logFiles(dir)
	if err != nil || os.Remove(files[0].path) != nil {
		t.Fatal(err)
	}
	r, err := Verify(nil, dir, testKey, "", files[1].first, nil)
	if err != nil || r.FaultsTotal != 0 || r.First != files[1].first || r.Last != 12 {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := Verify(nil, dir, testKey, "", files[1].first+1, nil); err != nil || r.FaultsTotal == 0 || !strings.Contains(r.Faults[0].What, "meant to begin") {
		t.Errorf("%+v %v", r, err)
	}
	_ = heads
}

func TestVerifyUnreadable(t *testing.T) {
	if _, err := Verify(nil, filepath.Join(t.TempDir(), "none"), testKey, "", 1, nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// Heads of other nodes, of other keys and altered ones are named.
func TestHeadsThatDoNotFit(t *testing.T) {
	dir := t.TempDir()
	heads := written(t, dir)
	other := open(t, t.TempDir(), nil)
	altered := heads[1]
	altered.Seq = 11
	for _, w := range []Witness{head(t, other), altered} {
		if r := verify(t, dir, heads[0], w); r.FaultsTotal != 1 || r.Witnessed != 6 {
			t.Errorf("%+v", r)
		}
	}
}
