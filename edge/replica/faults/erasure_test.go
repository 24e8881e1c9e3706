package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// subject is a person that a scenario asks something for, beside the load, whose people are others.
type subject struct {
	user     string
	token    string // from before
	erased   bool
	optedOut bool // what must hold in the end
}

// lookup is what a node says that it holds, as far as the checks look at it.
type lookup struct {
	Held        bool
	Exposures   []json.RawMessage
	Holds       []json.RawMessage
	Purchases   []json.RawMessage
	Hidden      []json.RawMessage `json:"hidden_campaigns"`
	Preferences struct{ Personalisation bool }
	ErasedUntil int64 `json:"erased_until"`
}

// found is the look-up of one person on one node.
type found struct {
	node string
	who  *subject
	held lookup
}

// checkErased: whoever was erased has not come back, and no opt-out is lost. (No resurrection: the final read of every node, as the checks of
// deleted elements in sets with removal have it.)
func checkErased(all []found) (wrong []string) {
	for _, f := range all {
		h := &f.held
		if n := len(h.Exposures) + len(h.Holds) + len(h.Purchases) + len(h.Hidden); f.who.erased && (n > 0 || h.ErasedUntil == 0) {
			wrong = append(wrong, fmt.Sprintf("node %s holds %d things of %s, who was erased, and knows of it until %d", f.node, n, f.who.user, h.ErasedUntil))
		}
		if h.Preferences.Personalisation == f.who.optedOut {
			wrong = append(wrong, fmt.Sprintf("node %s: %s opted out is not %v", f.node, f.who.user, f.who.optedOut))
		}
	}
	return wrong
}

// Each thing that can be wrong is found.
func TestCheckErased(t *testing.T) {
	person := subject{user: "u", erased: true, optedOut: true}
	gone := lookup{Held: true, ErasedUntil: 7}
	thing := []json.RawMessage{[]byte("{}")}
	for name, change := range map[string]func(*lookup){
		"an exposure":        func(h *lookup) { h.Exposures = thing },
		"a hold":             func(h *lookup) { h.Holds = thing },
		"a purchase":         func(h *lookup) { h.Purchases = thing },
		"a hide":             func(h *lookup) { h.Hidden = thing },
		"no erasure":         func(h *lookup) { h.ErasedUntil = 0 },
		"a lost opt-out":     func(h *lookup) { h.Preferences.Personalisation = true },
		"never heard of him": func(h *lookup) { *h = lookup{} },
	} {
		bad := gone
		change(&bad)
		if wrong := checkErased([]found{{"a", &person, gone}, {"b", &person, bad}}); len(wrong) == 0 || !strings.Contains(wrong[0], "node b") {
			t.Errorf("%s is not found: %v", name, wrong)
		}
	}
	other := subject{user: "v", optedOut: false}
	kept := lookup{Exposures: thing}
	kept.Preferences.Personalisation = true
	if wrong := checkErased([]found{{"a", &other, kept}}); len(wrong) != 0 {
		t.Errorf("whoever was not erased is kept: %v", wrong)
	}
}

// ask posts and wants one of the statuses.
func (n *node) ask(t testing.TB, path, body string, wanted ...int) (answer string) {
	t.Helper()
	status, answer, err := n.do(http.MethodPost, path, "application/json", body)
	if err != nil || !slices.Contains(wanted, status) {
		t.Fatalf("POST %s to %s: %d %s %v", path, n.name, status, answer, err)
	}
	return answer
}

// fill makes a node hold an exposure, a hold, a purchase and a hide of the person, and gives the person a token.
func (n *node) fill(t testing.TB, s *subject) {
	t.Helper()
	d, err := n.decide(s.user, fmt.Sprintf(`{"campaign":%q}`, tightCampaign), `,"want":1,"hold":true`)
	if err != nil || d.Token == "" {
		t.Fatalf("%s: %+v, %v", n.name, d, err)
	}
	s.token = d.Token
	n.report(t, s, time.Now().Unix(), false)
	n.ask(t, "/v1/events", fmt.Sprintf(`{"type":"hide","user":{"id":%q},"campaign":"hide-0"}`, s.user), http.StatusAccepted)
}

