package replica

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"restraint/caps"
)

// Options of a Keeper. Fields without a stated default are required.
type Options struct {
	// Dir is the Keeper's own; it is made when missing.
	Dir string
	// Fingerprint is that of the identifier secret, and of its epoch 0: 16 hex digits.
	Fingerprint string
	// Seals are the epochs of the secret; nil: there is epoch 0 only, and nothing is sealed.
	Seals Seals
	// RoutingSeed is the cluster's (see Codec).
	RoutingSeed uint64
	// SnapshotEvery is the time between snapshots. Default: 30 seconds. None is taken while nothing has been recorded, and one sooner
	// when a quarter of the outbox has been filled since the last.
	SnapshotEvery time.Duration
	// SnapshotRate bounds the writing of snapshots, in bytes per second. Default: 64 MiB.
	SnapshotRate int64
	// OutboxBytes bounds the outbox. Default: 1 GiB. It must hold what is recorded in the time of two or three snapshots.
	OutboxBytes int64
	// Broker is the NATS JetStream that shares what is recorded with the other nodes. Nil: there are none, and no server is started.
	Broker *BrokerOptions
	// SecretMade: this start made the identifier secret, which is then never the one of a cluster that has one.
	SecretMade bool
	// CopyEvery is the time between copies of a snapshot, of any node, for nodes that come after the stream of events has dropped what they
	// would read. Default: a twelfth of the age to which the stream keeps them, which is the most in any case.
	CopyEvery time.Duration
	// BrokerSync is after how long the broker's disk has what it acknowledged. Until then the outbox keeps it. Default: twice
	// Broker.SyncInterval, since a server begins to sync that long after it has ended, and 10 seconds for the syncing itself.
	BrokerSync time.Duration
	// OpenFile opens a file of the outbox or a snapshot as os.OpenFile does with mode 0600; a name that ends in .tmp is of one that is given
	// the name without that when it is whole. Default: os.OpenFile. Another one may encrypt them.
	OpenFile func(name string, flag int) (File, error)
	// Log receives changes of state.
	Log *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time

	files files       // for tests
	ahead caps.Second // for tests, whose clocks are not the broker's; the constant where 0
}

// ErrLocked says that another process uses the directory.
var ErrLocked = errors.New("directory is in use by another process")

// A Keeper makes accepted changes durable. Open, then Restore once, then Record as often as wanted, from any goroutine, then Close.
type Keeper struct {
	options Options
	codec   Codec
	log     *slog.Logger
	files   files
	lock    *os.File
	outbox  *outbox
	notices notices

	// gate is held shared from before a change is written until after it is applied, and alone where a snapshot takes its place in the
	// outbox. It is locked before anything else, the outbox and the shards of the store inside it.
	gate  sync.RWMutex
	store *caps.Store // nil before Restore

	broker  *broker  // nil: none
	cluster *cluster // nil: none, or before Restore

	since   atomic.Int64 // bytes in the outbox that the last snapshot does not cover
	taking  sync.Mutex   // held while a snapshot is taken; guards what follows
	covered Position     // place of the last snapshot
	written time.Time    // when its file was
	saved   positions    // how far it says that the streams were read
	sealed  uint64       // in which epoch the last snapshots were written
	inEpoch int          // how many of them
	// restoredFrom is how far the snapshot that was restored had come, for a Keeper without a broker to pass on.
	restoredFrom positions
	batches      sync.Pool // of *[]byte
	wake         chan struct{}
	stop         chan struct{}
	running      sync.WaitGroup
	close        sync.Once

	mu       sync.Mutex // guards what follows
	restored Restored
	taken    time.Time // when the last snapshot was begun, or found to be still all there is
}

// Open locks the directory and looks what is there; it reads none of it. The error wraps ErrLocked where another process has it.
func Open(o Options) (*Keeper, error) {
	fingerprint, err := parseFingerprint(o.Fingerprint)
	if err != nil {
		return nil, err
	}
	o.defaults()
	if err := lastEpoch(o.Dir, o.Seals); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	k := &Keeper{
		options: o, codec: Codec{Fingerprint: fingerprint, RoutingSeed: o.RoutingSeed, sealer: newSealer(o.Seals)}, log: o.Log, files: o.files, lock: lock,
		notices: notices{log: o.Log}, wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	k.batches.New = func() any { return new([]byte) }
	if k.outbox, err = openOutbox(filepath.Join(o.Dir, "outbox"), k.files, o.OutboxBytes, &k.notices); err == nil {
		err = os.MkdirAll(k.snapshotDir(), 0o700)
	}
	if err == nil && o.Broker != nil {
		k.broker, err = openBroker(*o.Broker)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return k, nil
}

func (o *Options) defaults() {
	if o.SnapshotEvery <= 0 {
		o.SnapshotEvery = 30 * time.Second
	}
	if o.SnapshotRate <= 0 {
		o.SnapshotRate = 64 << 20
	}
	if o.OutboxBytes <= 0 {
		o.OutboxBytes = 1 << 30
	}
	if o.CopyEvery <= 0 {
		o.CopyEvery = math.MaxInt64
	}
	if o.BrokerSync <= 0 {
		interval := defaultSync
		if o.Broker != nil && o.Broker.SyncInterval > 0 {
			interval = o.Broker.SyncInterval
		}
		o.BrokerSync = 2*interval + syncTakes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ahead == 0 {
		o.ahead = ahead
	}
	if o.files == nil {
		o.files = disk{o.OpenFile}
	}
}

// syncTakes is how long a broker may take to sync its files once it has begun. Chosen.
const syncTakes = 10 * time.Second

// lockDir locks the directory for as long as the file is open; the kernel lets go of it when the process dies.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := io.ReadAll(io.LimitReader(f, 32))
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %q (process %q); stop that one, or give this node a directory of its own", ErrLocked, dir, owner)
		}
		return nil, fmt.Errorf("lock directory %q: %w", dir, err)
	}
	f.Truncate(0)
	fmt.Fprintf(f, "%d", os.Getpid()) // for the message above only
	return f, nil
}

