package faults

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// broker is one NATS server with JetStream, in a process of its own: the linked one, as `restraint nats` runs it.
type broker struct {
	process
	addr string
}

// newBroker makes a server that is not started.
func newBroker(t testing.TB, dir string) *broker {
	t.Helper()
	home := filepath.Join(dir, "broker")
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	b := &broker{process: process{name: "broker", dir: home}, addr: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	config := filepath.Join(home, "nats.conf")
	text := fmt.Sprintf("server_name: faults\nlisten: %q\njetstream { store_dir: %q, max_memory_store: 268435456, max_file_store: 8589934592 }\n", b.addr, b.store())
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
			t.Logf("the end of the log of the broker:\n%s", b.tail())
		}
	})
	return b
}

func (b *broker) store() string { return filepath.Join(b.dir, "store") }

// start starts the server and waits until it takes connections.
func (b *broker) start(t testing.TB) {
	t.Helper()
	b.launch(t)
	until(t, "the broker listens", func() bool {
		if !b.running() {
			t.Fatalf("the broker ended: %v\n%s", b.state, b.tail())
		}
		c, err := net.DialTimeout("tcp4", b.addr, time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}