// report tells a node of things that happened at a second, each for the first time; byToken also by the token from before.
func (n *node) report(t testing.TB, s *subject, at int64, byToken bool) {
	t.Helper()
	var lines []string
	for i, of := range []string{"count-0", "count-1", tightCampaign} {
		lines = append(lines, fmt.Sprintf(`{"type":"impression","id":"%s-%d-%d-%d","user":{"id":%q},"campaign":%q,"at":%d}`, n.name, at, i, time.Now().UnixNano(), s.user, of, at))
	}
	lines = append(lines, fmt.Sprintf(`{"type":"purchase","user":{"id":%q},"advertiser":"shop","item":"item-0","at":%d}`, s.user, at))
	if byToken {
		lines = append(lines, fmt.Sprintf(`{"type":"impression","token":%q,"campaign":%q}`, s.token, tightCampaign))
	}
	answer := n.ask(t, "/v1/events", strings.Join(lines, "\n"), http.StatusAccepted)
	if !strings.Contains(answer, fmt.Sprintf(`"accepted":%d`, len(lines))) {
		t.Fatalf("%s: %s", n.name, answer)
	}
}

// erase erases the person; a receipt comes back.
func (n *node) erase(t testing.TB, s *subject, keep bool) (receipt string) {
	t.Helper()
	answer := n.ask(t, "/v1/users/erase", fmt.Sprintf(`{"user":{"id":%q},"keep_opt_out":%v}`, s.user, keep), http.StatusOK, http.StatusAccepted)
	var e struct{ Receipt string }
	if err := json.Unmarshal([]byte(answer), &e); err != nil || e.Receipt == "" {
		t.Fatalf("%s: %s %v", n.name, answer, err)
	}
	s.erased, s.optedOut = true, keep
	return e.Receipt
}

func (n *node) optOut(t testing.TB, s *subject) {
	n.ask(t, "/v1/users/preferences", fmt.Sprintf(`{"user":{"id":%q},"personalisation":false}`, s.user), http.StatusOK)
	s.optedOut = true
}

// done is what a receipt says, and for how many nodes.
func (n *node) done(t testing.TB, receipt string) (done bool, nodes int) {
	t.Helper()
	status, answer, err := n.do(http.MethodGet, "/v1/users/erasures/"+receipt, "", "")
	var s struct {
		Done  bool
		Nodes []struct{ Node, State string }
	}
	if err == nil {
		err = json.Unmarshal([]byte(answer), &s)
	}
	if err != nil || status != http.StatusOK {
		t.Fatalf("erasure on %s: %d %s %v", n.name, status, answer, err)
	}
	return s.Done, len(s.Nodes)
}

// remain is what is wrong with the people once the nodes had so long to agree.
func remain(t testing.TB, nodes []*node, people []*subject, deadline time.Duration) (wrong []string) {
	t.Helper()
	for end := time.Now().Add(deadline); ; pause() {
		var all []found
		for _, n := range nodes {
			for _, s := range people {
				f := found{node: n.name, who: s}
				if err := json.Unmarshal([]byte(n.ask(t, "/v1/users/lookup", fmt.Sprintf(`{"user":{"id":%q}}`, s.user), http.StatusOK)), &f.held); err != nil {
					t.Fatal(err)
				}
				all = append(all, f)
			}
		}
		if wrong = checkErased(all); len(wrong) == 0 || time.Now().After(end) {
			return wrong
		}
	}
}

// settle wants the people as they must be, within the patience of the suite or at once.
func settle(t testing.TB, nodes []*node, people []*subject, deadline time.Duration) {
	t.Helper()
	if wrong := remain(t, nodes, people, deadline); len(wrong) > 0 {
		t.Errorf("%s", few(wrong))
	}
}

