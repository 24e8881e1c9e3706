package suppress

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sampleManifest() manifest {
	return manifest{shape: shapePlain, generation: 3, start: 9, keys: 2, uploaded: 1_800_000_000, sealing: sealing{fingerprint: "f"}, list: nameTag("l"), sum: sha256.Sum256(nil)}
}

func FuzzManifest(f *testing.F) {
	m := sampleManifest()
	f.Add(m.append(nil))
	m.until, m.leaving = 1_900_000_000, true
	f.Add(m.append(nil))
	f.Add([]byte(manifestMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err == nil && !bytes.Equal(m.append(nil)[:48], b[:48]) {
			t.Fatalf("%x is read as %+v", b, m)
		}
	})
}

func FuzzPointer(f *testing.F) {
	p := pointer{List: "l", Current: &generationRef{2, 7}, Previous: &generationRef{1, 0}, Next: 3}
	f.Add(p.encode())
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePointer(b, "l")
		if err != nil {
			return
		}
		if q, err := parsePointer(p.encode(), "l"); err != nil || q.Next != p.Next {
			t.Fatalf("%+v is read as %+v, %v", p, q, err)
		}
	})
}

func FuzzJournal(f *testing.F) {
	head := appendJournalHead(nil, "l", sealing{fingerprint: "f"}, shapePlain)
	one := appendFrame(bytes.Clone(head), nil, newChange(5, Add, 0), []Key{{1}, {2}})
	f.Add(one)
	f.Add(appendFrame(bytes.Clone(one), nil, newChange(6, Remove, 0), []Key{{1}}))
	f.Add(one[:len(one)-1])
	until := appendFrame(bytes.Clone(one), nil, newChange(6, Add, 1_900_000_000), []Key{{1}})
	f.Add(until)
	f.Add(until[:len(until)-20])
	f.Add(append(bytes.Clone(one), frameMagic...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := parseJournalHead(b, "l"); err != nil {
			b = append(bytes.Clone(head), b...) // the frames are worth more tries than the head
		}
		var again []byte
		again = append(again, b[:journalHead]...)
		p := parseJournal(b, nil, func(f *frame) {
			var keys []Key
			for i := range f.len() {
				keys = append(keys, f.key(i))
			}
			again = appendFrame(again, nil, f.change, keys)
		})
		if p.good < journalHead || p.good > len(b) || len(again)+p.lost != p.good {
			t.Fatalf("%d bytes: %+v, %d of frames", len(b), p, len(again))
		}
	})
}

// FuzzKeyFile opens whatever the file is: it is whole, or refused.
func FuzzKeyFile(f *testing.F) {
	dir := f.TempDir()
	w, err := newKeyWriter(asIs{}, dir, syncDir, vault{fingerprint: "f"})
	if err != nil {
		f.Fatal(err)
	}
	for n := range uint64(3) {
		if err := w.add(pair{n, n}); err != nil {
			f.Fatal(err)
		}
	}
	k, err := w.finish(sampleManifest(), filepath.Join(dir, "k"))
	if err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(k.path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), 0))
	whole = leavingFile(f, dir)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := openKeyFile(asIs{}, path, "l", vault{fingerprint: "f"})
		if err != nil {
			return
		}
		defer k.file.Close()
		keys := k.stream()
		for n := uint64(0); n < k.keys; n++ {
			p, ok, err := keys.next()
			key := p.key()
			if in, e := k.contains(&key); !ok || err != nil || !in || e != nil || k.leaves(&key) == 0 && k.leaving == nil {
				t.Fatalf("key %d of %d: %v %v %v %v", n, k.keys, ok, err, in, e)
			}
		}
	})
}

