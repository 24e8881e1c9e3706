package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrName says that another data directory has this node's name.
var ErrName = errors.New("another node has this name")

// memberOptions say who joins. All are required.
type memberOptions struct {
	Dir         string // the node's data directory; its identity is kept in DIR/id
	Node        string
	Fingerprint string // of the identifier secret
	SecretMade  bool   // this start made the secret
	Seals       Seals  // nil: there are no epochs
	Epoch       func() // is called when this node writes in another epoch; may be nil, and must not call the membership
	Log         *slog.Logger
	// Changed is called when the name was lost, with the reason, and with nil when it is this node's again. The node is not ready between
	// the two. It is called by one goroutine, not again once close has returned, and must not call close.
	Changed func(reason error)

	every, keep time.Duration // for tests; leaseEvery and leaseTime where 0
}

// Keys of the bucket.
const (
	fingerprintKey = "fingerprint" // of the secret, as the first node wrote it
	clockKey       = "clock"       // written to learn the servers' time
	nodeKeys       = "node."       // and the name: who has it
)

const (
	// leaseEvery is the time between two refreshes of a name, leaseTime how long a name is kept that is not refreshed. Chosen: five
	// refreshes, or the 7 s of an election (measured) and one.
	leaseEvery = 2 * time.Second
	leaseTime  = 10 * time.Second
)

// membership keeps two promises of a cluster: all nodes have one secret, and no two have one name. Both are kept by compare-and-set in the
// key-value bucket:
//
//	fingerprint  16 hex digits; made by the first node, never changed
//	node.NAME    holder: the id of the data directory and that of the start, each 32 hex digits, with a space between
//	clock        anything; see age
//	epoch, reads.NAME   see membership_epoch.go
//
// A node writes its name every leaseEvery. The same directory takes its name over at once (after kill -9), another one when it has not been
// written for leaseTime: whoever it is taken from finds out at its next refresh. Times are those at which the servers stored something, never
// this machine's. A node that loses the servers keeps its name as far as it knows.
type membership struct {
	b       *broker
	options memberOptions
	key     string
	holder  string // what this node writes under key

	mu       sync.Mutex // held by whoever asks the servers; guards what follows
	kv       jetstream.KeyValue
	created  time.Time // of the bucket
	revision uint64    // of our last refresh, in that bucket
	joined   bool

	saidReads string // in that bucket

	lostMu sync.Mutex // guards what follows; taken inside mu
	lost   error      // why the name is not ours
	awaits []string   // who keeps the cluster from going over to the newest epoch

	stop    context.CancelFunc // nil until joined
	running sync.WaitGroup
}

// openMembership reads the identity of the directory, or makes it. It asks no server.
func openMembership(b *broker, o memberOptions) (*membership, error) {
	id, err := directoryID(o.Dir)
	if err != nil {
		return nil, err
	}
	if o.every == 0 {
		o.every = leaseEvery
	}
	if o.keep == 0 {
		o.keep = leaseTime
	}
	return &membership{b: b, options: o, key: nodeKeys + keyOf(o.Node), holder: id + " " + randomID()}, nil
}

// join joins the cluster: the secret is the cluster's, and the name is this node's from here on, until close. The streams and buckets must
// be there (see broker.ensure). The error wraps ErrFingerprint, ErrEpoch or ErrName where the cluster refuses this node; every other may pass, and
// join be called again. It is not to be called again once it has succeeded.
func (m *membership) join(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.enter(ctx); err != nil {
		return err
	}
	m.joined = true
	ctx, m.stop = context.WithCancel(context.Background())
	m.running.Go(func() { m.refreshAll(ctx) })
	return nil
}

// enter asks for everything from the start. The caller holds mu.
func (m *membership) enter(ctx context.Context) error {
	kv, err := m.b.members(ctx)
	if err != nil {
		return fmt.Errorf("look for the cluster's members: %w", err)
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return fmt.Errorf("look for the cluster's members: %w", err)
	}
	if created := status.(*jetstream.KeyValueBucketStatus).StreamInfo().Created; !created.Equal(m.created) {
		m.created, m.revision, m.saidReads = created, 0, ""
	}
	m.kv = kv
	if err := m.checkSecret(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{m.useEpoch, m.sayReads, m.claim, m.useEpoch, m.goOver} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// reason is why the node has not its name now, nil while it has.
func (m *membership) reason() error {
	m.lostMu.Lock()
	defer m.lostMu.Unlock()
	return m.lost
}

// close gives the name back, so that another directory may have it at once, where the servers answer before ctx ends. It also ends a
// membership that never joined, and is to be called once, before the broker's close.
func (m *membership) close(ctx context.Context) {
	if m.stop == nil {
		return
	}
	m.stop()
	m.running.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reason() != nil || !m.b.connected() {
		return
	}
	if err := m.giveBack(ctx); err != nil {
		m.options.Log.Info("the node's name was not given back: it is free in "+leaseTime.String(), "node", m.options.Node, "error", err.Error())
	}
}

// refreshAll refreshes the name until ctx ends.
func (m *membership) refreshAll(ctx context.Context) {
	tick := time.NewTicker(m.options.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if m.b.connected() {
			m.refresh(ctx)
		}
	}
}

// refresh writes the name again, or tries to get it back, and tells of what changed. Where the servers do not answer, nothing has.
func (m *membership) refresh(ctx context.Context) {
	err := m.renew(ctx)
	if ctx.Err() != nil || err != nil && !errors.Is(err, ErrName) && !errors.Is(err, ErrFingerprint) && !errors.Is(err, ErrEpoch) {
		return
	}
	m.lostMu.Lock()
	changed := (m.lost == nil) != (err == nil)
	m.lost = err
	m.lostMu.Unlock()
	if !changed {
		return
	}
	if err != nil {
		m.options.Log.Error("this node is out of its cluster", "node", m.options.Node, "error", err.Error())
	} else {
		m.options.Log.Info("this node is in its cluster again", "node", m.options.Node)
	}
	m.options.Changed(err)
}

func (m *membership) renew(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reason() != nil {
		return m.enter(ctx)
	}
	asking, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	revision, err := m.kv.Update(asking, m.key, []byte(m.holder), m.revision)
	if err == nil {
		m.revision = revision
		for _, step := range []func(context.Context) error{m.useEpoch, m.sayReads, m.goOver} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	if !isOther(err) {
		return err // also jetstream.ErrNoStreamResponse: the bucket is gone until ensure makes it again
	}
	// Another revision: of our own refresh that was not answered, of another node, or of a bucket made anew, maybe by a cluster of others.
	return m.enter(ctx)
}
