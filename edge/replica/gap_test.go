package replica

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"restraint/caps"
)

// gapped is a node that was down while messages went which no copy has, and the one that has them all.
type gapped struct {
	url, dir string
	one      member // has the gap
	whole    member
}

// rejoin opens the node again, after kill -9.
func (g *gapped) rejoin(t *testing.T, accept ...string) {
	t.Helper()
	crash(g.one.Keeper)
	k, s := opened(t, joining(t, g.url, func(o *Options) {
		o.Dir, o.Broker.Node, o.Broker.AcceptGaps = g.dir, filepath.Base(g.dir), accept
	}))
	g.one = member{k, s}
	until(t, "what is left of the stream is read", func() bool { return g.one.Stats().Cluster.Events.Reached })
}

// keep takes a snapshot, so that what is read is not read again.
func (g *gapped) keep(t *testing.T) {
	t.Helper()
	before := g.one.written
	g.one.since.Add(1)
	if err := g.one.snapshot(); err != nil || g.one.written == before {
		t.Fatalf("no snapshot: %v", err)
	}
}

// looked waits until the node has looked for a mend some times.
func (g *gapped) looked(t *testing.T) StreamStats {
	t.Helper()
	pauseFor(2*lookEvery+lookEvery/2, nil)
	return g.one.Stats().Cluster.Events
}

func exposed(i int) caps.Change {
	return caps.Change{
		Kind: caps.ChangeExpose, Keys: testKeys(1), Now: testNow,
		Exposure: caps.Exposure{Identity: uint32(i + 1), At: testNow}, Scopes: []caps.Counted{{Scope: scope(1), Keep: 200}},
	}
}

func newGapped(t *testing.T) *gapped {
	t.Helper()
	b := startBroker(t, t.TempDir(), 0)
	g := &gapped{url: b.ClientURL(), dir: t.TempDir()}
	_, stream := streamWith(t, g.url, jetstream.StreamConfig{Name: eventsStream, Subjects: []string{eventsSubject + ".>"}})
	g.one, g.whole = join(t, g.dir, g.url), join(t, t.TempDir(), g.url)
	write := func(from, to int) {
		for i := from; i < to; i++ {
			record(t, g.whole.Keeper, exposed(i))
			settled(t, g.whole)
		}
	}
	write(0, 5)
	settled(t, g.one)
	g.keep(t)
	crash(g.one.Keeper)
	write(5, 15)
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(12)); err != nil {
		t.Fatal(err)
	}
	g.one = join(t, g.dir, g.url)
	until(t, "the gap is noticed", func() bool { return g.one.Stats().Cluster.Events.Gap != "" })
	until(t, "what is left of the stream is read", func() bool { return g.one.Stats().Cluster.Events.Reached })
	return g
}

// What had gone from the stream before it was read is missing after a restart too, though the position is past it then.
func TestGapOutlivesRestart(t *testing.T) {
	g := newGapped(t)
	first := g.one.Stats().Cluster.Events
	if first.Next != 16 || !strings.Contains(first.Gap, "messages 6 to 11") {
		t.Fatalf("%+v", first)
	}
	for range 2 {
		g.keep(t)
		g.rejoin(t)
		st := g.looked(t)
		if st.Gap != first.Gap || st.GapName != first.GapName || st.Next != 16 || g.one.cluster.whole() {
			t.Fatalf("after a restart: %+v, was %+v", st, first)
		}
	}

	// A copy of a node that has a gap is of no use to others, and is not made.
	kv, err := g.one.broker.keyValue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g.keep(t)
	if err := g.one.cluster.copier.copy(t.Context(), kv); err != nil {
		t.Fatal(err)
	}
	if copies, err := manifests(t.Context(), kv); err != nil || len(copies) != 0 {
		t.Fatalf("%d copies, %v", len(copies), err)
	}

	// The copy of one that has all mends it, for good.
	if err := g.whole.snapshot(); err != nil {
		t.Fatal(err)
	}
	if err := g.whole.cluster.copier.copy(t.Context(), kv); err != nil {
		t.Fatal(err)
	}
	until(t, "it is mended", func() bool { return g.one.cluster.whole() })
	wantSame(t, g.one.store, g.whole.store, testKeys(1))
	before := g.one.written
	if err := g.one.snapshot(); err != nil || g.one.written == before {
		t.Errorf("nothing else has changed, and that it is mended is not kept: %v", err)
	}
	g.rejoin(t)
	if st := g.looked(t); st.Gap != "" || st.GapsAccepted != 0 {
		t.Errorf("mended, and after a restart: %+v", st)
	}
	wantSame(t, g.one.store, g.whole.store, testKeys(1))
	closed(t, g.one.Keeper)
	closed(t, g.whole.Keeper)
}

// Where no node has what is missing, it is gone on without when the configuration names just that gap, and no other.
func TestGapAccepted(t *testing.T) {
	g := newGapped(t)
	name := g.one.Stats().Cluster.Events.GapName
	g.keep(t)
	made := name[strings.LastIndexByte(name, '/')+1:]
	g.rejoin(t, refusalsStream+"/6-11/"+made, eventsStream+"/6-10/"+made, eventsStream+"/6-12/"+made, eventsStream+"/6-11/"+made+"1")
	if st := g.looked(t); st.Gap == "" || st.GapsAccepted != 0 {
		t.Fatalf("another gap was accepted: %+v", st)
	}
	g.rejoin(t, "RESTRAINT_EVENTS/1-2/1795306468", name)
	until(t, "it is accepted", func() bool { return g.one.cluster.whole() })
	if st := g.one.Stats(); st.Cluster.Events.GapsAccepted != 1 || st.Notices == 0 {
		t.Errorf("%+v", st)
	}
	g.keep(t)
	g.rejoin(t) // the line in the configuration is not needed any more
	if st := g.looked(t); st.Gap != "" || st.GapsAccepted != 0 {
		t.Errorf("accepted, and after a restart: %+v", st)
	}
	closed(t, g.one.Keeper)
	closed(t, g.whole.Keeper)
}

