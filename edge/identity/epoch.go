package identity

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Epochs are the seals under which a cluster writes what names people, one after the
// other. User keys are always made under the first secret, so nothing that is counted
// changes with an epoch; what leaves the memory of a node is sealed under the secret
// of the epoch in use.
//
// Threat model. Somebody copies the secret file, and later a disk, a backup, the
// broker's store or what is on the wire:
//
//   - Epoch 0 seals nothing: what it wrote has user keys as they are, and whoever has
//     the first secret can test it for the people they know, for good.
//   - What is written under a later epoch is ciphertext to whoever lacks its secret,
//     also with the first one: no key, no order of keys, no sum of keys is in clear.
//   - So a rotation protects what is written after it. It takes nothing back that was
//     copied before, and does nothing about somebody who still reads the new file.
//   - Names of campaigns, items and lists, numbers and times in heads are no people
//     and stay as they are. The memory of a running node is not protected.
//   - Old epochs are read for good: choices, erasures and changes of lists are in a
//     stream without an age limit, in the epoch in which they were made, and a node
//     that starts anew reads it from its start. So tokens of an old epoch open for as
//     long as any, nobody's count is lost, and a thief of the old secret who can reach
//     the paths that take tokens can make some.
//
// Why not a new hash for everybody: nobody has the identifiers that were hashed. Why
// not another permutation of the hash: records lie in files and batches in an order,
// and under cuts, that follow from the hash itself, which whoever can compute the old
// hash could match; and a cut stands for keys that are gone, which cannot be re-keyed.
//
// An Epochs is safe for concurrent use.
type Epochs struct {
	mu  sync.Mutex // held by whoever replaces what now points to
	now atomic.Pointer[epochs]
}

// epochs do not change.
type epochs struct {
	all    []epoch
	active int
}

type epoch struct {
	Epoch
	secret hidden[[SecretSize]byte]
}

// Epoch is what may be said of one.
type Epoch struct {
	// Number counts from 0, in which nothing is sealed.
	Number int `json:"epoch"`
	// Fingerprint is 16 hex digits, those of the cluster for number 0.
	Fingerprint string `json:"fingerprint"`
	// Made is when it was prepared; zero where that is not known.
	Made time.Time `json:"made,omitzero"`
}

// MaxEpochs bounds the epochs of a secret. Chosen: one a month for ten years.
const MaxEpochs = 120

// Errors of Epochs.
var (
	// ErrEpoch: something was sealed in an epoch of which this node has no secret.
	ErrEpoch = errors.New("sealed in an epoch that the secret file does not have")
	// ErrOtherSecret: the file is of another cluster, or lacks an epoch that is in use.
	ErrOtherSecret = errors.New("not the secret of this cluster")
)

func newEpochs(all []epoch) *Epochs {
	e := new(Epochs)
	e.now.Store(&epochs{all: all})
	return e
}

// Active is the epoch in which this node writes.
func (e *Epochs) Active() Epoch {
	now := e.now.Load()
	return now.all[now.active].Epoch
}

// Seals are Epochs in plain words, for packages that do not know this one.
type Seals struct{ *Epochs }

// Seals returns the same epochs as Seals.
func (e *Epochs) Seals() Seals { return Seals{e} }

// Active is Epochs.Active.
func (s Seals) Active() (number int, fingerprint string) {
	e := s.Epochs.Active()
	return e.Number, e.Fingerprint
}

// Newest is Epochs.Newest.
func (s Seals) Newest() (number int, fingerprint string) {
	e := s.Epochs.Newest()
	return e.Number, e.Fingerprint
}

// Newest is the last epoch that the secret file has; it is prepared, or active.
func (e *Epochs) Newest() Epoch {
	now := e.now.Load()
	return now.all[len(now.all)-1].Epoch
}

// All are the epochs of the secret file, by number.
func (e *Epochs) All() []Epoch {
	now := e.now.Load()
	all := make([]Epoch, len(now.all))
	for i := range now.all {
		all[i] = now.all[i].Epoch
	}
	return all
}

// Readable are the fingerprints of all epochs, by number.
func (e *Epochs) Readable() (all []string) {
	for _, of := range e.All() {
		all = append(all, of.Fingerprint)
	}
	return all
}

func (s *epochs) find(fingerprint string) *epoch {
	for i := range s.all {
		if s.all[i].Fingerprint == fingerprint {
			return &s.all[i]
		}
	}
	return nil
}

// Activate has this node write in the epoch from now on. An earlier one than the one
// in use changes nothing: it never goes back. It wraps ErrEpoch for one that the file
// does not have.
func (e *Epochs) Activate(fingerprint string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now.Load()
	found := now.find(fingerprint)
	if found == nil {
		return fmt.Errorf("%w: %s", ErrEpoch, fingerprint)
	}
	if found.Number > now.active {
		e.now.Store(&epochs{all: now.all, active: found.Number})
	}
	return nil
}

// Take takes over the epochs of a secret file that was read again, and reports how
// many are new. It wraps ErrOtherSecret for a file of another cluster, or without an
// epoch that is held: then everything stays as it was.
func (e *Epochs) Take(s Secret) (added int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now, read := e.now.Load(), s.epochs.now.Load()
	if len(read.all) < len(now.all) {
		return 0, fmt.Errorf("%w: the file ends with epoch %d, and this node has %d: copy the newest file of the cluster", ErrOtherSecret, len(read.all)-1, len(now.all)-1)
	}
	for i := range now.all {
		if read.all[i].Fingerprint != now.all[i].Fingerprint {
			return 0, fmt.Errorf("%w: its epoch %d has the fingerprint %s, and that of this node %s", ErrOtherSecret, i, read.all[i].Fingerprint, now.all[i].Fingerprint)
		}
	}
	e.now.Store(&epochs{all: slices.Clone(read.all), active: now.active})
	return len(read.all) - len(now.all), nil
}

// Subkey is the key of 32 bytes for one purpose and one salt in the epoch with the
// fingerprint; nil for epoch 0, in which nothing is sealed. The error wraps ErrEpoch.
func (e *Epochs) Subkey(fingerprint, purpose string, salt []byte) ([]byte, error) {
	found := e.now.Load().find(fingerprint)
	switch {
	case found == nil:
		return nil, fmt.Errorf("%w: copy the newest one of the cluster and send SIGHUP", ErrEpoch)
	case found.Number == 0:
		return nil, nil
	}
	return derive(found.secret.get()[:], "seal "+purpose+" "+string(salt), 32), nil
}

// at is the key for what tokens and receipts are sealed under, of 32 bytes: of epoch 0
// the one they always had.
func (e *Epochs) at(number int, purpose string) ([]byte, error) {
	now := e.now.Load()
	if number >= len(now.all) {
		return nil, ErrEpoch
	}
	return derive(now.all[number].secret.get()[:], purpose, 32), nil
}

// fingerprintOf is that of an epoch's secret in the cluster with the root.
func fingerprintOf(root, secret []byte) string {
	return hex.EncodeToString(derive(secret, "fingerprint of epoch "+string(derive(root, "fingerprint", 8)), 8))
}
