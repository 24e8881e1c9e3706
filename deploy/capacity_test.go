package deploy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"restraint/caps"
)

// The formula of the page "Capacity": bytes of a user, of each counter with one exposure,
// and of each further exposure of a counter.
const userBytes, counterBytes, exposureBytes = 70, 20, 13

// The formula is not below what the counters take, and not far above: the table of users
// doubles now and then.
func TestCapacity(t *testing.T) {
	const users = 30_000
	page := read(t, "README.md")
	for _, line := range []string{
		fmt.Sprintf("users x (%d + counters x %d + further exposures x %d)", userBytes, counterBytes, exposureBytes),
	} {
		if !strings.Contains(page, line) {
			t.Errorf("README.md does not say %q", line)
		}
	}
	for _, c := range []struct{ counters, exposures int }{{1, 1}, {8, 1}, {20, 1}, {8, 3}} {
		s := caps.New(caps.Options{Memory: 256 << 20, RefusalMemory: 16 << 20})
		const now = caps.Second(1_700_000_000)
		for user := range users {
			var key caps.Key
			binary.LittleEndian.PutUint64(key[:], uint64(user+1)*0x9e3779b97f4a7c15) // spread as a keyed hash is
			binary.LittleEndian.PutUint64(key[8:], uint64(user+1)*0xc2b2ae3d27d4eb4f)
			for i := range c.counters { // one by one, as traffic brings them
				scope := []caps.Counted{{Scope: uint64(user*7+i*50)%1000*0x9e3779b97f4a7c15 + 1, Keep: 3}}
				for e := range c.exposures {
					s.Expose([]caps.Key{key}, caps.Exposure{Identity: uint32(user*31 + i*3 + e), At: now - caps.Second(1000*i+e)}, nil, scope, now)
				}
			}
		}
		stats := s.Stats()
		if int(stats.Users) != users || int(stats.Counters) != users*c.counters {
			t.Fatalf("%+v: %d users, %d counters", c, stats.Users, stats.Counters)
		}
		said := userBytes + c.counters*(counterBytes+(c.exposures-1)*exposureBytes)
		is := float64(stats.Bytes) / users
		t.Logf("%d counters of %d exposures: %.0f bytes a user, %d by the formula", c.counters, c.exposures, is, said)
		if is > float64(said) || is < 0.7*float64(said) {
			t.Errorf("%d counters of %d exposures: %.0f bytes a user, the page says %d", c.counters, c.exposures, is, said)
		}
	}
}

// connectionBytes is what the page says that a connection takes.
const connectionBytes = 32 << 10

// A connection that has asked and is kept takes what the page says, and half as much again at
// most: the collector lets memory go when it likes.
func TestCapacityOfConnections(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("there is no /proc to read the memory of a process from")
	}
	if !strings.Contains(read(t, "README.md"), fmt.Sprintf("connections x %d KiB", connectionBytes>>10)) {
		t.Error("README.md has another number")
	}
	const connections = 2000
	addrs := freeAddrs(t, 2)
	node := start(t, t.TempDir(), nil, "serve", "--listen", addrs[0], "--admin-listen", addrs[1])
	c := &caller{}
	poll(t, "the node is ready", func() bool { status, _ := c.do("GET", "http://"+addrs[1]+"/readyz", "", ""); return status == 200 })
	resident := func() int {
		status := read(t, fmt.Sprintf("/proc/%d/status", node.cmd.Process.Pid))
		kib, _ := strconv.Atoi(regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindStringSubmatch(status)[1])
		return kib << 10
	}
	before := resident()
	body := `{"user":{"id":"u"},"candidates":[` + strings.TrimSuffix(strings.Repeat(`{"campaign":"spring-shoes"},`, 20), ",") + `]}`
	for range connections {
		wire, err := net.Dial("tcp", addrs[0])
		if err != nil {
			t.Fatal(err)
		}
		defer wire.Close()
		fmt.Fprintf(wire, "POST /v1/decide HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if resp, err := http.ReadResponse(bufio.NewReader(wire), nil); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
	}
	each := (resident() - before) / connections
	t.Logf("a connection takes %d bytes, %d by the page", each, connectionBytes)
	if each > connectionBytes*3/2 {
		t.Errorf("a connection takes %d bytes, the page says %d", each, connectionBytes)
	}
}
