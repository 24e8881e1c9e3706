package replica

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"restraint/caps"
)

func ignored([]byte) error { return nil }

// shownTo is one showing.
func shownTo(key caps.Key, at caps.Second) caps.Change {
	c := exposed(0)
	c.Keys, c.Now, c.Exposure.At = []caps.Key{key}, at, at
	return c
}

// What was recorded before an export is in it, while others record; and whoever imports it has that, in any epoch of the secret.
func TestExport(t *testing.T) {
	for name, seals := range map[string]func() Seals{
		"no epochs": func() Seals { return nil },
		"epoch 0":   func() Seals { return newSeals(2, 0) },
		"epoch 1":   func() Seals { return newSeals(2, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			r, keys, want := testRand(t), testKeys(80), newStore()
			o := testOptions(t.TempDir())
			o.Seals = seals()
			k, _ := opened(t, o)
			for range 40 {
				changes := randomChanges(r, keys[:40], 5)
				record(t, k, changes...)
				applyAll(t, want, changes)
			}
			file := exportUnderLoad(t, k, keys[40:])
			closed(t, k)

			var census caps.Census
			x, err := Check(bytes.NewReader(file), secretHex, seals(), census.Add)
			if err != nil || x.Bytes != int64(len(file)) || x.Missing || census.Users == 0 || census.RefusalUsers == 0 || census.BesideRecords == 0 {
				t.Errorf("%+v, %+v, %v", x, census, err)
			}
			o = testOptions(t.TempDir())
			o.Seals = seals()
			if o.Seals != nil {
				if err := o.Seals.Activate(sealFingerprint(1)); err != nil { // that of the file, or a later one
					t.Fatal(err)
				}
			}
			if _, err := Import(o.Dir, bytes.NewReader(file), secretHex, o.Seals, nil, ignored); err != nil {
				t.Fatal(err)
			}
			k, s := opened(t, o)
			wantSame(t, s, want, keys[:40])
			record(t, k, shownTo(keys[0], testNow)) // it goes on
			closed(t, k)
		})
	}
}

