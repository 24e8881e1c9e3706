package replica

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"restraint/caps"
	"restraint/edge/atrest"
)

// encrypted opens files below dir under a key.
func encrypted(t testing.TB, dir string) func(string, int) (File, error) {
	t.Helper()
	keys, err := atrest.ParseKeys([]byte("\x00a key of a test, of 32 bytes..."))
	if err != nil {
		t.Fatal(err)
	}
	disk, err := atrest.Open(atrest.Options{
		Dir: dir, Keys: keys, Lock: filepath.Join(dir, "lock"), Log: slog.New(slog.DiscardHandler),
		Leave: func(path string) bool { return path == "lock" || path == "id" || path == "epoch" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(name string, flag int) (File, error) {
		f, err := disk.OpenFile(name, flag)
		if errors.Is(err, atrest.ErrPath) {
			err = fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		if err != nil {
			return nil, err
		}
		return f, nil
	}
}

func encryptedOptions(t testing.TB, dir string) Options {
	o := testOptions(dir)
	o.OpenFile = encrypted(t, dir)
	return o
}

// What was recorded is there again from encrypted files, also where a process died while
// it wrote: all batches that were whole, and no word of a loss.
func TestRestoreEncrypted(t *testing.T) {
	r, keys := rand.New(rand.NewPCG(1, 1)), testKeys(300)
	dir := t.TempDir()
	k, _ := opened(t, encryptedOptions(t, dir))
	segment := filepath.Join(dir, "outbox", "00000001.seg")
	var batches [][]caps.Change
	var ends []int64
	for range 12 {
		changes := randomChanges(r, keys, 1+r.IntN(200))
		record(t, k, changes...)
		info, err := os.Stat(segment)
		if err != nil {
			t.Fatal(err)
		}
		batches, ends = append(batches, changes), append(ends, info.Size())
	}
	crash(k)
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(whole, []byte(batchMagic)) {
		t.Error("a batch can be read on the disk")
	}
	for range 40 {
		size := ends[0] + r.Int64N(int64(len(whole))-ends[0]+1)
		want, n := newStore(), 0
		for n < len(ends) && ends[n] <= size {
			applyAll(t, want, batches[n])
			n++
		}
		torn := t.TempDir()
		copyDir(t, dir, torn)
		if err := os.WriteFile(filepath.Join(torn, "outbox", "00000001.seg"), whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		for start := range 2 {
			k, s := opened(t, encryptedOptions(t, torn))
			wantSame(t, s, want, keys)
			if got := k.Stats().Restored; got.Incomplete || start == 0 && got.Batches != n {
				t.Fatalf("cut to %d: %+v, want %d batches", size, got, n)
			}
			changes := randomChanges(r, keys, 10)
			record(t, k, changes...)
			applyAll(t, want, changes)
			if start == 0 {
				crash(k)
			} else {
				closed(t, k)
			}
		}
	}
}

// What was changed in an encrypted outbox is set aside and told, and all else is there.
func TestEncryptedOutboxIsChanged(t *testing.T) {
	r, keys := rand.New(rand.NewPCG(2, 1)), testKeys(30)
	dir := t.TempDir()
	k, _ := opened(t, encryptedOptions(t, dir))
	const batches = 20
	for range batches {
		record(t, k, randomChanges(r, keys, 5)...)
	}
	crash(k)
	segment := filepath.Join("outbox", "00000001.seg")
	info, err := os.Stat(filepath.Join(dir, segment))
	if err != nil {
		t.Fatal(err)
	}
	const head = 56
	last := info.Size() * (batches - 1) / batches // about where the last batch begins
	for range 30 {
		changed, at := t.TempDir(), 24+r.Int64N(info.Size()-24) // the first 24 bytes say under which key, and the start is refused
		copyDir(t, dir, changed)
		damage(t, filepath.Join(changed, segment), func(b []byte) []byte {
			b[at] ^= 1 << r.IntN(8)
			return b
		})
		k, _ := opened(t, encryptedOptions(t, changed))
		got := k.Stats().Restored
		_, err := os.Stat(filepath.Join(changed, segment+".damaged"))
		switch {
		case at < head: // nothing of it can be read
			if !got.Incomplete || got.Batches != 0 || err != nil {
				t.Errorf("changed at %d: %+v, %v", at, got, err)
			}
		case got.Batches != batches-1, !got.Incomplete && at < last: // a bit in the head of the last batch has it look like one that was being written
			t.Errorf("changed at %d of %d: %+v", at, info.Size(), got)
		}
		crash(k)
	}
}
