package replica

import (
	"fmt"
	"regexp"
	"slices"
)

// A gap is what had gone from a stream before a node applied it: the node was down past the age of the stream, say. It is in the position
// that snapshots keep, so a restart does not forget it, and goes when the snapshot of another node that has come over it is merged. Where no
// node has what is missing, an operator can go on without it, by writing the name of the gap into the configuration.

// accepted are the names of gaps that an operator goes on without.
type accepted []string

// gapNames matches what gapName makes.
var gapNames = regexp.MustCompile(`^(` + eventsStream + `|` + refusalsStream + `)/([1-9][0-9]*-[1-9][0-9]*|earlier)/[1-9][0-9]*$`)

// gapName names a gap so that no other has the name: the stream, the messages, and the second in which the stream was made.
func gapName(stream string, p StreamPosition) string {
	messages := "earlier"
	if p.Hole > 1 {
		messages = fmt.Sprintf("%d-%d", p.Missed, p.Hole-1)
	}
	return fmt.Sprintf("%s/%s/%d", stream, messages, p.Created/1e9)
}

// gap says what is missing, and the name of it. f.mu is held.
func (f *follower) gap() (text, name string) {
	switch p := f.at; {
	case p.Hole == 0:
		return "", ""
	case p.Hole == 1:
		return fmt.Sprintf("messages of an earlier stream %s have gone and were not applied here", f.stream), gapName(f.stream, p)
	default:
		return fmt.Sprintf("messages %d to %d of %s have gone and were not applied here", p.Missed, p.Hole-1, f.stream), gapName(f.stream, p)
	}
}

// gapped notes that messages from next to first-1 of the stream that was made then have gone before they were applied here.
//
// The stream of an embedded server has this node's messages only: those after its position are in the outbox.
func (f *follower) gapped(created int64, next, first uint64) {
	if f.own && next > 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	from := max(1, next)
	f.notices.add("a gap in what was read", "stream", f.stream, "from", from, "to", first-1)
	if f.at.Hole > 1 {
		from = min(from, f.at.Missed)
	}
	f.at.Created, f.at.Missed, f.at.Hole = created, from, max(f.at.Hole, first)
}

// accept goes on without what is missing, where the configuration names it.
func (f *follower) accept() {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, name := f.gap()
	if name == "" || !slices.Contains(f.gaps, name) {
		return
	}
	f.at.Missed, f.at.Hole = 0, 0
	f.accepted++
	f.notices.add("a gap is accepted in the configuration: this node goes on without what is missing", "gap", name, "missing", text)
}
