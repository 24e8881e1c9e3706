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

func (l loss) any() bool { return l.Base || l.Changes }

const maxPointerBytes = 4 << 10

func (p *pointer) encode() []byte {
	body, err := json.Marshal(p)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	sum := sha256.Sum256(body)
	out := hex.AppendEncode(nil, sum[:])
	out = append(out, '\n')
	out = append(out, body...)
	return append(out, '\n')
}

func parsePointer(b []byte, list string) (p pointer, err error) {
	sum, body, ok := bytes.Cut(b, []byte("\n"))
	body, ends := bytes.CutSuffix(body, []byte("\n"))
	if !ok || !ends || len(b) > maxPointerBytes {
		return p, fmt.Errorf("parse pointer: %w: it is not two lines", ErrDamaged)
	}
	want := sha256.Sum256(body)
	if hex.EncodeToString(want[:]) != string(sum) {
		return p, fmt.Errorf("parse pointer: %w: its checksum differs", ErrDamaged)
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
