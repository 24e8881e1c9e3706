package replica

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What a change of a shared document is refused by.
var (
	// ErrConflict says that the document has another revision than the one to be replaced.
	ErrConflict = errors.New("another node was faster")
	// ErrAway says that no server answered, or that there is no bucket. The change may have been made where only the answer was lost.
	ErrAway = errors.New("NATS cannot be reached")
)

// sharedEvery is how often the bucket is looked at for changes where nothing else is said. Chosen: a look costs a server about 90 us.
const sharedEvery = 500 * time.Millisecond

// Shared keeps the documents that the nodes of a cluster have in common in a key-value bucket of JetStream, in the library's own form, one
// key each; a revision is a sequence of the bucket's stream. All methods may be called from any goroutine.
//
// It asks the leader of the stream for everything: what the library reads of a bucket may come from a server that lags behind, and its
// watches can stop without a word when a server or the bucket is replaced.
type Shared struct {
	js     jetstream.JetStream
	stream string
	prefix string // of subjects
	every  time.Duration
}

// newShared makes no call. every is the time between two looks, 0 for the default. The bucket may be missing for now.
func newShared(js jetstream.JetStream, bucket string, every time.Duration) *Shared {
	if every == 0 {
		every = sharedEvery
	}
	return &Shared{js: js, stream: "KV_" + bucket, prefix: "$KV." + bucket + ".", every: every}
}

// entry is a key of the bucket as its leader has it.
type entry struct {
	name     string
	document []byte
	revision uint64
	at       time.Time // with the revision, which comes twice in a bucket that lost its end
	deleted  bool      // a mark that the key was deleted
}

// Put replaces the document where its revision is still the given one (0: there is none) and returns the new revision. Errors: ErrConflict,
// ErrAway, nats.ErrMaxPayload for a document over the servers' limit, or what the servers refuse it by, as for want of room.
func (s *Shared) Put(ctx context.Context, name string, document []byte, revision uint64) (uint64, error) {
	stored, err := s.put(ctx, name, document, revision)
	if err == nil {
		return stored, nil
	}
	if !errors.Is(err, ErrAway) && (revision != 0 || !errors.Is(err, ErrConflict)) {
		return 0, fmt.Errorf("put %s: %w", name, err)
	}
	// The answer may have been lost, and a deleted key is none with a revision.
	have, e := s.get(ctx, name)
	switch {
	case e != nil && !errors.Is(e, errNoEntry):
	case e == nil && errors.Is(err, ErrAway) && have.revision > revision && string(have.document) == string(document):
		return have.revision, nil
	case e == nil && errors.Is(err, ErrConflict) && have.deleted:
		if stored, err = s.put(ctx, name, document, have.revision); err == nil {
			return stored, nil
		}
	}
	return 0, fmt.Errorf("put %s: %w", name, err)
}

func (s *Shared) put(ctx context.Context, name string, document []byte, revision uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	ack, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: s.prefix + name, Data: document, Header: nats.Header{}},
		jetstream.WithExpectStream(s.stream), jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, sharedError(err)
	}
	return ack.Sequence, nil
}

// sharedError says which kind of error of the library err is.
func sharedError(err error) error {
	switch code := apiCode(err); {
	case code == jetstream.JSErrCodeStreamWrongLastSequence, code == jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case code != 0 && code != jetstream.JSErrCodeStreamNotFound, errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject):
		return err
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

var errNoEntry = errors.New("there is no such key")

// get reads a key from the leader; errNoEntry where it was never put. Other errors are all of ErrAway's kind.
func (s *Shared) get(ctx context.Context, name string) (e entry, err error) {
	m, err := lastMessage(ctx, s.js, s.stream, s.prefix+name)
	if err != nil {
		return e, err
	}
	// KV-Operation is DEL or PURGE; Nats-Marker-Reason stands where a time to live ended.
	deleted := m.header.Get("KV-Operation") != "" || m.header.Get(jetstream.MarkerReasonHeader) != ""
	return entry{name: name, document: m.data, revision: m.sequence, at: m.at, deleted: deleted}, nil
}

// stored is a message of a stream.
type stored struct {
	sequence uint64
	header   nats.Header
	data     []byte // not nil
	at       time.Time
}

// lastMessage asks the leader for the last message of a subject; errNoEntry where there is none. Other errors are all of ErrAway's kind.
func lastMessage(ctx context.Context, js jetstream.JetStream, stream, subject string) (s stored, err error) {
	ctx, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	ask, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return s, err
	}
	answer, err := js.Conn().RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+stream, ask)
	if err != nil {
		return s, sharedError(err)
	}
	var got struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(answer.Data, &got); {
	case err != nil:
		return s, fmt.Errorf("%w: read answer: %w", ErrAway, err)
	case got.Error != nil && got.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return s, errNoEntry
	case got.Error != nil:
		return s, sharedError(got.Error)
	case got.Message == nil:
		return s, fmt.Errorf("%w: an answer without a message", ErrAway)
	}
	m := got.Message
	s = stored{sequence: m.Sequence, data: append([]byte{}, m.Data...), at: m.Time}
	if len(m.Header) > 0 {
		if s.header, err = nats.DecodeHeadersMsg(m.Header); err != nil {
			return s, fmt.Errorf("%w: read headers: %w", ErrAway, err)
		}
	}
	return s, nil
}

