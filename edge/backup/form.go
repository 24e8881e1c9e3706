package backup

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"
)

const (
	magic     = "rstrbkup"
	version   = 1
	headFixed = 16
	maxHead   = 64 << 10
	frameHead = 9
	tagSize   = 16 // of AES-256-GCM
	// clearBytes of a section go into a frame, at most. Chosen.
	clearBytes = 256 << 10
	// SaltSize is the length of a salt.
	SaltSize = 16
	maxFrame = 1 << 20
	maxKind  = 32
	maxName  = 512
	// maxSections is far more than there can be lists, policies and documents. Chosen.
	maxSections = 1 << 20

	frameSection = 's'
	frameBytes   = 'd'
	frameEnd     = 'e'
	frameLast    = 'z'
)

// What a file is refused by.
var (
	// ErrDamaged says that the file is none, or not as it was written; the error says where.
	ErrDamaged = errors.New("damaged")
	// ErrCut says that the file ends early: what wrote or carried it did not finish. It wraps ErrDamaged.
	ErrCut = fmt.Errorf("%w: it is not whole", ErrDamaged)
	// ErrVersion says that a later program wrote the file.
	ErrVersion = errors.New("written by a newer version of this program")
	// ErrSeal says that the key does not open the file: it is of another secret, or somebody altered it. It wraps ErrDamaged.
	ErrSeal = fmt.Errorf("%w: its seal is broken", ErrDamaged)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Head says what the file is of.
type Head struct {
	// Taken is when the export began, by the clock of the node: what the node had acknowledged by then is in the file.
	Taken time.Time `json:"taken"`
	// Node is the name of the node, Program its version.
	Node    string `json:"node"`
	Program string `json:"program"`
	// Fingerprint is that of the identifier secret without which the file is of no use, Epoch that of the epoch in which the node sealed then.
	Fingerprint string `json:"fingerprint"`
	Epoch       string `json:"epoch"`
	// Salt is random, of this file; NewWriter draws it.
	Salt []byte `json:"salt"`
	// NotReady says why the node was not ready, and so what the file may lack; empty: it was.
	NotReady []string `json:"not_ready,omitempty"`
}

// Section is one part of a file.
type Section struct {
	// Kind says how it is to be read: 1 to 32 lower-case letters.
	Kind string
	// Name tells the sections of a kind apart: at most 512 bytes, of any form. It is not to be taken for the name of a file unchecked.
	Name string
	// At is the place of its first frame in the file.
	At int64
}

// String is kind and name, for messages.
func (s Section) String() string {
	if s.Name == "" {
		return s.Kind
	}
	return fmt.Sprintf("%s %q", s.Kind, s.Name)
}

// with is what is authenticated of a section.
func (s Section) with() []byte { return append(append([]byte(s.Kind), 0), s.Name...) }

// sealing is AES-256-GCM under a key of 32 bytes.
func sealing(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("key of snapshot: %w", err)
	}
	return cipher.NewGCM(block)
}

// nonce is of the frame at a place: no two have one under the key of a file.
func nonce(at int64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, 12), uint64(at))
}

func (s Section) check() error {
	if s.Kind == "" || len(s.Kind) > maxKind || strings.Trim(s.Kind, "abcdefghijklmnopqrstuvwxyz") != "" || len(s.Name) > maxName {
		return fmt.Errorf("section %.40q with a name of %d bytes: its kind must have 1 to %d lower-case letters, its name at most %d bytes", s.Kind, len(s.Name), maxKind, maxName)
	}
	return nil
}
