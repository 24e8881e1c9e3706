package suppress_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"restraint/suppress"
)

// exportOf is a generation 57 of the list "l" with the numbers below 300, made
// by another store, and its file.
func exportOf(t testing.TB, fingerprint string, d suppress.Declaration) (suppress.Shipment, []byte) {
	t.Helper()
	s := open(t, suppress.Options{Dir: t.TempDir(), Hash: numberHash, MaxShrink: 1, Fingerprint: fingerprint, Item: func(string, []byte) uint64 { return 7 }})
	declare(t, s, d)
	var err error
	if d.Items {
		im := suppress.Import{Format: suppress.CSV, ID: "user.id", Column: "u", ItemColumn: "sku", Generation: 57, Start: 20}
		_, err = s.Replace(d.Name, strings.NewReader("u,sku\n1,hat\n"), im)
	} else {
		_, err = s.Replace(d.Name, &numbers{to: 300}, numbered(57, 20))
	}
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Export(d.Name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(e.Reader())
	if err != nil {
		t.Fatal(err)
	}
	return e.Shipment, b
}

// reseal makes the shipment's own sums those of the file again.
func reseal(sh *suppress.Shipment, file []byte) {
	sum := sha256.Sum256(file)
	sh.SHA256 = hex.EncodeToString(sum[:])
}

// resealHead makes the checksum of the head of a key file good again.
func resealHead(file []byte) {
	sum := sha256.Sum256(file[:128])
	copy(file[128:], sum[:])
}

// TestInstallDamaged: whatever is wrong with a shipment, the list and its files
// stay as they were, and the error says so.
func TestInstallDamaged(t *testing.T) {
	sh, file := exportOf(t, "", people("l"))
	_, foreign := exportOf(t, "another", people("l"))
	ofOther, fileOfOther := exportOf(t, "", people("other"))
	orders := people("l")
	orders.Items = true
	ofItems, fileOfItems := exportOf(t, "", orders)
	for name, c := range map[string]struct {
		do   func(sh *suppress.Shipment, file []byte) []byte
		want error
	}{
		"empty":           {func(_ *suppress.Shipment, b []byte) []byte { return nil }, suppress.ErrDamaged},
		"half a head":     {func(_ *suppress.Shipment, b []byte) []byte { return b[:70] }, suppress.ErrDamaged},
		"no keys":         {func(_ *suppress.Shipment, b []byte) []byte { return b[:160] }, suppress.ErrDamaged},
		"a key short":     {func(_ *suppress.Shipment, b []byte) []byte { return b[:len(b)-16] }, suppress.ErrDamaged},
		"half a key":      {func(_ *suppress.Shipment, b []byte) []byte { return b[:len(b)-5] }, suppress.ErrDamaged},
		"a byte too many": {func(_ *suppress.Shipment, b []byte) []byte { return append(b, 0) }, suppress.ErrDamaged},
		"bit in the head": {func(_ *suppress.Shipment, b []byte) []byte { b[20] ^= 1; return b }, suppress.ErrDamaged},
		"bit in a key":    {func(_ *suppress.Shipment, b []byte) []byte { b[len(b)-1] ^= 1; return b }, suppress.ErrDamaged},
		"bit in a key, sealed": {func(sh *suppress.Shipment, b []byte) []byte {
			b[len(b)-1] ^= 1
			reseal(sh, b)
			return b
		}, suppress.ErrDamaged},
		"keys out of order, sealed": {func(sh *suppress.Shipment, b []byte) []byte {
			copy(b[160:176], slices.Clone(b[176:192]))
			sum := sha256.Sum256(b[160:])
			copy(b[96:], sum[:])
			resealHead(b)
			reseal(sh, b)
			return b
		}, suppress.ErrDamaged},
		"other sum": {func(sh *suppress.Shipment, b []byte) []byte { reseal(sh, nil); return b }, suppress.ErrDamaged},
		"version of the future": {func(sh *suppress.Shipment, b []byte) []byte {
			b[11] = 4
			resealHead(b)
			reseal(sh, b)
			return b
		}, suppress.ErrVersion},
		"file of another secret":  {func(sh *suppress.Shipment, _ []byte) []byte { reseal(sh, foreign); return foreign }, suppress.ErrFingerprint},
		"another secret":          {func(sh *suppress.Shipment, _ []byte) []byte { sh.Fingerprint = "another"; return foreign }, suppress.ErrFingerprint},
		"file of another list":    {func(sh *suppress.Shipment, _ []byte) []byte { reseal(sh, fileOfOther); return fileOfOther }, suppress.ErrDamaged},
		"another list":            {func(sh *suppress.Shipment, _ []byte) []byte { *sh = ofOther; return fileOfOther }, suppress.ErrDamaged},
		"of items":                {func(sh *suppress.Shipment, _ []byte) []byte { *sh = ofItems; return fileOfItems }, suppress.ErrImport},
		"another generation":      {func(sh *suppress.Shipment, b []byte) []byte { sh.Generation++; sh.Order++; return b }, suppress.ErrDamaged},
		"another start":           {func(sh *suppress.Shipment, b []byte) []byte { sh.Start++; return b }, suppress.ErrDamaged},
		"count":                   {func(sh *suppress.Shipment, b []byte) []byte { sh.Keys--; return b }, suppress.ErrDamaged},
		"order before generation": {func(sh *suppress.Shipment, b []byte) []byte { sh.Order--; return b }, suppress.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := damageStore(t, dir)
			upload(t, s, 100)
			addAs(t, s, 30, 500)
			before := filesOf(t, dir)
			sh, file := sh, bytes.Clone(file)
			file = c.do(&sh, file)
			st, err := s.Install("l", &sh, bytes.NewReader(file), nil)
			if !errors.Is(err, c.want) || strings.Contains(err.Error(), dir) {
				t.Fatalf("got %+v, %v", st, err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) > 0 || filesOf(t, dir) != before {
				t.Fatalf("half applied: %q", left)
			}
			wantStatus(t, s, 101, suppress.Publication{Order: 1, Generation: 1}, 0)
		})
	}
}

func TestInstallCutOff(t *testing.T) {
	sh, file := exportOf(t, "", people("l"))
	s := damageStore(t, t.TempDir())
	broken := errors.New("connection reset")
	for _, n := range []int{0, 100, 1000} {
		r := io.MultiReader(bytes.NewReader(file[:n]), errorReader{broken})
		if _, err := s.Install("l", &sh, r, nil); !errors.Is(err, broken) {
			t.Fatal(err)
		}
	}
	r := io.MultiReader(bytes.NewReader(file), errorReader{broken})
	if _, err := s.Install("l", &sh, r, nil); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	wantStatus(t, s, 0, suppress.Publication{}, 0)
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }

// unread fails the test when it is read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("it was read")
	return 0, io.EOF
}

