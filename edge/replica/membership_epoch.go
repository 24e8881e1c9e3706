package replica

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"restraint/edge/durable"
)

// A cluster goes over to another epoch of its secret so that nobody is sent what it cannot read. Two keys more of the bucket:
//
//	epoch       number and fingerprint of the epoch in use, with a space between; its number only grows
//	reads.NAME  the fingerprints of the epochs that the node has the secrets of, the newest last, with spaces between
//
// A node says what it reads before it takes its name, and looks at the epoch before and after. Whoever has a later epoch than the one in use
// and finds that every node of which the name is alive reads it, writes it down as the one in use. A node that finds there an epoch that it
// does not have is none of the cluster's (ErrEpoch) until it has the newest secret file: it could neither read nor be told of its lack. One
// that the servers cannot reach goes on in the epoch that it knows; everybody reads that too.
const (
	epochKey  = "epoch"
	readsKeys = "reads."
	epochFile = "epoch" // in the node's directory: the fingerprint of the epoch that it wrote in last
)

// useEpoch brings the epoch that the cluster has in use and this node's together. The caller holds mu.
func (m *membership) useEpoch(ctx context.Context) error {
	seals := m.options.Seals
	asking, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	e, err := m.kv.Get(asking, epochKey)
	if seals == nil {
		if err == nil {
			return fmt.Errorf("%w: the cluster writes in epoch %.32q, and this node was opened without Options.Seals", ErrEpoch, e.Value())
		}
		return ignore(err, jetstream.ErrKeyNotFound)
	}
	number, fingerprint := seals.Active()
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		if number == 0 {
			return nil
		}
		// The bucket was made anew: it is told what was in use.
		_, err = m.kv.Create(asking, epochKey, epochValue(number, fingerprint))
		return unlessOther(err)
	}
	if err != nil {
		return fmt.Errorf("ask for the epoch in use: %w", err)
	}
	theirs, theirFingerprint, err := parseEpochValue(e.Value())
	switch {
	case err != nil:
		return err
	case theirs < number:
		_, err = m.kv.Update(asking, epochKey, epochValue(number, fingerprint), e.Revision())
		return unlessOther(err)
	case theirs == number && theirFingerprint == fingerprint:
		return nil
	}
	if err := seals.Activate(theirFingerprint); err != nil {
		return fmt.Errorf("%w: the cluster writes in epoch %d of its secret, with fingerprint %q, and the newest of this node is %s: give it the secret file of the other nodes and send SIGHUP, or start it again",
			ErrEpoch, theirs, theirFingerprint, newestOf(seals))
	}
	m.inUse()
	return nil
}

func newestOf(seals Seals) string {
	number, fingerprint := seals.Newest()
	return fmt.Sprintf("%d, with %q", number, fingerprint)
}

func epochValue(number int, fingerprint string) []byte {
	return fmt.Appendf(nil, "%d %s", number, fingerprint)
}

func parseEpochValue(b []byte) (number int, fingerprint string, err error) {
	n, fingerprint, _ := strings.Cut(string(b), " ")
	if number, err = strconv.Atoi(n); err == nil && number > 0 {
		if _, err = parseFingerprint(fingerprint); err == nil {
			return number, fingerprint, nil
		}
	}
	return 0, "", fmt.Errorf("%w: the cluster's note of the epoch in use, %.64q, cannot be read; update this node", ErrVersion, b)
}

