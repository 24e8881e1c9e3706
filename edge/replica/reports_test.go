package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"restraint/caps"
)

// A batch says by its version whether it has reports, so that a program that knows of none stops and passes none over; and a batch without is
// as it was.
func TestBatchOfReports(t *testing.T) {
	keys := testKeys(2)
	report := caps.Change{Kind: caps.ChangeReport, Keys: keys[:1], Now: 7, Field: 9, Stamp: 6, Value: 3}
	choice := caps.Change{Kind: caps.ChangeChoice, Keys: keys[1:], Now: 7, Field: 1, Stamp: 6, Value: 1}
	of := func(changes ...caps.Change) []byte {
		enc, err := testCodec.AppendBatch(nil, changes)
		if err != nil {
			t.Fatal(err)
		}
		return enc
	}
	plain, with, mixed := of(choice), of(report), of(choice, report)
	if plain[4] != batchVersion || with[4] != batchReports || mixed[4] != batchReports || plain[5] != batchRefusals || with[5] != batchEvents || mixed[5] != batchMixed {
		t.Errorf("versions and contents: % x, % x, % x", plain[4:6], with[4:6], mixed[4:6])
	}
	var b Batch
	var got caps.Change
	if _, err := b.ParseNext(with); err != nil || !b.Next(&got) || got.Field != 9 || got.Stamp != 6 || got.Value != 3 || got.Keys[0] != keys[0] || b.Next(&got) {
		t.Errorf("%v: %+v", err, got)
	}
	for name, wrong := range map[string]func() []byte{
		"version 1 with a report":    func() []byte { b := bytes.Clone(with); b[4] = batchVersion; return b },
		"version 2 with a report":    func() []byte { b := bytes.Clone(with); b[4] = batchOwn; return b },
		"version 3 without":          func() []byte { b := bytes.Clone(plain); b[4] = batchReports; return b },
		"a report among refusals":    func() []byte { b := bytes.Clone(with); b[5] = batchRefusals; return b },
		"a report with scopes":       func() []byte { b := bytes.Clone(with); b[batchHead+batchEntry+18] = 1; return b },
		"a report with a retention":  func() []byte { b := bytes.Clone(with); b[batchHead+batchEntry+17] = 1; return b },
		"a kind that is not written": func() []byte { b := bytes.Clone(with); b[batchHead+batchEntry+16] = 9; return b },
	} {
		enc := wrong()
		binary.LittleEndian.PutUint32(enc[24:], batchChecksum(enc))
		if _, err := b.ParseNext(enc); !errors.Is(err, ErrBatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := testCodec.AppendBatch(nil, []caps.Change{{Kind: caps.ChangeReport, Keys: keys}}); !errors.Is(err, caps.ErrMalformed) {
		t.Errorf("a report of two keys: %v", err)
	}
}

// A snapshot says by its version whether it has reports; one without is as it was, for programs that know of none.
func TestSnapshotOfReports(t *testing.T) {
	dir, keys := t.TempDir(), testKeys(3)
	write := func(s *caps.Store) []byte {
		w := snapshotWriter{files: disk{}}
		if err := w.write(dir, "x", snapshotFrom{fingerprint: 5}, s); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "x"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	s := newStore()
	record := func(kind caps.ChangeKind) {
		c := caps.Change{Kind: kind, Keys: keys[:1], Now: testNow, Field: 2, Stamp: testNow, Value: 1}
		if err := s.Apply(&c); err != nil {
			t.Fatal(err)
		}
	}
	record(caps.ChangeChoice)
	if b := write(s); b[4] != snapshotVersion {
		t.Errorf("without reports it is of version %d", b[4])
	}
	record(caps.ChangeReport)
	b := write(s)
	if b[4] != snapshotBeside {
		t.Errorf("with reports it is of version %d", b[4])
	}
	for i, into := range []*caps.Store{newStore(), newStore()} {
		v, err := verify(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		merge := v.merge
		if i == 1 {
			merge = v.join
		}
		if err := merge(bytes.NewReader(b), into, testNow); err != nil {
			t.Fatal(err)
		}
		wantSame(t, into, s, keys)
	}
}

// What is ahead of the servers' time is cut to it, under the same identity.
func TestReportAhead(t *testing.T) {
	c := caps.Change{Kind: caps.ChangeReport, Keys: testKeys(1), Stamp: 5000, Field: 1}
	if ok, whole := (stamp{stored: 1000}).cut(&c, 300); !ok || whole || c.Stamp != 1000 {
		t.Errorf("%v %v %d", ok, whole, c.Stamp)
	}
	if ok, whole := (stamp{stored: 1000}).cut(&c, 300); !ok || !whole {
		t.Errorf("%v %v", ok, whole)
	}
}
