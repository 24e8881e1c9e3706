package replica

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Lists carries what the nodes of a cluster tell one another of suppression lists, but for the documents that say which upload is in use:
// those are Shared. It knows nothing of what is in a message or in a file. All methods may be called from any goroutine.
//
// Messages go through the stream of refusals, which has no age limit, under a subject of their own. Each has a number in its header that
// orders it among all others, for good: the later of the milliseconds since 1970 and one more than the number of the message before. The
// server takes a message only where the one before it is still the last, so numbers ascend in the stream. They go on where the stream is
// made anew or loses its end, other than its own sequences, so what is published then counts as later than what was lost.
//
// Messages that are heard on the subject itself are not for use: the server may refuse what it has passed on.
type Lists struct {
	keeper   *Keeper
	objects  string // prefix of the names of files
	follower atomic.Pointer[follower]
}

// Lists are those of the cluster; nil where the broker is embedded, or there is none. Not to be used before Restore or after Close.
func (k *Keeper) Lists() *Lists {
	if k.broker == nil || k.broker.embedded != nil {
		return nil
	}
	return &Lists{keeper: k, objects: "list-"}
}

const (
	// headerNumber is the number of a message, headerID what makes it known again.
	headerNumber = "Restraint-Number"
	headerID     = "Restraint-Id"
	// listsAck is how long one attempt to publish waits, listsAway for how long NATS may be away before there is no other: a connection that
	// was cut is there again in less. Chosen.
	listsAck  = 2 * time.Second
	listsAway = 2 * time.Second
	// listsRaces is how often another node may be faster. Chosen.
	listsRaces = 100
)

// Publish has the cluster take a message and returns its number, which is above the given one. Errors: ErrAway, after which the message
// may be in the stream all the same; ErrConflict where other nodes were faster again and again; what the servers refuse it by, as for
// want of room. The message is not kept.
func (l *Lists) Publish(ctx context.Context, message []byte, above uint64) (uint64, error) {
	id := rand.Text()
	begun, races := time.Now(), 0
	for {
		number, err := l.publish(ctx, id, message, above)
		switch {
		case err == nil:
			return number, nil
		case ctx.Err() != nil:
		case errors.Is(err, ErrAway):
			if time.Since(begun) > listsAway {
				races = listsRaces
			}
		case errors.Is(err, ErrConflict):
			races++
		default:
			return 0, fmt.Errorf("publish change of lists: %w", err)
		}
		if ctx.Err() != nil || races >= listsRaces {
			return 0, fmt.Errorf("publish change of lists: %w", err)
		}
		pauseFor(retryLeast, ctx.Done())
	}
}

// publish tries once. The answer to an earlier try may have been lost.
func (l *Lists) publish(ctx context.Context, id string, message []byte, above uint64) (uint64, error) {
	if c := l.keeper.cluster; c == nil || !c.joined.Load() {
		return 0, fmt.Errorf("%w: this node is not in the cluster yet", ErrAway)
	}
	js := l.keeper.broker.readJS
	last, err := lastMessage(ctx, js, refusalsStream, listsSubject)
	if err != nil && !errors.Is(err, errNoEntry) {
		return 0, err
	}
	before := uint64(0)
	if err == nil {
		if before, err = numberOf(last.header); err != nil {
			return 0, err
		}
		if last.header.Get(headerID) == id {
			return before, nil
		}
	}
	number := max(above+1, before+1, uint64(l.keeper.options.Now().UnixMilli()))
	ctx, cancel := context.WithTimeout(ctx, listsAck)
	defer cancel()
	_, err = js.PublishMsg(ctx, &nats.Msg{
		Subject: listsSubject, Data: message, Header: nats.Header{headerNumber: {strconv.FormatUint(number, 10)}, headerID: {id}},
	}, jetstream.WithExpectStream(refusalsStream), jetstream.WithExpectLastSequencePerSubject(last.sequence), jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, sharedError(err)
	}
	return number, nil
}

// maxListNumber bounds numbers: half of what 64 bits hold, some hundred million years.
const maxListNumber = 1 << 62

