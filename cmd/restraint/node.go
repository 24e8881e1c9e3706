package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"restraint/caps"
	"restraint/edge"
	"restraint/edge/atrest"
	"restraint/edge/identity"
	"restraint/edge/policy"
	"restraint/edge/replica"
)

// refusalShare is the part of caps.memory that refusals and purchases have.
// Chosen: a purchase is a sixth of what a user with 20 counters takes.
const refusalShare = 8

// serve runs a node until ctx ends.
func serve(ctx context.Context, cfg Config) (err error) {
	log := newLog(os.Stderr, cfg.Log.Level)
	slog.SetDefault(log) // what libraries say, by package log, has the same form
	if len(cfg.Strays) > 0 {
		log.Warn("no setting has these variables of the environment; unset them if they were meant for this program", "variables", cfg.Strays)
	}
	manager, stopTelling := newManager(os.LookupEnv, os.Getpid(), log), func() {}
	defer func() { stopTelling() }() // last: what is kept takes its time to close
	certificates, err := openCertificates(&cfg)
	if err != nil {
		return err
	}
	keys, err := openKeys(&cfg, log)
	if err != nil {
		return err
	}
	if err := finishImport(cfg.Data); err != nil {
		return err
	}
	disk, err := openAtRest(&cfg, log)
	if err != nil {
		return err
	}
	options, made, err := nodeOptions(&cfg, log)
	if err != nil {
		return err
	}
	options.AtRest = disk
	options.Keys, options.Certificates = keys, certificates
	kept, err := openKeeper(&cfg, options.Secret, made, disk, log)
	if err != nil {
		return err
	}
	if kept != nil {
		options.Keeper = kept
		if documents := kept.Shared(); documents != nil {
			options.Shared = clusterDocuments{documents}
			options.Lists = lists{kept.Lists()}
			options.Peers = peers{kept.Keeper}
		}
		defer func() { err = errors.Join(err, kept.Close()) }()
	}
	node, err := edge.Open(options)
	if err != nil {
		return fmt.Errorf("start node: %w", err)
	}
	file := policyFile{path: cfg.Policy, last: options.FirstPolicy, missing: options.FirstPolicyName != cfg.Policy}
	stop := onHangup(func() {
		defer manager.reloading(node.Ready)()
		reloadKeys(keys, cfg.KeysFile, log) // first: a policy may wait for the cluster, and a key that got out must not
		node.KeysReloaded(cfg.KeysFile)
		reloadSecret(options.Secret, cfg.SecretFile, log)
		reloadCertificates(certificates, log)
		file.reload(node, log)
	})
	defer stop()
	stopTelling = manager.run(ctx, supervisedNode(node, toItself(&cfg)))
	return node.Run(ctx)
}

// keeper is the replica package's Keeper as the edge knows it.
type keeper struct{ *replica.Keeper }

// Kept says what is kept where.
func (k keeper) Kept() edge.Kept {
	s := k.Stats()
	return edge.Kept{
		OutboxBytes: s.OutboxBytes, OutboxOldest: s.OutboxOldest, SnapshotAge: s.SnapshotAge, Notices: s.Notices, Incomplete: s.Restored.Incomplete,
		Replication: replication(s.Cluster),
	}
}

func replication(c *replica.ClusterStats) *edge.Replication {
	if c == nil {
		return nil
	}
	broker := "cluster"
	if c.Embedded {
		broker = "embedded"
	}
	return &edge.Replication{
		Broker: broker, Connected: c.Connected, Problem: c.Problem, BrokerStuck: c.Stuck, BrokerRestarts: c.Restarts, Fault: c.Fault, ClockAsked: c.ClockAsked, EpochAwaits: c.EpochAwaits, ClockServers: c.ClockServers, Degraded: !c.Connected && !(c.Events.Reached && c.Refusals.Reached),
		Events: edge.Stream(c.Events), Refusals: edge.Stream(c.Refusals), Lag: lagOf(&c.Lag),
		AppliedRecords: c.Records, SentMessages: c.Sent, Resent: c.Resent, Refused: c.Refused,
		ForeignBatches: c.Foreign, Unusable: c.Unusable, Ahead: c.Ahead, HoldMessages: c.HoldsSent, HoldsDropped: c.HoldsDropped,
	}
}

func lagOf(l *replica.Lag) *edge.Lag {
	lag := &edge.Lag{Counts: l.Counts[:], Sum: l.Sum.Seconds()}
	for _, bound := range replica.LagBounds {
		lag.Bounds = append(lag.Bounds, bound.Seconds())
	}
	return lag
}

