package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var testKey = [32]byte{1, 2, 3}

func open(t testing.TB, dir string, change func(*Options)) *Log {
	t.Helper()
	o := Options{Dir: dir, Node: "edge-1", Key: testKey}
	if change != nil {
		change(&o)
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// someEntry is an entry like those of a node.
func someEntry(i int) Entry {
	return Entry{
		Action: ListAdd, Who: Who{By: ByKey, Key: "abcd2345", Client: "crm-job", Roles: "crm"}, List: "customers",
		Before: Facts{"generation": uint64(i)}, After: Facts{"keys": i, "sources": []string{"user.id"}}, Why: "a daily job",
	}
}

func fill(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		if _, err := l.Append(someEntry(i)); err != nil {
			t.Fatal(err)
		}
	}
}

func verify(t testing.TB, dir string, heads ...Witness) *Report {
	t.Helper()
	r, err := Verify(nil, dir, testKey, "", 1, heads)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// good fails the test unless the log is whole.
func (r *Report) good(t testing.TB, entries int) {
	t.Helper()
	if r.FaultsTotal != 0 || r.Entries != entries || r.Last != uint64(entries) || r.First != 1 {
		t.Fatalf("%d entries, %d to %d, want %d; %v", r.Entries, r.First, r.Last, entries, r.Faults)
	}
}

func head(t testing.TB, l *Log) Witness {
	t.Helper()
	h, ok := l.Head()
	if !ok {
		t.Fatal("no head")
	}
	return Witness{"the cluster", h}
}

func TestLogGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	for round := range 3 {
		l := open(t, dir, func(o *Options) { o.FileBytes = 1000 })
		fill(t, l, 4)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(someEntry(0)); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		r := verify(t, dir, head(t, l))
		r.good(t, 1+4*(round+1))
		if r.Node != "edge-1" || r.Files < 2 || r.Witnessed != r.Last || r.WitnessedBy != "the cluster" || r.UnfinishedTotal != r.Entries-1 {
			t.Errorf("%+v", r)
		}
	}
}

// A line is JSON that a person can read, with its fields in the order of the documentation.
func TestLineIsReadable(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, nil)
	fill(t, l, 1)
	lines, err := l.Read(From{Seq: 2}, 10, 1<<20)
	if err != nil || lines.Count != 1 || lines.Next != 0 {
		t.Fatal(lines, err)
	}
	e, err := ReadEntry(lines.Text)
	if err != nil || e.Seq != 2 || e.Action != ListAdd || e.List != "customers" || e.Who.Client != "crm-job" || e.Why != "a daily job" || len(e.Prev) != 64 {
		t.Fatalf("%+v %v", e, err)
	}
	want := `{"seq":2,"at":"` + e.At.Format(time.RFC3339Nano) + `","action":"list.add","who":{"by":"key","key":"abcd2345","client":"crm-job","roles":"crm"},"list":"customers",` +
		`"before":{"generation":0},"after":{"keys":0,"sources":["user.id"]},"why":"a daily job","prev":"` + e.Prev + `","mac":"`
	if !strings.HasPrefix(string(lines.Text), want) || !strings.HasSuffix(string(lines.Text), "\"}\n") {
		t.Errorf("%s\nwant %s", lines.Text, want)
	}
	if info, err := os.Stat(filepath.Join(dir, signerFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

func TestLongEntriesAreCut(t *testing.T) {
	long, many := strings.Repeat("é\"", 4000), make([]string, 200)
	for i := range many {
		many[i] = long
	}
	dir := t.TempDir()
	l := open(t, dir, nil)
	for _, facts := range []Facts{{"text": long}, {"texts": many}, {"a": many, "b": many, "c": many, "d": many, "e": many, "f": many, "g": many}} {
		if _, err := l.Append(Entry{Action: PolicyPut, List: long, Campaign: long, People: many, Why: long, Who: Who{Client: long}, Before: facts, After: facts}); err != nil {
			t.Fatal(err)
		}
	}
	verify(t, dir).good(t, 4)
	lines, err := l.Read(From{Seq: 4}, 1, 1)
	if err != nil || len(lines.Text) > MaxLine || !strings.Contains(string(lines.Text), `"left_out"`) {
		t.Errorf("%d bytes, %v", len(lines.Text), err)
	}
}

// Many at once: each entry is there once, under the number that Append returned.
func TestAppendConcurrently(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, func(o *Options) { o.FileBytes = 20_000 })
	const workers, each = 16, 25
	seqs := make(chan [2]uint64, workers*each)
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			for i := range each {
				seq, err := l.Append(someEntry(w*each + i))
				if err != nil {
					t.Error(err)
				}
				seqs <- [2]uint64{seq, uint64(w*each + i)}
				if h, ok := l.Head(); !ok || h.Check() != nil || h.Seq < seq {
					t.Errorf("head %+v after entry %d", h, seq)
				}
				if _, err := l.Read(From{Seq: seq}, 3, 1<<20); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	close(seqs)
	verify(t, dir, head(t, l)).good(t, 1+workers*each)
	lines, err := l.Read(From{}, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[uint64]string{}
	for line := range strings.Lines(string(lines.Text)) {
		e, err := ReadEntry([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		numbers[e.Seq] = fmt.Sprint(e.After["keys"])
	}
	for s := range seqs {
		if numbers[s[0]] != fmt.Sprint(s[1]) {
			t.Errorf("entry %d is of %s, not of %d", s[0], numbers[s[0]], s[1])
		}
	}
}

func TestReadInParts(t *testing.T) {
	dir := t.TempDir()
	at := time.Unix(1_800_000_000, 0)
	l := open(t, dir, func(o *Options) {
		o.FileBytes = 1500
		o.Now = func() time.Time { at = at.Add(time.Second); return at }
	})
	fill(t, l, 29)
	var got []uint64
	for from := uint64(1); from != 0; {
		lines, err := l.Read(From{Seq: from}, 7, 1200)
		if err != nil || lines.Count == 0 || lines.Count > 7 {
			t.Fatal(lines.Count, err)
		}
		for line := range strings.Lines(string(lines.Text)) {
			e, err := ReadEntry([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Seq)
		}
		from = lines.Next
	}
	for i, seq := range got {
		if seq != uint64(i+1) || len(got) != 30 {
			t.Fatal(got)
		}
	}
	lines, err := l.Read(From{At: time.Unix(1_800_000_000+28, 0)}, 100, 1<<20)
	if err != nil || lines.Count < 2 || lines.Count > 4 {
		t.Errorf("%d since a time, %v", lines.Count, err)
	}
	if lines, err := l.Read(From{Seq: 31}, 100, 1<<20); err != nil || lines.Count != 0 {
		t.Errorf("beyond the end: %+v %v", lines, err)
	}
}

// A change whose outcome is missing is listed.
func TestUnfinished(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, nil)
	var seqs []uint64
	for range 3 {
		seq, err := l.Append(Entry{Action: PolicyPut, Who: Who{By: ByLoopback}})
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, seq)
	}
	for _, of := range []uint64{seqs[0], seqs[2]} {
		if _, err := l.Append(Entry{Action: PolicyPut, Of: of, Outcome: Done, Who: Who{By: ByLoopback}}); err != nil {
			t.Fatal(err)
		}
	}
	if r := verify(t, dir); r.FaultsTotal != 0 || r.UnfinishedTotal != 1 || r.Unfinished[0].Seq != seqs[1] {
		t.Errorf("%+v", r)
	}
}

func TestFactsAreClosed(t *testing.T) {
	for name, e := range map[string]Entry{
		"an action": {Action: "policy.putt"},
		"a fact":    {Action: PolicyPut, After: Facts{"x": 1.5}},
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "BUG: ") {
					t.Errorf("%s: %v", name, r)
				}
			}()
			appendLine(nil, &e, &testKey)
		}()
	}
}

func TestHeadsJSON(t *testing.T) {
	l := open(t, t.TempDir(), nil)
	h := head(t, l)
	text, err := json.Marshal(h.Head)
	if err != nil {
		t.Fatal(err)
	}
	parse := func(text []byte) (h Head, err error) {
		if err := json.Unmarshal(text, &h); err != nil {
			t.Fatal(err)
		}
		return h, h.Check()
	}
	if got, err := parse(text); err != nil || got != h.Head {
		t.Errorf("%+v %v", got, err)
	}
	for _, wrong := range []string{
		"{}", strings.Replace(string(text), `"seq":1`, `"seq":2`, 1), strings.Replace(string(text), "edge-1", "edge-2", 1),
		strings.Replace(string(text), `"sig":"`, `"sig":"A`, 1),
	} {
		if _, err := parse([]byte(wrong)); !errors.Is(err, ErrHead) && !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
