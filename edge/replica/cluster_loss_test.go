package replica

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"restraint/caps"
)

// joining are the options of join, changed.
func joining(t *testing.T, url string, change func(*Options)) Options {
	t.Helper()
	o := testOptions(t.TempDir())
	o.Broker = &BrokerOptions{Node: filepath.Base(o.Dir), URLs: []string{url}, Log: slog.New(slog.DiscardHandler)}
	o.BrokerSync = time.Millisecond
	begun := time.Now()
	o.Now = func() time.Time { return time.Unix(int64(testNow), 0).Add(time.Since(begun)) }
	if change != nil {
		change(&o)
	}
	return o
}

func streamWith(t *testing.T, url string, c jetstream.StreamConfig) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, _ := jetstream.New(nc)
	s, err := js.CreateStream(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return js, s
}

// agedStream makes a stream of events that has messages 10 to 20 of 20.
func agedStream(t *testing.T, url string) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	js, stream := streamWith(t, url, jetstream.StreamConfig{Name: eventsStream, Subjects: []string{eventsSubject + ".>"}})
	for range 20 {
		if _, err := js.Publish(t.Context(), eventsSubject+".0", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(10)); err != nil {
		t.Fatal(err)
	}
	return js, stream
}

// The broker's store is lost for good. What the outbox no longer has is in the nodes that were there, and in their copies: a node that comes
// new must get it, or not be ready.
func TestClusterFreshNodeAfterTheBrokerWasLost(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	url, port := b.ClientURL(), b.Addr().(*net.TCPAddr).Port
	r, keys, want := testRand(t), testKeys(60), newStore()
	k, s := opened(t, joining(t, url, func(o *Options) { o.OutboxBytes = 4 << 20 }))
	one := member{k, s}
	write := func(n int) {
		for range n {
			changes := randomChanges(r, keys, 40)
			record(t, one.Keeper, changes...)
			applyAll(t, want, changes)
		}
	}
	write(600)
	settled(t, one)
	pauseFor(1100*time.Millisecond, nil) // a mark a second
	for range 3 {
		write(1)
		settled(t, one)
		if err := one.snapshot(); err != nil {
			t.Fatal(err)
		}
	}
	if one.outbox.reaches(0) {
		t.Fatal("the test has no effect: the outbox has everything")
	}
	stopBroker(b)
	startBroker(t, t.TempDir(), port)
	until(t, "the loss is noticed", func() bool { return one.Stats().Notices > 0 })
	write(1)
	settled(t, one)
	if err := one.snapshot(); err != nil {
		t.Fatal(err)
	}
	kv, err := one.broker.keyValue(t.Context())
	if err == nil {
		err = one.cluster.copier.copy(t.Context(), kv) // as it does by itself within CopyEvery/8
	}
	if err != nil {
		t.Fatal(err)
	}
	fresh := join(t, t.TempDir(), url)
	settled(t, fresh)
	if !bytes.Equal(encoded(fresh.store, keys), encoded(want, keys)) {
		t.Errorf("ready (%+v) without what was acknowledged before the loss", fresh.Stats().Cluster.Refusals)
	}
	closed(t, fresh.Keeper)
	closed(t, one.Keeper)
}

