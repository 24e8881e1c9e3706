package replica

import (
	"encoding/binary"
	"fmt"

	"restraint/caps"
)

// Batch reads a batch. The zero value reads what is not sealed, one of Codec.Batch also what is; it may be used again. It belongs to one
// goroutine.
type Batch struct {
	// Fingerprint is that of the epoch in which it was written; that of the cluster where it is not sealed.
	Fingerprint uint64
	// Records is how many changes of one key there are.
	Records int

	codec   *Codec // nil: nothing sealed is read
	sealed  bool
	opened  []byte // of a sealed one
	records []byte // those that Next has not come to yet
}

// Batch returns one that reads also what is sealed in the epochs that this node has.
func (c *Codec) Batch() Batch { return Batch{codec: c} }

// batchLength returns the length in bytes of the batch that b begins with, by its head, of which nothing else is checked.
func batchLength(b []byte) (int, bool) {
	if len(b) < batchHead || string(b[:4]) != batchMagic {
		return 0, false
	}
	n := binary.LittleEndian.Uint32(b[20:])
	return batchHead + int(n), n <= maxBatch-batchHead
}

// ParseNext checks the batch that enc begins with, and returns what follows it: a message or a segment is batches with nothing between.
// It checks the head, checksum, directory and every record. enc is aliased until the next batch is parsed. The error wraps ErrBatch,
// ErrVersion, or ErrEpoch where this node cannot open it; the Batch is then empty. One that is not sealed and of another cluster is read:
// see Codec.foreign.
func (b *Batch) ParseNext(enc []byte) (rest []byte, err error) {
	*b = Batch{codec: b.codec, opened: b.opened}
	length, ok := batchLength(enc)
	if !ok || length > len(enc) {
		return nil, fmt.Errorf("%w: %d bytes that are none", ErrBatch, len(enc))
	}
	return enc[length:], b.parse(enc[:length])
}

func (b *Batch) parse(enc []byte) error {
	le := binary.LittleEndian
	if got, want := batchChecksum(enc), le.Uint32(enc[24:]); got != want {
		return fmt.Errorf("%w: checksum %08x, want %08x", ErrBatch, got, want)
	}
	content, version := enc[5], enc[4]
	if version < batchVersion || version > batchSealed || content > batchEvents {
		return fmt.Errorf("%w: batch of version %d and content %d, this program reads %d to %d", ErrVersion, version, content, batchVersion, batchSealed)
	}
	body := enc[batchHead:]
	if version == batchSealed {
		opened, err := b.codec.openBatch(b.opened[:0], enc)
		if err != nil {
			return err
		}
		b.sealed, b.opened, version, body = true, opened, opened[0], opened[1:]
		if version < batchVersion || version >= batchSealed {
			return fmt.Errorf("%w: batch of version %d that is sealed", ErrVersion, version)
		}
	}
	n := int(le.Uint16(enc[6:])) * batchEntry
	if n > len(body) {
		return fmt.Errorf("%w: the directory is longer than the batch", ErrBatch)
	}
	records, err := checkRecords(body[:n], body[n:], content, version)
	if err != nil {
		return err
	}
	if uint32(records) != le.Uint32(enc[16:]) {
		return fmt.Errorf("%w: %d records, it says %d", ErrBatch, records, le.Uint32(enc[16:]))
	}
	b.Fingerprint, b.Records, b.records = le.Uint64(enc[8:]), records, body[n:]
	return nil
}

// foreign says that the batch is of a node with another secret. One that is sealed was opened, so it is not.
func (c *Codec) foreign(b *Batch) bool { return !b.sealed && b.Fingerprint != c.Fingerprint }

// checkRecords checks that the partitions ascend and that each has whole records of kinds that the content allows, some with a retention of
// their own or reports where the version says so, and returns how many there are in all.
func checkRecords(directory, body []byte, content, version byte) (records int, err error) {
	last, own, reports := -1, byte(0), false
	for ; len(directory) > 0; directory = directory[batchEntry:] {
		size := uint64(binary.LittleEndian.Uint32(directory[1:]))
		if int(directory[0]) <= last || size == 0 || size > uint64(len(body)) {
			return 0, fmt.Errorf("%w: wrong directory", ErrBatch)
		}
		last = int(directory[0])
		for rest := body[:size]; len(rest) > 0; records++ {
			n, err := checkRecord(rest)
			if err != nil {
				return 0, err
			}
			if kind := caps.ChangeKind(rest[16]); content != batchMixed && isRefusal(kind) != (content == batchRefusals) {
				return 0, fmt.Errorf("%w: record of kind %d in a batch of content %d", ErrBatch, kind, content)
			}
			own, reports = own|rest[17], reports || rest[16] == byte(caps.ChangeReport)
			rest = rest[n:]
		}
		body = body[size:]
	}
	if len(body) != 0 {
		return 0, fmt.Errorf("%w: %d bytes are of no partition", ErrBatch, len(body))
	}
	if reports != (version == batchReports) || !reports && (own != 0) != (version == batchOwn) {
		return 0, fmt.Errorf("%w: retentions of their own, or reports, in a batch of version %d", ErrBatch, version)
	}
	return records, nil
}