// A gap of a stream that was made anew since is not forgotten with it.
func TestGapOfAnEarlierStream(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	js, stream := streamWith(t, b.ClientURL(), jetstream.StreamConfig{Name: eventsStream, Subjects: []string{eventsSubject + ".>"}})
	made := stream.CachedInfo().Created
	copied := StreamPosition{}
	f := follower{
		lostTouch: func() uint64 { return 0 }, js: js, stream: eventsStream, notices: &notices{log: testLog}, lost: func() {},
		at: StreamPosition{Created: 1, Next: 50, Time: 1, Missed: 6, Hole: 12},
		peers: func(_ context.Context, _ string, enough func(StreamPosition) bool) (StreamPosition, bool, error) {
			return copied, enough(copied), nil
		},
	}
	begin := func() {
		t.Helper()
		if _, err := f.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.mend(t.Context(), info)
	}
	begin()
	if st := f.stats(); !strings.Contains(st.Gap, "earlier stream") || !gapNames.MatchString(st.GapName) {
		t.Fatalf("%+v", st)
	}
	if _, err := js.Publish(t.Context(), eventsSubject+".0", nil); err != nil {
		t.Fatal(err)
	}
	copied = StreamPosition{Created: made.UnixNano(), Next: 2, Missed: 1, Hole: 1} // of a node that has the same gap
	begin()
	if f.stats().Gap == "" {
		t.Error("mended by a copy in which something is missing")
	}
	copied.Missed, copied.Hole = 0, 0
	begin()
	if st := f.stats(); st.Gap != "" {
		t.Errorf("%+v", st)
	}
}

// A name that is none is refused, and says where one is found.
func TestGapNames(t *testing.T) {
	for _, name := range []string{"", "RESTRAINT_EVENTS", "RESTRAINT_EVENTS/1-9", "events/1-9/5", "RESTRAINT_EVENTS/0-9/5", "RESTRAINT_EVENTS/1-9/5/6", "*"} {
		_, err := openBroker(BrokerOptions{URLs: []string{"nats://127.0.0.1:1"}, AcceptGaps: []string{name}})
		if !errors.Is(err, ErrBrokerOptions) || !strings.Contains(err.Error(), "ready.accept_gap") || !strings.Contains(err.Error(), "/readyz") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, p := range []StreamPosition{{Created: time.Now().UnixNano(), Missed: 1, Hole: 2}, {Created: time.Now().UnixNano(), Missed: 1, Hole: 1}} {
		if name := gapName(refusalsStream, p); !gapNames.MatchString(name) {
			t.Errorf("%q cannot be written", name)
		}
	}
}

// The stream of an embedded server has what this node recorded. Where the server lost its end, and age had taken its beginning, nothing that
// this node did not know has gone.
func TestNoGapInOwnStream(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	js, stream := streamWith(t, b.ClientURL(), jetstream.StreamConfig{Name: eventsStream, Subjects: []string{eventsSubject + ".>"}})
	for range 15 {
		if _, err := js.Publish(t.Context(), eventsSubject+".0", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(12)); err != nil {
		t.Fatal(err)
	}
	for name, own := range map[string]bool{"own": true, "shared": false} {
		sentAgain := 0
		f := follower{
			lostTouch: func() uint64 { return 0 }, js: js, stream: eventsStream, notices: &notices{log: testLog}, lost: func() { sentAgain++ }, own: own,
			at: StreamPosition{Created: stream.CachedInfo().Created.UnixNano(), Next: 50, Time: 1},
			peers: func(context.Context, string, func(StreamPosition) bool) (StreamPosition, bool, error) {
				return StreamPosition{}, false, nil
			},
		}
		from, err := f.begin(t.Context())
		if err != nil || from != 12 || sentAgain != 1 {
			t.Fatalf("%s: from %d, sent again %d times, %v", name, from, sentAgain, err)
		}
		if st := f.stats(); (st.Gap != "") == own {
			t.Errorf("%s: %+v", name, st)
		}
	}
}

// Why a node waits for the snapshot of another is said, once for each reason.
func TestWaitingForACopyIsSaid(t *testing.T) {
	b := startBroker(t, t.TempDir(), 0)
	js, _ := agedStream(t, b.ClientURL())
	var log logged
	why := errors.New("no room on the disk")
	f := follower{
		lostTouch: func() uint64 { return 0 }, js: js, stream: eventsStream, notices: &notices{log: log.log()}, lost: func() {},
		peers: func(context.Context, string, func(StreamPosition) bool) (StreamPosition, bool, error) {
			return StreamPosition{}, false, why
		},
	}
	for range 3 {
		if _, err := f.begin(t.Context()); !errors.Is(err, why) {
			t.Fatalf("begun: %v", err)
		}
	}
	why = errors.New("another reason")
	if _, err := f.begin(t.Context()); !errors.Is(err, why) {
		t.Fatalf("begun: %v", err)
	}
	if text := log.String(); strings.Count(text, "no room on the disk") != 1 || strings.Count(text, "another reason") != 1 {
		t.Errorf("the log:\n%s", text)
	}
}
