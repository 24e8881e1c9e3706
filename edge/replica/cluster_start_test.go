package replica

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"restraint/caps"
)

// until polls until the condition holds, or fails the test.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); pauseFor(2*time.Millisecond, nil) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// startBroker starts a NATS server on loopback over the directory; the port is one that is free, unless given.
func startBroker(t testing.TB, dir string, port int) *server.Server {
	t.Helper()
	if port == 0 {
		port = -1
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir, JetStreamMaxStore: 8 << 30,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	t.Cleanup(func() { stopBroker(s) })
	return s
}

func stopBroker(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// member is one node of a test's cluster.
type member struct {
	*Keeper
	store *caps.Store
}

// join opens a node over the directory.
func join(t *testing.T, dir, url string) member {
	t.Helper()
	return joinWith(t, dir, url, func(*Options) {})
}

func joinWith(t *testing.T, dir, url string, change func(*Options)) member {
	t.Helper()
	o := testOptions(dir)
	o.Broker = &BrokerOptions{Node: filepath.Base(dir), URLs: []string{url}, Log: o.Log}
	o.BrokerSync = time.Millisecond
	begun := time.Now()
	o.Now = func() time.Time { return time.Unix(int64(testNow), 0).Add(time.Since(begun)) }
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	change(&o)
	k, s := opened(t, o)
	return member{k, s}
}

func (m member) reached() bool {
	c := m.Stats().Cluster
	return c.Events.Reached && c.Refusals.Reached && c.Events.Behind+c.Refusals.Behind == 0
}

// settled waits until the members have sent and applied everything.
func settled(t *testing.T, members ...member) {
	t.Helper()
	for _, m := range members {
		until(t, "everything is sent", func() bool { return m.Stats().OutboxOldest == 0 })
	}
	for _, m := range members {
		until(t, "everything is applied", func() bool {
			for _, f := range []*follower{&m.cluster.events, &m.cluster.refusals} {
				if how, info, err := stands(t.Context(), f.js, f.stream, f.position()); err != nil || how != same || info.State.LastSeq+1 != max(1, f.position().Next) {
					return false
				}
			}
			return m.reached()
		})
	}
}
