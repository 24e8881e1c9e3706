package suppress

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Shipment describes one generation of a list on its way from node to node: the
// key file, of which Bytes and SHA256 are, and what it is of. The filter is not
// sent: the receiver reads every key to verify it, and builds the filter of them
// that its own policy asks for.
//
// In binary form it is a line of hexadecimal SHA-256 and a line of JSON that
// this is the sum of.
type Shipment struct {
	Version int    `json:"version"` // 3 where the keys are sealed, else 2 where they leave by themselves, else 1
	List    string `json:"list"`
	// Publication makes the generation the one in use. Order is the generation's
	// number; for a rollback to it, set it to the rollback's.
	Publication
	// Start is the sequence above which changes apply over the generation: the one
	// at which its upload started, or up to which changes were folded in since.
	Start uint64 `json:"start"`
	// Deleted says that the list was deleted then; there are no keys.
	Deleted bool `json:"deleted,omitempty"`
	// Items, Sources and Filter are of the sender's Declaration. Items has to be
	// as the receiver's; the others are told to whoever reads.
	Items   bool     `json:"items,omitempty"`
	Sources []string `json:"sources,omitempty"`
	Filter  string   `json:"filter,omitempty"`

	Keys uint64 `json:"keys"`
	// Until is when the keys leave, in Unix seconds, 0: never, but for so many as
	// Leaving says, which leave at a second of their own.
	Until   uint32 `json:"until,omitempty"`
	Leaving uint64 `json:"leaving,omitempty"`

	Uploaded    uint64 `json:"uploaded"`    // Unix seconds; 0: never
	Fingerprint string `json:"fingerprint"` // of the epoch in which the file is written
	Sealed      bool   `json:"sealed,omitempty"`
	Bytes       int64  `json:"bytes"`  // of the key file
	SHA256      string `json:"sha256"` // of the key file, hexadecimal
}

const (
	shipmentVersion = 3
	// MaxShipmentBytes is the size of the largest Shipment in binary form (chosen).
	MaxShipmentBytes = 64 << 10
)

// AppendShipment appends the binary form. On error dst is as it was.
func AppendShipment(dst []byte, sh *Shipment) ([]byte, error) {
	if err := sh.check(); err != nil {
		return dst, fmt.Errorf("encode shipment of list %q: %w", sh.List, err)
	}
	from := len(dst)
	out := appendSealed(dst, sh)
	if n := len(out) - from; n > MaxShipmentBytes {
		return dst, fmt.Errorf("encode shipment of list %q: %w: it takes %d bytes, at most %d; declare fewer sources", sh.List, ErrTooLarge, n, MaxShipmentBytes)
	}
	return out, nil
}

