package edge

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"restraint/caps"
	"restraint/suppress"
)

// sampleNode is a node with one list of so many members, and an exchange that asks it.
func sampleNode(t *testing.T, members int) (n *Node, ask func(user string) membership) {
	t.Helper()
	n = benchNode(t, 16<<20, []byte(`
markets: [{name: all, require: none}]
lists: {customers: {id: [user.id], source: first_party, basis: contract}}
campaigns: {acquire: {advertiser: a, suppress: [customers]}}
`))
	var rows strings.Builder
	for i := range members {
		fmt.Fprintf(&rows, "m-%d\n", i)
	}
	if _, err := n.lists.Replace("customers", strings.NewReader(rows.String()), suppress.Import{Format: suppress.Plain, ID: "user.id"}); err != nil {
		t.Fatal(err)
	}
	x := new(exchange)
	return n, func(user string) membership {
		if err := x.req.Parse([]byte(`{"user":{"id":"` + user + `"},"candidates":[{"campaign":"acquire"}]}`)); err != nil {
			t.Fatal(err)
		}
		n.decide(x, benchNow)
		return x.judge.member[0]
	}
}

// answers is what came of the samples of the list.
func (n *Node) answers() (of [sampledAnswers]uint64) {
	var text bytes.Buffer
	n.sampling.write(&text, n.lists.View().List("customers"), "customers")
	for answer, name := range sampledNames {
		_, rest, _ := strings.Cut(text.String(), `answer="`+name+`"} `)
		_, _ = fmt.Sscan(rest, &of[answer])
	}
	return of
}

// One ask in so many is sampled, whoever asks, and what the filter says yes to is settled
// in the key file: strangers are found who have the bits of a member.
func TestListSample(t *testing.T) {
	n, ask := sampleNode(t, 20_000)
	const asks = 20 * sampleEvery
	for i := range asks {
		if i%2 == 0 {
			ask(fmt.Sprintf("m-%d", i))
		} else {
			ask(fmt.Sprintf("stranger-%d", i))
		}
	}
	n.settleSampled()
	of := n.answers()
	if of[sampledOutside]+of[sampledStranger] == 0 || of[sampledMember] == 0 || of[sampledOutside]+of[sampledMember]+of[sampledStranger] != asks/sampleEvery {
		t.Errorf("of %d asks: %v", asks, of)
	}
	before := of
	found := 0
	for i := 0; found < 3; i++ {
		if i == 1_000_000 {
			t.Fatal("the filter is never wrong")
		}
		var p suppress.Probe
		p.Reset(n.hasher.Key("user.id", fmt.Appendf(nil, "s-%d", i)))
		if view := n.lists.View(); view.Contains(view.List("customers"), &p, benchNow) {
			found++
			for range sampleEvery {
				if ask(fmt.Sprintf("s-%d", i)) != inside {
					t.Fatal("decided otherwise than it was asked")
				}
			}
		}
	}
	n.settleSampled()
	if of := n.answers(); of[sampledStranger] != before[sampledStranger]+3 || of[sampledMember] != before[sampledMember] {
		t.Errorf("%v, and three wrong answers later %v", before, of)
	}
}

// What cannot be settled is counted as that: a list that changed meanwhile, more than may
// wait. The key of nobody waits longer than it must.
func TestListSampleUnsettled(t *testing.T) {
	n, ask := sampleNode(t, 10)
	for range sampleEvery {
		ask("m-1")
	}
	if _, err := n.lists.Replace("customers", strings.NewReader("m-2\nm-3\nm-4\nm-5\nm-6\n"), suppress.Import{Format: suppress.Plain, ID: "user.id"}); err != nil {
		t.Fatal(err)
	}
	n.settleSampled()
	if of := n.answers(); of[sampledUnsettled] != 1 || of[sampledMember] != 0 {
		t.Errorf("a list that changed: %v", of)
	}
	for range sampleEvery * (maxSettling + 2) {
		ask("m-2")
	}
	if of := n.answers(); len(n.sampling.waiting) != maxSettling || of[sampledUnsettled] != 3 {
		t.Errorf("%d wait, %v", len(n.sampling.waiting), of)
	}
	n.settleSampled()
	if of := n.answers(); len(n.sampling.waiting) != 0 || of[sampledMember] != maxSettling {
		t.Errorf("%d wait, %v", len(n.sampling.waiting), of)
	}
}

// A request that asks more lists than are sampled of it loses nothing else.
func TestListSampleRoom(t *testing.T) {
	var j judge
	for range 2 * len(j.samples) {
		j.noteSample(0, caps.Key{1}, false)
	}
	var s listSample
	s.take(&j)
	if s.of[0][sampledOutside] != uint64(len(j.samples)) || j.sampled != 0 || j.samples[0].key != (caps.Key{}) {
		t.Errorf("%v, %d left", *s.of[0], j.sampled)
	}
}
