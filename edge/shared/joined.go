package shared

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// Bounds of joined documents, also of what others put. Chosen: a document is well under
// what a message of NATS may have, and all of them can be read in a second.
const (
	MaxBytes     = 512 << 10 // of a document
	maxName      = 128       // bytes of a name
	maxDocuments = 4096      // under one prefix
)

// What a joined document is refused by.
var (
	// ErrName: see CheckName.
	ErrName = errors.New("no name of a joined document")
	// ErrFull: there are too many documents, or one has too many bytes.
	ErrFull = errors.New("no room for a joined document")
	// ErrNewer is for joins to return: what the cluster has is then left as it is,
	// and not replaced as a broken document is.
	ErrNewer = errors.New("written by a newer version of this program; update this node")
)

// Kind is what joined documents of one kind have in common.
type Kind struct {
	// Prefix begins their names; no other kind's begins with it, or is begun by it.
	Prefix string
	// Join is given the form that is here, nil for none, and another; it checks the other
	// (ErrNewer, or any other error for a broken one) and returns the join of both in the
	// one form that such a state has. It keeps and alters neither and may return either.
	Join func(name string, a, b []byte) ([]byte, error)
	// Changed is told of each new form, own or foreign, also of those read at the start,
	// never concurrently; it may keep it, and must not alter it.
	Changed func(name string, doc []byte)
}

// Joined are the joined documents of one kind: small named documents of which every
// change is a join: commutative, associative and idempotent. So they may be changed on
// every node at once, and come twice, late or in any order: all nodes end with the same.
// Each is a file of its own, written whole, and in a cluster a document of the cluster.
//
// Safe for concurrent use, but not by what its Kind has called.
type Joined struct {
	dir   string
	store Store // nil: the node is alone
	log   *slog.Logger
	kind  Kind

	wake chan struct{} // of capacity 1: there is something to send

	mu        sync.Mutex // held while join and changed run and while a file is written
	documents map[string]*document
	said      map[string][sha256.Size]byte // what was refused last under a name: it is logged once
	failing   map[string]bool              // what fails now: it is logged once until it ends
	stats     Stats
}

// document is one of them as this node has it.
type document struct {
	form     []byte // never altered; nil: this node has none, or dropped it
	revision uint64 // what the next Put replaces, as far as is known
	send     bool   // the cluster lacks some of form, or it is to be dropped there
	write    bool   // the disk does not have form
	newer    bool   // the cluster's cannot be read here, and is not to be replaced
}

// Stats are what the metrics say.
type Stats struct {
	Documents, Bytes int
	Unsent           int    // documents of which the cluster lacks something
	Sent             uint64 // to the cluster
	Refused          uint64 // broken, too long or too many; each is logged
}

// OpenJoined reads the documents of a kind from dir, which it makes when it is missing.
// Without a store the node is alone.
func OpenJoined(dir string, kind Kind, store Store, log *slog.Logger) (*Joined, error) {
	j := &Joined{
		dir: dir, store: store, log: log, kind: kind, wake: make(chan struct{}, 1),
		documents: map[string]*document{}, said: map[string][sha256.Size]byte{}, failing: map[string]bool{},
	}
	if err := j.read(); err != nil {
		return nil, fmt.Errorf("open %s documents: %w", strings.TrimRight(kind.Prefix, ".-"), err)
	}
	return j, nil
}

// CheckName says whether a name can be one of a file and of a document of the cluster:
// of at most 128 bytes, letters of ASCII, digits, and - _ = and . between them.
func (j *Joined) CheckName(name string) error {
	ok := len(name) > len(j.kind.Prefix) && len(name) <= maxName && strings.HasPrefix(name, j.kind.Prefix) &&
		name[0] != '.' && name[len(name)-1] != '.' && !strings.Contains(name, "..")
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c == '-' || c == '_' || c == '=' || c == '.' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
	}
	if !ok {
		return fmt.Errorf("%w: %.140q: give one that begins with %q and has at most %d letters, digits, and any of .-_=", ErrName, name, j.kind.Prefix, maxName)
	}
	return nil
}

// Put joins doc, which is not kept, to what is there. When it returns the join is on
// disk, and it is sent in the background. On an error nothing has changed: ErrName,
// ErrFull, what join refuses it by, or the disk's.
func (j *Joined) Put(name string, doc []byte) error {
	if err := j.CheckName(name); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.documents[name]
	var form []byte
	if d != nil {
		form = d.form
	}
	next, err := j.joinLocked(name, form, bytes.Clone(doc))
	if err != nil || d != nil && !d.write && form != nil && bytes.Equal(next, form) {
		return err
	}
	if err := j.writeFile(name, next); err != nil {
		return err
	}
	if d == nil {
		d = &document{}
		j.documents[name] = d
	}
	d.write = false
	if form == nil || !bytes.Equal(next, form) {
		d.form = next
		j.kind.Changed(name, next)
	}
	j.sendLocked(d)
	return nil
}

// joinLocked joins within the bounds; j.mu is held.
func (j *Joined) joinLocked(name string, form, doc []byte) ([]byte, error) {
	switch {
	case len(doc) > MaxBytes:
		return nil, fmt.Errorf("%w: %s has %d bytes; at most %d are taken", ErrFull, name, len(doc), MaxBytes)
	case form == nil && len(j.documents) >= maxDocuments && j.documents[name] == nil:
		return nil, fmt.Errorf("%w: %s would be one more than the %d that are taken", ErrFull, name, maxDocuments)
	}
	next, err := j.kind.Join(name, form, doc)
	if err == nil && len(next) > MaxBytes {
		err = fmt.Errorf("%w: %s would have %d bytes; at most %d are taken", ErrFull, name, len(next), MaxBytes)
	}
	return next, err
}

// sendLocked has a document sent; j.mu is held.
func (j *Joined) sendLocked(d *document) {
	if j.store == nil {
		return
	}
	d.send = true
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Drop forgets a document that is past its retention: here, and in the cluster, which is
// given an empty document in its place. The other nodes keep theirs until they drop it
// by themselves, and whoever puts it again begins anew.
func (j *Joined) Drop(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.documents[name]
	if d == nil || d.form == nil {
		return
	}
	d.form, d.write = nil, false
	j.removeFile(name)
	if j.store == nil {
		delete(j.documents, name)
		return
	}
	j.sendLocked(d)
}

// Stats counts what is held.
func (j *Joined) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	for _, d := range j.documents {
		if d.form != nil {
			s.Documents++
			s.Bytes += len(d.form)
		}
		if d.send {
			s.Unsent++
		}
	}
	return s
}
