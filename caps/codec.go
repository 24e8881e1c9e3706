package caps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// On the wire a record is 4 bytes and its words, little-endian:
//
//	0      version: 2 of exposures with a retention of their own (see Retention), else 1
//	1      what it is: 1 exposures and holds, 2 refusals
//	2, 3   zero
//	4      words (see record.go and refusals.go)
//
// Equal states are equal bytes.
const (
	wireVersion   = 1
	wireOwn       = 2 // of exposures with a retention of their own
	wireExposures = 1
	wireRefusals  = 2
	wireHead      = 4
)

// MaxEncoded is the size in bytes of the longest encoded record.
const MaxEncoded = wireHead + 4<<(maxSegmentBits-1)

// ErrMalformed says that an encoded record is none. Nothing was applied.
var ErrMalformed = errors.New("malformed record")

// AppendExposures appends the encoded exposures and holds of the key; nothing, if there are none.
func (s *Store) AppendExposures(dst []byte, key Key, now Second) []byte {
	r := s.rules(now)
	k := wordsOf(&key)
	hash := hashOf(&k)
	sh := s.shardOf(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	_, record := sh.exposures.find(hash, &k)
	if record == nil {
		return dst
	}
	var held view
	held.load(record)
	sh.out.join(&k, &held, &view{}, r, sh.exposures.maxWords())
	return appendWords(dst, wireExposures, sh.out.encode())
}

// AppendRefusals appends the encoded refusals of the key; nothing, if there are none.
func (s *Store) AppendRefusals(dst []byte, key Key, now Second) []byte {
	r := s.rules(now)
	k := wordsOf(&key)
	hash := hashOf(&k)
	sh := s.shardOf(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	_, record := sh.refusals.find(hash, &k)
	sh.refuse.join(record, &refusalDraft{}, r)
	return appendWords(dst, wireRefusals, sh.refuse.encode(&k))
}

func appendWords(dst []byte, what byte, words []uint32) []byte {
	if words == nil {
		return dst
	}
	dst = append(dst, wireVersionOf(what, words), what, 0, 0)
	for _, w := range words {
		dst = binary.LittleEndian.AppendUint32(dst, w)
	}
	return dst
}

// wireVersionOf tells a record that says how long it is kept from one that does not: a program that did not know of it would keep it longer,
// so it must not read it.
func wireVersionOf(what byte, words []uint32) byte {
	if what == wireExposures && words[0]>>retentionShift != 0 {
		return wireOwn
	}
	return wireVersion
}

// parseWords appends the words to dst.
func parseWords(dst []uint32, what byte, enc []byte) ([]uint32, error) {
	switch {
	case len(enc) > MaxEncoded:
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrMalformed, len(enc), MaxEncoded)
	case len(enc) < wireHead+4*refusalHeadWords || len(enc)%4 != 0:
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(enc))
	case enc[0] != wireVersion && enc[0] != wireOwn:
		return nil, fmt.Errorf("%w: version %d, known are %d and %d", ErrMalformed, enc[0], wireVersion, wireOwn)
	case enc[1] != what || enc[2] != 0 || enc[3] != 0:
		return nil, fmt.Errorf("%w: of another kind", ErrMalformed)
	}
	dst = slices.Grow(dst, len(enc)/4-1)
	for at := wireHead; at < len(enc); at += 4 {
		dst = append(dst, binary.LittleEndian.Uint32(enc[at:]))
	}
	if words := dst[len(dst)-len(enc)/4+1:]; enc[0] != wireVersionOf(what, words) {
		return nil, fmt.Errorf("%w: version %d of a record with the retention %d", ErrMalformed, enc[0], words[0]>>retentionShift&retentionMask)
	}
	return dst, nil
}

// MergeExposures joins an encoded record into the store. What is erased here stays erased.
func (s *Store) MergeExposures(enc []byte, now Second) error {
	var buffer [256]uint32
	words, err := parseWords(buffer[:0], wireExposures, enc)
	if err != nil {
		return err
	}
	if err := checkExposures(words); err != nil {
		return err
	}
	r := s.rules(now)
	key := keyWords(words[1:5])
	hash := hashOf(&key)
	sh := s.shardOf(hash)
	sh.mu.Lock()
	defer sh.unlock()
	sh.event.load(words)
	sh.applyLocked(hash, &key, &sh.event, r.under(sh.erased(hash, &key)))
	sh.event = view{}
	return nil
}

