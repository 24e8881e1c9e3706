package suppress

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// generationRef names a key file: a generation, with changes folded in up to start.
type generationRef struct {
	Generation uint64 `json:"generation"`
	Start      uint64 `json:"start"`
}

func (g generationRef) file() string {
	return fmt.Sprintf("%010d-%020d.keys", g.Generation, g.Start)
}

func parseFileName(name string) (g generationRef, ok bool) {
	if _, err := fmt.Sscanf(name, "%d-%d.keys", &g.Generation, &g.Start); err != nil {
		return g, false
	}
	return g, g.file() == name
}

// pointer is the file `current`: which generations are in use. Writing it is
// what publishes a generation on disk. It is one line of hexadecimal SHA-256 and
// one line of JSON that this is the sum of.
type pointer struct {
	List     string         `json:"list"`
	Current  *generationRef `json:"current,omitempty"`
	Previous *generationRef `json:"previous,omitempty"`
	// Next is the number of the next generation: numbers are not used again,
	// also after a rollback.
	Next uint64 `json:"next"`
	// Order is that of the publication which made Current current. It and Kept are
	// not in pointers from before there were clusters.
	Order uint64 `json:"order,omitempty"`
	// Kept is the sequence above which no change was ever dropped.
	Kept uint64 `json:"kept,omitempty"`
	// Journal says that there is a journal: without it, it is lost.
	Journal bool `json:"journal,omitempty"`
	// Lost outlives a restart, until the list is mended.
	Lost loss `json:"lost,omitzero"`
}

// loss says what of a list was acknowledged and may be gone.
type loss struct {
	Base    bool `json:"base,omitempty"`    // the current generation, or which one that is
	Changes bool `json:"changes,omitempty"` // changes since
}

// publication gives Order and Kept, also of a pointer that has neither.
func (p *pointer) publication() (order, kept uint64) {
	order, kept = p.Order, p.Kept
	if p.Current == nil {
		return order, kept
	}
	if order == 0 {
		order = p.Next - 1
	}
	named := p.Current.Start
	if p.Previous != nil {
		named = min(named, p.Previous.Start)
	}
	return order, max(kept, named)
}

func (l loss) any() bool { return l.Base || l.Changes }

const maxPointerBytes = 4 << 10

func (p *pointer) encode() []byte {
	return appendSealed(nil, p)
}

// appendSealed appends a line of hexadecimal SHA-256 and a line of JSON that it
// is the sum of.
func appendSealed(dst []byte, v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	sum := sha256.Sum256(body)
	dst = append(hex.AppendEncode(dst, sum[:]), '\n')
	return append(append(dst, body...), '\n')
}

// parseSealed gives the line of JSON.
func parseSealed(b []byte, most int) ([]byte, error) {
	sum, body, ok := bytes.Cut(b, []byte("\n"))
	body, ends := bytes.CutSuffix(body, []byte("\n"))
	if !ok || !ends || len(b) > most {
		return nil, fmt.Errorf("%w: it is not two lines", ErrDamaged)
	}
	want := sha256.Sum256(body)
	if hex.EncodeToString(want[:]) != string(sum) {
		return nil, fmt.Errorf("%w: its checksum differs", ErrDamaged)
	}
	return body, nil
}

func parsePointer(b []byte, list string) (p pointer, err error) {
	body, err := parseSealed(b, maxPointerBytes)
	if err != nil {
		return p, fmt.Errorf("parse pointer: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf("parse pointer: %w: %v", ErrDamaged, err)
	}
	if p.List != list {
		return p, fmt.Errorf("parse pointer: %w: it belongs to list %q, not %q", ErrDamaged, p.List, list)
	}
	return p, nil
}
