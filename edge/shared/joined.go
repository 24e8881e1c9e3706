package edge

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// Joined documents are small named documents of which every change is a join:
// commutative, associative and idempotent. So they may be changed on every node at
// once, and come twice, late or in any order: all nodes end with the same. Each is a
// file of its own, written whole, and in a cluster a document of the cluster.

// Bounds of joined documents, also of what others put. Chosen: a document is well under
// what a message of NATS may have, and all of them can be read in a second.
const (
	joinedName  = 128       // bytes of a name
	joinedBytes = 512 << 10 // bytes of a document
	joinedMost  = 4096      // documents under one prefix
)

// What a joined document is refused by.
var (
	// errJoinedName: see checkName.
	errJoinedName = errors.New("no name of a joined document")
	// errJoinedFull: there are too many documents, or one has too many bytes.
	errJoinedFull = errors.New("no room for a joined document")
	// errJoinedNewer is for joins to return: what the cluster has is then left as it is,
	// and not replaced as a broken document is.
	errJoinedNewer = errors.New("written by a newer version of this program; update this node")
)

// joined are the documents under one prefix. Its methods may be called concurrently,
// but not by what it calls itself.
type joined struct {
	dir, prefix string
	shared      Shared // nil: the node is alone
	log         *slog.Logger
	join        func(name string, a, b []byte) ([]byte, error)
	changed     func(name string, doc []byte)

	wake chan struct{} // of capacity 1: there is something to send

	mu        sync.Mutex // held while join and changed run and while a file is written
	documents map[string]*joinedDocument
	said      map[string][sha256.Size]byte // what was refused last under a name: it is logged once
	failing   map[string]bool              // what fails now: it is logged once until it ends
	stats     joinedStats
}

// joinedDocument is one of them as this node has it.
type joinedDocument struct {
	form     []byte // never altered; nil: this node has none, or dropped it
	revision uint64 // what the next Put replaces, as far as is known
	send     bool   // the cluster lacks some of form, or it is to be dropped there
	write    bool   // the disk does not have form
	newer    bool   // the cluster's cannot be read here, and is not to be replaced
}

// joinedStats are what the metrics say.
type joinedStats struct {
	Documents, Bytes int
	Unsent           int    // documents of which the cluster lacks something
	Sent             uint64 // to the cluster
	Refused          uint64 // broken, too long or too many; each is logged
}

// openJoined reads the documents of dir whose names begin with prefix; no other joined
// has a prefix that begins with it, or with which it begins.
//
// join is given the form that is here, nil for none, and another; it checks the other
// (errJoinedNewer, or any other error for a broken one) and returns the join of both in
// the one form that such a state has. It keeps and alters neither and may return either.
// changed is told of each new form, own or foreign, also of those read now, never
// concurrently; it may keep it, and must not alter it. Neither may call back.
func openJoined(dir, prefix string, shared Shared, log *slog.Logger, join func(name string, a, b []byte) ([]byte, error), changed func(name string, doc []byte)) (*joined, error) {
	j := &joined{
		dir: dir, prefix: prefix, shared: shared, log: log, join: join, changed: changed,
		wake: make(chan struct{}, 1), documents: map[string]*joinedDocument{}, said: map[string][sha256.Size]byte{}, failing: map[string]bool{},
	}
	if err := j.read(); err != nil {
		return nil, fmt.Errorf("open %s documents: %w", strings.TrimRight(prefix, ".-"), err)
	}
	return j, nil
}

// checkName says whether a name can be one of a file and of a document of the cluster:
// of at most 128 bytes, letters of ASCII, digits, and - _ = and . between them.
func (j *joined) checkName(name string) error {
	ok := len(name) > len(j.prefix) && len(name) <= joinedName && strings.HasPrefix(name, j.prefix) &&
		name[0] != '.' && name[len(name)-1] != '.' && !strings.Contains(name, "..")
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c == '-' || c == '_' || c == '=' || c == '.' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
	}
	if !ok {
		return fmt.Errorf("%w: %.140q: give one that begins with %q and has at most %d letters, digits, and any of .-_=", errJoinedName, name, j.prefix, joinedName)
	}
	return nil
}

// put joins doc, which is not kept, to what is there. When it returns the join is on
// disk, and it is sent in the background. On an error nothing has changed: errJoinedName,
// errJoinedFull, what join refuses it by, or the disk's.
func (j *joined) put(name string, doc []byte) error {
	if err := j.checkName(name); err != nil {
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
		d = &joinedDocument{}
		j.documents[name] = d
	}
	d.write = false
	if form == nil || !bytes.Equal(next, form) {
		d.form = next
		j.changed(name, next)
	}
	j.sendLocked(d)
	return nil
}

// joinLocked joins within the bounds; j.mu is held.
func (j *joined) joinLocked(name string, form, doc []byte) ([]byte, error) {
	switch {
	case len(doc) > joinedBytes:
		return nil, fmt.Errorf("%w: %s has %d bytes; at most %d are taken", errJoinedFull, name, len(doc), joinedBytes)
	case form == nil && len(j.documents) >= joinedMost && j.documents[name] == nil:
		return nil, fmt.Errorf("%w: %s would be one more than the %d that are taken", errJoinedFull, name, joinedMost)
	}
	next, err := j.join(name, form, doc)
	if err == nil && len(next) > joinedBytes {
		err = fmt.Errorf("%w: %s would have %d bytes; at most %d are taken", errJoinedFull, name, len(next), joinedBytes)
	}
	return next, err
}

// sendLocked has a document sent; j.mu is held.
func (j *joined) sendLocked(d *joinedDocument) {
	if j.shared == nil {
		return
	}
	d.send = true
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// drop forgets a document that is past its retention: here, and in the cluster, which is
// given an empty document in its place. The other nodes keep theirs until they drop it
// by themselves, and whoever puts it again begins anew.
func (j *joined) drop(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.documents[name]
	if d == nil || d.form == nil {
		return
	}
	d.form, d.write = nil, false
	j.removeFile(name)
	if j.shared == nil {
		delete(j.documents, name)
		return
	}
	j.sendLocked(d)
}

// Stats counts what is held.
func (j *joined) Stats() joinedStats {
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