// TestInstall goes through what a node is told in the course of time.
func TestInstall(t *testing.T) {
	sh, file := exportOf(t, "", people("l"))
	dir := t.TempDir()
	s := open(t, suppress.Options{Dir: dir, Hash: numberHash, MaxShrink: 1, MaxChanges: 100})
	addAs(t, s, 25, 900, 901)
	if _, err := s.Install("l", &sh, bytes.NewReader(file), nil); err != nil { // before the policy comes
		t.Fatal(err)
	}
	declare(t, s, people("l"))
	want := suppress.Publication{Order: 57, Generation: 57}
	wantStatus(t, s, 302, want, 0)
	if st, err := s.Install("l", &sh, unread{t}, nil); err != nil || st.Generation != 57 {
		t.Fatalf("the same again: %+v, %v", st, err)
	}
	replaceAs(t, s, 5, 60, 30)
	if _, err := s.Install("l", &sh, unread{t}, nil); !errors.Is(err, suppress.ErrOlder) {
		t.Fatal(err)
	}
	sh.Order = 70 // the cluster is rolled back
	if _, err := s.Install("l", &sh, unread{t}, nil); err != nil {
		t.Fatal(err)
	}
	want.Order = 70
	for range 2 {
		wantStatus(t, s, 302, want, 60)
		s.Close()
		s = damageStore(t, dir)
	}
	if err := s.Compact("l", 40); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RollbackTo("l", suppress.Publication{Order: 71, Generation: 60}); err != nil {
		t.Fatal(err)
	}
	replaceAs(t, s, 8, 80, 41)
	sh.Order = 90
	var gap *suppress.ReplayError
	if _, err := s.Install("l", &sh, unread{t}, nil); !errors.As(err, &gap) || gap.After != 20 || gap.Through != 30 {
		t.Fatal(err)
	}
	if _, err := s.Install("l", &sh, unread{t}, &suppress.Replay{Through: 29}); !errors.Is(err, suppress.ErrReplay) {
		t.Fatal(err)
	}
	again := &suppress.Replay{Through: 40, Changes: func(yield func(uint64, *suppress.Change) error) error {
		for n := range uint64(21) { // more than fit in memory at once
			c := suppress.Change{List: "l", Op: suppress.Add}
			for k := range uint64(10) {
				c.Keys = append(c.Keys, number(900+10*n+k))
			}
			if err := yield(20+n, &c); err != nil {
				return err
			}
		}
		return nil
	}}
	if _, err := s.Install("l", &sh, bytes.NewReader(file), again); err != nil {
		t.Fatal(err)
	}
	want.Order = 90
	for range 2 {
		wantStatus(t, s, 500, want, 80) // without those of 20, which is in the upload
		s.Close()
		s = damageStore(t, dir)
	}
}

