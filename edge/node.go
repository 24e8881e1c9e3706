package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"restraint/caps"
	"restraint/edge/access"
	"restraint/edge/atrest"
	"restraint/edge/consent"
	"restraint/edge/identity"
	"restraint/edge/shared"
	"restraint/edge/trust"
	"restraint/suppress"
)

// Options are what a node is made of. Every field without a stated default is
// required.
type Options struct {
	// Name of the node, as status and metrics give it.
	Name string
	// Listen and AdminListen are host:port or unix:/path. A node without keys
	// answers everybody, so it refuses any address that is not loopback.
	Listen, AdminListen string
	// Keys say who may ask for what; replaced while the node runs, they are in force
	// from the next request on. Nil: everybody who reaches the node has every role.
	Keys *access.Gate
	// Certificates are the listeners', where they are not unix sockets. Nil: no TLS.
	Certificates *Certificates
	// Dir is where the node keeps policies, lists and the record of changes; it is made
	// when missing.
	Dir string
	// AtRest encrypts what is under Dir; nil: it is kept as it is.
	AtRest *atrest.Disk
	// Secret keys every identifier, tag and token.
	Secret identity.Secret
	// Caps are the budgets of the counters. Its retention is the policy's and
	// need not be set.
	Caps caps.Options
	// MaxRejected and MaxShrink are the shares of rejected rows and of lost
	// members above which a list's replacement is refused.
	MaxRejected, MaxShrink float64
	// MaxUpload bounds the bytes of one list upload.
	MaxUpload int64
	// ListChanges is how many changed members a list holds in memory before they are
	// folded into its base; 0: as suppress.Options has it.
	ListChanges int
	// UploadTime bounds the time that the bytes of one list upload may take; 0 means
	// 6 hours.
	UploadTime time.Duration
	// Connections bounds the connections of each listener.
	Connections int
	// Wait is how long requests may wait for a processor before the node refuses some of
	// those that are no reports; 0: it refuses none.
	Wait time.Duration
	// FirstPolicy is the policy of a node that has none yet, FirstPolicyName
	// where it comes from.
	FirstPolicy     []byte
	FirstPolicyName string
	// Shared is what the node has in common with others: the policy, and which uploads
	// of lists are in use. Nil: it is a node of its own.
	Shared shared.Store
	// Lists carries changes and uploads of lists to the others and back; it is given
	// where Shared is.
	Lists ListCluster
	// Peers are asked how far an erasure is; given where Shared is.
	Peers Peers
	// Keeper keeps what was acknowledged. Nil keeps nothing past the process: for
	// replays. The caller closes it after Run.
	Keeper Keeper
	// DrainWait is how long a node that is told to end goes on answering, not ready, so that
	// callers see it and go elsewhere. It is the caller's who is told so by readyz; 0: it
	// does not wait.
	DrainWait time.Duration
	// MaxStale is how old what a node knows of the others may be for it to be ready
	// when it starts without its broker.
	MaxStale time.Duration
	// RequestClock takes "now" from the requests' `at`, for replays of old logs.
	RequestClock bool
	// Version of the program, as status and metrics give it.
	Version string
	// Log receives changes of state; never a request, never an identifier.
	Log *slog.Logger
}

// Node is one running node: the state, the rules and the two servers around
// them. Safe for concurrent use.
type Node struct {
	options  Options
	log      *slog.Logger
	clock    clock
	hasher   *identity.Hasher
	tags     *identity.Tags
	tokens   *identity.Tokens
	receipts *identity.Receipts
	lots     *identity.Lots
	reports  *identity.Reports
	consent  *consent.Reader
	caps     *caps.Store
	keeper   Keeper
	lists    *suppress.Store
	listing  listing
	onces    onces
	uploads  uploads
	watch    watch
	record   auditing
	guarding guarding
	sweeps   sweeps
	sampling listSample
	metrics  *metrics
	history  history
	counting counting
	heard    heardOf // nil: nobody says it exactly

	policies policies
	rules    atomic.Pointer[rules]
	effects  effects
	happened armCounts // what the effect of a pilot is told from

	dialling dialling

	exchanges sync.Pool // of *exchange
	inHand    atomic.Int64
	batches   chan struct{} // one for each batch that is worked on
	shedding  shedding
	bid       *server
	admin     *server
	backing   backingUp
	draining  atomic.Bool
	inside    sync.RWMutex // held for reading by each call in process
}