// List calls each with every document whose name begins with prefix, in order of revision, as the leader has them now. Errors: ErrAway.
func (s *Shared) List(ctx context.Context, prefix string, each func(name string, document []byte, revision uint64)) error {
	stream, _, err := s.look(ctx)
	if err != nil {
		return sharedError(err)
	}
	entries, err := s.list(ctx, stream, prefix)
	if err != nil {
		return err
	}
	for i := range entries {
		each(entries[i].name, entries[i].document, entries[i].revision)
	}
	return nil
}

// Follow calls changed with the newest state of each document whose name begins with prefix, at first and after each change, in order of
// revision, from this goroutine, until ctx ends. A document that is there no more is nil, with revision 0. It may leave out states in
// between, and tells all of them again where the bucket was made anew. While no server answers it tells nothing.
func (s *Shared) Follow(ctx context.Context, prefix string, changed func(name string, document []byte, revision uint64)) {
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	var seen bucketState
	told := map[string]entry{} // without documents
	for {
		if stream, now, err := s.look(ctx); err == nil && now != seen && s.tell(ctx, stream, prefix, told, changed) {
			seen = now // as it was before the keys were read: what changed since is looked at again
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// bucketState differs whenever a bucket was changed, made anew, or lost its end and has grown again.
type bucketState struct {
	created, last time.Time
	sequence      uint64
	messages      uint64
}

func (s *Shared) look(ctx context.Context) (stream jetstream.Stream, now bucketState, err error) {
	ctx, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	if stream, err = s.js.Stream(ctx, s.stream); err != nil {
		return nil, now, err
	}
	i := stream.CachedInfo()
	return stream, bucketState{created: i.Created, last: i.State.LastTime, sequence: i.State.LastSeq, messages: i.State.Msgs}, nil
}

// tell tells what differs from what was told; false where not all could be read.
func (s *Shared) tell(ctx context.Context, stream jetstream.Stream, prefix string, told map[string]entry, changed func(string, []byte, uint64)) bool {
	entries, err := s.list(ctx, stream, prefix)
	if err != nil {
		return false
	}
	there := make(map[string]bool, len(entries))
	for i := range entries {
		there[entries[i].name] = true
	}
	for name := range told {
		if !there[name] {
			delete(told, name)
			changed(name, nil, 0)
		}
	}
	for i := range entries {
		e := &entries[i]
		if last, ok := told[e.name]; ok && last.revision == e.revision && last.at.Equal(e.at) {
			continue
		}
		told[e.name] = entry{revision: e.revision, at: e.at}
		changed(e.name, e.document, e.revision)
	}
	return ctx.Err() == nil
}

// list reads the documents, sorted by revision, without those deleted.
func (s *Shared) list(ctx context.Context, stream jetstream.Stream, prefix string) (entries []entry, err error) {
	asking, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	info, err := stream.Info(asking, jetstream.WithSubjectFilter(s.prefix+">"))
	if err != nil {
		return nil, sharedError(err)
	}
	for subject := range info.State.Subjects {
		name, ok := strings.CutPrefix(subject, s.prefix)
		if !ok || !strings.HasPrefix(name, prefix) {
			continue
		}
		switch e, err := s.get(ctx, name); {
		case errors.Is(err, errNoEntry): // gone since
		case err != nil:
			return nil, err
		case !e.deleted:
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.revision, b.revision) })
	return entries, nil
}

// Shared are the documents of the cluster; nil where the broker is embedded, or there is none. They can be put once Restore has let this node in, and are not to be used
// after Close.
func (k *Keeper) Shared() *Shared {
	if k.broker == nil || k.broker.embedded != nil {
		return nil
	}
	return newShared(k.broker.readJS, kvBucket, 0)
}
