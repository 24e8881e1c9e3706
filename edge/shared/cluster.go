package shared

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// Times of sending. Chosen.
const (
	// askTimeout bounds the asking and the putting of one document.
	askTimeout = 5 * time.Second
	// sendPause is the least time between two rounds of sending: what is put in between
	// goes in one.
	sendPause = time.Second
	// againAfter is when what the cluster or the disk did not take is tried again.
	againAfter = 5 * time.Second
	// listEvery is how often all documents of the cluster are looked through: what
	// it lost between being put and being looked at is told by no change.
	listEvery = 5 * time.Minute
	// mostRaces is how often in one round a document is put that others are putting.
	mostRaces = 8
)

// Run gives the cluster what is put and takes what others put, until ctx ends. Where the
// node is alone it only writes what the disk did not take.
func (j *Joined) Run(ctx context.Context) {
	var following sync.WaitGroup
	defer following.Wait()
	if j.store != nil {
		following.Go(func() { j.store.Follow(ctx, j.kind.Prefix, j.take) })
	}
	pause, again := time.NewTicker(sendPause), time.NewTicker(againAfter)
	defer pause.Stop()
	defer again.Stop()
	var listed time.Time
	for {
		j.writeAll()
		if j.store != nil {
			if time.Since(listed) >= listEvery && j.list(ctx) {
				listed = time.Now()
			}
			if !listed.IsZero() {
				j.Send(ctx)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-j.wake:
		case <-again.C:
		}
	}
}

// list takes every document of the cluster, and has those sent that it lacks. False: it
// could not be asked.
func (j *Joined) list(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	there := make(map[string]bool)
	err := j.store.List(ctx, j.kind.Prefix, func(name string, doc []byte, revision uint64) {
		there[name] = true
		j.take(name, doc, revision)
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil || errors.Is(err, ErrAway) {
			j.failedLocked(notListed, err)
		}
		return false
	}
	delete(j.failing, notListed)
	for name, d := range j.documents {
		if !there[name] {
			j.lostLocked(name, d)
		}
	}
	return true
}

// lostLocked notes that the cluster does not have a document; j.mu is held.
func (j *Joined) lostLocked(name string, d *document) {
	d.revision, d.newer = 0, false
	if d.form == nil { // nothing is left to be dropped
		delete(j.documents, name)
		return
	}
	j.sendLocked(d)
}

// Send puts what the cluster lacks, each document by itself.
func (j *Joined) Send(ctx context.Context) {
	j.mu.Lock()
	names := slices.Sorted(maps.Keys(j.documents))
	j.mu.Unlock()
	var failed error
	for _, name := range names {
		if err := j.sendOne(ctx, name); err != nil {
			failed = err
		}
		if ctx.Err() != nil || errors.Is(failed, ErrAway) {
			break
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if failed == nil {
		delete(j.failing, notTaken)
	} else if ctx.Err() == nil {
		j.failedLocked(notTaken, failed)
	}
}

// sendOne puts a document until nobody puts another in between.
func (j *Joined) sendOne(ctx context.Context, name string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for range mostRaces {
		j.mu.Lock()
		d := j.documents[name]
		if d == nil || !d.send || d.newer {
			j.mu.Unlock()
			return nil
		}
		form, over := d.form, d.revision
		j.mu.Unlock()

		var revision uint64
		revision, err = j.store.Put(ctx, name, form, over)
		switch {
		case err == nil:
			j.sent(name, d, form, over, revision)
		case errors.Is(err, ErrConflict):
			if err = j.fetch(ctx, name); err == nil {
				err = ErrConflict // unless there is nothing left to send
				continue
			}
			return err
		default:
			return err
		}
	}
	return err
}

// sent notes that the cluster took form over a revision.
func (j *Joined) sent(name string, d *document, form []byte, over, revision uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stats.Sent++
	if d.revision != over || j.documents[name] != d { // Follow has told what stands there since
		return
	}
	d.revision = revision
	if !bytes.Equal(d.form, form) || (d.form == nil) != (form == nil) {
		return // put again meanwhile
	}
	d.send = false
	if form == nil {
		delete(j.documents, name)
	}
}

// fetch takes a document as the cluster has it now.
func (j *Joined) fetch(ctx context.Context, name string) error {
	found := false
	err := j.store.List(ctx, name, func(other string, doc []byte, revision uint64) {
		if other == name {
			found = true
			j.take(name, doc, revision)
		}
	})
	if err != nil || found {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if d := j.documents[name]; d != nil {
		j.lostLocked(name, d)
	}
	return nil
}

// take joins what the cluster has under a name, of that revision, to what is here.
func (j *Joined) take(name string, doc []byte, revision uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.documents[name]
	switch {
	case revision == 0: // the cluster was made anew, or has lost its end
		if d != nil {
			j.lostLocked(name, d)
		}
		return
	case d != nil && d.form == nil: // to be dropped there, whatever it is by now
		if d.revision = revision; len(doc) == 0 {
			delete(j.documents, name)
		}
		return
	case len(doc) == 0: // dropped by another node; this one does by itself
		if d != nil {
			d.revision, d.newer = revision, false
		}
		return
	case d == nil:
		d = &document{}
	}
	d.revision = revision
	next, err := j.check(name, d.form, doc)
	d.newer = errors.Is(err, ErrNewer)
	switch {
	case err == nil:
		j.takeLocked(name, d, next, doc)
	case d.form != nil:
		j.sendLocked(d) // in place of what is broken
	}
}

// check joins what came from the cluster, or says why it is refused, once.
func (j *Joined) check(name string, form, doc []byte) (next []byte, err error) {
	if bytes.Equal(form, doc) {
		return form, nil
	}
	if err = j.CheckName(name); err == nil {
		next, err = j.joinLocked(name, form, doc)
	}
	if err == nil {
		return next, nil
	}
	digest := sha256.Sum256(doc)
	if j.said[name] == digest {
		return nil, err
	}
	if len(j.said) >= maxDocuments {
		clear(j.said)
	}
	j.said[name] = digest
	j.stats.Refused++
	j.log.Error("a joined document of the cluster is refused", "document", name, "error", err.Error())
	return nil, err
}

// takeLocked makes next, the join with the cluster's doc, what is here; j.mu is held.
func (j *Joined) takeLocked(name string, d *document, next, doc []byte) {
	if d.form == nil || !bytes.Equal(next, d.form) {
		d.form, d.write = next, true
		j.documents[name] = d
		if err := j.writeFile(name, next); err != nil {
			j.failedLocked(notWritten, err)
		} else {
			d.write = false
		}
		j.kind.Changed(name, next)
	}
	if d.send = false; !bytes.Equal(next, doc) {
		j.sendLocked(d)
	}
}

// What can fail until it is mended.
const (
	notListed  = "the cluster was not asked for its joined documents; it is tried again"
	notTaken   = "the cluster did not take a joined document; it is tried again"
	notWritten = "a joined document is not on disk; it is tried again"
	notRemoved = "a joined document that is past its retention stays on disk; it is removed after the next start"
)

// failedLocked logs what fails, once until it is mended; j.mu is held.
func (j *Joined) failedLocked(what string, err error) {
	if !j.failing[what] {
		j.failing[what] = true
		j.log.Warn(what, "documents", j.kind.Prefix, "error", err.Error())
	}
}
