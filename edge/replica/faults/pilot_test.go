package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pilotSaid is what a node says of the policy that is tried out.
type pilotSaid struct {
	Running                  bool
	Percent, Version, Before int
	Effect                   struct {
		Arms []struct {
			Arm       string
			Decisions int
		}
	}
}

func (n *node) pilot(t *testing.T) (p pilotSaid) {
	t.Helper()
	status, answer, err := n.doPatiently(http.MethodGet, "/v1/policy/pilot", "", "")
	if err != nil || status != http.StatusOK || json.Unmarshal([]byte(answer), &p) != nil {
		t.Fatalf("the pilot of %s: %d %s %v", n.name, status, answer, err)
	}
	return p
}

// judgedBy is which version a node decides each of so many people by.
func (n *node) judgedBy(t *testing.T, people int) (versions string, count map[int]int) {
	t.Helper()
	count = map[int]int{}
	for i := range people {
		var a struct{ Policy int }
		status, answer, err := n.do(http.MethodPost, "/v1/decide", "application/json", fmt.Sprintf(`{"user":{"id":"arm-%d"},"candidates":[{"campaign":"tight"}]}`, i))
		if err != nil || status != http.StatusOK || json.Unmarshal([]byte(answer), &a) != nil {
			t.Fatalf("%s: %d %s %v", n.name, status, answer, err)
		}
		versions += fmt.Sprintf("%d ", a.Policy)
		count[a.Policy]++
	}
	return versions, count
}

// A policy is tried out while nodes are cut off, killed and lose their disk. When all is
// healed every node has the same pilot, of the same people, and has everybody's counts of
// it; so is it when it is promoted.
func TestPilotAfterFaults(t *testing.T) {
	c := newCluster(t)
	status, before, err := c.nodes[0].do(http.MethodGet, "/v1/policy", "", "")
	if err != nil || status != http.StatusOK {
		t.Fatal(status, before, err)
	}
	tried := before + "\n# tried out\n"
	change := func(n *node, method, path, body string) {
		t.Helper()
		if status, answer, err := n.doPatiently(method, path, "", body); err != nil || status != http.StatusOK {
			t.Fatalf("%s %s on %s: %d %s %v", method, path, n.name, status, answer, err)
		}
	}
	var first string
	agree := func(version, percent int) (count map[int]int) {
		t.Helper()
		var versions string
		for i, n := range c.nodes {
			until(t, n.name+" has the pilot", func() bool { p := n.pilot(t); return p.Version == version && p.Percent == percent })
			var got string
			if got, count = n.judgedBy(t, 100); i == 0 {
				versions = got
			} else if got != versions {
				t.Errorf("%s judges by\n%s\nand %s by\n%s", n.name, got, c.nodes[0].name, versions)
			}
		}
		first = versions
		return count
	}
	a, b := c.nodes[0], c.nodes[1]
	c.during(t, func() {
		c.proxies[2].cut() // node-2 hears nothing of how it begins
		change(a, http.MethodPut, "/v1/policy?pilot=30", tried)
		until(t, "node-1 has the pilot", func() bool { return b.pilot(t).Running })
		b.kill(t)
		b.start(t)
		if p := b.pilot(t); !p.Running || p.Percent != 30 {
			t.Errorf("killed and started again: %+v", p)
		}
		if c.nodes[2].pilot(t).Running {
			t.Error("who is cut off has heard of it")
		}
		c.heal()
	})
	count := agree(2, 30)
	if count[1] == 0 || count[2] == 0 {
		t.Errorf("judged by %v", count)
	}
	thirty := strings.Fields(first)

	c.during(t, func() {
		c.nodes[2].kill(t)
		change(b, http.MethodPost, "/v1/policy/pilot?percent=60", "")
		if err := os.RemoveAll(filepath.Join(c.nodes[2].data(), "policies")); err != nil {
			t.Fatal(err)
		}
		c.nodes[2].start(t) // and has neither text
	})
	agree(3, 60)
	for i, version := range strings.Fields(first) {
		if thirty[i] == "2" && version != "3" {
			t.Errorf("arm-%d has left the pilot that grew", i)
		}
	}
	until(t, "every node has the counts of all", func() bool { // each has judged people of its own
		want := a.pilot(t).Effect
		if len(want.Arms) != 3 || want.Arms[0].Decisions == 0 || want.Arms[1].Decisions == 0 {
			t.Fatalf("%+v", want)
		}
		return fmt.Sprint(b.pilot(t).Effect) == fmt.Sprint(want) && fmt.Sprint(c.nodes[2].pilot(t).Effect) == fmt.Sprint(want)
	})
	c.verify(t)

	c.proxies[0].cut()
	if status, answer, err := a.doPatiently(http.MethodPost, "/v1/policy/pilot?end=stop", "", ""); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("stopped by who is cut off: %d %s %v", status, answer, err)
	}
	change(b, http.MethodPost, "/v1/policy/pilot?end=promote", "")
	c.heal()
	for _, n := range c.nodes {
		until(t, n.name+" has promoted it", func() bool { return !n.pilot(t).Running })
		if _, count := n.judgedBy(t, 100); len(count) != 1 || count[4] != 100 {
			t.Errorf("%s judges by %v", n.name, count)
		}
	}
	c.verify(t)
	c.summary(t)
}
