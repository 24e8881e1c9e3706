package caps

import "fmt"

// Census counts what a snapshot holds, record by record, without a store. It is not safe for concurrent use.
type Census struct {
	// Beside reads what is kept beside the store; nil: it is not looked at.
	Beside Beside

	// Users are keys with a record of exposures or holds, Counters their scopes, Exposures what those keep.
	Users, Counters, Exposures uint64
	// RefusalUsers are keys with a record of refusals. Of these, Purchases and Choices are entries, Erasures records that say of an erasure.
	RefusalUsers, Purchases, Choices, Erasures uint64
	// Oldest and Newest are the seconds of the exposures kept; 0: there is none.
	Oldest, Newest Second
	// BesideRecords are what is kept beside the store.
	BesideRecords uint64

	words []uint32
}

// Add counts encoded records as AppendSnapshot appends them. The error wraps ErrMalformed for what it cannot have written.
func (c *Census) Add(enc []byte) error {
	for len(enc) > 0 {
		size, err := snapshotRecord(enc)
		if err != nil {
			return err
		}
		record := enc[:size]
		switch enc[1] {
		case wireExposures:
			err = c.exposures(record)
		case wireRefusals:
			err = c.refusals(record)
		case wireBeside:
			c.BesideRecords++
			err = (&Store{beside: c.Beside}).mergeBeside(record)
		case wireCuts:
			_, err = parseCuts(record)
		}
		if err != nil {
			return err
		}
		enc = enc[size:]
	}
	return nil
}

func (c *Census) exposures(enc []byte) (err error) {
	if c.words, err = parseWords(c.words[:0], wireExposures, enc); err == nil {
		err = checkExposures(c.words)
	}
	if err != nil {
		return err
	}
	var held view
	held.load(c.words)
	c.Users++
	c.Counters += uint64(held.n)
	for i := range held.n {
		k := held.entry(i)
		c.Exposures += uint64(k.len())
		if k.len() > 0 { // newest first
			c.Newest = max(c.Newest, k.second(0))
			if oldest := k.second(k.len() - 1); c.Oldest == 0 || oldest < c.Oldest {
				c.Oldest = oldest
			}
		}
	}
	return nil
}

func (c *Census) refusals(enc []byte) (err error) {
	if c.words, err = parseWords(c.words[:0], wireRefusals, enc); err == nil {
		err = checkRefusals(c.words)
	}
	if err != nil {
		return err
	}
	c.RefusalUsers++
	if c.words[wordErased] != 0 {
		c.Erasures++
	}
	for i := range refusalCount(c.words) {
		if refusalTag(c.words, i)&1 == kindPurchase {
			c.Purchases++
		} else {
			c.Choices++
		}
	}
	return nil
}

// cutsHead is what a record of cuts says before them.
type cutsHead struct {
	shardBits                 int
	number, buckets, first, n uint32
}

// parseCuts checks a record of cuts of which snapshotRecord has told the size.
func parseCuts(enc []byte) (h cutsHead, err error) {
	h.shardBits = int(enc[2])
	h.number, h.buckets, h.first, h.n = cutsWord(enc, 0), cutsWord(enc, 1), cutsWord(enc, 2), cutsWord(enc, 3)
	switch {
	case enc[0] != wireVersion || enc[3] != 0:
		return h, fmt.Errorf("%w: version %d, known is %d", ErrMalformed, enc[0], wireVersion)
	case h.shardBits > 31 || h.number>>h.shardBits != 0 || h.buckets > 1<<31 || uint64(h.first)+uint64(h.n) > uint64(h.buckets) || cutsWord(enc, 4+int(h.n)-1) == 0:
		return h, fmt.Errorf("%w: wrong cuts", ErrMalformed)
	}
	return h, nil
}