// ParseShipment decodes what AppendShipment wrote. The error wraps ErrDamaged,
// or ErrVersion for a shipment of a newer program.
func ParseShipment(b []byte) (sh Shipment, err error) {
	body, err := parseSealed(b, MaxShipmentBytes)
	if err != nil {
		return sh, fmt.Errorf("parse shipment: %w", err)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(body, &head); err != nil {
		return sh, fmt.Errorf("parse shipment: %w: %v", ErrDamaged, err)
	}
	if head.Version > shipmentVersion {
		return sh, fmt.Errorf("parse shipment: %w: version %d, this program reads %d; update this node", ErrVersion, head.Version, shipmentVersion)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&sh); err != nil {
		return Shipment{}, fmt.Errorf("parse shipment: %w: %v", ErrDamaged, err)
	}
	if err := sh.check(); err != nil {
		return Shipment{}, fmt.Errorf("parse shipment: %w: %w", ErrDamaged, err)
	}
	return sh, nil
}

var errShipment = errors.New("shipment contradicts itself")

// check refuses what no Export describes.
func (sh *Shipment) check() error {
	if err := checkName(sh.List); err != nil {
		return err
	}
	sum, err := hex.DecodeString(sh.SHA256)
	switch {
	case !utf8.ValidString(sh.List) || !utf8.ValidString(sh.Fingerprint) || !isFingerprint(sh.Fingerprint):
		return fmt.Errorf("%w: the list's name or the fingerprint cannot be sent", errShipment)
	case sh.Version != sh.version():
		return fmt.Errorf("%w: version %d", errShipment, sh.Version)
	case sh.Generation < firstGeneration || sh.Order < sh.Generation || sh.Order > maxNumber:
		return fmt.Errorf("%w: generation %d, order %d", errShipment, sh.Generation, sh.Order)
	case sh.Keys > maxKeys || sh.Leaving > sh.Keys || sh.Bytes != manifestSize+int64(sh.Keys)*keySize+leavingSize(sh.Leaving) || sh.Deleted && (sh.Keys > 0 || sh.Items):
		return fmt.Errorf("%w: %d keys in %d bytes", errShipment, sh.Keys, sh.Bytes)
	case err != nil || len(sum) != sha256.Size || sh.Uploaded>>32 != 0:
		return fmt.Errorf("%w: its sum or its second of upload is none", errShipment)
	}
	return nil
}

// version is the first that can say what the shipment does.
func (sh *Shipment) version() int {
	if sh.Sealed {
		return 3
	}
	if sh.Until != 0 || sh.Leaving != 0 {
		return 2
	}
	return 1
}

// shape is of the keys; a deleted list has none.
func (sh *Shipment) shape() shape {
	if sh.Deleted {
		return shapeUnknown
	}
	return shapeOf(sh.Items)
}

// Export is one generation that can be read as long as the Export is held,
// whatever becomes of the list meanwhile.
type Export struct {
	Shipment
	keys *keyFile
}

// Reader gives the bytes of the key file from its beginning, Shipment.Bytes of
// them. Readers may be used beside one another.
func (e *Export) Reader() io.Reader { return io.NewSectionReader(e.keys.file, 0, e.Bytes) }

// Export gives the generation in use, which it reads once, to be sure of it. A
// list that never had a generation has none to give (ErrNoPrevious), and one
// whose generation was lost does not know it (ErrDamaged).
func (s *Store) Export(name string) (*Export, error) {
	s.mu.Lock()
	l := s.lists[name]
	s.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("export list: %w: there is no list %q", ErrUnknownList, name)
	}
	l.mu.Lock()
	k, order, decl, lost := l.cur, l.order, l.decl, l.lost.Base
	l.mu.Unlock()
	if lost {
		return nil, fmt.Errorf("export list %q: %w: its generation was lost here; install it from another node, or upload it again", name, ErrDamaged)
	}
	if k == nil {
		return nil, fmt.Errorf("export list %q: %w: it was never uploaded", name, ErrNoPrevious)
	}
	e, err := exportOf(name, k, order, decl, s.vault)
	if err != nil {
		return nil, outward(fmt.Errorf("export list %q: %w", name, err))
	}
	return e, nil
}

// ExportPrevious gives the generation that Rollback would make current, as Export does;
// ErrNoPrevious where there is none. Its Order is its own number.
func (s *Store) ExportPrevious(name string) (*Export, error) {
	s.mu.Lock()
	l := s.lists[name]
	s.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("export list: %w: there is no list %q", ErrUnknownList, name)
	}
	l.mu.Lock()
	k, decl := l.prev, l.decl
	if l.previousLocked() == 0 {
		k = nil
	}
	l.mu.Unlock()
	if k == nil {
		return nil, fmt.Errorf("export what list %q was before: %w", name, ErrNoPrevious)
	}
	e, err := exportOf(name, k, k.generation, decl, s.vault)
	if err != nil {
		return nil, outward(fmt.Errorf("export what list %q was before: %w", name, err))
	}
	return e, nil
}

// exportOf reads the whole key file for its sum.
func exportOf(name string, k *keyFile, order uint64, decl Declaration, v vault) (*Export, error) {
	e := &Export{keys: k, Shipment: Shipment{
		List: name, Publication: Publication{Order: order, Generation: k.generation}, Start: k.start,
		Deleted: k.deleted, Items: k.shape == shapeItems, Sources: decl.Sources, Filter: decl.Filter,
		Keys: k.keys, Uploaded: k.uploaded, Fingerprint: k.fingerprint, Sealed: k.sealed, Bytes: k.size(),
		Until: k.until, Leaving: uint64(k.leaving.len()), SHA256: hex.EncodeToString(make([]byte, sha256.Size)),
	}}
	e.Version = e.version()
	whole := sha256.New()
	keys := newShipmentKeys(e.Reader(), &e.Shipment, whole, v)
	keys.unsealed = true
	for {
		_, ok, err := keys.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
	}
	e.SHA256 = hex.EncodeToString(whole.Sum(nil))
	return e, nil
}
