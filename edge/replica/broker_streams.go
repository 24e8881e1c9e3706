package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// What the cluster keeps, by name. Subjects below those of a stream are its routing groups.
const (
	eventsStream    = "RESTRAINT_EVENTS"
	eventsSubject   = "restraint.events"
	refusalsStream  = "RESTRAINT_REFUSALS"
	refusalsSubject = "restraint.refusals"
	listsSubject    = refusalsSubject + ".lists" // see Lists
	kvBucket        = "restraint"                // what nodes look at for changes
	membersBucket   = "restraint-members"        // what changes all the time
	snapshotsBucket = "restraint-snapshots"

	// defaultMaxAge is how long events are kept. Chosen: a long weekend.
	defaultMaxAge = 72 * time.Hour
)

// ErrStream says that a stream of another use, or with other settings, has the name or the subjects of one of ours.
var ErrStream = errors.New("a stream is in the way")

// Shares of MaxStore, in 32nds. One is left over: a server whose store is full refuses every message of every stream.
const (
	eventsShare    = 8
	refusalsShare  = 8
	snapshotsShare = 13
	kvShare        = 1 // each of the two
)

func (o *BrokerOptions) share(n int64) int64 { return o.MaxStore / 32 * n }

// ensure makes the streams and buckets that are missing. Several nodes may do so at once. It changes none that is there, and returns an
// error that wraps ErrStream where one has settings under which changes would be lost. Every other error may pass: call it again.
func (b *broker) ensure(ctx context.Context) error {
	o := &b.options
	for _, want := range []jetstream.StreamConfig{
		{
			// A full stream drops its oldest: they are for nodes that come late, and new ones must not wait for them.
			Name: eventsStream, Subjects: []string{eventsSubject + ".>"}, Discard: jetstream.DiscardOld, MaxAge: o.MaxAge,
			MaxBytes: o.share(eventsShare), Description: "changes to exposures",
		},
		{
			// A full stream refuses: what it holds is there for good.
			Name: refusalsStream, Subjects: []string{refusalsSubject + ".>"}, Discard: jetstream.DiscardNew,
			MaxBytes: o.share(refusalsShare), Description: "preferences, hides, erasures, list changes",
		},
	} {
		want.Retention, want.Storage, want.Replicas = jetstream.LimitsPolicy, jetstream.FileStorage, o.Replicas
		want.MaxMsgs, want.MaxMsgsPerSubject, want.MaxConsumers, want.MaxMsgSize = -1, -1, -1, -1
		want.Duplicates = 100 * time.Millisecond // the least: every change is a merge, so nothing is deduplicated
		want.AllowDirect, want.DenyDelete, want.DenyPurge = true, true, true
		create := func(ctx context.Context) error {
			_, err := b.readJS.CreateStream(ctx, want)
			return err
		}
		if err := b.ensureStream(ctx, want, create); err != nil {
			return err
		}
	}
	for bucket, what := range map[string]string{kvBucket: "policy and manifests", membersBucket: "secret, members, clock"} {
		if err := b.ensureBucket(ctx, bucket, what); err != nil {
			return err
		}
	}
	objects := "$O." + snapshotsBucket
	return b.ensureStream(ctx, jetstream.StreamConfig{Name: "OBJ_" + snapshotsBucket, Subjects: []string{objects + ".C.>", objects + ".M.>"}, Discard: jetstream.DiscardNew},
		func(ctx context.Context) error {
			_, err := b.readJS.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
				Bucket: snapshotsBucket, Description: "snapshots and list generations", MaxBytes: o.share(snapshotsShare),
				Storage: jetstream.FileStorage, Replicas: o.Replicas,
			})
			return err
		})
}

func (b *broker) ensureBucket(ctx context.Context, bucket, what string) error {
	o := &b.options
	return b.ensureStream(ctx, jetstream.StreamConfig{Name: "KV_" + bucket, Subjects: []string{"$KV." + bucket + ".>"}, Discard: jetstream.DiscardNew},
		func(ctx context.Context) error {
			_, err := b.readJS.CreateKeyValue(ctx, jetstream.KeyValueConfig{
				Bucket: bucket, Description: what, History: 1, MaxBytes: o.share(kvShare), Storage: jetstream.FileStorage, Replicas: o.Replicas,
			})
			return err
		})
}