// exportUnderLoad exports while the keys are recorded.
func exportUnderLoad(t *testing.T, k *Keeper, keys []caps.Key) []byte {
	t.Helper()
	begun, stop := make(chan struct{}), make(chan struct{})
	var recording sync.WaitGroup
	recording.Go(func() {
		for i := 0; ; i++ {
			if err := k.Record([]caps.Change{shownTo(keys[i%len(keys)], testNow)}); err != nil {
				t.Error(err)
			}
			if i == 0 {
				close(begun)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	<-begun
	var file bytes.Buffer
	err := k.Export(&file)
	close(stop)
	recording.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// Of an export that was changed or cut anywhere nothing is imported.
func TestDamagedExportIsRefused(t *testing.T) {
	k, _ := opened(t, testOptions(t.TempDir()))
	record(t, k, randomChanges(testRand(t), testKeys(3), 9)...)
	var file bytes.Buffer
	if err := k.Export(&file); err != nil {
		t.Fatal(err)
	}
	closed(t, k)
	whole := file.Bytes()
	for at := range whole {
		for _, b := range [][]byte{whole[:at], flipped(whole, at)} {
			if _, err := Check(bytes.NewReader(b), secretHex, nil, ignored); err == nil {
				t.Fatalf("byte %d of %d: a damaged export is taken", at, len(whole))
			}
		}
	}
	for name, in := range map[string]struct {
		r           io.Reader
		fingerprint string
		want        error
	}{
		"cut":                  {bytes.NewReader(whole[:len(whole)-5]), secretHex, ErrSnapshot},
		"changed":              {bytes.NewReader(flipped(whole, len(whole)/2)), secretHex, ErrSnapshot},
		"with more behind it":  {io.MultiReader(bytes.NewReader(whole), strings.NewReader("x")), secretHex, ErrSnapshot},
		"of another secret":    {bytes.NewReader(whole), otherHex, ErrFingerprint},
		"from a broken reader": {io.MultiReader(bytes.NewReader(whole[:200]), brokenReader{}), secretHex, os.ErrPermission},
	} {
		dir := t.TempDir()
		_, err := Import(dir, in.r, in.fingerprint, nil, nil, ignored)
		if !errors.Is(err, in.want) {
			t.Errorf("%s: %v", name, err)
		}
		if left := filesUnder(t, dir); len(left) > 0 {
			t.Errorf("%s: %d files are left", name, len(left))
		}
	}
	refused := errors.New("refused")
	if _, err := Import(t.TempDir(), bytes.NewReader(whole), secretHex, nil, nil, func([]byte) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("whoever reads the records refuses them: %v", err)
	}
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0x10
	return b
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, os.ErrPermission }

// A node of what was imported is ready in a cluster of new streams once the nodes that come later can have it, and they have.
func TestImportedReachesOthers(t *testing.T) {
	r, keys, want := testRand(t), testKeys(40), newStore()
	k, _ := opened(t, testOptions(t.TempDir()))
	for range 20 {
		changes := randomChanges(r, keys, 5)
		record(t, k, changes...)
		applyAll(t, want, changes)
	}
	var file bytes.Buffer
	if err := k.Export(&file); err != nil {
		t.Fatal(err)
	}
	closed(t, k)

	b, dir := startBroker(t, t.TempDir(), 0), t.TempDir()
	if _, err := Import(dir, bytes.NewReader(file.Bytes()), secretHex, nil, nil, ignored); err != nil {
		t.Fatal(err)
	}
	one := join(t, dir, b.ClientURL())
	until(t, "the node is ready", func() bool { return one.reached() && one.Stats().Cluster.Fault == "" })
	if isImported(dir) {
		t.Error("it is ready, and its state is with nobody else")
	}
	wantSame(t, one.store, want, keys)
	two := join(t, t.TempDir(), b.ClientURL())
	until(t, "the second node is ready", func() bool { return two.reached() && two.Stats().Cluster.Fault == "" })
	wantSame(t, two.store, want, keys)

	record(t, two.Keeper, shownTo(keys[0], testNow))
	applyAll(t, want, []caps.Change{shownTo(keys[0], testNow)})
	settled(t, one, two)
	wantSame(t, one.store, want, keys)
	closed(t, one.Keeper)
	closed(t, two.Keeper)
}

// While NATS takes no copy the imported node says why it is not ready, and never forgets what it owes.
func TestImportedIsNotReadyBefore(t *testing.T) {
	k, _ := opened(t, testOptions(t.TempDir()))
	record(t, k, shownTo(testKeys(1)[0], testNow))
	var file bytes.Buffer
	if err := k.Export(&file); err != nil {
		t.Fatal(err)
	}
	closed(t, k)
	dir, b := t.TempDir(), startBroker(t, t.TempDir(), 0)
	if _, err := Import(dir, bytes.NewReader(file.Bytes()), secretHex, nil, nil, ignored); err != nil {
		t.Fatal(err)
	}
	one := join(t, dir, b.ClientURL())
	one.cluster.copier.owes.Store(true) // as it is until the copy is there
	if fault := one.Stats().Cluster.Fault; !strings.Contains(fault, "imported") {
		t.Errorf("%q", fault)
	}
	until(t, "the copy is there", func() bool { return !one.cluster.copier.owes.Load() && one.Stats().Cluster.Fault == "" })
	closed(t, one.Keeper)
}

// An export that nobody takes stands in nobody's way: snapshots are taken and changes recorded meanwhile.
func TestExportThatStandsStill(t *testing.T) {
	k, s := opened(t, testOptions(t.TempDir()))
	record(t, k, randomChanges(testRand(t), testKeys(20), 50)...)
	out, in := io.Pipe()
	ended := make(chan error)
	go func() { ended <- k.Export(in) }()
	if _, err := out.Read(make([]byte, 1)); err != nil { // it is under way, and stands still
		t.Fatal(err)
	}
	record(t, k, shownTo(testKeys(1)[0], testNow+1))
	if err := k.snapshot(); err != nil {
		t.Fatal(err)
	}
	s.Lookup(testKeys(1)[0], testNow)
	out.CloseWithError(os.ErrClosed)
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
	closed(t, k)
}

// A directory that is locked is not opened, and the other way round.
func TestLockKeepsOthersOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "counters")
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testOptions(dir)); !errors.Is(err, ErrLocked) {
		t.Errorf("%v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	k, _ := opened(t, testOptions(dir))
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("%v", err)
	}
	closed(t, k)
}

func FuzzCheck(f *testing.F) {
	dir := f.TempDir()
	k, err := Open(testOptions(dir))
	if err != nil {
		f.Fatal(err)
	}
	s := newStore()
	if err := k.Restore(s); err != nil {
		f.Fatal(err)
	}
	change := shownTo(testKeys(1)[0], testNow)
	if err := k.Record([]caps.Change{change}); err != nil {
		f.Fatal(err)
	}
	var file bytes.Buffer
	if err := k.Export(&file); err != nil {
		f.Fatal(err)
	}
	if err := k.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add(file.Bytes()[:snapshotHead])
	f.Fuzz(func(t *testing.T, b []byte) {
		var census caps.Census
		for _, b := range [][]byte{b, mended(bytes.Clone(b))} { // with the checksums made right, to get behind them
			x, err := Check(bytes.NewReader(b), secretHex, newSeals(1, 1), census.Add)
			if v, e := verify(bytes.NewReader(b)); err == nil && (e != nil || v.created != x.Begun) {
				t.Fatalf("taken, and it is no snapshot: %v", e)
			}
		}
	})
}