// Record makes the changes durable and applies them to the store that was restored; the caller does not apply them. It returns once they
// are written, so that they outlive the death of this process. The changes are not kept.
//
// On ErrOutboxFull and ErrBatchTooLarge, and where a change is malformed, nothing was written or applied. On caps.ErrFull the refusals have
// no room: nothing was written, and of the changes some refusals may have been applied. On another error writing has failed: nothing
// was written, and the refusals were applied. As all are merges, all of them may be recorded again.
func (k *Keeper) Record(changes []caps.Change) error {
	if len(changes) == 0 {
		return nil
	}
	buffer := k.batches.Get().(*[]byte)
	defer k.batches.Put(buffer)
	batch, err := k.codec.AppendBatch((*buffer)[:0], changes)
	if err != nil {
		return err
	}
	if cap(batch) <= maxPooledBatch {
		*buffer = batch
	}
	k.gate.RLock()
	defer k.gate.RUnlock()
	if err := k.outbox.reserve(len(batch)); err != nil {
		if errors.Is(err, ErrOutboxFull) && k.removable() {
			k.kick()
		}
		return err
	}
	reserved := true
	defer func() { // also after a panic: else the room would be gone until the next start
		if reserved {
			k.outbox.unreserve(len(batch))
		}
	}()
	if err := k.apply(changes, true); err != nil {
		return err
	}
	reserved = false
	if _, err := k.outbox.append(batch, k.options.Now()); err != nil {
		return err
	}
	if err := k.apply(changes, false); err != nil {
		panic("BUG: a change that was checked is refused: " + err.Error())
	}
	if k.cluster != nil {
		k.cluster.signal()
	}
	if k.since.Add(int64(len(batch))) > k.options.OutboxBytes/4 {
		k.kick()
	}
	return nil
}

// Hold tells the other nodes of places that a decision holds in the store; each change is a caps.ChangeHold. It does not wait, promises
// nothing and keeps nothing of the changes.
func (k *Keeper) Hold(changes []caps.Change) {
	if k.cluster != nil && k.broker.embedded == nil && len(changes) > 0 {
		k.cluster.holds.add(changes)
	}
}

// maxPooledBatch is the size of the largest buffer kept to be used again. Chosen.
const maxPooledBatch = 1 << 20

// apply applies the changes that are refusals, or those that are none: only refusals can find their memory full, so they go first.
func (k *Keeper) apply(changes []caps.Change, refusals bool) error {
	for i := range changes {
		if changes[i].Kind.Refuses() == refusals {
			if err := k.store.Apply(&changes[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Stats is what a Keeper holds.
type Stats struct {
	// OutboxBytes is the size of the outbox.
	OutboxBytes int64
	// OutboxOldest is how long its oldest change has waited to be acknowledged by the broker: what the loss of this disk would lose.
	OutboxOldest time.Duration
	// SnapshotAge is how long ago the state was last known to be in a snapshot; from the start of the process if never.
	SnapshotAge time.Duration
	// Notices is how often something went wrong that ended nothing; each was logged.
	Notices uint64
	// Restored is what Restore found.
	Restored Restored
	// Cluster is nil without a broker.
	Cluster *ClusterStats
}

// Stats may be called at any time.
func (k *Keeper) Stats() Stats {
	now := k.options.Now()
	s := Stats{Notices: k.notices.count.Load()}
	var oldest time.Time
	if s.OutboxBytes, oldest = k.outbox.size(); !oldest.IsZero() {
		s.OutboxOldest = max(0, now.Sub(oldest))
	}
	if k.cluster != nil {
		s.OutboxOldest = k.cluster.unsent()
		s.Cluster = k.cluster.stats()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s.SnapshotAge, s.Restored = max(0, now.Sub(k.taken)), k.restored
	if s.Restored.Hole && (k.cluster == nil || !k.cluster.bridged()) {
		s.Restored.Incomplete = true
	}
	return s
}

// drainWithin is how long Close waits for the broker to take what is in the outbox. What it does not take waits for the next start. Chosen.
const drainWithin = 3 * time.Second

// Close stops the snapshots, waits a little for the broker to take what is in the outbox, takes a last one, drops what is covered and unlocks the directory. No Record may be running or follow.
func (k *Keeper) Close() (err error) {
	k.close.Do(func() {
		close(k.stop)
		k.running.Wait()
		if k.cluster != nil {
			k.cluster.close(drainWithin)
		} else if k.broker != nil {
			k.broker.close()
		}
		if k.cluster != nil {
			k.written = time.Time{} // so that one is written that knows how far the streams were read
		}
		if k.store != nil {
			err = k.snapshot()
		}
		err = errors.Join(err, k.outbox.close(), k.lock.Close())
	})
	return err
}
