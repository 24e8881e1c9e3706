package caps

import (
	"encoding/binary"
	"fmt"
)

// Beside is a set that is kept along with a store and knows nothing of it, nor the store of it: what people report about campaigns. Whatever
// carries the changes of a store carries those of the set, and its snapshots have the set, so that both go by one position. Every change of it
// is a merge too. Its methods may be called concurrently and keep nothing of what they are given.
type Beside interface {
	// Apply joins a change of kind ChangeReport.
	Apply(*Change)
	// AppendNext appends the next record of the set, of at most MaxBeside bytes; at is nil at first, and then as AppendNext left it. It
	// returns false where there is none left.
	AppendNext(dst []byte, at *any) ([]byte, bool)
	// Merge joins what AppendNext appended. The error says that it cannot have.
	Merge(record []byte) error
}

// In a snapshot, a record of what is kept beside a store is
//
//	0      version, 1
//	1      what it is: 4
//	2, 3   zero
//	4      n, at most MaxBeside
//	8      n bytes, as Beside has them
const (
	wireBeside     = 4
	wireBesideHead = wireHead + 4

	// MaxBeside is the size of the largest record of a Beside. Chosen: some of them fit into a section of a snapshot file.
	MaxBeside = 256 << 10
)

// HasBeside reports whether anything is kept beside the store, for a snapshot that says so before it begins.
func (s *Store) HasBeside() bool {
	if s.beside == nil {
		return false
	}
	var at any
	_, any := s.beside.AppendNext(nil, &at)
	return any
}

func (s *Store) appendBeside(dst []byte, at *Cursor) (out []byte, done bool) {
	if s.beside == nil || at.Alone {
		return dst, true
	}
	from := len(dst)
	dst = append(dst, wireVersion, wireBeside, 0, 0, 0, 0, 0, 0)
	dst, more := s.beside.AppendNext(dst, &at.beside)
	n := len(dst) - from - wireBesideHead
	if !more {
		return dst[:from], true
	}
	if n > MaxBeside {
		panic("BUG: a record beside the store is too long")
	}
	binary.LittleEndian.PutUint32(dst[from+4:], uint32(n))
	return dst, false
}

func (s *Store) mergeBeside(record []byte) error {
	if record[0] != wireVersion || record[2] != 0 || record[3] != 0 {
		return fmt.Errorf("%w: version %d of what is kept beside", ErrMalformed, record[0])
	}
	if s.beside == nil {
		return nil
	}
	if err := s.beside.Merge(record[wireBesideHead:]); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}