// The broker does not answer for a moment while a node looks for the snapshot of another: that is no gap for ever.
func TestClusterFillIsTriedAgain(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	js, stream := agedStream(t, b.ClientURL())
	asked := 0
	f := follower{
		lostTouch: func() uint64 { return 0 }, js: js, stream: eventsStream, notices: &notices{log: slog.New(slog.DiscardHandler)}, lost: func() {}, apply: func(jetstream.Msg) error { return nil },
		peers: func(context.Context, string, func(StreamPosition) bool) (StreamPosition, bool, error) {
			if asked++; asked == 1 {
				return StreamPosition{}, false, context.DeadlineExceeded
			}
			return StreamPosition{Created: stream.CachedInfo().Created.UnixNano(), Next: 15}, true, nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.run(ctx) }()
	until(t, "all is read", func() bool { return f.stats().Next == 21 })
	cancel()
	<-done
	if gap := f.stats().Gap; gap != "" || asked < 2 {
		t.Errorf("asked %d times, gap %q", asked, gap)
	}
}

// The stream was made anew, has dropped its first messages, and a peer's snapshot reaches it: what this node's outbox has is still to be sent
// again.
func TestClusterAnotherStreamFilledIsSentAgain(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	js, stream := agedStream(t, b.ClientURL())
	again := false
	f := follower{
		lostTouch: func() uint64 { return 0 }, js: js, stream: eventsStream, notices: &notices{log: slog.New(slog.DiscardHandler)}, lost: func() { again = true },
		at: StreamPosition{Created: 1, Next: 500, Time: 1},
		peers: func(context.Context, string, func(StreamPosition) bool) (StreamPosition, bool, error) {
			return StreamPosition{Created: stream.CachedInfo().Created.UnixNano(), Next: 15}, true, nil
		},
	}
	if _, err := f.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !again {
		t.Error("the outbox is not sent again")
	}
}

// A message has gone from the middle of the stream (a damaged block, or a stream that dropped its first while this node was reading): that
// is a gap, as it is before the first.
func TestClusterJumpInTheStreamIsAGap(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	_, stream := streamWith(t, b.ClientURL(), jetstream.StreamConfig{Name: eventsStream, Subjects: []string{eventsSubject + ".>"}})
	one := join(t, t.TempDir(), b.ClientURL())
	for i := range 10 {
		record(t, one.Keeper, caps.Change{
			Kind: caps.ChangeExpose, Keys: testKeys(1), Now: testNow,
			Exposure: caps.Exposure{Identity: uint32(i + 1), At: testNow}, Scopes: []caps.Counted{{Scope: scope(1), Keep: 20}},
		})
		settled(t, one)
	}
	if err := stream.DeleteMsg(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	fresh := join(t, t.TempDir(), b.ClientURL())
	until(t, "all is read", func() bool { return fresh.Stats().Cluster.Events.Next == 11 })
	if bytes.Equal(encoded(fresh.store, testKeys(1)), encoded(one.store, testKeys(1))) {
		t.Fatal("the test has no effect")
	}
	if st := fresh.Stats().Cluster.Events; st.Gap == "" {
		t.Errorf("a message is missing, and nothing says so: %+v", st)
	}
	closed(t, fresh.Keeper)
	closed(t, one.Keeper)
}

// The stream of refusals is full. That must not fill the stream of events with the same messages again and again: it drops its oldest.
func TestClusterRefusedMessagesDoNotMultiplyOthers(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	_, _ = streamWith(t, b.ClientURL(), jetstream.StreamConfig{Name: refusalsStream, Subjects: []string{refusalsSubject + ".>"}, MaxBytes: 100, Discard: jetstream.DiscardNew})
	one := join(t, t.TempDir(), b.ClientURL())
	record(t, one.Keeper, caps.Change{Kind: caps.ChangeChoice, Keys: testKeys(1), Now: testNow, Field: 2, Stamp: testNow, Value: 1})
	keys := testKeys(60)
	var bytes int
	for i := range 40 {
		var changes []caps.Change
		for n := range 16 {
			changes = append(changes, caps.Change{
				Kind: caps.ChangeExpose, Keys: keys[:16], Now: testNow,
				Exposure: caps.Exposure{Identity: uint32(100*i + n), At: testNow}, Scopes: []caps.Counted{{Scope: scope(1), Keep: 20}},
			})
		}
		record(t, one.Keeper, changes...)
	}
	bytes = int(one.Stats().OutboxBytes)
	pauseFor(6*time.Second, nil)
	s, err := one.broker.readJS.Stream(t.Context(), eventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if stored := s.CachedInfo().State.Bytes; stored > 3*uint64(bytes) {
		t.Errorf("%d bytes of events were stored as %d within 6 s (%d messages)", bytes, stored, s.CachedInfo().State.Msgs)
	}
	closed(t, one.Keeper)
}

// A server takes only smaller messages: a batch is cut for it.
func TestClusterMessageTooLargeForTheServer(t *testing.T) {
	_, url := natsServer(t, func(o *server.Options) { o.MaxPayload = 100 << 10 })
	one := join(t, t.TempDir(), url)
	settled(t, one)
	keys := testKeys(60)
	batch := func(n int) (changes []caps.Change) {
		for i := range n {
			changes = append(changes, caps.Change{
				Kind: caps.ChangeExpose, Keys: keys[:16], Now: testNow,
				Exposure: caps.Exposure{Identity: uint32(1000*n + i), At: testNow}, Scopes: []caps.Counted{{Scope: scope(1), Keep: 20}},
			})
		}
		return changes
	}
	one.cluster.joined.Store(false) // so that both are on their way at once
	record(t, one.Keeper, batch(60)...)
	record(t, one.Keeper, batch(300)...)
	one.cluster.joined.Store(true)
	const records = 100
	for range records {
		record(t, one.Keeper, batch(1)...)
	}
	settled(t, one)
	s, err := one.broker.readJS.Stream(t.Context(), eventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if st, msgs := one.Stats(), s.CachedInfo().State.Msgs; st.Notices != 0 || msgs > 20+records {
		t.Errorf("%d messages for %d records; %d resent, %d refused, %d notices", msgs, records, st.Cluster.Resent, st.Cluster.Refused, st.Notices)
	}
	closed(t, one.Keeper)
}

// A refusal that this program cannot read (of a later version) must not be passed over in silence: after the update it is never read again.
func TestClusterUnreadableRefusal(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	one := join(t, t.TempDir(), b.ClientURL())
	settled(t, one)
	codec := one.codec
	choice := func(value uint32) []byte {
		enc, err := codec.AppendBatch(nil, []caps.Change{{Kind: caps.ChangeChoice, Keys: testKeys(1), Now: testNow, Field: 2 * uint64(value), Stamp: testNow, Value: value}})
		if err != nil {
			t.Fatal(err)
		}
		return enc
	}
	later := choice(1)
	later[4] = batchSealed + 1 // the version
	copy(later[24:28], []byte{0, 0, 0, 0})
	sum := batchChecksum(later)
	later[24], later[25], later[26], later[27] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
	if _, err := one.broker.publishJS.Publish(t.Context(), refusalsSubject+group, append(later, choice(2)...)); err != nil {
		t.Fatal(err)
	}
	until(t, "it is counted", func() bool { return one.Stats().Cluster.Unusable > 0 })
	pauseFor(50*time.Millisecond, nil)
	if st := one.Stats().Cluster.Refusals; st.Gap == "" && st.Next > 1 {
		t.Errorf("an opt-out was passed over, and nothing says so: %+v", st)
	}
	var p caps.Person
	one.store.Lock(&p, testKeys(1), testNow)
	if _, _, ok := p.Choice(4); !ok {
		t.Error("a batch that can be read, in the same message, is lost too")
	}
	p.Unlock()
	closed(t, one.Keeper)
}

// A target that was seen in a stream which is gone does not keep a node unready.
func TestClusterReachedAfterAnotherStream(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	js, _ := streamWith(t, b.ClientURL(), jetstream.StreamConfig{Name: eventsStream, Subjects: []string{eventsSubject + ".>"}})
	f := follower{
		lostTouch: func() uint64 { return 0 }, js: js, stream: eventsStream, notices: &notices{log: slog.New(slog.DiscardHandler)}, lost: func() {},
		at: StreamPosition{Created: 1, Next: 50, Time: 1}, peers: func(context.Context, string, func(StreamPosition) bool) (StreamPosition, bool, error) {
			return StreamPosition{}, false, nil
		},
	}
	f.target(1000) // the stream that was lost while this node caught up
	if _, err := f.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := f.stats(); !st.Reached {
		t.Errorf("nothing is left to read, and it is not reached: %+v", st)
	}
}