// MergeRefusals joins an encoded record into the store. It returns ErrFull as Purchase.
func (s *Store) MergeRefusals(enc []byte, now Second) error {
	var buffer [256]uint32
	words, err := parseWords(buffer[:0], wireRefusals, enc)
	if err != nil {
		return err
	}
	if err := checkRefusals(words); err != nil {
		return err
	}
	key := keyWords(words[1:5])
	event := refusalDraft{erased: Second(words[wordErased])}
	for i := range refusalCount(words) {
		event.entries = append(event.entries, refusalAt(words, i))
	}
	return s.refuse([]Key{keyOf(&key)}, &event, now)
}

// checkExposures accepts exactly what draft.encode can make.
func checkExposures(w []uint32) error {
	if len(w) < headWords || w[0]&sizeMask != uint32(len(w)) || w[0]&gapBit != 0 {
		return fmt.Errorf("%w: wrong size", ErrMalformed)
	}
	n := int(w[0] >> countShift & countMask)
	if n > MaxScopes || headWords+2*n > len(w) {
		return fmt.Errorf("%w: %d scopes", ErrMalformed, n)
	}
	at, sig, last := headWords+2*n, uint64(0), uint32(0)
	for i := range n {
		tag := w[headWords+i]
		if tag <= last {
			return fmt.Errorf("%w: tags out of order", ErrMalformed)
		}
		last = tag
		sig |= 1 << (tag & 63)
		size, err := checkEntry(w, at, w[headWords+n+i])
		if err != nil {
			return err
		}
		at += size
	}
	sig, err := checkRows(w[at:], sig)
	if err != nil {
		return err
	}
	if uint64(w[wordSig])|uint64(w[wordSig+1])<<32 != sig {
		return fmt.Errorf("%w: wrong signature", ErrMalformed)
	}
	if len(w) == headWords && w[wordCut] == 0 {
		return fmt.Errorf("%w: it says nothing", ErrMalformed)
	}
	return nil
}

func checkEntry(w []uint32, at int, meta uint32) (size int, err error) {
	count, keep, cut := int(meta>>metaCount&0xff), int(meta>>metaKeep&0xff), uint32(0)
	size = 2 * count
	if meta&metaHasCut != 0 {
		size++
	}
	if int(meta&sizeMask) != at || meta>>31 != 0 || keep == 0 || count > keep || at+size > len(w) {
		return 0, fmt.Errorf("%w: wrong entry", ErrMalformed)
	}
	if meta&metaHasCut != 0 {
		if cut = w[at]; cut == 0 {
			return 0, fmt.Errorf("%w: cut of zero", ErrMalformed)
		}
		at++
	}
	if count == 0 && cut == w[wordCut] {
		return 0, fmt.Errorf("%w: empty entry", ErrMalformed)
	}
	k := kept{shown: w[at : at+2*count]}
	for i := range count {
		if k.second(i) == 0 || i > 0 && !k.newer(i-1, &k, i) || k.has(k.identity(i), i) {
			return 0, fmt.Errorf("%w: exposures out of order", ErrMalformed)
		}
	}
	return size, nil
}

func checkRows(rows []uint32, sig uint64) (uint64, error) {
	n := len(rows) / rowWords
	if len(rows)%rowWords != 0 || n > MaxHoldRows {
		return 0, fmt.Errorf("%w: wrong holds", ErrMalformed)
	}
	for i := range n {
		h := rowAt(rows, i)
		if h.end == 0 || h.tag == 0 && h.issued != 0 {
			return 0, fmt.Errorf("%w: wrong hold", ErrMalformed)
		}
		if i > 0 {
			if l := rowAt(rows, i-1); l.tag > h.tag || l.tag == h.tag && l.identity >= h.identity {
				return 0, fmt.Errorf("%w: holds out of order", ErrMalformed)
			}
		}
		if h.tag != 0 {
			sig |= 1 << (h.tag & 63)
		}
	}
	return sig, nil
}

// checkRefusals accepts exactly what refusalDraft.encode can make.
func checkRefusals(w []uint32) error {
	n := int(w[0] >> countShift & countMask)
	if w[0]&sizeMask != uint32(len(w)) || w[0]>>(countShift+11) != 0 || len(w) != refusalHeadWords+n*refusalWords {
		return fmt.Errorf("%w: wrong size", ErrMalformed)
	}
	if n == 0 && w[wordErased] == 0 {
		return fmt.Errorf("%w: it says nothing", ErrMalformed)
	}
	for i := range n {
		e := refusalAt(w, i)
		if i > 0 && e.tag <= refusalTag(w, i-1) {
			return fmt.Errorf("%w: tags out of order", ErrMalformed)
		}
		if e.a == 0 && (e.b == 0 || e.tag&1 == kindChoice) {
			return fmt.Errorf("%w: empty entry", ErrMalformed)
		}
	}
	return nil
}
