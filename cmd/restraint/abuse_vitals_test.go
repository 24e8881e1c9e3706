package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// vitals are what a process takes.
type vitals struct {
	rss, peak  int64 // bytes
	goroutines int
	sockets    int
	panics     int
}

// vitals reads them from the kernel and from the node.
func (n *abused) vitals(t testing.TB) (v vitals) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/", n.cmd.Process.Pid)
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		t.Fatalf("%s: the node is gone: %v", n.name, err)
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 2:
		case fields[0] == "VmRSS:":
			v.rss, _ = strconv.ParseInt(fields[1], 10, 64)
		case fields[0] == "VmHWM:":
			v.peak, _ = strconv.ParseInt(fields[1], 10, 64)
		}
	}
	v.rss, v.peak = v.rss<<10, v.peak<<10
	v.sockets = n.sockets()
	v.goroutines, v.panics = n.metric(t, "go_goroutines"), n.metric(t, "restraint_panics_total")
	return v
}

// sockets is how many the process has open.
func (n *abused) sockets() (open int) {
	fds := fmt.Sprintf("/proc/%d/fd/", n.cmd.Process.Pid)
	files, _ := os.ReadDir(fds)
	for _, f := range files {
		if to, _ := os.Readlink(fds + f.Name()); strings.HasPrefix(to, "socket:") {
			open++
		}
	}
	return open
}

// alone waits until the connections of the attack before are closed.
func (n *abused) alone(t testing.TB) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(wireTime); n.sockets() > n.before.sockets+2; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d sockets are left by the attack before, were %d", n.sockets(), n.before.sockets)
		}
	}
}

// metric reads a metric; series of one name are added.
func (n *abused) metric(t testing.TB, name string) (sum int) {
	t.Helper()
	status, text := n.ask(t, "GET", "/metrics", "metrics", "", nil)
	if status != http.StatusOK {
		t.Fatalf("%s: metrics: %d %s", n.name, status, text)
	}
	found := false
	for line := range strings.Lines(text) {
		of, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if of, _, _ = strings.Cut(of, "{"); of == name {
			f, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum, found = sum+int(f), true
		}
	}
	if !found {
		t.Fatalf("the node has no %s", name)
	}
	return sum
}

// recovered wants a node to be as it was.
func (n *abused) recovered(t *testing.T) {
	t.Helper()
	var v vitals
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		v = n.vitals(t)
		if v.goroutines <= n.before.goroutines+8 && v.sockets <= n.before.sockets+2 {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %d goroutines and %d sockets are left, were %d and %d", n.name, v.goroutines, v.sockets, n.before.goroutines, n.before.sockets)
			break
		}
	}
	t.Logf("%s: resident %d MiB before, %d MiB at most, %d MiB after", n.name, n.before.rss>>20, v.peak>>20, v.rss>>20)
	if v.peak > n.before.rss+abuseMemory {
		t.Errorf("%s: %d MiB resident at most, from %d MiB", n.name, v.peak>>20, n.before.rss>>20)
	}
	if v.panics > 0 {
		t.Errorf("%s: %d panics", n.name, v.panics)
	}
	status, said := n.ask(t, "POST", "/v1/decide", "ops", "", []byte(`{"user":{"id":"member"},"candidates":[{"campaign":"welcome"}]}`))
	if status != 200 || !strings.Contains(said, `"reason":"suppressed"`) {
		t.Errorf("%s: the list of before does not hold: %d %s", n.name, status, said)
	}
}