// openKeeper opens what keeps the counters of a node past its process; nil under the
// requests' clock, where each replay begins anew.
func openKeeper(cfg *Config, secret identity.Secret, secretMade bool, disk *atrest.Disk, log *slog.Logger) (*keeper, error) {
	if cfg.RequestClock {
		return nil, nil
	}
	broker := brokerOptions(cfg, log)
	if len(cfg.NATS.URLs) == 0 {
		key, err := storeKey(cfg, disk)
		if err != nil {
			return nil, err
		}
		broker.StoreKey = key
	}
	k, err := replica.Open(replica.Options{
		Dir:           countersDir(cfg.Data),
		Fingerprint:   secret.Fingerprint(),
		Seals:         secret.Epochs().Seals(),
		SecretMade:    secretMade,
		RoutingSeed:   0, // one node has every partition
		SnapshotEvery: cfg.Snapshot.Every,
		Broker:        &broker,
		OpenFile:      keeperFiles(disk),
		Log:           log,
	})
	if err != nil {
		return nil, fmt.Errorf("open counters: %w", err)
	}
	return &keeper{k}, nil
}

// nodeOptions also says whether this start made the secret.
func nodeOptions(cfg *Config, log *slog.Logger) (o edge.Options, made bool, err error) {
	secret, made, err := identity.OpenSecret(cfg.SecretFile)
	if err != nil {
		return o, false, fmt.Errorf("open secret: %w", err)
	}
	if made {
		log.Info("made an identifier secret", "file", cfg.SecretFile, "fingerprint", secret.Fingerprint())
	}
	text, name, err := firstPolicy(cfg, log)
	if err != nil {
		return o, made, err
	}
	return edge.Options{
		Name:            cfg.Node,
		Listen:          cfg.Listen,
		AdminListen:     cfg.Admin.Listen,
		Dir:             cfg.Data,
		Secret:          secret,
		Caps:            caps.Options{Memory: int64(cfg.Caps.Memory), RefusalMemory: int64(cfg.Caps.Memory) / refusalShare},
		MaxRejected:     cfg.Lists.MaxRejected,
		MaxShrink:       cfg.Lists.MaxShrink,
		MaxUpload:       int64(cfg.Limits.Upload),
		UploadTime:      cfg.Limits.UploadTime,
		Connections:     cfg.Limits.Connections,
		Wait:            cfg.Limits.Wait,
		FirstPolicy:     text,
		FirstPolicyName: name,
		RequestClock:    cfg.RequestClock,
		MaxStale:        cfg.Ready.MaxStale,
		DrainWait:       cfg.Drain.Wait,
		Version:         programVersion(),
		Log:             log,
	}, made, nil
}

// firstPolicy is the policy of a node that has none yet: the configured file, or
// the built-in example where nobody named one and there is none.
func firstPolicy(cfg *Config, log *slog.Logger) (text []byte, name string, err error) {
	text, err = os.ReadFile(cfg.Policy)
	switch {
	case err == nil:
		return text, cfg.Policy, nil
	case errors.Is(err, fs.ErrNotExist) && !cfg.Given("policy"):
		if !hasPolicies(cfg.Data) {
			log.Warn("no policy file: using the built-in example, which is for trying out only", "looked_for", cfg.Policy)
		}
		return policy.Example, "built-in example", nil
	}
	return nil, "", wrongUse("read policy: %w; name another file with --policy, or leave it out for the built-in example", err)
}

func hasPolicies(data string) bool {
	names, err := filepath.Glob(filepath.Join(data, "policies", "*.json"))
	return err == nil && len(names) > 0
}

// policyFile is the file of the first policy.
type policyFile struct {
	path string
	// last is its text as it was read last and taken; the built-in example where there was none.
	last    []byte
	missing bool // there was none
}

// reload puts the file in force if it has changed since it was read last. One that has not
// says nothing new, while another policy may have been put in force since: who reloads
// a certificate or a key does not mean to take that back. A faulty file is logged,
// and the policy in force stays.
func (p *policyFile) reload(node *edge.Node, log *slog.Logger) {
	text, err := os.ReadFile(p.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && p.missing:
		return
	case err == nil && bytes.Equal(text, p.last):
		log.Info("policy file has not changed, the policy in force stays", "file", p.path)
		return
	case err == nil:
		err = node.PutPolicy(text, p.path)
	}
	if err != nil {
		log.Error("policy not reloaded, the one in force stays", "file", p.path, "error", err.Error())
		return
	}
	p.last, p.missing = text, false
}

// onHangup calls f for each SIGHUP until stop is called, which waits for it.
func onHangup(f func()) (stop func()) {
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range hangups {
			f()
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}

func newLog(w *os.File, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		panic("BUG: a log level that was not checked: " + level)
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}