// subjects are people of whom every node holds something.
func subjects(t testing.TB, nodes []*node, name string, many int) (people []*subject) {
	t.Helper()
	for i := range many {
		s := &subject{user: fmt.Sprintf("%s-%d-%d", name, *seedFlag, i)}
		nodes[i%len(nodes)].fill(t, s)
		people = append(people, s)
	}
	// That they are known everywhere: or the fault would meet nothing.
	until(t, "the people known on every node", func() bool {
		for _, n := range nodes {
			for _, s := range people {
				var h lookup
				answer := n.ask(t, "/v1/users/lookup", fmt.Sprintf(`{"user":{"id":%q}}`, s.user), http.StatusOK)
				if err := json.Unmarshal([]byte(answer), &h); err != nil || len(h.Exposures) < 3 || len(h.Purchases) == 0 || len(h.Hidden) == 0 {
					return false
				}
			}
		}
		return true
	})
	return people
}

// A node is cut off. People are erased on one side and are reported on, with tokens from before too, on the other; some opt out where nobody has heard of their
// erasure. Healed, all that waited in the outboxes goes out.
func TestEraseDuringPartition(t *testing.T) {
	for _, name := range []string{"erased elsewhere", "erased on the node cut off"} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			people := subjects(t, c.nodes, "partition", 12)
			i := c.random.IntN(3)
			cut, other := c.nodes[i], c.nodes[(i+1)%3]
			erasing, reporting := other, cut
			if name != "erased elsewhere" {
				erasing, reporting = cut, other
			}
			var receipts []string
			c.during(t, func() {
				before := c.proxies[i].stats()
				c.proxies[i].cut()
				c.awaitMore(t, 100)
				for k, s := range people {
					reporting.report(t, s, time.Now().Unix()-int64(c.random.IntN(600)), k%2 == 0)
					receipts = append(receipts, erasing.erase(t, s, k%3 != 0))
					reporting.report(t, s, time.Now().Unix()-int64(c.random.IntN(5)), k%2 == 1)
				}
				if s := c.proxies[i].stats(); s.swallowed[toServer] == before.swallowed[toServer] {
					t.Errorf("the cut swallowed nothing: %+v", s)
				}
				for k, s := range people {
					if k%6 == 0 { // erased without an opt-out, who opts out elsewhere
						reporting.optOut(t, s)
					}
				}
				if done, _ := erasing.done(t, receipts[0]); done {
					t.Error("the receipt says that the node that is cut off has it")
				}
				if wrong := remain(t, []*node{reporting}, people, 0); len(wrong) == 0 {
					t.Error("the other side knows of the erasures already: the cut did nothing")
				}
				c.heal()
			})
			until(t, "every receipt done on every node", func() bool {
				for _, n := range c.nodes {
					for _, r := range receipts {
						if done, nodes := n.done(t, r); !done || nodes != 3 {
							return false
						}
					}
				}
				return true
			})
			settle(t, c.nodes, people, patience)
			c.verify(t)
			settle(t, c.nodes, people, 0)
			c.summary(t)
		})
	}
}

// People are erased, and opt out, while a node is down. When it says that it is ready it has heard of it all.
func TestEraseWhileNodeDown(t *testing.T) {
	c := newCluster(t)
	people := subjects(t, c.nodes, "down", 12)
	i := c.random.IntN(3)
	n, others := c.nodes[i], []*node{c.nodes[(i+1)%3], c.nodes[(i+2)%3]}
	n.kill(t)
	var receipt string
	c.during(t, func() {
		for k, s := range people {
			switch k % 3 {
			case 0:
				others[k%2].optOut(t, s)
			default:
				receipt = others[k%2].erase(t, s, k%3 == 1)
			}
			others[(k+1)%2].report(t, s, time.Now().Unix()-int64(c.random.IntN(60)), true)
		}
		if done, _ := others[0].done(t, receipt); done {
			t.Error("the receipt says that a node that was killed has it")
		}
	})
	n.start(t)
	settle(t, []*node{n}, people, 0)
	until(t, "the receipt done", func() bool { done, nodes := n.done(t, receipt); return done && nodes == 3 })
	settle(t, c.nodes, people, patience)
	c.verify(t)
	settle(t, c.nodes, people, 0)
	c.summary(t)
}

