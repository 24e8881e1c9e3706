package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Heads are what is kept elsewhere of one node's log: of each signing key the head with
// the largest number of each day (UTC) on which something was signed, of the newest
// maxDays, and of each such hour of the newest maxHours. Two that have the same number
// and another mac are both kept: one log cannot have both.
//
// Joining them is commutative, associative and idempotent, since the largest of a day, or
// of an hour, is among what is kept of any part.
type Heads []Head

// Bounds of Heads. Chosen: two months of days with a change, two days of such hours.
const (
	maxDays       = 64
	maxHours      = 48
	maxHeads      = 2 * (maxDays + maxHours)
	maxHeadsBytes = 128 << 10
	headsVersion  = 1

	daySeconds  = 24 * 60 * 60
	hourSeconds = 60 * 60
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
	case d.Version != headsVersion || len(d.Heads) == 0 || len(d.Heads) > maxHeads:
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
	joined := append(all.largest(daySeconds, maxDays), all.largest(hourSeconds, maxHours)...)
	joined.sort(daySeconds)
	return slices.CompactFunc(joined, func(a, b Head) bool { return a.Key == b.Key && a.Seq == b.Seq && a.MAC == b.MAC && a.Sig == b.Sig })
}

// sort sorts by spans of so many seconds, newest first, and within one by key and number.
func (hs Heads) sort(span int64) {
	slices.SortFunc(hs, func(a, b Head) int {
		return cmp.Or(cmp.Compare(b.At.Unix()/span, a.At.Unix()/span), cmp.Compare(a.Key, b.Key), cmp.Compare(b.Seq, a.Seq),
			cmp.Compare(a.MAC, b.MAC), a.At.Compare(b.At), cmp.Compare(a.Sig, b.Sig))
	})
}

// largest are the heads with the largest number of each span and key, of at most so many
// of the newest; of one number at most two that differ. It sorts hs.
func (hs Heads) largest(span int64, most int) (found Heads) {
	hs.sort(span)
	groups, of := 0, 0
	for i := range hs {
		h := &hs[i]
		switch {
		case i == 0 || hs[i-1].At.Unix()/span != h.At.Unix()/span || hs[i-1].Key != h.Key:
			if groups++; groups > most {
				return found
			}
			of = 1
			found = append(found, *h)
		case of == 1 && h.Seq == found[len(found)-1].Seq && h.MAC != found[len(found)-1].MAC:
			of = 2
			found = append(found, *h)
		}
	}
	return found
}
