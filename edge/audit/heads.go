package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Heads are what is kept elsewhere of one node's log: of each signing key and each day
// (UTC) on which something was signed the head with the largest number. Two that have
// the same number and another mac are both kept: one log cannot have both.
//
// Joining them is commutative, associative and idempotent: within a day the larger
// number wins, and of days the newest MaxHeads are kept.
type Heads []Head

// Bounds of Heads. Chosen: two months of days with a change.
const (
	MaxHeads      = 64
	maxHeadsBytes = 96 << 10
	headsVersion  = 1
)

// ErrHeadsNewer says that a newer version of the program wrote the heads.
var ErrHeadsNewer = errors.New("the heads of an audit record were written by a newer version of the program")

type headsDocument struct {
	Version int   `json:"version"`
	Heads   Heads `json:"heads"`
}

// AppendHeads appends the heads as JSON.
func AppendHeads(dst []byte, hs Heads) []byte {
	text, err := json.Marshal(headsDocument{headsVersion, hs})
	if err != nil {
		panic("BUG: heads that JSON cannot hold: " + err.Error())
	}
	return append(dst, text...)
}

// ParseHeads reads heads, all of one node, each of which is checked unless it is among
// known, which are taken as checked. Errors: ErrHead, ErrSignature, ErrHeadsNewer.
func ParseHeads(text []byte, known Heads) (Heads, error) {
	var d headsDocument
	if len(text) > maxHeadsBytes {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrHead, len(text), maxHeadsBytes)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHead, err)
	}
	switch {
	case d.Version > headsVersion:
		return nil, ErrHeadsNewer
	case d.Version != headsVersion || len(d.Heads) == 0 || len(d.Heads) > 2*MaxHeads:
		return nil, fmt.Errorf("%w: version %d, %d heads", ErrHead, d.Version, len(d.Heads))
	}
	for i := range d.Heads {
		h := &d.Heads[i]
		if h.Node != d.Heads[0].Node {
			return nil, fmt.Errorf("%w: they are of two nodes, %.80q and %.80q", ErrHead, h.Node, d.Heads[0].Node)
		}
		if slices.Contains(known, *h) {
			continue
		}
		if err := h.Check(); err != nil {
			return nil, err
		}
	}
	return Heads(nil).Join(d.Heads), nil
}

// Join are both, in their one order. It keeps neither.
func (hs Heads) Join(others Heads) Heads {
	all := slices.Concat(hs, others)
	slices.SortFunc(all, func(a, b Head) int {
		return cmp.Or(cmp.Compare(b.day(), a.day()), cmp.Compare(a.Key, b.Key), cmp.Compare(b.Seq, a.Seq), cmp.Compare(a.MAC, b.MAC), a.At.Compare(b.At), cmp.Compare(a.Sig, b.Sig))
	})
	joined, groups, of := make(Heads, 0, len(all)), 0, 0
	for i := range all {
		h := &all[i]
		switch same := i > 0 && all[i-1].day() == h.day() && all[i-1].Key == h.Key; {
		case !same:
			if groups++; groups > MaxHeads {
				return joined
			}
			of = 1
			joined = append(joined, *h)
		case of == 1 && h.Seq == joined[len(joined)-1].Seq && h.MAC != joined[len(joined)-1].MAC:
			of = 2
			joined = append(joined, *h)
		}
	}
	return joined
}

// day is the day on which the head was signed, as a number.
func (h *Head) day() int64 { return h.At.Unix() / (24 * 60 * 60) }
