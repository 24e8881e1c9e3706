// Package suppress answers one question: must this user never see this?
//
// A suppression list (existing customers, purchased items, opt-outs) is a base
// built whole from an export, and the changes since. The base is a sorted file
// of 16-byte keys on disk and a filter over them in memory; the changes are an
// exact map behind a small filter. A list may hold a stranger to be a member,
// at the declared rate (or never, with Declaration.Exact); it never holds a
// member to be a stranger.
//
// # Files
//
//	DIR/tmp/                     unfinished uploads; emptied by Open
//	DIR/lists/NAME/current       which generations are in use (pointer.go)
//	DIR/lists/NAME/G-S.keys      generation G, changes folded up to sequence S (manifest.go)
//	DIR/lists/NAME/changes.log   the changes since (journal.go)
//
// NAME is the list's name with every byte outside a-z, 0-9, _ and - written %XX,
// or, where that is long, in base32 (names.go).
// No file, error, report or notice holds an identifier: they are hashed by
// Options.Hash as soon as they are read. What those hashes stand in is sealed where
// Options.Seals says so (seal.go); Reseal writes anew what was sealed before.
//
// # Merge
//
// A change is key -> (sequence, add or remove), and the higher sequence wins, but
// an addition with an end does not take from earlier ones (Until, below). A
// generation carries the sequence at which its upload started; the changes after
// that sequence apply over it, also after a rollback. Both therefore give the
// same list in whatever order and however often they come.
//
// # Until
//
// A member may leave by itself, at the second that its upload or addition gave
// (Import.Until). It is the now of the look-up that counts, so all nodes agree and
// nothing has to happen at that second. Additions join: between two removals the
// one that lasts longest holds, and it holds beside what the upload says, so who
// was added for good is not shortened by a later addition with an end. A generation
// has one until for all its keys, and says of each other key when it leaves
// (leaving.go: 20 bytes of memory each). Who has left goes from the files a day
// later (Forget, or when changes are folded in), or with the next upload.
//
// # Several nodes
//
// A stream orders the changes for everybody, and an object store holds what
// nodes have built:
//
//	change     Prepare reads and checks an import and gives Messages; each is
//	           published, and applied by every node with the sequence it got
//	           (ParseChange, ApplyChange), in any order and any number of times
//	upload     ReplaceAs with a number and a start of the cluster (Import.Generation,
//	           Import.Start) has the file and its Shipment sent out (AppendShipment)
//	           before the generation is in use, as Export does of one that is; the
//	           other nodes Install it
//	deletion   DeleteAs on every node, with the number and the start of one message
//	rollback   RollbackTo on every node, to one generation by one new number
//
// Backup gives all of a list at one moment; another store that Installs its generations
// and applies its changes has the same list.
//
// A message that announces an upload, a deletion or a rollback in the stream of
// changes gives it a number and a start at once: its sequence. Of all these
// publications the one with the highest number holds (Publication), so they too
// may come doubled, late and in any order; ErrOlder says that one was overtaken. A
// node that is behind in the stream may install a generation that is ahead: what
// it applies after that is judged by its sequence.
//
// Compact drops changes that every kept generation has in it. When a generation
// comes that started before them, its Install asks for them again (ReplayError):
// this is the price of bounded memory, and why the stream keeps list changes
// without an age limit. Until then the generation before stays in use.
//
// # Concurrency
//
// Everything on Store may be called from any goroutine. A View is immutable but
// for live changes, which appear in it one key at a time. Locks are taken in the
// order list.build, list.mu, Store.mu.
package suppress

import (
	"encoding/binary"
	"errors"
)

// Key is the keyed 128-bit hash of (source, identifier), or of that and an item.
// It is expected to be uniform: filters take their positions straight from it.
type Key = [16]byte

// Conditions that a caller can act on. Each error wraps one of them and says
// what to do.
var (
	ErrUnknownList = errors.New("unknown list")
	// ErrBusy is wrapped by every BusyError.
	ErrBusy      = errors.New("list is busy")
	ErrShrink    = errors.New("list would shrink too much")
	ErrRejected  = errors.New("too many rejected rows")
	ErrColumn    = errors.New("column not found")
	ErrSource    = errors.New("source not declared for this list")
	ErrImport    = errors.New("import cannot be done as asked")
	ErrTruncated = errors.New("upload ended early")
	ErrCorrupt   = errors.New("upload is damaged")
	// Each limit on an upload has an error of its own: see Limits.
	ErrTooLarge    = errors.New("upload is too large")
	ErrExpanded    = errors.New("upload is too large when it is decompressed")
	ErrRatio       = errors.New("upload is compressed as only a decompression bomb is")
	ErrRowTooLong  = errors.New("row is too long")
	ErrTooSlow     = errors.New("upload takes too long")
	ErrNoPrevious  = errors.New("no previous generation")
	ErrFingerprint = errors.New("file was made with another identifier secret")
	// ErrEpoch says that something is sealed in an epoch of which this node has not the
	// secret: it can be read once the node has the newest secret file of its cluster.
	ErrEpoch   = errors.New("sealed in an epoch of the secret that this node cannot read")
	ErrDamaged = errors.New("file is damaged")
	ErrFull    = errors.New("list has too many changes")
	ErrClosed  = errors.New("store is closed")
	ErrName    = errors.New("list cannot be called so")
	// ErrOlder says that a newer publication of the list is in use: see Publication.
	ErrOlder = errors.New("a newer publication is in use")
	// ErrReplay is wrapped by every ReplayError.
	ErrReplay  = errors.New("changes have to be read again")
	ErrVersion = errors.New("made by a newer version of this program")
	ErrNoSpace = errors.New("no space left on the disk")
	// ErrNotDurable says that the change was made and every reader sees it, and
	// that a power cut may still undo it: make it again.
	ErrNotDurable = errors.New("made, but a power cut may undo it")
)

// pair is a Key as two big-endian numbers: it sorts as the bytes of the key do.
type pair struct{ hi, lo uint64 }

func pairOf(k *Key) pair {
	return pair{binary.BigEndian.Uint64(k[:8]), binary.BigEndian.Uint64(k[8:])}
}

func (p pair) key() (k Key) {
	binary.BigEndian.PutUint64(k[:8], p.hi)
	binary.BigEndian.PutUint64(k[8:], p.lo)
	return k
}

func (p pair) less(q pair) bool {
	return p.hi < q.hi || p.hi == q.hi && p.lo < q.lo
}

func comparePairs(p, q pair) int {
	switch {
	case p.less(q):
		return -1
	case q.less(p):
		return 1
	}
	return 0
}