// leavingFile is a key file of which some keys leave by themselves.
func leavingFile(t testing.TB, dir string) []byte {
	t.Helper()
	w, err := newKeyWriter(asIs{}, dir, syncDir, vault{fingerprint: "f"})
	if err != nil {
		t.Fatal(err)
	}
	w.leaves = 1_900_000_000
	over := &overlay{
		base: &staying{keys: &sliceStream{{1, 1}, {2, 2}, {3, 3}, {4, 4}}, leaves: w.leaves},
		changes: &changeSlice{
			{pair{1, 1}, standing{leaves: never}}, {pair{2, 2}, standing{leaves: w.leaves - 9}}, {pair{3, 3}, standing{removed: true}}, {pair{9, 9}, standing{leaves: 7}},
		},
	}
	if err := w.addMembers(over); err != nil {
		t.Fatal(err)
	}
	k, err := w.finish(sampleManifest(), filepath.Join(dir, "leaving"))
	if err != nil {
		t.Fatal(err)
	}
	defer k.file.Close()
	if k.keys != 4 || k.leaving.len() != 2 {
		t.Fatalf("%d keys, %+v", k.keys, k.leaving)
	}
	whole, err := os.ReadFile(k.path)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// FuzzImport reads any bytes in any form. What it makes members of is told by
// the report, and no error or report shows a long piece of the upload.
func FuzzImport(f *testing.F) {
	for _, body := range []string{
		"id,mail\nu1,x\n\"a\"\"b\",\n", "\xef\xbb\xbfid;mail\r\n\"x\ny\";\r\n", "id\tmail\n\"", "{\"id\":\"u\"}\n{\"id\":1,\"mail\":null}\n",
		"u1\nu2\n", "# note\nid|mail\n\"\"|\"\"x\n", "\x1f\x8b\x08\x00", "\x28\xb5\x2f\xfd\x00\x58\x11\x00\x00u1\n",
	} {
		for how := range uint8(9) {
			f.Add([]byte(body), how)
		}
	}
	o, err := Options{
		Dir: "unused", Hash: func(_ string, id []byte) Key { return sha256Key(id) },
		Limits: Limits{Bytes: 1 << 20, RowBytes: 1 << 10}, MaxRejected: 1,
	}.withDefaults()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, how uint8) {
		keys := uint64(0)
		rep := Report{}
		i := importer{
			list: "l", decl: Declaration{Name: "l", Sources: []string{"id", "email_sha256"}}, o: &o, rep: &rep,
			im:  Import{Format: []string{CSV, NDJSON, Plain}[how%3], Compression: []string{None, Gzip, Zstd}[how/3%3]},
			add: func(Key) error { keys++; return nil },
		}
		if i.im.Format == Plain {
			i.im.ID = "id"
		}
		err := i.run(bytes.NewReader(body))
		if rep.Rejected > rep.Rows || int(rep.Rejected) < len(rep.RejectedSample) || keys > 2*uint64(len(body)) && how < 3 {
			t.Fatalf("%d keys, %+v, %v", keys, rep, err)
		}
	})
}

func sha256Key(id []byte) Key {
	sum := sha256.Sum256(id)
	return Key(sum[:16])
}

// TestSorter sorts through many runs, and through the merge of too many.
func TestSorter(t *testing.T) {
	s := newSorter(asIs{}, t.TempDir())
	s.limit = 3
	defer s.close()
	want := make(map[pair]bool)
	for n := range 3 * (maxRuns + 40) {
		k := sha256Key([]byte{byte(n % 251)})
		want[pairOf(&k)] = true
		if err := s.add(k); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // it can be read again
		keys, err := s.sorted()
		if err != nil {
			t.Fatal(err)
		}
		var last pair
		got := 0
		for ; ; got++ {
			p, ok, err := keys.next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if !want[p] || got > 0 && !last.less(p) {
				t.Fatalf("key %d is out of order or was never added", got)
			}
			last = p
		}
		if got != len(want) {
			t.Fatalf("got %d keys, want %d", got, len(want))
		}
	}
}

// TestSortChunk sorts keys that are as far from uniform as can be.
func TestSortChunk(t *testing.T) {
	for _, mask := range []uint64{0, 1, 0xff, ^uint64(0)} {
		s := newSorter(asIs{}, "")
		for n := range uint64(5000) {
			k := pair{mix(n) & mask, mix(n + 1)}
			s.chunk = append(s.chunk, k)
		}
		s.chunk, _ = sortPairs(s.chunk, nil)
		for n := 1; n < len(s.chunk); n++ {
			if s.chunk[n].less(s.chunk[n-1]) {
				t.Fatalf("mask %x: key %d is out of order", mask, n)
			}
		}
	}
}

// TestItemKey: different pairs of user and item, different members, spread evenly.
func TestItemKey(t *testing.T) {
	seen := make(map[Key]bool)
	ones := 0
	for u := range 200 {
		for item := range uint64(50) {
			k := ItemKey(sha256Key([]byte{byte(u)}), item)
			if seen[k] {
				t.Fatal("two pairs have one key")
			}
			seen[k] = true
			ones += int(k[0]>>7) + int(k[15]&1)
		}
	}
	if ones < 9500 || ones > 10500 {
		t.Fatalf("%d of 20000 bits are set", ones)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "A", "..", "a/b", "ü %41", "a_b-c0", strings.Repeat("x", 128), strings.Repeat("%", 66), strings.Repeat("%", 67), strings.Repeat("ü", 64)} {
		dir := dirOfName(name)
		if got, ok := nameOfDir(dir); !ok || got != name || filepath.Base(dir) != dir || len(dir) > 207 {
			t.Errorf("%q is kept in %q, which is read as %q", name, dir, got)
		}
	}
	for _, dir := range []string{"", "%", "%~", "%~00", "%~!", "%4", "%zz", "%41x%", "A", "lost+found"} {
		if name, ok := nameOfDir(dir); ok && dirOfName(name) != dir {
			t.Errorf("%q is read as %q", dir, name)
		}
	}
}
