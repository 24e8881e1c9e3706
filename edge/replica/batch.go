package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"

	"restraint/caps"
)

// A batch is changes in a binary form, for the outbox and for the wire. Numbers are little-endian.
//
//	0    4  magic "rsbt"
//	4    1  version: 4 where it is sealed, else 3 where a record is a report, else 2 where one has a retention of its own, else 1. A program that knows of neither reads
//	        1 only: it would keep too long, or pass reports over
//	5    1  what there is: 0 records of any kinds, 1 choices and erasures only, 2 none of them
//	6    2  number of partitions in the directory
//	8    8  fingerprint of the epoch of the identifier secret in which it was written; that of the cluster where it is not sealed
//	16   4  number of records
//	20   4  length of what follows the checksum, in bytes
//	24   4  CRC-32C of the 24 bytes before and of what follows
//	28      where it is sealed: 16 salt of the process that wrote it, 12 nonce (the count of the batches that it sealed, big-endian), and
//	        AES-256-GCM, under a key of epoch and salt, of 1 byte, the version it would have, and of what follows here; the first 24 bytes are
//	        authenticated with it, and the tag of 16 bytes is the end
//	        directory: for each partition that has records, ascending: 1 the partition, 4 the length of its records in bytes
//	        the records, by partition, and within one in the order in which they were given
//
// A record is a change of one key; a change of a person with three keys is three records. The partition of a key is 8 bits of its hash under
// the routing seed (see Codec), so that a node that owns some partitions finds them by the directory and skips the rest.
//
//	0   16  key
//	16   1  kind (caps.ChangeKind)
//	17   1  of expose and hold, the retention of its own (caps.Retention); else zero
//	18   2  n
//	20   4  the second in which it was accepted
//	24      by kind:
//
//	expose            4 identity, 4 at, 4 issued, 2 m, n scopes: 8 tag, 1 keep (at least 1); then m holds used up: 4 identity
//	release           4 identity, 4 until                                       n is 0
//	purchase, return  4 when, n tags of 8
//	choice            8 field, 4 stamp, 4 value                                 n is 0
//	erase             4 until                                                   n is 0
//	hold              4 identity, 4 until, n scopes of 8; it is of the second in which it was accepted
//	report            as choice; the key is no person's (see caps.Beside)
const (
	batchMagic   = "rsbt"
	batchVersion = 1
	batchOwn     = 2 // with retentions of their own
	batchReports = 3 // with reports
	batchSealed  = 4
	batchHead    = 28
	batchEntry   = 5
	recordHead   = 24

	batchMixed    = 0
	batchRefusals = 1
	batchEvents   = 2

	// maxBatch is the size of the largest batch in bytes: ten thousand events of a person with 16 keys take some 45 MiB. Chosen.
	maxBatch = 64 << 20
)

// partitions is the number of partitions.
const partitions = 256

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrBatch says that bytes are no batch, or a damaged one.
var ErrBatch = errors.New("malformed batch")

// ErrBatchTooLarge says that changes take more than the largest batch; nothing was written.
var ErrBatchTooLarge = errors.New("batch too large: send fewer events at a time")

// Codec is what batches of one cluster have in common.
type Codec struct {
	// Fingerprint is that of the identifier secret, which is that of epoch 0.
	Fingerprint uint64
	// RoutingSeed keys the hash that gives a key its partition. It never rotates, and clients may know it.
	RoutingSeed uint64

	sealer *sealer // nil: there is epoch 0 only
}

// Partition is the partition of a key: the highest 8 bits of a wide multiplication (as wyhash does) under the routing seed.
func (c *Codec) Partition(key *caps.Key) uint8 {
	low, high := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	h, l := bits.Mul64(low^c.RoutingSeed^0xa0761d6478bd642f, high^bits.RotateLeft64(c.RoutingSeed, 32)^0xe7037ed1a0b428db)
	return uint8((h ^ l) >> 56)
}

// AppendBatch appends a batch of the changes. It allocates nothing but what dst needs to grow. It returns an error that wraps
// caps.ErrMalformed for a change that caps.Change.Check refuses, and ErrBatchTooLarge; dst is then as it was.
func (c *Codec) AppendBatch(dst []byte, changes []caps.Change) ([]byte, error) {
	var sizes [partitions]int
	var present, records, body int
	content, version := contentOf(changes), versionOf(changes)
	for i := range changes {
		change := &changes[i]
		if err := change.Check(); err != nil {
			return dst, fmt.Errorf("encode change %d of %d: %w", i, len(changes), err)
		}
		size := recordSize(change)
		for k := range change.Keys {
			p := c.Partition(&change.Keys[k])
			if sizes[p] == 0 {
				present++
			}
			sizes[p] += size
			body += size
		}
		records += len(change.Keys)
	}
	key, around := &sealKey{fingerprint: c.Fingerprint}, 0
	if c.sealer != nil {
		key = c.sealer.active()
	}
	if key.aead != nil {
		around = batchSeal
	}
	if batchHead+around+present*batchEntry+body > maxBatch {
		return dst, fmt.Errorf("%w: %d bytes, at most %d", ErrBatchTooLarge, body, maxBatch)
	}
	from := len(dst)
	dst = append(dst, batchMagic...)
	dst = append(dst, version, content)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(present))
	dst = binary.LittleEndian.AppendUint64(dst, key.fingerprint)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(records))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(around+present*batchEntry+body))
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	if key.aead != nil {
		dst[from+4] = batchSealed
		dst = append(dst, c.sealer.salt[:]...)
		dst = append(appendNonce(dst, c.sealer.count.Add(1)), version)
	}
	at := len(dst) - from + present*batchEntry
	for p, size := range sizes {
		if size > 0 {
			dst = append(dst, byte(p))
			dst = binary.LittleEndian.AppendUint32(dst, uint32(size))
			sizes[p], at = at, at+size
		}
	}
	dst = growBy(dst, body)
	c.putRecords(dst[from:], changes, &sizes)
	if key.aead != nil {
		dst = sealBatch(dst, from, key.aead)
	}
	binary.LittleEndian.PutUint32(dst[from+24:], batchChecksum(dst[from:]))
	return dst, nil
}