// checkRecord returns the size of the record that b begins with. It accepts exactly what appendRecord can write.
func checkRecord(b []byte) (size int, err error) {
	if len(b) < recordHead+4 {
		return 0, fmt.Errorf("%w: no record in %d bytes", ErrBatch, len(b))
	}
	kind, n := caps.ChangeKind(b[16]), int(binary.LittleEndian.Uint16(b[18:]))
	held := 0
	if own := caps.Retention(b[17]); own > caps.MaxRetention || own != 0 && kind != caps.ChangeExpose && kind != caps.ChangeHold {
		return 0, fmt.Errorf("%w: record of kind %d with the retention %d", ErrBatch, kind, own)
	}
	switch kind {
	case caps.ChangeExpose:
		if len(b) < recordHead+14 {
			return 0, fmt.Errorf("%w: half a record", ErrBatch)
		}
		held = int(binary.LittleEndian.Uint16(b[recordHead+12:]))
		size = recordHead + 14 + 9*n + 4*held
	case caps.ChangePurchase, caps.ChangeReturn:
		size = recordHead + 4 + 8*n
	case caps.ChangeRelease:
		size = recordHead + 8
	case caps.ChangeChoice, caps.ChangeReport:
		size = recordHead + 16
	case caps.ChangeErase:
		size = recordHead + 4
	case caps.ChangeHold:
		size = recordHead + 8 + 8*n
	default:
		return 0, fmt.Errorf("%w: record of kind %d", ErrBatch, kind)
	}
	lists := kind == caps.ChangeExpose || kind == caps.ChangePurchase || kind == caps.ChangeReturn || kind == caps.ChangeHold
	if size > len(b) || n > caps.MaxScopes || held > caps.MaxHoldRows || n > 0 && !lists {
		return 0, fmt.Errorf("%w: record of %d scopes and %d holds", ErrBatch, n, held)
	}
	for i := range n {
		if kind == caps.ChangeExpose && b[recordHead+14+9*i+8] == 0 {
			return 0, fmt.Errorf("%w: a scope that keeps nothing", ErrBatch)
		}
	}
	return size, nil
}

// Next reads the next change into c, whose slices it uses again, and reports whether there was one. The change has one key.
func (b *Batch) Next(c *caps.Change) bool {
	if len(b.records) == 0 {
		return false
	}
	le, r := binary.LittleEndian, b.records
	*c = caps.Change{
		Kind: caps.ChangeKind(r[16]), Keys: append(c.Keys[:0], caps.Key(r)), Now: caps.Second(le.Uint32(r[20:])),
		Beats: c.Beats[:0], Scopes: c.Scopes[:0], Tags: c.Tags[:0],
	}
	n, f := int(le.Uint16(r[18:])), r[recordHead:]
	switch c.Kind {
	case caps.ChangeExpose:
		c.Exposure = caps.Exposure{Identity: le.Uint32(f), At: caps.Second(le.Uint32(f[4:])), Issued: caps.Second(le.Uint32(f[8:])), Retention: caps.Retention(r[17])}
		held := int(le.Uint16(f[12:]))
		f = f[14:]
		for ; n > 0; n-- {
			c.Scopes = append(c.Scopes, caps.Counted{Scope: le.Uint64(f), Keep: f[8]})
			f = f[9:]
		}
		for ; held > 0; held-- {
			c.Beats = append(c.Beats, le.Uint32(f))
			f = f[4:]
		}
	case caps.ChangeRelease:
		c.Identity, c.Until = le.Uint32(f), caps.Second(le.Uint32(f[4:]))
	case caps.ChangePurchase, caps.ChangeReturn:
		c.Stamp = caps.Second(le.Uint32(f))
		for f = f[4:]; n > 0; n-- {
			c.Tags = append(c.Tags, le.Uint64(f))
			f = f[8:]
		}
	case caps.ChangeChoice, caps.ChangeReport:
		c.Field, c.Stamp, c.Value = le.Uint64(f), caps.Second(le.Uint32(f[8:])), le.Uint32(f[12:])
	case caps.ChangeErase:
		c.Until = caps.Second(le.Uint32(f))
	case caps.ChangeHold:
		c.Identity, c.Until, c.Retention = le.Uint32(f), caps.Second(le.Uint32(f[4:])), caps.Retention(r[17])
		for f = f[8:]; n > 0; n-- {
			c.Scopes = append(c.Scopes, caps.Counted{Scope: le.Uint64(f)})
			f = f[8:]
		}
	}
	b.records = r[recordSize(c):]
	return true
}
