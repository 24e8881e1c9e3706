package edge

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"restraint/edge/policy"
)

// policyDocument is the name under which nodes share the policy.
const policyDocument = "policy"

// Bounds of the shared policy.
const (
	// maxPolicyDocument bounds its bytes. A value in NATS has 1 MiB with its
	// headers; chosen below that.
	maxPolicyDocument = 1_000_000
	// maxPolicyJSON bounds what a document may come to when it is unpacked: a text
	// with every second character escaped, and as much of Held again. Chosen.
	maxPolicyJSON = 4 * policy.MaxTextBytes
	// maxPolicyVersion is the last number that names of files sort by.
	maxPolicyVersion = 99_999_999
	// maxPolicyFrom bounds the bytes of a name of a file, or what stands for it.
	maxPolicyFrom = 4096
)

// errDocumentSize says that a policy is too large to be shared.
var errDocumentSize = errors.New("the policy is too large for the cluster")

// document is v as nodes share it: its JSON, as gzip. Of Held it has what the node
// that proposed v found, so that every node keeps the same.
func (v *policyVersion) document() ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode policy: %w", err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err = w.Write(text); err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("pack policy: %w", err)
	}
	if packed.Len() > maxPolicyDocument || len(text) > maxPolicyJSON {
		return nil, fmt.Errorf("%w: its %d bytes of text take %d bytes with what belongs to them, %d compressed; at most %d and %d are shared",
			errDocumentSize, len(v.Text), len(text), packed.Len(), maxPolicyJSON, maxPolicyDocument)
	}
	return packed.Bytes(), nil
}

// parsePolicyDocument reads a shared policy, whoever wrote it, as far as that can be
// judged without reading its text. The result aliases nothing.
func parsePolicyDocument(document []byte) (policyVersion, error) {
	v, err := unpackPolicy(document)
	if err != nil {
		return policyVersion{}, err
	}
	if err = v.fault(); err == nil && v.Pilot != nil {
		err = v.Pilot.fault(&v)
	}
	if err != nil {
		return policyVersion{}, err
	}
	v.Held = v.Held.Join(nil) // sorted, whoever sorted it
	v.Shared = true
	if v.Pilot != nil {
		b := &v.Pilot.Before
		b.Held, b.Shared = b.Held.Join(nil), true
	}
	return v, nil
}

// fault is what is wrong with a version that somebody else wrote, but for its pilot.
func (v *policyVersion) fault() error {
	switch {
	case v.Version < 1 || v.Version > maxPolicyVersion:
		return fmt.Errorf("its version %d is not from 1 to %d", v.Version, maxPolicyVersion)
	case !isPolicyTime(v.At):
		return fmt.Errorf("its time %s is not from 1970 to 2106", v.At)
	case len(v.From) > maxPolicyFrom:
		return fmt.Errorf("where it is from has %d bytes, more than %d", len(v.From), maxPolicyFrom)
	case sum(v.Text) != v.SHA256:
		return errors.New("its text does not have the SHA-256 it states")
	}
	return checkHeld(v.Held)
}

// isPolicyTime: it is such as policies are compiled for, in seconds of 32 bits.
func isPolicyTime(t time.Time) bool { return t.Unix() >= 0 && t.Unix() <= math.MaxUint32 }

// checkHeld refuses what no policy could have asked to be kept.
func checkHeld(held policy.Keeps) error {
	for i := range held {
		k := &held[i]
		if k.Limit == 0 || k.Per > policy.PerRun || len(k.Name) > policy.MaxNameBytes || len(k.Channel) > policy.MaxNameBytes {
			return fmt.Errorf("what it holds of older versions is none of a policy: %.300q", fmt.Sprint(*k))
		}
	}
	return nil
}

// unpackPolicy reads the JSON in a document.
func unpackPolicy(document []byte) (v policyVersion, err error) {
	if len(document) > maxPolicyDocument {
		return v, fmt.Errorf("it has %d bytes, more than %d", len(document), maxPolicyDocument)
	}
	r, err := gzip.NewReader(bytes.NewReader(document))
	if err != nil {
		return v, fmt.Errorf("unpack: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxPolicyJSON+1))
	switch {
	case err != nil:
		return v, fmt.Errorf("unpack: %w", err)
	case len(text) > maxPolicyJSON:
		return v, fmt.Errorf("it unpacks to more than %d bytes", maxPolicyJSON)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("read: %w", err)
	}
	return v, nil
}