// sayReads tells the others what this node reads. The caller holds mu.
func (m *membership) sayReads(ctx context.Context) error {
	if m.options.Seals == nil {
		return nil
	}
	reads := strings.Join(m.options.Seals.Readable(), " ")
	if reads == m.saidReads {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	if _, err := m.kv.PutString(asking, m.readsKey(), reads); err != nil {
		return fmt.Errorf("say which epochs this node reads: %w", err)
	}
	m.saidReads = reads
	return nil
}

func (m *membership) readsKey() string { return readsKeys + strings.TrimPrefix(m.key, nodeKeys) }

// goOver has the cluster use the newest epoch of this node if all who are alive read it. The caller holds mu.
func (m *membership) goOver(ctx context.Context) error {
	if m.options.Seals == nil {
		return nil
	}
	active, _ := m.options.Seals.Active()
	number, fingerprint := m.options.Seals.Newest()
	if number <= active {
		m.setAwaits(nil)
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	waits, err := m.without(asking, fingerprint)
	if err != nil {
		return fmt.Errorf("look who reads epoch %d: %w", number, err)
	}
	m.setAwaits(waits)
	if len(waits) > 0 {
		return nil
	}
	e, err := m.kv.Get(asking, epochKey)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		_, err = m.kv.Create(asking, epochKey, epochValue(number, fingerprint))
	case err == nil:
		var theirs int
		if theirs, _, err = parseEpochValue(e.Value()); err == nil && theirs < number {
			_, err = m.kv.Update(asking, epochKey, epochValue(number, fingerprint), e.Revision())
		}
	}
	if err = unlessOther(err); err != nil {
		return fmt.Errorf("go over to epoch %d: %w", number, err)
	}
	return m.useEpoch(ctx)
}

func (m *membership) setAwaits(names []string) {
	m.lostMu.Lock()
	defer m.lostMu.Unlock()
	m.awaits = names
}

// awaited are the nodes that keep the cluster from going over to the newest epoch, as far as is known.
func (m *membership) awaited() []string {
	m.lostMu.Lock()
	defer m.lostMu.Unlock()
	return m.awaits
}

// without are the nodes whose names are alive and that do not say that they read the epoch.
func (m *membership) without(ctx context.Context, fingerprint string) (names []string, err error) {
	keys, err := m.kv.Keys(ctx)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, nodeKeys) {
			continue
		}
		holder, err := m.kv.Get(ctx, key)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue // given back meanwhile
		}
		if err != nil {
			return nil, err
		}
		e, err := m.kv.Get(ctx, readsKeys+strings.TrimPrefix(key, nodeKeys))
		if err == nil && strings.Contains(" "+string(e.Value())+" ", " "+fingerprint+" ") {
			continue
		}
		if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil, err
		}
		// Who was not seen for so long looks at the epoch before it is back.
		if age, err := m.age(ctx, holder); err != nil {
			return nil, err
		} else if age <= m.options.keep {
			names = append(names, nameOf(strings.TrimPrefix(key, nodeKeys)))
		}
	}
	return names, nil
}

// inUse keeps on disk in which epoch this node writes, for a start without the servers.
func (m *membership) inUse() {
	number, fingerprint := m.options.Seals.Active()
	m.options.Log.Info("what names people is sealed in another epoch of the secret from now on", "epoch", number, "fingerprint", fingerprint)
	if err := durable.Write(filepath.Join(m.options.Dir, epochFile), []byte(fingerprint+"\n")); err != nil {
		m.options.Log.Error("which epoch is in use cannot be kept on disk; a start without NATS would go on in the one before", "error", err.Error())
	}
	if m.options.Epoch != nil {
		m.options.Epoch()
	}
}

// lastEpoch has the node write in the epoch that it wrote in before. The error wraps ErrEpoch where its secret is gone.
func lastEpoch(dir string, seals Seals) error {
	if seals == nil {
		return nil
	}
	path := filepath.Join(dir, epochFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read which epoch is in use: %w", err)
	}
	fingerprint := strings.TrimSpace(string(text))
	if err := seals.Activate(fingerprint); err != nil {
		return fmt.Errorf("%w: this node wrote in the epoch with fingerprint %.16q before, as %q says, and the newest of its secret file is %s: give it the secret file of the other nodes, or the one from before",
			ErrEpoch, fingerprint, path, newestOf(seals))
	}
	return nil
}
