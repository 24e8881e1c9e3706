package suppress

import (
	"fmt"
	"time"
)

// State says whether a list can be relied on.
type State string

// The states of a list.
const (
	StateNone    State = "none"    // no members yet, or deleted
	StateReady   State = "ready"   //
	StateStale   State = "stale"   // the last upload is older than Declaration.MaxAge
	StateDamaged State = "damaged" // members were lost, or are not as declared: see Notices; not trusted until it is uploaded again
)

// Status is one list as it stands.
type Status struct {
	List       string   `json:"list"`
	State      State    `json:"state"`
	Declared   bool     `json:"declared"`
	Sources    []string `json:"sources,omitempty"`
	Items      bool     `json:"items,omitempty"`
	Filter     string   `json:"filter,omitempty"`
	Exact      bool     `json:"exact,omitempty"`
	Generation uint64   `json:"generation"`
	Previous   uint64   `json:"previous,omitempty"` // what Rollback would make current; 0: nothing
	Start      uint64   `json:"start"`              // changes above this sequence apply over the generation
	Keys       int64    `json:"keys"`               // members, changes included
	Changes    int      `json:"changes"`            // changed keys held in memory
	Uploaded   int64    `json:"uploaded,omitempty"` // Unix seconds of the last replacement; 0: never
	Until      uint32   `json:"until,omitempty"`    // Unix second at which the members of that replacement leave
	Leaving    int64    `json:"leaving,omitempty"`  // members that leave by themselves
	AgeSeconds int64    `json:"age"`                // since then, or since the last change of a list that was never replaced
	// FalsePositiveRate is expected of the filter as it is filled; 0 with Exact.
	FalsePositiveRate float64 `json:"false_positive_rate"`
	Bytes             int64   `json:"bytes"`      // memory: filter, block index, changes
	DiskBytes         int64   `json:"disk_bytes"` // key files and journal
	// Epoch is the fingerprint of the epoch of the secret in which its files are
	// written, those of an earlier one until they are written anew; EarlierEpoch says
	// that some are of another epoch than the one in use.
	Epoch        string `json:"epoch,omitempty"`
	EarlierEpoch bool   `json:"earlier_epoch,omitempty"`
	// Work is what is under way: what makes a generation of the list, else a change
	// that is read; nil: nothing.
	Work *Work `json:"work,omitempty"`
	// Doubts counts look-ups of an exact list that could not be read and were
	// answered with yes.
	Doubts uint64 `json:"doubts,omitempty"`
	// Rejected and RejectedSample are of the last upload in this process.
	Rejected       uint64     `json:"rejected"`
	RejectedSample []Rejected `json:"rejected_sample,omitempty"`
}

// changeBytes is what a changed key takes at most, by calculation: 32 bytes in a
// map that is between 7/16 and 7/8 full, and 8 in the sieve, rounded up.
const changeBytes = 100

// Status of one list that is declared or has members on disk.
func (s *Store) Status(name string) (Status, error) {
	s.mu.Lock()
	l := s.lists[name]
	s.mu.Unlock()
	if l == nil {
		return Status{}, fmt.Errorf("%w: there is no list %q; declare it in the policy", ErrUnknownList, name)
	}
	return s.status(l), nil
}

// StatusAll gives every list, by index.
func (s *Store) StatusAll() []Status {
	s.mu.Lock()
	order := s.order
	s.mu.Unlock()
	all := make([]Status, 0, len(order))
	for _, l := range order {
		all = append(all, s.status(l))
	}
	return all
}

func (s *Store) status(l *list) Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := Status{
		List: l.name, Declared: l.declared, Sources: l.decl.Sources, Items: l.decl.Items,
		Filter: l.decl.Filter, Exact: l.decl.Exact,
		Keys: s.countedLocked(l), Changes: l.changes.len(), Doubts: l.doubts.Load(),
		Work: l.underWay(), Rejected: l.last.Rejected, RejectedSample: l.last.RejectedSample,
	}
	if l.filter != nil {
		st.Bytes = l.filter.bytes
		if !l.decl.Exact {
			st.FalsePositiveRate = l.filter.rate
		}
	}
	st.Bytes += int64(st.Changes) * changeBytes
	st.Leaving = l.census.leave()
	since := l.changedAt.Load()
	for _, k := range []*keyFile{l.cur, l.prev} {
		if k != nil {
			st.Bytes += int64(len(k.index))*keySize + k.leaving.memory()
			st.DiskBytes += k.size()
		}
	}
	if l.cur != nil {
		st.Generation, st.Start, st.Uploaded, st.Until = l.cur.generation, l.cur.start, int64(l.cur.uploaded), l.cur.until
		if l.cur.uploaded != 0 {
			since = l.cur.uploaded
		}
	}
	if l.prev != nil {
		st.Previous = l.previousLocked()
	}
	if l.log != nil {
		st.DiskBytes += l.log.size
	}
	st.Epoch, st.EarlierEpoch = s.epochLocked(l)
	now := s.o.Now().Unix()
	if since != 0 {
		st.AgeSeconds = max(0, now-int64(since))
	}
	switch {
	case l.lost.any() || l.misdeclared():
		st.State = StateDamaged
	case !l.hasBase() && st.Changes == 0:
		st.State = StateNone
	case l.decl.MaxAge > 0 && time.Duration(st.AgeSeconds)*time.Second > l.decl.MaxAge:
		st.State = StateStale
	default:
		st.State = StateReady
	}
	return st
}
