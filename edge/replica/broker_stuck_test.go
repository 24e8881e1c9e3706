package replica

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"restraint/caps"
)

// stage is what a mender of a test looks at.
type stage struct {
	mender
	log      logged
	stop     string
	count    uint64
	waiting  bool
	noRoom   error
	failing  error
	restarts []time.Time
	now      time.Time
}

func newStage() *stage {
	s := &stage{now: time.Unix(1_000_000, 0)}
	s.mender = mender{
		stopped: func() string { return s.stop }, answers: func() (uint64, bool) { return s.count, s.waiting },
		room: func() error { return s.noRoom }, notices: &notices{log: s.log.log()},
		restart: func() error {
			s.restarts = append(s.restarts, s.now)
			return s.failing
		},
	}
	return s
}

// pass lets the time go by.
func (s *stage) pass(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); s.now = s.now.Add(mendEvery) {
		s.step(s.now)
	}
}

// A server that stays stuck is restarted, later and later, and each change of state is one line of the log.
func TestStuckBackOff(t *testing.T) {
	s := newStage()
	s.pass(time.Hour)
	if len(s.restarts) != 0 || s.log.String() != "" {
		t.Fatalf("well, and %d restarts:\n%s", len(s.restarts), s.log.String())
	}
	s.stop = "it has stopped"
	s.pass(time.Hour)
	for i, at := range s.restarts[1:] {
		want := min(mendLeast<<i, mendMost)
		if pause := at.Sub(s.restarts[i]); pause != want {
			t.Fatalf("pause %d is %s, want %s", i, pause, want)
		}
	}
	if n := len(s.restarts); n < 10 || n > 25 {
		t.Errorf("%d restarts in an hour", n)
	}
	stuck, count := s.state()
	if !strings.Contains(stuck, "stopped") || count != uint64(len(s.restarts)) || strings.Count(s.log.String(), "is stuck;") != 1 {
		t.Errorf("%q, %d:\n%s", stuck, count, s.log.String())
	}
	// Well for a moment only: the pause stays as long as it was.
	s.stop = ""
	s.pass(time.Minute)
	s.stop = "again"
	before := len(s.restarts)
	s.pass(2 * time.Minute)
	if len(s.restarts) > before+1 {
		t.Errorf("%d restarts in two minutes, after a minute without", len(s.restarts)-before)
	}
	s.stop = ""
	s.pass(2 * mendMost)
	if stuck, _ := s.state(); stuck != "" || strings.Count(s.log.String(), "stuck no more") != 2 {
		t.Errorf("%q:\n%s", stuck, s.log.String())
	}
	s.stop = "much later"
	before = len(s.restarts)
	s.pass(mendLeast + mendEvery)
	if len(s.restarts) != before+2 {
		t.Errorf("%d restarts, want one at once and the next after %s", len(s.restarts)-before, mendLeast)
	}
}

// While the disk has no room it is not restarted; once it has, at once.
func TestStuckWithoutRoom(t *testing.T) {
	s := newStage()
	s.stop, s.noRoom = "it has stopped", &fs.PathError{Op: "write", Path: "room", Err: syscall.ENOSPC}
	s.pass(time.Hour)
	if stuck, _ := s.state(); len(s.restarts) != 0 || !strings.Contains(stuck, "no space left") {
		t.Errorf("%d restarts, %q", len(s.restarts), stuck)
	}
	s.noRoom = nil
	s.pass(mendEvery)
	if len(s.restarts) != 1 {
		t.Errorf("%d restarts", len(s.restarts))
	}
}

// A server that answers nothing is stuck; one that refuses, or that nothing is asked of, is not.
func TestStuckSilence(t *testing.T) {
	s := newStage()
	s.waiting = true
	s.pass(silentAfter - mendEvery)
	s.now = s.now.Add(time.Hour) // in which this process stood still
	s.pass(mendEvery)
	if len(s.restarts) != 0 {
		t.Fatal("restarted too soon")
	}
	s.pass(mendEvery)
	if len(s.restarts) != 1 {
		t.Fatalf("%d restarts of a silent server", len(s.restarts))
	}
	s.pass(time.Hour)
	if n := len(s.restarts); n < 5 || n > 20 || strings.Count(s.log.String(), "is stuck;") != 1 || strings.Contains(s.log.String(), "no more") {
		t.Errorf("%d restarts of a server that stays silent:\n%s", n, s.log.String())
	}
	s.restarts = s.restarts[:1]
	s.waiting = false
	s.pass(time.Hour)
	for range 3600 {
		s.waiting = true
		s.count++ // it refuses, which no restart mends
		s.pass(mendEvery)
	}
	if stuck, _ := s.state(); len(s.restarts) != 1 || stuck != "" {
		t.Errorf("%d restarts, %q", len(s.restarts), stuck)
	}
}

