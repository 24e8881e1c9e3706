package identity

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A secret file is the 32 bytes of the first secret, or, once it was rotated, a text:
//
//	restraint secret 2
//	N SECRET FINGERPRINT MADE     for each epoch, from 0 on
//	end SUM
//
// SECRET is 64 hex digits, FINGERPRINT 16, MADE a time as 2026-01-02T15:04:05Z, or - for
// epoch 0. SUM is 16 hex digits under the first secret over all lines before it: a file
// that was cut off or mistyped is refused.
const (
	fileMagic = "restraint secret 2\n"
	// maxSecretFile is more than MaxEpochs lines take.
	maxSecretFile = 32 << 10
)

// ErrSecretText: a text that is no secret file, or a damaged one.
var ErrSecretText = errors.New("the secret file is damaged or of a later program")

// ParseSecretFile reads the content of a secret file, of either form. Errors are those
// of ParseSecret, and ErrSecretText.
func ParseSecretFile(b []byte) (Secret, error) {
	// A text that was cut off at 32 bytes is none of the old form.
	if !bytes.HasPrefix(b, []byte(fileMagic[:len("restraint ")])) {
		return ParseSecret(b)
	}
	if len(b) > maxSecretFile || !bytes.HasPrefix(b, []byte(fileMagic)) || !bytes.HasSuffix(b, []byte("\n")) {
		return Secret{}, ErrSecretText
	}
	lines := strings.Split(strings.TrimSuffix(string(b[len(fileMagic):]), "\n"), "\n")
	if len(lines) < 2 || len(lines)-1 > MaxEpochs {
		return Secret{}, fmt.Errorf("%w: %d lines", ErrSecretText, len(lines)+1)
	}
	var s Secret
	all := make([]epoch, 0, len(lines)-1)
	for i, line := range lines[:len(lines)-1] {
		e, err := parseEpoch(i, line)
		if err != nil {
			return Secret{}, fmt.Errorf("line %d: %w", i+2, err) // never the line itself
		}
		if i == 0 {
			if s, err = ParseSecret(e.secret.get()[:]); err != nil {
				return Secret{}, fmt.Errorf("line 2: %w", err)
			}
		}
		all = append(all, e)
	}
	s.epochs = newEpochs(all)
	// One file has one spelling, fingerprints and sum included.
	if !bytes.Equal(s.appendFile(nil), b) {
		return Secret{}, fmt.Errorf("%w: its fingerprints or its sum do not fit: copy it again, whole", ErrSecretText)
	}
	return s, nil
}

func parseEpoch(number int, line string) (e epoch, err error) {
	f := strings.Split(line, " ")
	if len(f) != 4 || f[0] != strconv.Itoa(number) || len(f[2]) != 16 {
		return e, ErrSecretText
	}
	e.Number, e.Fingerprint = number, f[2]
	if f[3] != "-" {
		if e.Made, err = time.Parse(time.RFC3339, f[3]); err != nil {
			return e, ErrSecretText
		}
		e.Made = e.Made.UTC()
	}
	b, err := hex.DecodeString(f[1])
	if err != nil || len(b) != SecretSize || [SecretSize]byte(b) == ([SecretSize]byte{}) {
		return e, ErrSecretText
	}
	e.secret = hide([SecretSize]byte(b))
	return e, nil
}

// appendFile appends the content of the secret's file: the old form where there is
// nothing to say that it cannot.
func (s Secret) appendFile(dst []byte) []byte {
	root, all := s.bytes.get()[:], s.epochs.now.Load().all
	if len(all) == 1 {
		return append(dst, root...)
	}
	from := len(dst)
	dst = append(dst, fileMagic...)
	for i := range all {
		e := &all[i]
		secret, made := e.secret.get()[:], "-"
		fingerprint := fingerprintOf(root, secret)
		if i == 0 {
			fingerprint = s.Fingerprint()
		}
		if !e.Made.IsZero() {
			made = e.Made.UTC().Format(time.RFC3339)
		}
		dst = fmt.Appendf(dst, "%d %x %s %s\n", i, secret, fingerprint, made)
	}
	sum := derive(root, "file "+string(dst[from:]), 8)
	return fmt.Appendf(dst, "end %x\n", sum)
}

// withEpoch is s and one more epoch with this secret.
func (s Secret) withEpoch(secret []byte, made time.Time) (Secret, error) {
	all := s.epochs.now.Load().all
	if len(all) >= MaxEpochs {
		return Secret{}, fmt.Errorf("there are %d epochs, which is as many as a file holds", MaxEpochs)
	}
	next := epoch{
		Epoch:  Epoch{Number: len(all), Fingerprint: fingerprintOf(s.bytes.get()[:], secret), Made: made.UTC().Truncate(time.Second)},
		secret: hide([SecretSize]byte(secret)),
	}
	return Secret{bytes: s.bytes, epochs: newEpochs(append(slices.Clone(all), next))}, nil
}
