package edge

import (
	"context"
	"io"
	"sync"
	"time"

	vm "github.com/VictoriaMetrics/metrics"

	"restraint/caps"
	"restraint/suppress"
)

// A filter says yes to some strangers, at a rate that is stated. Whether it keeps to it is
// measured: of what lists are asked, one key in sampleEvery is looked up in the key file
// too, soon after and beside the decision, which it changes nothing of.
const (
	// sampleEvery is a prime, so that no number of lists or identifiers of a request
	// keeps step with it. Chosen: a count that nobody feels.
	sampleEvery = 61
	// sampleSettled is how often what was sampled is settled, maxSettling how many keys
	// wait for it at most: a second of 15,000 that lists say yes to. Chosen.
	sampleSettled = time.Second
	maxSettling   = 256
)

// sampledAnswer is what came of a key that a list was asked for.
type sampledAnswer uint8

const (
	sampledOutside   sampledAnswer = iota // the filter says no, which is always right
	sampledMember                         // it says yes, and so does the key file
	sampledStranger                       // it says yes, and the key file no
	sampledUnsettled                      // the list changed before it was looked up, too many waited, or it cannot be read
	sampledAnswers
)

var sampledNames = [sampledAnswers]string{"outside", "member", "stranger", "unsettled"}

// sampledAsk is a key that a list was asked for.
type sampledAsk struct {
	view *suppress.View
	list int
	key  caps.Key
	in   bool
}

// listSample is what came of the keys that were sampled.
type listSample struct {
	mu      sync.Mutex
	of      map[int]*[sampledAnswers]uint64 // by the list's index in the suppress store
	waiting []sampledAsk                    // of those with a yes
}

// noteSample notes a key that a list was asked for, until the request is counted. More of one
// request than there is room for are left out.
func (j *judge) noteSample(list int, key caps.Key, in bool) {
	j.untilSample = sampleEvery
	if j.sampled < len(j.samples) {
		j.samples[j.sampled] = sampledAsk{j.lists, list, key, in}
		j.sampled++
	}
}

// take notes what was sampled of a request.
func (s *listSample) take(j *judge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range j.samples[:j.sampled] {
		switch {
		case !a.in:
			s.countLocked(a.list, sampledOutside)
		case len(s.waiting) == maxSettling:
			s.countLocked(a.list, sampledUnsettled)
		default:
			s.waiting = append(s.waiting, a)
		}
	}
	j.samples, j.sampled = [len(j.samples)]sampledAsk{}, 0
}

func (s *listSample) countLocked(list int, answer sampledAnswer) {
	if s.of == nil {
		s.of = map[int]*[sampledAnswers]uint64{}
	}
	if s.of[list] == nil {
		s.of[list] = new([sampledAnswers]uint64)
	}
	s.of[list][answer]++
}

// settleSamples looks up what was sampled, until ctx ends.
func (n *Node) settleSamples(ctx context.Context) {
	ticker := time.NewTicker(sampleSettled)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			n.settleSampled()
		}
	}
}

func (n *Node) settleSampled() {
	s := &n.sampling
	s.mu.Lock()
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	if len(waiting) == 0 {
		return
	}
	names := n.lists.StatusAll()
	for _, a := range waiting {
		answer := sampledUnsettled
		if a.list < len(names) {
			in, err := n.lists.Member(names[a.list].List, a.key)
			switch {
			case err != nil || a.view != n.lists.View():
			case in:
				answer = sampledMember
			default:
				answer = sampledStranger
			}
		}
		s.mu.Lock()
		s.countLocked(a.list, answer)
		s.mu.Unlock()
	}
}

// write writes what came of the samples of a list, which is at the index.
func (s *listSample) write(w io.Writer, index int, list string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.of[index]
	if counts == nil {
		counts = new([sampledAnswers]uint64)
	}
	for answer, n := range counts {
		vm.WriteCounterUint64(w, `restraint_list_sampled_total{`+label("list", list)+`,answer="`+sampledNames[answer]+`"}`, n)
	}
}