// A node comes back with its whole folder from before people were erased and opted out, which some of them asked of this very node.
func TestEraseAndOlderFolder(t *testing.T) {
	c := newCluster(t)
	people := subjects(t, c.nodes, "folder", 12)
	n := c.nodes[c.random.IntN(3)]
	c.during(t, func() { n.awaitSnapshots(t, 2) })
	n.kill(t)
	older := t.TempDir()
	copyDir(t, n.data(), older)
	n.start(t)
	c.during(t, func() {
		for k, s := range people {
			if k%3 == 0 {
				c.nodes[k%3].optOut(t, s)
			} else {
				c.nodes[c.random.IntN(3)].erase(t, s, k%3 == 1)
			}
		}
		n.awaitSnapshots(t, 2)
	})
	settle(t, c.nodes, people, patience) // all of it has left the node
	n.kill(t)
	replaceDir(t, n.data(), older)
	n.start(t)
	settle(t, c.nodes, people, 0)
	c.verify(t)
	settle(t, c.nodes, people, 0)
	c.summary(t)
}

// kill -9 of the node that was asked, as soon as it has answered.
func TestEraseThenKill(t *testing.T) {
	c := newCluster(t)
	var all []*subject
	for round := range rounds(3, 30) {
		people := subjects(t, c.nodes, fmt.Sprintf("kill-%d", round), 6)
		n := c.nodes[c.random.IntN(3)]
		c.during(t, func() {
			for k, s := range people {
				if k%3 == 0 {
					n.optOut(t, s)
				} else {
					n.erase(t, s, k%3 == 1)
				}
			}
			n.kill(t)
			for _, s := range people {
				if other := c.nodes[c.random.IntN(3)]; other != n {
					other.report(t, s, time.Now().Unix()-2, true)
				}
			}
			n.start(t)
		})
		all = append(all, people...)
		settle(t, []*node{n}, people, 0)
		settle(t, c.nodes, all, patience)
		c.verify(t)
		if t.Failed() {
			return
		}
	}
	c.summary(t)
}

// A node alone: killed as soon as it has answered, it comes back with the snapshots of before, and with none.
func TestEraseAlone(t *testing.T) {
	for _, name := range []string{"killed", "older snapshots", "no snapshots"} {
		t.Run(name, func(t *testing.T) {
			random := scenario(t)
			n, l := loaded(t, random)
			people := subjects(t, []*node{n}, "alone", 8)
			l.during(t, func() { n.awaitSnapshots(t, 2) })
			n.kill(t)
			older := t.TempDir()
			if name == "older snapshots" {
				copyDir(t, n.snapshotDir(), older)
			}
			n.start(t)
			if name != "killed" {
				l.during(t, func() { n.awaitSnapshots(t, 2) })
			}
			for k, s := range people {
				if k%3 == 0 {
					n.optOut(t, s)
					continue
				}
				receipt := n.erase(t, s, k%3 == 1)
				if done, nodes := n.done(t, receipt); !done || nodes != 1 {
					t.Errorf("the receipt: done %v, %d nodes", done, nodes)
				}
				n.report(t, s, time.Now().Unix()-1, true)
			}
			n.kill(t)
			if name != "killed" {
				replaceDir(t, n.snapshotDir(), older)
			}
			n.start(t)
			settle(t, l.nodes, people, 0)
			l.verify(t)
			settle(t, l.nodes, people, 0)
			l.summary(t)
		})
	}
}