// A server that cannot be started is tried again, and what failed is said.
func TestStuckDoesNotStart(t *testing.T) {
	s := newStage()
	s.stop, s.failing = "it does not start", errors.New("no such disk")
	s.pass(mendLeast + mendEvery)
	if len(s.restarts) != 2 || strings.Count(s.log.String(), "no such disk") != 2 {
		t.Errorf("%d restarts:\n%s", len(s.restarts), s.log.String())
	}
}

// The real server stops JetStream, as it does when its disk is full. It is restarted by itself, and all that was acknowledged is published.
func TestStuckServerIsRestarted(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Now = time.Now
	o.Broker = &BrokerOptions{Dir: t.TempDir(), Node: "single", Log: o.Log}
	k, s := opened(t, o)
	change := func(i int) caps.Change {
		return caps.Change{
			Kind: caps.ChangeExpose, Keys: testKeys(1), Now: testNow,
			Exposure: caps.Exposure{Identity: uint32(i + 1), At: testNow}, Scopes: []caps.Counted{{Scope: scope(1), Keep: 200}},
		}
	}
	for i := range 50 {
		record(t, k, change(i))
	}
	until(t, "the first are published", func() bool { return k.Stats().Cluster.Events.Next > 1 && k.Stats().OutboxOldest == 0 })
	if err := k.broker.embedded.server.Load().ShutdownJetStream(); err != nil {
		t.Fatal(err)
	}
	for i := 50; i < 100; i++ {
		record(t, k, change(i))
	}
	until(t, "it is restarted, and has all", func() bool {
		st := k.Stats()
		return st.Cluster.Restarts > 0 && st.Cluster.Stuck == "" && st.Cluster.Connected && st.OutboxOldest == 0
	})
	if n := k.Stats().Cluster.Restarts; n != 1 {
		t.Errorf("%d restarts", n)
	}
	// A node with nothing of its own reads in the streams what they have.
	crash(k)
	other := testOptions(t.TempDir())
	other.Now, other.Broker = time.Now, &BrokerOptions{Dir: o.Broker.Dir, Node: "other", Log: o.Log}
	fresh, got := opened(t, other)
	until(t, "all is read", func() bool { return fresh.Stats().Cluster.Events.Reached })
	wantSame(t, got, s, testKeys(1))
	closed(t, fresh)
}

// A server that is stopped and restarted again and again, while changes are recorded, loses nothing that was acknowledged, and leaves neither
// goroutines nor open files behind.
func TestRestartsLeaveNothingBehind(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Now, o.OutboxBytes = time.Now, 16<<20
	o.Broker = &BrokerOptions{Dir: t.TempDir(), Node: "single", Log: o.Log}
	k, s := opened(t, o)
	quiet := func() bool {
		st := k.Stats()
		return st.OutboxOldest == 0 && st.Cluster.Connected && st.Cluster.Events.Reached && st.Cluster.Events.Behind == 0
	}
	keys, written := testKeys(40), 0
	write := func(n int) {
		for range n {
			change := exposed(written)
			change.Keys = keys[written%len(keys):][:1]
			if err := k.Record([]caps.Change{change}); err != nil {
				t.Error(err)
			}
			written++
		}
	}
	restarted := func(round int) {
		writing := make(chan struct{})
		go func() {
			defer close(writing)
			write(200)
		}()
		if round%2 == 0 {
			if err := k.broker.embedded.server.Load().ShutdownJetStream(); err != nil {
				t.Error(err)
			}
		}
		if err := k.broker.restart(); err != nil {
			t.Error(err)
		}
		<-writing
		until(t, "all is published", quiet)
	}
	restarted(0)
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for round := range 8 {
		restarted(round)
	}
	until(t, "as many goroutines as after the first restart", func() bool { return runtime.NumGoroutine() <= goroutines+4 })
	until(t, "as many open files as after the first restart", func() bool { return openFiles(t) <= files+4 })
	crash(k)
	other := testOptions(t.TempDir())
	other.Now, other.Broker = time.Now, &BrokerOptions{Dir: o.Broker.Dir, Node: "other", Log: o.Log}
	fresh, got := opened(t, other)
	until(t, "all is read", func() bool { return fresh.Stats().Cluster.Events.Reached })
	wantSame(t, got, s, keys)
	closed(t, fresh)
}

// openFiles is how many files and sockets this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