// TestInstallMends a list whose generation, pointer or changes were damaged.
func TestInstallMends(t *testing.T) {
	sh, file := exportOf(t, "", people("l"))
	all := &suppress.Replay{Through: 50, Changes: func(yield func(uint64, *suppress.Change) error) error {
		return yield(45, &suppress.Change{List: "l", Op: suppress.Add, Keys: []suppress.Key{number(500)}})
	}}
	for name, c := range map[string]struct {
		file   string
		replay bool
	}{"generation": {"0000000057-*.keys", false}, "pointer": {"current", true}, "changes": {"changes.log", true}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := damageStore(t, dir)
			if _, err := s.Install("l", &sh, bytes.NewReader(file), nil); err != nil {
				t.Fatal(err)
			}
			addAs(t, s, 45, 500)
			s.Close()
			paths, _ := filepath.Glob(filepath.Join(dir, "lists", "l", c.file))
			corrupt(t, paths[0], 10)
			s = damageStore(t, dir)
			if trusted(s) {
				t.Fatal("a damaged list is trusted")
			}
			var replay *suppress.Replay
			if c.replay {
				replay = all
			}
			if _, err := s.Install("l", &sh, bytes.NewReader(file), replay); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if st, _ := s.Status("l"); st.Keys != 301 || !trusted(s) || st.Generation != 57 {
					t.Fatalf("got %+v %v", st, s.Notices())
				}
				s.Close()
				s = damageStore(t, dir)
			}
		})
	}
}

// TestExportStays reads what was exported after the list was replaced, and after
// it was deleted and the store closed.
func TestExportStays(t *testing.T) {
	s := damageStore(t, t.TempDir())
	if _, err := s.Export("l"); !errors.Is(err, suppress.ErrNoPrevious) {
		t.Fatal(err)
	}
	if _, err := s.Export("other"); !errors.Is(err, suppress.ErrUnknownList) {
		t.Fatal(err)
	}
	replaceAs(t, s, 3000, 57, 20)
	e, err := s.Export("l")
	if err != nil {
		t.Fatal(err)
	}
	replaceAs(t, s, 5, 58, 21)
	replaceAs(t, s, 6, 59, 22)
	if err := s.DeleteAs("l", 60, 23); err != nil {
		t.Fatal(err)
	}
	gone, err := s.Export("l")
	if err != nil || !gone.Deleted {
		t.Fatalf("%+v, %v", gone, err)
	}
	s.Close()
	other := damageStore(t, t.TempDir())
	for range 2 {
		if _, err := other.Install("l", &e.Shipment, e.Reader(), nil); err != nil {
			t.Fatal(err)
		}
	}
	wantStatus(t, other, 3000, suppress.Publication{Order: 57, Generation: 57}, 0)
	if _, err := other.Install("l", &gone.Shipment, gone.Reader(), nil); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, other, 0, suppress.Publication{Order: 60, Generation: 60}, 0)
	if st, _ := other.Status("l"); st.State != suppress.StateNone {
		t.Fatalf("got %+v", st)
	}
}

// TestExportDamaged: keys that have changed on the disk are not sent out.
func TestExportDamaged(t *testing.T) {
	dir := t.TempDir()
	s := damageStore(t, dir)
	upload(t, s, 100)
	corrupt(t, keysOf(t, dir, 1), 1)
	if _, err := s.Export("l"); !errors.Is(err, suppress.ErrDamaged) {
		t.Fatal(err)
	}
}

func TestRollbackToRefused(t *testing.T) {
	s := damageStore(t, t.TempDir())
	if _, err := s.RollbackTo("other", suppress.Publication{Order: 3, Generation: 2}); !errors.Is(err, suppress.ErrUnknownList) {
		t.Fatal(err)
	}
	if _, err := s.RollbackTo("l", suppress.Publication{Order: 1, Generation: 2}); !errors.Is(err, suppress.ErrImport) {
		t.Fatal(err)
	}
	if _, err := s.RollbackTo("l", suppress.Publication{Order: 9, Generation: 2}); !errors.Is(err, suppress.ErrNoPrevious) {
		t.Fatal(err)
	}
	addAs(t, s, 4, 7)
	if _, err := s.RollbackTo("l", suppress.Publication{Order: 9, Generation: 1}); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, s, 1, suppress.Publication{Order: 9, Generation: 1}, 0)
	s.Close()
	if _, err := s.RollbackTo("l", suppress.Publication{Order: 10, Generation: 1}); !errors.Is(err, suppress.ErrClosed) {
		t.Fatal(err)
	}
}
