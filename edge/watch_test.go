package edge

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restraint/edge/policy"
)

// A source is silent when no request brought it for a day in which the node ran.
func TestWatchSilent(t *testing.T) {
	const day = silentAfter
	w := &watchedSource{name: "s", since: 1000}
	if w.silent(1000) != 0 || w.said(1000+day-1).Silent || !w.said(1000+day).Silent || w.said(1000+day).LastSeen != nil {
		t.Errorf("never seen: %+v", w.said(1000+day))
	}
	w.note(5000)
	w.note(4000) // a request that is late
	if s := w.said(5000 + day - 1); s.Silent || *s.LastSeen != day-1 || s.Watched != 4000+day-1 || !w.said(5000+day).Silent {
		t.Errorf("seen once: %+v", s)
	}
	// Down for a day: what was not asked cannot be missed.
	w = &watchedSource{name: "s", since: 1000, opened: 5000 + 2*day, down: 2 * day}
	w.seen.Store(5000)
	if s := w.said(5000 + 2*day); s.Silent || *s.LastSeen != 2*day || w.silent(5000+2*day+60) != 60 || !w.said(5000+3*day).Silent {
		t.Errorf("after two days down: %+v", s)
	}
	w.note(5000 + 2*day + 100)
	if got := w.silent(5000 + 2*day + 160); got != 60 {
		t.Errorf("seen after that: silent for %d seconds", got)
	}
	if w.said(10).Silent || w.silent(10) != 0 {
		t.Error("silent before it was watched")
	}
}

// What was noted outlives a restart, with the time in between left out; a file that
// cannot be read is told and begun anew.
func TestWatchKept(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "suppress"), 0o700); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	open := func(now uint32) *Node {
		n := &Node{options: Options{Dir: dir}, log: slog.New(slog.NewTextHandler(&log, nil))}
		n.openWatch(now)
		return n
	}
	lists := func(ids ...string) *policy.Policy {
		p := new(policy.Policy)
		p.Lists = []policy.List{{Name: "a", IDs: ids}, {Name: "b", IDs: ids[:1]}}
		return p
	}
	now := time.Now()
	second := uint32(now.Unix())
	n := open(second)
	all := n.watched(lists("user.id", "ifa"))
	if len(all) != 2 || all[0].since < second {
		t.Fatalf("%d sources, %+v", len(all), all)
	}
	all[0].note(second)
	n.saveWatch(now)
	n = open(second + 3600)
	again := n.watched(lists("user.id", "buyeruid"))
	if len(again) != 2 || again[0].seen.Load() != second || again[0].silent(second+3700) != 100 || again[1].since < second || again[1].seen.Load() != 0 {
		t.Errorf("after an hour: %+v", again[0])
	}
	n.saveWatch(now.Add(time.Hour))
	n = open(second + 7200)
	if again = n.watched(lists("user.id")); again[0].silent(second+7200) != 0 || again[0].down < 3600 || len(n.watch.sources) != 1 {
		t.Errorf("after another hour: %+v", again[0])
	}
	for _, text := range []string{"{", `{"version":2}`} {
		if err := os.WriteFile(n.watchFile(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		if n = open(second); len(n.watch.sources) != 0 || !strings.Contains(log.String(), "cannot be read") {
			t.Errorf("%s: %s", text, log.String())
		}
	}
}

// To note a source takes no memory, and what was noted is in the answer of lists.
func TestWatchNotes(t *testing.T) {
	n := benchNode(t, 16<<20, []byte("markets: [{name: all, require: none}]\nlists: {l: {id: [email_sha256, user.id], source: first_party, basis: contract}}\ncampaigns: {c: {advertiser: a}}\n"))
	watched := n.rules.Load().watched
	x := new(exchange)
	decide := func(body string, now uint32) {
		if err := x.req.Parse([]byte(body)); err != nil {
			t.Fatal(err)
		}
		n.decide(x, now)
	}
	decide(`{"user":{"id":"u"},"candidates":[{"campaign":"c"}]}`, 1_790_000_000)
	decide(`{"user":{"eids":[{"source":"email_sha256","uids":[{"id":"jane@example.com"}]}]},"candidates":[{"campaign":"c"}]}`, 1_790_000_001)
	if watched[0].seen.Load() != 0 || watched[1].seen.Load() != 1_790_000_000 {
		t.Errorf("seen: %d, %d; an email that is not hashed is none", watched[0].seen.Load(), watched[1].seen.Load())
	}
	body := []byte(`{"user":{"id":"u"},"candidates":[{"campaign":"c"}]}`)
	now := uint32(1_790_000_010)
	if got := testing.AllocsPerRun(100, func() {
		now++
		if err := x.req.Parse(body); err != nil {
			t.Fatal(err)
		}
		n.decide(x, now)
	}); got >= 1 {
		t.Errorf("%v allocations", got)
	}
	text, err := json.Marshal(n.listsAnswer().Lists)
	if err != nil || !strings.Contains(string(text), `"source":"email_sha256","last_seen":null`) || strings.Contains(string(text), `"source":"user.id","last_seen":null`) {
		t.Errorf("%s, %v", text, err)
	}
	var metrics strings.Builder
	n.metrics.write(io.Writer(&metrics))
	if !strings.Contains(metrics.String(), `restraint_list_source_silent_seconds{source="email_sha256"}`) {
		t.Error("no metric")
	}
}
