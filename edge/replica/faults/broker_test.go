package faults

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// broker is a NATS server with JetStream, in a process of its own: the linked one, as `restraint nats` runs it.
type broker struct {
	process
	addr    string // of the client listener
	monitor string // of the monitoring, which says how the streams stand
}

// newBroker makes a server that is not started. more goes into its configuration, of which each server of a cluster has its routes there.
func newBroker(t testing.TB, dir, name, more string) *broker {
	t.Helper()
	home := filepath.Join(dir, name)
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	b := &broker{process: process{name: name, dir: home}, addr: fmt.Sprintf("127.0.0.1:%d", freePort(t)), monitor: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	config := filepath.Join(home, "nats.conf")
	text := fmt.Sprintf("server_name: %s\nlisten: %q\nhttp: %q\njetstream { store_dir: %q, max_memory_store: 268435456, max_file_store: 9663676416, sync_interval: 10s }\n%s",
		name, b.addr, b.monitor, b.store(), more)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.argv = []string{program, "nats", "--config", config}
	if *brokerFlag != "" {
		b.argv = []string{*brokerFlag, "--config", config}
	}
	t.Cleanup(func() {
		b.end()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", name, b.tail())
		}
	})
	return b
}

// newBrokers makes a NATS server, or several that are a cluster, as deploy/nats has it. config is for each of them, routes for what they
// have with one another.
func newBrokers(t testing.TB, dir string, n int, config, routes string) (all []*broker) {
	t.Helper()
	if n == 1 {
		return []*broker{newBroker(t, dir, "broker", config)}
	}
	listens, to := make([]string, n), make([]string, n)
	for i := range n {
		listens[i] = fmt.Sprintf("127.0.0.1:%d", freePort(t))
		to[i] = "nats-route://" + listens[i]
	}
	for i := range n {
		more := fmt.Sprintf("%scluster {\nname: faults\nlisten: %q\nroutes: [%s]\n%s}\n", config, listens[i], strings.Join(to, ", "), routes)
		all = append(all, newBroker(t, dir, fmt.Sprintf("broker-%d", i), more))
	}
	return all
}

func (b *broker) store() string { return filepath.Join(b.dir, "store") }

// start starts the server and waits until it takes connections.
func (b *broker) start(t testing.TB) {
	t.Helper()
	b.launch(t)
	until(t, b.name+" listens", func() bool {
		if !b.running() {
			t.Fatalf("%s ended: %v\n%s", b.name, b.state, b.tail())
		}
		c, err := net.DialTimeout("tcp4", b.addr, time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}
