package audit

import (
	"bytes"
	"os"
	"testing"
)

func FuzzParseLine(f *testing.F) {
	e := someEntry(1)
	line, _ := appendLine(nil, &e, &testKey)
	f.Add(bytes.TrimSuffix(line, []byte("\n")))
	f.Add([]byte(`{"seq":1,"mac":"0000000000000000000000000000000000000000000000000000000000000000"}`))
	f.Add([]byte(`,"mac":"`))
	f.Fuzz(func(t *testing.T, line []byte) {
		p, err := parseLine(line, &testKey)
		if err == nil && (p.Seq == 0 || len(p.mac) != macText) {
			t.Errorf("%+v", p)
		}
	})
}

// Whatever the files hold, verifying ends, and no log that was altered is found whole;
// opening it goes on with it.
func FuzzVerify(f *testing.F) {
	dir := f.TempDir()
	l := open(f, dir, nil)
	fill(f, l, 3)
	whole, err := os.ReadFile(logPath(dir, 1))
	if err != nil {
		f.Fatal(err)
	}
	last := head(f, l)
	f.Add(whole, 0, byte(1))
	f.Add(whole[:len(whole)-1], 7, byte(0))
	f.Add([]byte("\n\n{}\n"), 1, byte(3))
	f.Fuzz(func(t *testing.T, text []byte, at int, flip byte) {
		if len(text) > 0 {
			text = bytes.Clone(text)
			text[uint(at)%uint(len(text))] ^= flip
		}
		dir := t.TempDir()
		if err := os.WriteFile(logPath(dir, 1), text, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Verify(nil, dir, testKey, "", 1, []Witness{last})
		if err != nil {
			t.Fatal(err)
		}
		if same := bytes.Equal(text, whole); same != (r.FaultsTotal == 0) {
			t.Errorf("the same: %v, faults %v", same, r.Faults)
		}
		l, err := Open(Options{Dir: dir, Node: "edge-1", Key: testKey})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(someEntry(1)); err != nil {
			t.Error(err)
		}
		if _, err := l.Read(From{}, 100, 1<<20); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