var errListNumber = errors.New("a message of lists without a number")

func numberOf(h nats.Header) (uint64, error) {
	n, err := strconv.ParseUint(h.Get(headerNumber), 10, 64)
	if err != nil || n == 0 || n >= maxListNumber {
		return 0, fmt.Errorf("%w: %q", errListNumber, h.Get(headerNumber))
	}
	return n, nil
}

// Read gives the messages in their order, all that there are when it is called, to yield, and stops with its first error. Errors: ErrAway.
// The message is not to be kept.
func (l *Lists) Read(ctx context.Context, yield func(number uint64, message []byte) error) error {
	js := l.keeper.broker.readJS
	last, err := lastMessage(ctx, js, refusalsStream, listsSubject)
	if errors.Is(err, errNoEntry) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read changes of lists: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	c, err := js.CreateConsumer(asking, refusalsStream, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy, FilterSubject: listsSubject,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: 30 * time.Second, MaxDeliver: 1,
	})
	if err != nil {
		return fmt.Errorf("read changes of lists: %w", sharedError(err))
	}
	for delivered := uint64(0); ; {
		batch, err := c.FetchBytes(pullBytes, jetstream.FetchMaxWait(listsAck))
		if err != nil {
			return fmt.Errorf("read changes of lists: %w", sharedError(err))
		}
		before := delivered
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil || meta.Sequence.Consumer != delivered+1 {
				return fmt.Errorf("read changes of lists: %w: %w", ErrAway, errJump)
			}
			delivered++
			if number, err := numberOf(nats.Header(m.Headers())); err == nil {
				if err := yield(number, m.Data()); err != nil {
					return err
				}
			}
			if meta.Sequence.Stream >= last.sequence {
				return nil
			}
		}
		if delivered == before {
			return fmt.Errorf("read changes of lists: %w: %w", ErrAway, errNoAck)
		}
	}
}

// Put puts a file of size bytes into the object store. A name is used once, by one node.
func (l *Lists) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	objects, err := l.keeper.broker.snapshots(ctx)
	if err == nil {
		err = putParts(ctx, objects, l.objects+name, r, size)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", name, sharedError(err))
	}
	return nil
}

// Get reads a file of the object store. The reader is to be closed, and lives within the call that has ctx.
func (l *Lists) Get(ctx context.Context, name string, size int64) (io.ReadCloser, error) {
	objects, err := l.keeper.broker.snapshots(ctx)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", name, sharedError(err))
	}
	return getParts(ctx, objects, l.objects+name, size), nil
}

// keptObjects is how long a file that is in use no more may still be read, or one that was put is on its way into use. Chosen.
const keptObjects = time.Hour

// Sweep deletes the files that are not in use and to which nothing was put for an hour.
func (l *Lists) Sweep(ctx context.Context, used func(name string) bool) error {
	return l.sweep(ctx, used, keptObjects)
}

func (l *Lists) sweep(ctx context.Context, used func(name string) bool, kept time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, partWithin)
	defer cancel()
	objects, err := l.keeper.broker.snapshots(ctx)
	if err != nil {
		return fmt.Errorf("sweep files of lists: %w", sharedError(err))
	}
	infos, err := objects.List(ctx)
	if err = ignore(err, jetstream.ErrNoObjectsFound); err != nil {
		return fmt.Errorf("sweep files of lists: %w", err)
	}
	parts, newest := map[string][]string{}, map[string]time.Time{}
	for _, info := range infos {
		name, ours := strings.CutPrefix(info.Name, l.objects)
		i := strings.LastIndexByte(name, '.')
		if !ours || i < 0 || info.Deleted {
			continue
		}
		file := name[:i]
		parts[file] = append(parts[file], info.Name)
		if info.ModTime.After(newest[file]) {
			newest[file] = info.ModTime
		}
	}
	for file, names := range parts {
		if used(file) || time.Since(newest[file]) < kept {
			continue
		}
		for _, name := range names {
			if err := objects.Delete(ctx, name); err != nil {
				return fmt.Errorf("sweep files of lists: %w", err)
			}
		}
	}
	return nil
}