// ensureStream makes the stream where there is none, and looks at the one that is there.
func (b *broker) ensureStream(ctx context.Context, want jetstream.StreamConfig, create func(context.Context) error) error {
	have, err := b.streamConfig(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		creating, cancel := context.WithTimeout(ctx, createTimeout)
		err = create(creating)
		cancel()
		switch code := apiCode(err); {
		case err == nil:
			b.log.Info("made a stream", "stream", want.Name, "replicas", b.options.Replicas, "bytes", want.MaxBytes)
			return nil
		case code == jetstream.JSErrCodeStreamNameInUse: // another node was first
			have, err = b.streamConfig(ctx, want.Name)
		case code == codeSubjectsOverlap:
			return fmt.Errorf("%w: make stream %s: another stream has a part of its subjects %q: remove that one, or use another account of NATS", ErrStream, want.Name, want.Subjects)
		case code == codeNoStorage:
			return fmt.Errorf("make stream %s: %w: it reserves up to %d bytes: raise max_file_store of the servers", want.Name, err, want.MaxBytes)
		}
	}
	if err != nil {
		return fmt.Errorf("make stream %s: %w", want.Name, err)
	}
	return checkStream(have, &want)
}

// Codes of the JetStream API that the library has no name for.
const (
	codeSubjectsOverlap = 10065
	codeNoStorage       = 10047
)

func apiCode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

func (b *broker) streamConfig(ctx context.Context, name string) (*jetstream.StreamConfig, error) {
	asking, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	s, err := b.readJS.Stream(asking, name)
	if err != nil {
		return nil, err
	}
	return &s.CachedInfo().Config, nil
}

// checkStream looks for what would lose changes. Sizes, ages and replicas are the operator's to change.
func checkStream(have, want *jetstream.StreamConfig) error {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	subjects := slices.Clone(have.Subjects)
	slices.Sort(subjects)
	if !slices.Equal(subjects, want.Subjects) {
		fault("subjects %q, not %q", have.Subjects, want.Subjects)
	}
	if have.Retention != jetstream.LimitsPolicy {
		fault("retention %s, not limits", have.Retention)
	}
	if want.Discard == jetstream.DiscardNew && have.Discard != jetstream.DiscardNew {
		fault("discard %s, not new", have.Discard)
	}
	if want.MaxAge == 0 && have.MaxAge != 0 {
		fault("maximum age %s, not none", have.MaxAge)
	}
	if want.MaxMsgsPerSubject < 0 && (have.MaxMsgs > 0 || have.MaxMsgsPerSubject > 0) {
		fault("a limit of messages (%d, %d for each subject), not none", have.MaxMsgs, have.MaxMsgsPerSubject)
	}
	if have.Mirror != nil || len(have.Sources) > 0 || have.Sealed || have.NoAck {
		fault("a mirror, sources, sealed or without acknowledgement")
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s has %s: correct it, or remove it and it is made anew", ErrStream, have.Name, strings.Join(faults, "; "))
}

// keyValue is the bucket of policy and manifests. jetstream.ErrBucketNotFound: call ensure.
func (b *broker) keyValue(ctx context.Context) (jetstream.KeyValue, error) {
	return b.bucket(ctx, kvBucket)
}

// members is the bucket of the secret's fingerprint and the members. jetstream.ErrBucketNotFound: call ensure.
func (b *broker) members(ctx context.Context) (jetstream.KeyValue, error) {
	return b.bucket(ctx, membersBucket)
}

func (b *broker) bucket(ctx context.Context, name string) (jetstream.KeyValue, error) {
	asking, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	return b.readJS.KeyValue(asking, name)
}

// snapshots is the bucket of snapshots and list generations. jetstream.ErrBucketNotFound: call ensure.
func (b *broker) snapshots(ctx context.Context) (jetstream.ObjectStore, error) {
	asking, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	return b.readJS.ObjectStore(asking, snapshotsBucket)
}
