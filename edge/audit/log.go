package audit

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"restraint/edge/durable"
)

// Options are what a log is made of.
type Options struct {
	// Dir is the log's folder; it is made when missing.
	Dir string
	// Node is the name in the first entry and in heads.
	Node string
	// Key is that of the chain.
	Key [32]byte
	// FileBytes is the size after which the next file begins; 0: 16 MiB.
	FileBytes int64
	// Now is the wall clock; nil: time.Now.
	Now func() time.Time
}

// Log is the record of one node. One process has it open at a time. Safe for concurrent
// use.
type Log struct {
	o      Options
	signer signer

	mu    sync.Mutex
	batch *batch // what is to be written next
	tip   tip    // of what is on disk
	path  string // of the newest file

	// disk is held while something is written; before mu.
	disk  sync.Mutex
	file  file
	dirty bool    // the file may have bytes after tip.size
	notes []Entry // what the log has to say of itself, before anything else
	done  bool

	create func(path string) (file, error) // of the next file; tests have another
}

// tip is the end of a log.
type tip struct {
	seq  uint64
	mac  string
	size int64 // bytes of the newest file
}

// file is what a log needs of its newest file.
type file interface {
	WriteAt(b []byte, at int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// batch are entries that are written together.
type batch struct {
	entries []Entry
	written chan struct{} // closed when err is known
	err     error
}

func newBatch() *batch { return &batch{written: make(chan struct{})} }

// Errors of a log.
var (
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("the audit record is closed")
	// ErrNotWritten wraps why an entry could not be written; the log is as it was before.
	ErrNotWritten = errors.New("the audit record cannot be written")
)

// Append adds an entry, of which it sets Seq, At and Prev, and returns its number once
// it is on disk. On ErrNotWritten nothing was added and the next Append tries
// again. Texts that are too long are cut; an action or fact of another kind is a BUG.
// It keeps the entry's facts until it returns.
func (l *Log) Append(e Entry) (seq uint64, err error) {
	l.mu.Lock()
	b, at := l.batch, len(l.batch.entries)
	b.entries = append(b.entries, e)
	l.mu.Unlock()
	if at > 0 { // whoever began the batch writes it
		<-b.written
		return b.entries[at].Seq, b.err
	}
	l.disk.Lock()
	l.mu.Lock()
	l.batch = newBatch()
	l.mu.Unlock()
	b.err = l.write(b.entries)
	l.disk.Unlock()
	close(b.written)
	return b.entries[0].Seq, b.err
}

// flush writes what the log has to say of itself.
func (l *Log) flush() error {
	l.disk.Lock()
	defer l.disk.Unlock()
	if len(l.notes) == 0 {
		return nil
	}
	return l.write(nil)
}

// write writes the notes and then the entries, in one file; disk is held.
func (l *Log) write(entries []Entry) error {
	if l.done {
		return ErrClosed
	}
	t := l.Tip()
	all := make([]*Entry, 0, len(l.notes)+len(entries))
	for i := range l.notes {
		all = append(all, &l.notes[i])
	}
	for i := range entries {
		all = append(all, &entries[i])
	}
	next := tip{seq: t.seq, mac: t.mac}
	var text []byte
	first := uint64(0)
	for _, e := range all {
		e.Seq, e.Prev, e.At = max(next.seq+1, e.least), next.mac, l.o.Now().Round(0).UTC()
		next.seq = e.Seq
		text, next.mac = appendLine(text, e, &l.o.Key)
		if first == 0 {
			first = e.Seq
		}
	}
	size, err := l.room(t.size, first)
	if err == nil {
		err = l.put(text, size)
	}
	if err != nil {
		for _, e := range all {
			e.Seq = 0
		}
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	next.size = size + int64(len(text))
	l.mu.Lock()
	l.tip = next
	l.mu.Unlock()
	l.notes = nil
	return nil
}

// room makes the newest file one that can be written to, and returns its size.
func (l *Log) room(size int64, first uint64) (int64, error) {
	if l.dirty {
		if err := l.file.Truncate(size); err != nil {
			return 0, err
		}
		l.dirty = false
	}
	if l.file != nil && size < l.o.FileBytes {
		return size, nil
	}
	path := logPath(l.o.Dir, first)
	next, err := l.create(path)
	if err != nil {
		return 0, err
	}
	if err := durable.SyncDir(l.o.Dir); err != nil {
		return 0, errors.Join(err, next.Close())
	}
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			return 0, errors.Join(err, next.Close())
		}
	}
	l.file = next
	l.mu.Lock()
	l.path, l.tip.size = path, 0
	l.mu.Unlock()
	return 0, nil
}

// put writes text at the end of the newest file, all of it or nothing.
func (l *Log) put(text []byte, size int64) error {
	_, err := l.file.WriteAt(text, size)
	if err == nil {
		err = l.file.Sync()
	}
	if err == nil {
		return nil
	}
	// What is there of it must not be taken for an entry by who reads the file now.
	if l.dirty = true; l.file.Truncate(size) == nil {
		l.dirty = false
	}
	return err
}

// createFile makes the next file. One that a process left there without an entry in it
// is taken over.
func createFile(path string) (file, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

// Tip is the number and the mac of the newest entry on disk.
func (l *Log) Tip() (t tip) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tip
}

// Seq is the number of the newest entry on disk; 0 for none.
func (l *Log) Seq() uint64 { return l.Tip().seq }

// Head signs what the newest entry is now. ok is false where there is none.
func (l *Log) Head() (h Head, ok bool) {
	t := l.Tip()
	if t.seq == 0 {
		return h, false
	}
	h = Head{Node: l.o.Node, Seq: t.seq, MAC: t.mac, At: l.o.Now().Round(0).UTC().Truncate(time.Second)}
	l.signer.sign(&h)
	return h, true
}

// Differs has the log say that an entry of it is another one than a head of its own was
// signed over: it was put back to an older copy, and has grown since.
func (l *Log) Differs(h *Head) error {
	_, err := l.Append(Entry{Action: RecordDamaged, Outcome: Done, Who: Who{By: ByNode}, After: Facts{
		"found": fmt.Sprintf("entry %d is another one than a head was signed over", h.Seq), "head_signed_at": h.At.UTC().Format(time.RFC3339), "head_mac": h.MAC,
	}})
	return err
}

// PublicKey is the key by which the log's heads are checked, in base64.
func (l *Log) PublicKey() string { return l.signer.public() }

// Close closes the log; what is being written is finished.
func (l *Log) Close() error {
	l.disk.Lock()
	defer l.disk.Unlock()
	if l.done {
		return nil
	}
	l.done = true
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
