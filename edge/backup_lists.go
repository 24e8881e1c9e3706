package edge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"restraint/edge/backup"
	"restraint/edge/identity"
	"restraint/suppress"
)

// listTaker takes the lists of a backup.
type listTaker interface {
	generation(sh *suppress.Shipment, keys io.Reader) error
	change(seq uint64, message []byte) (keys int, err error)
	close() error
}

// list is what was found of the list so far.
func (in *backupReader) list(name string) *BackupOfList {
	all := &in.found.Lists
	i := slices.IndexFunc(*all, func(l BackupOfList) bool { return l.Name == name })
	if i < 0 {
		i, *all = len(*all), append(*all, BackupOfList{Name: name})
	}
	return &(*all)[i]
}

func (in *backupReader) generation(s backup.Section, r io.Reader) error {
	form, err := readSized(r, suppress.MaxShipmentBytes)
	if err != nil {
		return err
	}
	sh, err := suppress.ParseShipment(form)
	if err != nil {
		return damagedBackup(err)
	}
	l := in.list(s.Name)
	switch {
	case sh.List != s.Name:
		return fmt.Errorf("%w: it is of list %q", backup.ErrDamaged, sh.List)
	case s.Kind == backupPrevious && (l.Previous != 0 || l.Generation != 0), s.Kind == backupList && l.Generation != 0:
		return fmt.Errorf("%w: the generation comes twice, or late", backup.ErrDamaged)
	case s.Kind == backupPrevious:
		l.Previous = sh.Generation
	default:
		l.Generation, l.Keys, l.Uploaded = sh.Generation, sh.Keys, sh.Uploaded
		// A store that was alone has rolled back under the number of what it rolled back from.
		sh.Order = max(sh.Order, l.Previous+1)
	}
	return damagedBackup(in.lists.generation(&sh, r))
}

func (in *backupReader) changes(name string, r io.Reader) error {
	l := in.list(name)
	for {
		var seq [8]byte
		switch _, err := io.ReadFull(r, seq[:]); {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("%w: it ends in a change", backup.ErrDamaged)
		case err != nil:
			return err
		}
		message, err := readSized(r, suppress.MaxChangeBytes)
		if err != nil {
			return err
		}
		keys, err := in.lists.change(binary.LittleEndian.Uint64(seq[:]), message)
		if err != nil {
			return damagedBackup(err)
		}
		l.Changes += uint64(keys)
	}
}

// readSized reads a length and as many bytes, at most so many.
func readSized(r io.Reader, most int) ([]byte, error) {
	var length [4]byte
	_, err := io.ReadFull(r, length[:])
	n := binary.LittleEndian.Uint32(length[:])
	if err == nil && n > uint32(most) {
		return nil, fmt.Errorf("%w: %d bytes where at most %d may be", backup.ErrDamaged, n, most)
	}
	b := make([]byte, n)
	if err == nil {
		_, err = io.ReadFull(r, b)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends too early", backup.ErrDamaged)
	}
	return b, err
}

// damagedBackup names damage as package backup does.
func damagedBackup(err error) error {
	if errors.Is(err, suppress.ErrDamaged) && !errors.Is(err, backup.ErrDamaged) {
		return fmt.Errorf("%w: %w", backup.ErrDamaged, err)
	}
	return err
}

// listChecker only looks.
type listChecker struct{ *suppress.Checker }

func newListChecker(secret identity.Secret) listChecker {
	return listChecker{suppress.NewChecker(secret.Fingerprint(), listSeals{secret.Epochs()})}
}

func (c listChecker) generation(sh *suppress.Shipment, keys io.Reader) error {
	return c.Check(sh, keys)
}

func (c listChecker) change(_ uint64, message []byte) (int, error) {
	change, err := c.ParseChange(message)
	return len(change.Keys), err
}

func (c listChecker) close() error { return nil }

// listWriter puts them into a store of their own.
type listWriter struct {
	*suppress.Store
	cluster bool
}

// backupChangesMost is how many changed keys of a list are held before they are folded in: as many as a store may hold.
const backupChangesMost = 1 << 20

func newListWriter(o *BackupOptions) (*listWriter, error) {
	s, err := suppress.Open(suppress.Options{
		Dir: filepath.Join(o.Dir, "suppress"), Disk: listDisk(o.AtRest), Fingerprint: o.Secret.Fingerprint(), Seals: listSeals{o.Secret.Epochs()},
		Hash: identity.NewHasher(o.Secret).Key, MaxChanges: backupChangesMost,
	})
	if err != nil {
		return nil, err
	}
	return &listWriter{s, o.Cluster}, nil
}

func (w *listWriter) generation(sh *suppress.Shipment, keys io.Reader) error {
	_, err := w.Install(sh.List, sh, keys, nil)
	return err
}

func (w *listWriter) change(seq uint64, message []byte) (int, error) {
	c, err := w.ParseChange(message)
	if err == nil {
		err = w.ApplyChange(seq, &c)
	}
	return len(c.Keys), err
}

// close has every change in a generation: a stream that is made anew has none of them, so whoever takes the generation takes all. In a cluster each list has a
// number that the cluster takes, where the node was alone before, or the list never uploaded.
func (w *listWriter) close() error {
	var faults []error
	for _, st := range w.StatusAll() {
		err := w.Compact(st.List, w.Sequence())
		p := w.Publication(st.List)
		if err == nil && w.cluster && p.Generation > 0 && (p.Order < firstListNumber || p.Generation == 1) {
			err = w.Renumber(st.List, max(p.Order, firstListNumber)+1)
		}
		faults = append(faults, err)
	}
	return errors.Join(append(faults, w.Close())...)
}