// contentOf says what a batch of the changes has.
func contentOf(changes []caps.Change) byte {
	refusals := 0
	for i := range changes {
		if isRefusal(changes[i].Kind) {
			refusals++
		}
	}
	switch refusals {
	case 0:
		return batchEvents
	case len(changes):
		return batchRefusals
	}
	return batchMixed
}

// versionOf is the version of a batch of the changes.
func versionOf(changes []caps.Change) byte {
	version := byte(batchVersion)
	for i := range changes {
		switch {
		case changes[i].Kind == caps.ChangeReport:
			return batchReports
		case ownRetention(&changes[i]) != 0:
			version = batchOwn
		}
	}
	return version
}

// ownRetention is the retention of its own that a change has.
func ownRetention(c *caps.Change) caps.Retention {
	switch c.Kind {
	case caps.ChangeExpose:
		return c.Exposure.Retention
	case caps.ChangeHold:
		return c.Retention
	}
	return 0
}

// isRefusal reports whether a change of the kind is kept without end.
func isRefusal(kind caps.ChangeKind) bool {
	return kind == caps.ChangeChoice || kind == caps.ChangeErase
}

// putRecords writes the records, those of partition p from offsets[p] on.
func (c *Codec) putRecords(batch []byte, changes []caps.Change, offsets *[partitions]int) {
	for i := range changes {
		change := &changes[i]
		size := recordSize(change)
		for k := range change.Keys {
			p := c.Partition(&change.Keys[k])
			at := offsets[p]
			offsets[p] += size
			if end := len(appendRecord(batch[:at:at+size], change, &change.Keys[k])); end != at+size {
				panic("BUG: a record is not of its size")
			}
		}
	}
}

func recordSize(c *caps.Change) int {
	switch c.Kind {
	case caps.ChangeExpose:
		return recordHead + 14 + 9*len(c.Scopes) + 4*len(c.Beats)
	case caps.ChangeRelease:
		return recordHead + 8
	case caps.ChangePurchase, caps.ChangeReturn:
		return recordHead + 4 + 8*len(c.Tags)
	case caps.ChangeChoice, caps.ChangeReport:
		return recordHead + 16
	case caps.ChangeHold:
		return recordHead + 8 + 8*len(c.Scopes)
	}
	return recordHead + 4
}

func appendRecord(dst []byte, c *caps.Change, key *caps.Key) []byte {
	le := binary.LittleEndian
	n := 0
	switch c.Kind {
	case caps.ChangeExpose, caps.ChangeHold:
		n = len(c.Scopes)
	case caps.ChangePurchase, caps.ChangeReturn:
		n = len(c.Tags)
	}
	dst = append(dst, key[:]...)
	dst = append(dst, byte(c.Kind), byte(ownRetention(c)))
	dst = le.AppendUint16(dst, uint16(n))
	dst = le.AppendUint32(dst, uint32(c.Now))
	switch c.Kind {
	case caps.ChangeExpose:
		dst = le.AppendUint32(dst, c.Exposure.Identity)
		dst = le.AppendUint32(dst, uint32(c.Exposure.At))
		dst = le.AppendUint32(dst, uint32(c.Exposure.Issued))
		dst = le.AppendUint16(dst, uint16(len(c.Beats)))
		for _, s := range c.Scopes {
			dst = append(le.AppendUint64(dst, s.Scope), max(1, s.Keep))
		}
		for _, identity := range c.Beats {
			dst = le.AppendUint32(dst, identity)
		}
	case caps.ChangeRelease:
		dst = le.AppendUint32(dst, c.Identity)
		dst = le.AppendUint32(dst, uint32(c.Until))
	case caps.ChangePurchase, caps.ChangeReturn:
		dst = le.AppendUint32(dst, uint32(c.Stamp))
		for _, tag := range c.Tags {
			dst = le.AppendUint64(dst, tag)
		}
	case caps.ChangeChoice, caps.ChangeReport:
		dst = le.AppendUint64(dst, c.Field)
		dst = le.AppendUint32(dst, uint32(c.Stamp))
		dst = le.AppendUint32(dst, c.Value)
	case caps.ChangeErase:
		dst = le.AppendUint32(dst, uint32(c.Until))
	case caps.ChangeHold:
		dst = le.AppendUint32(dst, c.Identity)
		dst = le.AppendUint32(dst, uint32(c.Until))
		for _, s := range c.Scopes {
			dst = le.AppendUint64(dst, s.Scope)
		}
	}
	return dst
}

// batchChecksum is the checksum of a whole batch, of all but the checksum itself.
func batchChecksum(batch []byte) uint32 {
	return crc32.Update(crc32.Checksum(batch[:24], castagnoli), castagnoli, batch[batchHead:])
}

// growBy lengthens dst by n bytes of any content.
func growBy(dst []byte, n int) []byte {
	if need := len(dst) + n; need <= cap(dst) {
		return dst[:need]
	}
	return append(dst, make([]byte, n)...)
}
