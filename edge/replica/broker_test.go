package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// soon waits until f says yes.
func soon(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(5*time.Millisecond), time.Now().Add(30*time.Second)
	defer tick.Stop()
	for ; !f(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not yet: %s", what)
		}
	}
}

// logged is a log that a test reads.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// natsServer starts a server on 127.0.0.1 and returns its address; change may be nil.
func natsServer(t *testing.T, change func(*server.Options)) (s *server.Server, address string) {
	t.Helper()
	o := &server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 10 << 30,
	}
	if change != nil {
		change(o)
	}
	s, err := startServer(o, &serverLog{log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s, "nats://" + s.Addr().String()
}

// testBroker opens a broker that is closed with the test, by the function returned if that is called before.
func testBroker(t *testing.T, o BrokerOptions) (b *broker, stop func()) {
	t.Helper()
	b, err := openBroker(o)
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(b.close)
	t.Cleanup(stop)
	return b, stop
}

// ensured calls ensure as its callers are told to: again, until it works.
func ensured(t *testing.T, b *broker) {
	t.Helper()
	var err error
	soon(t, "streams", func() bool { err = b.ensure(t.Context()); return err == nil || errors.Is(err, ErrStream) })
	if err != nil {
		t.Fatal(err)
	}
}

func storedEvents(t *testing.T, b *broker) uint64 {
	t.Helper()
	s, err := b.readJS.Stream(t.Context(), eventsStream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func publishEvents(t *testing.T, b *broker, n int) {
	t.Helper()
	for i := range n {
		if _, err := b.publishJS.Publish(t.Context(), eventsSubject+".0", fmt.Appendf(nil, "%d", i), jetstream.WithExpectStream(eventsStream)); err != nil {
			t.Fatal(err)
		}
	}
}

func sockets(t *testing.T) (n int) {
	t.Helper()
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(names) == 0 {
		t.Fatal("no file descriptors", err)
	}
	for _, name := range names {
		if to, err := os.Readlink(name); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func TestBrokerEmbedded(t *testing.T) {
	dir, goroutines, before := filepath.Join(t.TempDir(), "nats"), runtime.NumGoroutine(), sockets(t)
	b, stop := testBroker(t, BrokerOptions{Dir: dir, Node: "edge-1"})
	if !b.connected() || b.problem() != nil {
		t.Fatal("not connected", b.problem())
	}
	if n := sockets(t); n > before {
		t.Errorf("%d sockets, %d before", n, before)
	}
	ensured(t, b)
	ensured(t, b)
	publishEvents(t, b, 100)
	if _, err := openBroker(BrokerOptions{Dir: dir}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second server over the same store: %v", err)
	}
	stop()
	soon(t, "all goroutines ended", func() bool { return runtime.NumGoroutine() <= goroutines })

	b, _ = testBroker(t, BrokerOptions{Dir: dir})
	ensured(t, b)
	if n := storedEvents(t, b); n != 100 {
		t.Errorf("%d messages after a restart", n)
	}
}

// The connections outlive a restart of the embedded server.
func TestBrokerRestart(t *testing.T) {
	b, _ := testBroker(t, BrokerOptions{Dir: t.TempDir()})
	ensured(t, b)
	publishEvents(t, b, 10)
	changes, stop := b.watch()
	defer stop()
	soon(t, "first events", func() bool {
		select {
		case <-changes:
			return false
		default:
			return b.connected()
		}
	})
	if err := b.restart(); err != nil {
		t.Fatal(err)
	}
	soon(t, "loss and return", func() bool { return b.disconnects() >= 2 && b.connected() })
	soon(t, "a notice", func() bool { return len(changes) == 1 })
	publishEvents(t, b, 10)
	if n := storedEvents(t, b); n != 20 {
		t.Errorf("%d messages", n)
	}
}

func TestBrokerStreams(t *testing.T) {
	b, _ := testBroker(t, BrokerOptions{Dir: t.TempDir()})
	ensured(t, b)
	for name, check := range map[string]func(c jetstream.StreamConfig) bool{
		eventsStream: func(c jetstream.StreamConfig) bool {
			return c.MaxAge == 72*time.Hour && c.Discard == jetstream.DiscardOld && c.Duplicates == 100*time.Millisecond && c.DenyDelete && c.DenyPurge
		},
		refusalsStream: func(c jetstream.StreamConfig) bool {
			return c.MaxAge == 0 && c.Discard == jetstream.DiscardNew && c.AllowDirect && c.DenyDelete && c.DenyPurge
		},
		"KV_restraint":            func(c jetstream.StreamConfig) bool { return c.MaxMsgsPerSubject == 1 },
		"OBJ_restraint-snapshots": func(c jetstream.StreamConfig) bool { return c.MaxAge == 0 },
	} {
		s, err := b.readJS.Stream(t.Context(), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c := s.CachedInfo().Config; !check(c) || c.Storage != jetstream.FileStorage || c.MaxBytes <= 0 || c.Replicas != 1 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	kv, err := b.keyValue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "policy", "x"); err != nil {
		t.Fatal(err)
	}
	objects, err := b.snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objects.PutBytes(t.Context(), "a", make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
}

// Whoever had the name before keeps it, and is named.
func TestBrokerWrongStream(t *testing.T) {
	_, address := natsServer(t, nil)
	b, _ := testBroker(t, BrokerOptions{URLs: []string{address}})
	soon(t, "connection", b.connected)
	for _, c := range []struct {
		config jetstream.StreamConfig
		want   string
	}{
		{jetstream.StreamConfig{Name: eventsStream, Subjects: []string{"other.>"}}, "other.>"},
		{jetstream.StreamConfig{Name: eventsStream, Subjects: []string{"restraint.events.>"}, Retention: jetstream.WorkQueuePolicy}, "retention"},
		{jetstream.StreamConfig{Name: eventsStream, Subjects: []string{"restraint.events.>"}, MaxMsgs: 5}, "limit of messages"},
		{jetstream.StreamConfig{Name: refusalsStream, Subjects: []string{"restraint.refusals.>"}, Discard: jetstream.DiscardNew, MaxAge: time.Hour}, "maximum age"},
		{jetstream.StreamConfig{Name: refusalsStream, Subjects: []string{"restraint.refusals.>"}}, "discard"},
		{jetstream.StreamConfig{Name: "KV_restraint", Subjects: []string{"kv.>"}}, "kv.>"},
		{jetstream.StreamConfig{Name: "OBJ_restraint-snapshots", Subjects: []string{"o.>"}}, "o.>"},
		{jetstream.StreamConfig{Name: "ALL", Subjects: []string{"restraint.>"}}, "another stream"},
	} {
		soon(t, "a stream of "+c.config.Name, func() bool { // the files of the one before it go a little later
			_, err := b.readJS.CreateStream(t.Context(), c.config)
			return err == nil
		})
		if err := b.ensure(t.Context()); !errors.Is(err, ErrStream) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.config.Name, err, c.want)
		}
		if s, err := b.readJS.Stream(t.Context(), c.config.Name); err != nil || s.CachedInfo().Config.Subjects[0] != c.config.Subjects[0] {
			t.Errorf("%s was altered", c.config.Name)
		}
		for _, name := range []string{c.config.Name, eventsStream, refusalsStream, "KV_restraint"} {
			if err := b.readJS.DeleteStream(t.Context(), name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
				t.Fatal(err)
			}
		}
	}
	ensured(t, b)
}

func TestBrokerNoRoom(t *testing.T) {
	_, address := natsServer(t, func(o *server.Options) { o.JetStreamMaxStore = 1 << 20 })
	b, _ := testBroker(t, BrokerOptions{URLs: []string{address}})
	soon(t, "connection", b.connected)
	if err := b.ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "max_file_store") {
		t.Error(err)
	}
}

// Several nodes make the streams at once.
func TestBrokerEnsureTogether(t *testing.T) {
	_, address := natsServer(t, nil)
	var all sync.WaitGroup
	for range 4 {
		b, _ := testBroker(t, BrokerOptions{URLs: []string{address}})
		soon(t, "connection", b.connected)
		all.Go(func() {
			// For a moment a server may count what several of them reserve for one stream.
			err := b.ensure(t.Context())
			for until := time.Now().Add(20 * time.Second); err != nil && !errors.Is(err, ErrStream) && time.Now().Before(until); {
				err = b.ensure(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// freePort is an address that nothing listens on.
func freePort(t *testing.T) (address string, port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "nats://" + l.Addr().String(), l.Addr().(*net.TCPAddr).Port
}

// A broker opens while no server answers, says why it is not connected, fails what is sent at once, and finds the server that comes later.
func TestBrokerServerComesLater(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	address, port := freePort(t)
	var log logged
	others := strings.Count(stacks(), "nats-io/nats.go@") // of tests before, that are still ending
	b, stop := testBroker(t, BrokerOptions{URLs: []string{address, "nats://" + silent.Addr().String()}, Node: "edge-1", Log: log.log()})
	if b.connected() || b.problem() == nil {
		t.Fatal("connected to nothing")
	}
	soon(t, "a reason", func() bool { return !strings.Contains(b.problem().Error(), "yet") })
	if _, err := b.publishJS.PublishAsync(eventsSubject+".0", nil); err == nil {
		t.Error("published without a connection")
	}
	changes, unwatch := b.watch()
	defer unwatch()
	natsServer(t, func(o *server.Options) { o.Port = port })
	soon(t, "connection", b.connected)
	<-changes
	ensured(t, b)
	publishEvents(t, b, 3)
	if strings.Count(stacks(), "nats-io/nats.go@") <= others {
		t.Error("the library's goroutines have another name")
	}
	if text := log.String(); !strings.Contains(text, "connected to NATS") || strings.Count(text, "refused") > 2 {
		t.Errorf("not one line for each connection and reason:\n%s", text)
	}
	stop()
	soon(t, "goroutines of the broker ended", func() bool { return strings.Count(stacks(), "nats-io/nats.go@") <= others })
}

// A broker that never connected is closed all the same.
func TestBrokerCloseUnconnected(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	address, _ := freePort(t)
	b, err := openBroker(BrokerOptions{URLs: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	b.close()
	soon(t, "all goroutines ended", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// stacks are those of all goroutines.
func stacks() string {
	text := make([]byte, 1<<20)
	return string(text[:runtime.Stack(text, true)])
}

func TestBrokerCancelled(t *testing.T) {
	address, _ := freePort(t)
	b, _ := testBroker(t, BrokerOptions{URLs: []string{address}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.ensure(ctx); err == nil || errors.Is(err, ErrStream) {
		t.Error(err)
	}
}
