package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The disk is full: events are refused before they count, decisions go on, also over a restart, and when there is room again so do events.
// The NATS server in the process, which a full disk stops, comes back without a restart of the node, and has everything then.
func TestDiskFull(t *testing.T) {
	random := scenario(t)
	n := newNode(t, t.TempDir(), "single")
	if err := os.MkdirAll(n.data(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", n.data(), "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("a small disk of its own needs the right to mount a tmpfs: %v; run as root", err)
	}
	t.Cleanup(func() { // before the folder goes, and after the node has ended
		n.end()
		if err := syscall.Unmount(n.data(), 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	n.start(t)
	l := newLoad([]*node{n}, random.Uint64(), 4, 25)
	l.during(t, func() {
		fill(t, l, filepath.Join(n.data(), "ballast"))
		if _, err := n.read("somebody"); err != nil {
			t.Errorf("no decision while the disk is full: %v", err)
		}
		n.kill(t)
	})
	n.start(t) // still full
	l.verify(t)
	if err := os.Remove(filepath.Join(n.data(), "ballast")); err != nil {
		t.Fatal(err)
	}
	l.during(t, func() { l.awaitMore(t, 100) })
	l.verify(t)

	pid := n.pid()
	l.during(t, func() {
		fill(t, l, filepath.Join(n.data(), "ballast"))
		until(t, "the broker stuck", func() bool { return n.replication(t)["broker_stuck"] != nil })
		t.Logf("stuck: %v", n.replication(t)["broker_stuck"])
		if err := os.Remove(filepath.Join(n.data(), "ballast")); err != nil {
			t.Fatal(err)
		}
		l.awaitMore(t, 100)
	})
	until(t, "the broker well again, and all published", func() bool {
		r := n.replication(t)
		return r["broker_stuck"] == nil && r["broker_restarts"].(float64) > 0 && r["connected"] == true && n.metric(t, "restraint_outbox_oldest_seconds") == 0
	})
	if n.pid() != pid {
		t.Fatal("the node was restarted")
	}
	t.Logf("restarts of the broker: %v", n.replication(t)["broker_restarts"])
	l.verify(t)
	l.during(t, func() { n.kill(t) })
	n.start(t)
	l.verify(t)
	l.summary(t)
}

// fill writes until the disk has no byte left and events are refused.
func fill(t *testing.T, l *load, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	full, before := 0, l.history.totals().refused
	until(t, "events refused", func() bool {
		for _, size := range []int{1 << 16, 1 << 12, 1} {
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		full++
		return l.history.totals().refused > before+20
	})
	t.Logf("the disk was full %d times", full)
}

// status is what /v1/status says.
func (n *node) status(t testing.TB) (status map[string]any) {
	t.Helper()
	_, body, err := n.do(http.MethodGet, "/v1/status", "", "")
	if err == nil {
		err = json.Unmarshal([]byte(body), &status)
	}
	if err != nil {
		t.Fatalf("status of %s: %v %s", n.name, err, body)
	}
	return status
}

// replication is how the node says that it stands to its broker.
func (n *node) replication(t testing.TB) map[string]any {
	t.Helper()
	r, ok := n.status(t)["replication"].(map[string]any)
	if !ok {
		t.Fatalf("status of %s has no replication", n.name)
	}
	return r
}

// counter is one of the numbers on what the store holds and gave up.
func (n *node) counter(t testing.TB, name string) int {
	t.Helper()
	counters, _ := n.status(t)["counters"].(map[string]any)
	value, ok := counters[name].(float64)
	if !ok {
		t.Fatalf("status of %s has no %s: %v", n.name, name, counters)
	}
	return int(value)
}

// The memory for exposures is used up: what goes is counted, a cap that lost something counts as full and never as free, and of
// refusals none goes: new ones are refused.
func TestMemoryExhausted(t *testing.T) {
	random := scenario(t)
	n := newNode(t, t.TempDir(), "single", "--caps-memory", "1MiB")
	n.start(t)
	l := newLoad([]*node{n}, random.Uint64(), 4, 500)
	l.pace /= 4
	crowd := 0
	for range rounds(2, 10) {
		l.during(t, func() {
			before := n.counter(t, "evicted_exposures")
			until(t, "exposures evicted", func() bool {
				crowd = n.crowd(t, crowd, 1000)
				return n.counter(t, "evicted_exposures") > before+3000 && n.counter(t, "refusals_full") > 0
			})
		})
		t.Logf("evicted: %d exposures, %d users, %d cuts; refusals that found no room: %d", n.counter(t, "evicted_exposures"),
			n.counter(t, "evicted_users"), n.counter(t, "evicted_cuts"), n.counter(t, "refusals_full"))
		l.verify(t)
		l.during(t, func() { n.kill(t) })
		n.start(t)
		l.verify(t)
		if n.counter(t, "evicted_cuts") > 0 {
			break // of a user who lost even the cut nothing can be said
		}
	}
	l.summary(t)
}

// crowd reports an impression and a hide each of so many people who are not looked at any more, from number on, and returns the next.
func (n *node) crowd(t testing.TB, number, people int) int {
	t.Helper()
	for _, form := range []string{
		`{"type":"impression","id":"%d","user":{"id":"crowd-%d"},"campaign":"count-0"}`, `{"type":"hide","id":"h%d","user":{"id":"crowd-%d"},"campaign":"hide-0"}`,
	} {
		var body strings.Builder
		for i := number; i < number+people; i++ {
			fmt.Fprintf(&body, form+"\n", i, i)
		}
		status, answer, err := n.do(http.MethodPost, "/v1/events", "application/x-ndjson", body.String())
		if err != nil || status != http.StatusAccepted && status != http.StatusServiceUnavailable {
			t.Fatalf("a crowd: %d %s %v", status, answer, err)
		}
	}
	return number + people
}

// metric is a figure of /metrics without labels.
func (n *node) metric(t testing.TB, name string) float64 {
	t.Helper()
	_, body, err := n.do(http.MethodGet, "/metrics", "", "")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(body) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("%s has no metric %s", n.name, name)
	return 0
}