// Open loads what the node keeps in its directory and binds both listeners; it
// answers nobody before Run. On an error nothing is left open.
func Open(o Options) (*Node, error) {
	for _, addr := range []string{o.Listen, o.AdminListen} {
		err := loopbackOnly(addr)
		switch {
		case err != nil && o.Keys == nil:
			return nil, err
		case err != nil && o.Certificates == nil:
			o.Log.Warn("listening beyond this machine without TLS: keys and identifiers can be read on the way; set tls.cert and tls.key, or put a proxy that ends TLS, or a private network, in front", "listen", addr)
		}
	}
	n, err := load(o)
	if err != nil {
		return nil, err
	}
	if err := n.listen(); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// close closes what load opened.
func (n *Node) close() error {
	n.consent.Close()
	var err error
	if n.lists != nil {
		err = n.lists.Close()
	}
	return errors.Join(err, n.closeRecord())
}

// openJoined reads joined documents of one kind.
func (n *Node) openJoined(kind shared.Kind) (*shared.Joined, error) {
	if n.options.AtRest != nil {
		kind.Files = n.options.AtRest
	}
	return shared.OpenJoined(filepath.Join(n.options.Dir, "joined"), kind, n.options.Shared, n.log)
}

// load makes the node's state from its directory.
func load(o Options) (*Node, error) {
	if o.UploadTime == 0 {
		o.UploadTime = uploadTimeout
	}
	n := &Node{
		options:  o,
		log:      o.Log,
		clock:    clock{request: o.RequestClock},
		hasher:   identity.NewHasher(o.Secret),
		tags:     identity.NewTags(o.Secret),
		tokens:   identity.NewTokens(o.Secret),
		receipts: identity.NewReceipts(o.Secret),
		lots:     identity.NewLots(o.Secret),
		reports:  identity.NewReports(o.Secret),
		uploads:  make(uploads, maxUploads),
		batches:  make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		shedding: shedding{limit: o.Wait},
		guarding: guarding{failures: access.NewFailures(), hold: time.Sleep},
	}
	n.dialling.book = trust.NewBook()
	n.heard = n.saidAbout
	o.Caps.Beside = besideCounters{n.dialling.book}
	n.caps = caps.New(o.Caps)
	var err error
	if n.consent, err = consent.New(consentBytes); err != nil {
		return nil, err
	}
	n.exchanges.New = func() any { return &exchange{stripe: n.counting.tallies.stripe.Add(1)} }
	n.listing.open()
	n.metrics = newMetrics(n)
	err = n.openRecord()
	if err == nil {
		err = n.openLists()
	}
	if err == nil {
		n.openWatch(n.clock.at(time.Now(), 0))
		err = n.openEffects()
	}
	n.happened = n.counted
	if err == nil {
		err = n.openDialling()
	}
	if err == nil {
		err = n.openPolicies()
	}
	if err != nil {
		n.close()
		return nil, err
	}
	// After the policy, which says how long anything is kept.
	if n.keeper = o.Keeper; n.keeper == nil {
		n.keeper = new(unkept)
	}
	if err := n.keeper.Restore(n.caps); err != nil {
		n.close()
		return nil, fmt.Errorf("restore: %w", err)
	}
	if err := n.openCounting(); err != nil {
		n.close()
		return nil, err
	}
	n.joinPolicy() // after the keeper, whom the cluster lets in or refuses
	n.noteStart()
	if !o.RequestClock {
		n.checkClock(time.Now())
		n.clock.raise(uint32(n.caps.Now())) // a clock that was set back while the node was down
	}
	return n, nil
}

// Addr and AdminAddr are the addresses the listeners are bound to.
func (n *Node) Addr() string      { return n.bid.addr() }
func (n *Node) AdminAddr() string { return n.admin.addr() }

// Run answers requests until ctx ends, then drains: it is not ready, answers for as long
// as Options.DrainWait says, finishes what is in flight, and closes the lists. It returns
// nil after a clean end.
func (n *Node) Run(ctx context.Context) error {
	told := ctx.Done()
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // what goes on while the node drains
	defer stop()
	failed, drained := make(chan error, 2), make(chan struct{})
	var running sync.WaitGroup
	for _, s := range []*server{n.bid, n.admin} {
		running.Go(func() { failed <- s.serve() })
		running.Go(func() { s.listener.run(drained) })
	}
	running.Go(func() { n.sweep(ctx) })
	running.Go(func() { n.keepLists(ctx) })
	running.Go(func() { n.sealLists(ctx) })
	running.Go(func() { n.settleSamples(ctx) })
	running.Go(func() { n.sharePolicy(ctx) })
	running.Go(func() { n.shareLists(ctx) })
	running.Go(func() { n.keepEffects(ctx) })
	running.Go(func() { n.keepHistory(ctx) })
	running.Go(func() { n.hear(ctx) })
	running.Go(func() { n.keepCounting(ctx) })
	running.Go(func() { n.keepRecord(ctx) })
	running.Go(func() { n.announce(ctx) })
	running.Go(func() { n.feelPulse(ctx) })

	var err error
	select {
	case <-told:
	case err = <-failed:
	}
	n.draining.Store(true)
	n.log.Info("draining", "node", n.options.Name, "answers_for", n.options.DrainWait.String())
	if err == nil {
		select {
		case <-time.After(n.options.DrainWait):
		case err = <-failed:
		}
	}
	stop()
	n.backing.stop()
	for _, s := range []*server{n.bid, n.admin} {
		if e := s.shutdown(); e != nil && err == nil {
			err = fmt.Errorf("drain %s: %w", s.addr(), e)
		}
	}
	close(drained)
	running.Wait()
	// Calls in process that were under way have ended then, and others are refused.
	n.inside.Lock()
	defer n.inside.Unlock()
	n.saveWatch(time.Now())
	n.saveEffects()
	n.writeCounts()
	if e := n.close(); e != nil && err == nil {
		err = fmt.Errorf("close lists and record: %w", e)
	}
	n.sendLast()
	return err
}

// sendLast gives the cluster, if it is there, what was written last: the disk of a node
// that is ended may never be read again.
func (n *Node) sendLast() {
	if n.options.Shared == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), joinTimeout)
	defer cancel()
	for _, j := range []*shared.Joined{n.record.heads, n.dialling.documents, n.effects.joined, n.counting.joined} {
		if j != nil { // nothing is dialled back of a replay's
			j.Send(ctx)
		}
	}
}

// announce logs that the node answers, and then that it is ready, once it is.
func (n *Node) announce(ctx context.Context) {
	about := []any{"node", n.options.Name, "listen", n.Addr(), "admin", n.AdminAddr(), "policy", n.rules.Load().Version}
	ticker := time.NewTicker(readyEvery)
	defer ticker.Stop()
	for asked := 0; ; asked++ {
		ready, conditions := n.ready()
		if ready {
			n.log.Info("ready", about...)
			return
		}
		if asked == 0 {
			n.log.Info("not ready yet", append(about, "conditions", conditions)...)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// readyEvery is how often a node that is not ready yet looks whether it is. Chosen.
const readyEvery = 20 * time.Millisecond
