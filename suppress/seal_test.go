package suppress

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// oneEpoch is an epoch that seals, and nothing else.
type oneEpoch struct{}

func (oneEpoch) Active() string { return "e1" }

func (oneEpoch) Subkey(fingerprint, purpose string, salt []byte) ([]byte, error) {
	if fingerprint == "f" {
		return nil, nil
	}
	if fingerprint != "e1" {
		return nil, errors.New("no secret")
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s %x", purpose, salt))
	return key[:], nil
}

var sealedVault = vault{fingerprint: "f", seals: oneEpoch{}}

// sealedFile is a key file of 600 keys, of which some leave by themselves.
func sealedFile(t testing.TB, dir string) (b []byte, keys []Key) {
	t.Helper()
	w, err := newKeyWriter(asIs{}, dir, syncDir, sealedVault)
	if err != nil {
		t.Fatal(err)
	}
	w.leaves = 1_900_000_000
	var members leavingKeys
	var sorted sliceStream
	members.all, members.l = w.leaves, new(leaving)
	for i := range 600 {
		key := Key{byte(i >> 8), byte(i), 9, 15: 7}
		keys, sorted = append(keys, key), append(sorted, pairOf(&key))
		if i%100 == 3 {
			members.l.add(member{pairOf(&key), never})
		}
	}
	members.keys = &sorted
	if err := w.addMembers(&members); err != nil {
		t.Fatal(err)
	}
	k, err := w.finish(manifest{shape: shapePlain, generation: 3, start: 9, uploaded: 1_800_000_000, list: nameTag("l")}, filepath.Join(dir, "whole"))
	if err != nil {
		t.Fatal(err)
	}
	defer k.file.Close()
	if b, err = os.ReadFile(k.path); err != nil {
		t.Fatal(err)
	}
	return b, keys
}

// A sealed key file is read as it was written, key by key and one at a time, over the borders
// of blocks; and each byte of it counts.
func TestSealedKeyFile(t *testing.T) {
	b, keys := sealedFile(t, t.TempDir())
	path := filepath.Join(t.TempDir(), "k")
	opened := func(b []byte, v vault) (*keyFile, error) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return openKeyFile(asIs{}, path, "l", v)
	}
	k, err := opened(b, sealedVault)
	if err != nil {
		t.Fatal(err)
	}
	stream := k.stream()
	for i := range keys {
		p, ok, err := stream.next()
		in, e := k.contains(&keys[i])
		if !ok || err != nil || p != pairOf(&keys[i]) || !in || e != nil {
			t.Fatalf("key %d: %v %v %v, %v %v", i, p, ok, err, in, e)
		}
		if want := uint32(1_900_000_000); k.leaves(&keys[i]) != want && i%100 != 3 || i%100 == 3 && k.leaves(&keys[i]) != never {
			t.Fatalf("key %d leaves at %d", i, k.leaves(&keys[i]))
		}
		stranger := keys[i]
		stranger[15]++
		if in, err := k.contains(&stranger); in || err != nil {
			t.Fatalf("a stranger is a member: %v", err)
		}
	}
	for _, key := range keys {
		if bytes.Contains(b, key[:]) {
			t.Fatal("a key stands in it")
		}
	}
	for name, v := range map[string]vault{"without epochs": {fingerprint: "f"}, "of another cluster": {fingerprint: "g"}} {
		if _, err := opened(b, v); !errors.Is(err, ErrEpoch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := 0; n < len(b); n += 1 + n/40 {
		flipped := bytes.Clone(b)
		flipped[n] ^= 1
		for _, wrong := range [][]byte{b[:n], flipped} {
			if _, err := opened(wrong, sealedVault); !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d: %v", n, err)
			}
		}
	}
}

// FuzzSealedKeyFile opens whatever the file is: it is whole, or refused.
func FuzzSealedKeyFile(f *testing.F) {
	b, _ := sealedFile(f, f.TempDir())
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := openKeyFile(asIs{}, path, "l", sealedVault)
		if err != nil {
			return
		}
		defer k.file.Close()
		keys := k.stream()
		for n := uint64(0); n < k.keys; n++ {
			p, ok, err := keys.next()
			key := p.key()
			if in, e := k.contains(&key); !ok || err != nil || !in || e != nil {
				t.Fatalf("key %d of %d: %v %v %v %v", n, k.keys, ok, err, in, e)
			}
		}
	})
}

// sealedJournal is one with three frames, and its key.
func sealedJournal(t testing.TB) (b []byte, at []int) {
	t.Helper()
	form := sealing{fingerprint: "e1", sealed: true, salt: [sealSalt]byte{4}}
	block, err := sealedVault.open(form, sealsJournal)
	if err != nil {
		t.Fatal(err)
	}
	b = appendJournalHead(nil, "l", form, shapePlain)
	for i, c := range []change{newChange(5, Add, 0), newChange(6, Remove, 0), newChange(7, Add, 1_900_000_000)} {
		at = append(at, len(b))
		b = appendFrame(b, gcm(block), c, []Key{{1, 2, 3, 4, 5, 6, 7, 8, byte(i)}, {2}})
	}
	return b, append(at, len(b))
}

// Each byte of a sealed frame counts, a frame does not stand for another, and one that was being
// written when the process ended is told from damage.
func TestSealedJournal(t *testing.T) {
	b, at := sealedJournal(t)
	_, form, err := parseJournalHead(b, "l")
	if err != nil || !form.sealed || form.fingerprint != "e1" {
		t.Fatalf("%+v, %v", form, err)
	}
	block, err := sealedVault.open(form, sealsJournal)
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) (p parsedJournal, seqs []uint64) {
		p = parseJournal(b, gcm(block), func(f *frame) {
			seqs = append(seqs, f.seq)
			if f.len() != 2 || f.key(1) != (Key{2}) {
				t.Fatalf("keys %x", f.keys)
			}
		})
		return p, seqs
	}
	if p, seqs := read(b); fmt.Sprint(seqs) != "[5 6 7]" || p.good != len(b) || p.lost != 0 || bytes.Contains(b, []byte{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Fatalf("%+v, %v", p, seqs)
	}
	for n := at[1]; n < at[2]; n++ {
		flipped := bytes.Clone(b)
		flipped[n] ^= 1
		if p, seqs := read(flipped); fmt.Sprint(seqs) != "[5 7]" || p.lost != at[2]-at[1] {
			t.Fatalf("byte %d: %+v, %v", n, p, seqs)
		}
		if p, seqs := read(b[:n]); n > at[1] && (fmt.Sprint(seqs) != "[5]" || !p.torn || p.good != at[1]) {
			t.Fatalf("cut at %d: %+v, %v", n, p, seqs)
		}
	}
}

// Whatever bytes follow the head: whole frames, and the rest counted.
func FuzzSealedJournal(f *testing.F) {
	whole, _ := sealedJournal(f)
	f.Add(whole[journalHead:])
	f.Add(whole[journalHead : len(whole)-1])
	_, form, err := parseJournalHead(whole, "l")
	if err != nil {
		f.Fatal(err)
	}
	block, err := sealedVault.open(form, sealsJournal)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, frames []byte) {
		b := append(bytes.Clone(whole[:journalHead]), frames...)
		read := 0
		p := parseJournal(b, gcm(block), func(f *frame) { read += len(appendFrame(nil, gcm(block), f.change, make([]Key, f.len()))) })
		if p.good < journalHead || p.good > len(b) || journalHead+read+p.lost != p.good {
			t.Fatalf("%d bytes: %+v, %d of frames", len(b), p, read)
		}
	})
}
