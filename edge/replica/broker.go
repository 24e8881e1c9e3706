package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// BrokerOptions say which NATS JetStream a node uses. Fields without a stated default may be empty.
type BrokerOptions struct {
	// Dir is the store of the embedded server, which is used when URLs is empty; it is made when missing. Required then, else not used.
	Dir string
	// Node is the name of this node, by which the servers show its connections.
	Node string
	// URLs are the addresses of a NATS cluster, tried in this order: put the nearest first.
	URLs []string
	// CredentialsFile holds a user's JWT and seed, as nsc writes them. It is read again for each connection.
	CredentialsFile string
	// CA is a PEM file of the authorities that the servers' certificates come from; Cert and Key are this node's certificate. Any of them
	// makes TLS required. They are read again for each connection.
	CA, Cert, Key string
	// Replicas is how many servers keep each stream, 1 to 5. Default: 1. It counts when a stream is made, not later.
	Replicas int
	// MaxAge is how long the stream of events keeps one: what a node may be away for and come back by reading alone. Default: 72 hours. It
	// counts when the stream is made, not later.
	MaxAge time.Duration
	// MaxStore bounds what the streams take on the disk of each server, in bytes. Default: 8 GiB. It is shared out when streams are made.
	// A disk that is full stops a server; an embedded one is restarted when there is room again.
	MaxStore int64
	// SyncInterval is how often the servers sync their files: sync_interval in the configuration of a cluster, which is the operator's; the
	// embedded server is given it. What a server acknowledged within it can go with the power, also after a clean stop, so the outbox keeps
	// a change for twice as long and some more (see Options.BrokerSync). From 100 ms to 10 minutes. Default: 10 seconds.
	SyncInterval time.Duration
	// StoreKey encrypts the store of the embedded server, which never changes it; a store that is not encrypted is, when it starts. "": it is
	// not encrypted.
	StoreKey string
	// AcceptGaps are names of gaps, as StreamStats.GapName gives them, that this node goes on without: no node has what is missing.
	AcceptGaps []string
	// Log receives changes of state.
	Log *slog.Logger
}

// ErrBrokerOptions says that the settings for NATS are wrong, whatever the servers do.
var ErrBrokerOptions = errors.New("wrong settings for NATS")

const (
	// defaultSync. Chosen: the server's own default of 2 minutes makes outboxes long, and less has no gain while the outbox is not synced
	// either. The bounds: below, a disk does nothing else; above, an outbox of 1 GiB is full of what only waits to be synced.
	defaultSync         = 10 * time.Second
	leastSync, mostSync = 100 * time.Millisecond, 10 * time.Minute

	defaultMaxStore = 8 << 30 // chosen: a few days of events of one busy node, and a restart after kill -9 under 12 s

	// What is published: at most so many messages that are not acknowledged, and how long one is waited for. The publisher keeps a
	// quarter of them on their way; those it gave up count until their time is over.
	publishMaxPending = 1024
	publishTimeout    = 5 * time.Second
	// brokerTimeout bounds one request to the JetStream API: without a leader it is dropped and never answered.
	brokerTimeout = time.Second
	// createTimeout bounds the making of a stream.
	createTimeout = 2 * time.Second
)

// broker is the connection of a node to NATS JetStream: an embedded server without any socket, or a cluster. It goes on trying to connect
// until it is closed. All methods may be called from any goroutine.
//
// There are two connections because a call that publishes can wait for its connection's lock for seconds, when a server stands still.
// Neither buffers while it is not connected: a call then fails at once with nats.ErrReconnectBufExceeded.
type broker struct {
	publish   *nats.Conn
	publishJS jetstream.JetStream // with the limits above
	read      *nats.Conn          // reading, key-value, objects and the API
	readJS    jetstream.JetStream

	options  BrokerOptions
	log      *slog.Logger
	embedded *embedded // nil: a cluster
	links    []*link
	lost     atomic.Uint64

	mu       sync.Mutex // guards watchers
	watchers map[chan struct{}]struct{}
}

// openBroker starts the embedded server and connects to it, or begins to connect to the cluster: then it returns at once, also while no
// server answers. Its error wraps ErrBrokerOptions where the settings are wrong, and ErrLocked where another process uses Dir.
func openBroker(o BrokerOptions) (*broker, error) {
	o.defaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	b := &broker{options: o, log: o.Log, watchers: map[chan struct{}]struct{}{}}
	if len(o.URLs) == 0 {
		var err error
		if b.embedded, err = openEmbedded(&o); err != nil {
			return nil, err
		}
	}
	err := b.connect()
	if err == nil {
		b.publishJS, err = jetstream.New(b.publish, jetstream.WithDefaultTimeout(brokerTimeout),
			jetstream.WithPublishAsyncMaxPending(publishMaxPending), jetstream.WithPublishAsyncTimeout(publishTimeout))
	}
	if err == nil {
		b.readJS, err = jetstream.New(b.read, jetstream.WithDefaultTimeout(brokerTimeout))
	}
	if err != nil {
		b.close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return b, nil
}

func (o *BrokerOptions) defaults() {
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.MaxAge == 0 {
		o.MaxAge = defaultMaxAge
	}
	if o.MaxStore == 0 {
		o.MaxStore = defaultMaxStore
	}
	if o.SyncInterval == 0 {
		o.SyncInterval = defaultSync
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// connected says whether both connections stand, without waiting for anything. What is sent on them can fail all the same.
func (b *broker) connected() bool { return b.problem() == nil }

// disconnects counts how often one of the connections was lost, since the broker was opened.
func (b *broker) disconnects() uint64 { return b.lost.Load() }

// problem is why a connection does not stand, nil where both do.
func (b *broker) problem() error {
	for _, l := range b.links {
		if err := l.problem(); err != nil {
			return fmt.Errorf("connection to NATS: %w", withMend(err))
		}
	}
	return nil
}

// watch returns a channel that gets a value after each connect, reconnect and disconnect; those that are not taken are joined into one.
// stop ends it and is to be called once; the channel is not closed.
func (b *broker) watch() (changes <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchers[c] = struct{}{}
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.watchers, c)
	}
}

func (b *broker) changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// restart stops and starts the embedded server, over the same store; the connections come back by themselves. A server whose disk was full
// takes nothing any more until it is restarted, also when there is room again (see mender). It returns an error, and may be called again, where the
// server does not start, and does nothing for a cluster.
func (b *broker) restart() error {
	if b.embedded == nil {
		return nil
	}
	return b.embedded.restart()
}

// close ends the connections, then the embedded server, and waits for both. Messages that are not acknowledged by then may have been
// stored or not, and their futures never resolve. It is to be called once, after all that uses the broker has ended.
func (b *broker) close() {
	for _, l := range b.links {
		l.conn.Load().Close()
	}
	for _, l := range b.links {
		<-l.closed
	}
	if b.embedded != nil {
		b.embedded.close()
	}
}
