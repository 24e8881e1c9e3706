package edge

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"restraint/edge/identity"
	"restraint/edge/shared"
	"restraint/edge/traffic"
	"restraint/edge/trust"
)

// dialBench is a node of its own whose campaign paused is dialled back as the test says.
func dialBench(t *testing.T) (n *Node, tag uint64) {
	t.Helper()
	n = benchNode(t, 16<<20, []byte(allocationPolicy))
	return n, n.tags.Tag(identity.KindCampaign, 0, "paused")
}

func raised(level trust.Level) *trust.Standing {
	return trust.NewStanding("paused").Raised(level, trust.Raise{Since: benchNow, Policy: 1, Window: 60, Shown: 9, Weighing: 3, People: 2, Per10K: 5, Node: "x"})
}

// What is no standing, or another campaign's, is refused whatever it comes from, and
// nothing changes.
func TestBrokenStandings(t *testing.T) {
	n, tag := dialBench(t)
	good := raised(trust.Paused).Encode()
	name := dialName(tag)
	if got, err := n.joinStandings(name, nil, good); err != nil || !bytes.Equal(got, good) {
		t.Fatalf("%v %s", err, got)
	}
	for what, c := range map[string]struct {
		name string
		doc  string
	}{
		"empty":               {name, ""},
		"cut":                 {name, string(good[:len(good)-1])},
		"of another campaign": {dialName(tag + 1), string(good)},
		"no name":             {dialPrefix + "zz", string(good)},
		"a later version":     {name, strings.Replace(string(good), `"version":1`, `"version":2`, 1)},
	} {
		if _, err := n.joinStandings(c.name, good, []byte(c.doc)); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
}

// While the wall clock cannot be believed nothing is judged and nothing is folded.
func TestWrongClockJudgesNothing(t *testing.T) {
	n, tag := dialBench(t)
	n.clock = clock{}
	documents, err := shared.OpenJoined(t.TempDir(), shared.Kind{Prefix: dialPrefix, Join: n.joinStandings, Changed: n.adoptDocument}, nil, n.log)
	if err != nil {
		t.Fatal(err)
	}
	n.dialling.documents = documents
	now := time.Now()
	n.counting.add(uint32(now.Unix()), traffic.Row{Campaign: "paused"}, countImpression, 10)
	for i := range 8 {
		n.dialling.book.Add(tag, trust.Report{ID: uint64(i + 1), Person: uint64(i + 1), At: uint32(now.Unix()), Kind: trust.Hide, Weighs: true})
	}
	ahead := now.Add(-30 * 24 * time.Hour)                           // the servers say so
	n.clock.check(now, now, ahead)                                   // found wrong at once, or
	n.clock.check(now.Add(time.Second), now.Add(time.Second), ahead) // when it is still
	if _, wrong := n.clock.wrong(); !wrong {
		t.Fatal("the clock is believed")
	}
	n.hearAt(now.Add(40 * 24 * time.Hour))
	if s := n.dialling.book.Stats(); s.Reports != 8 || len(n.dialling.standings) != 0 {
		t.Fatalf("%+v, %v", s, n.dialling.standings)
	}
	n.clock = clock{}
	n.hearAt(now.Add(time.Second))
	if level, by := n.dialling.standings[tag].Level(); level != trust.Paused || by.Weighing != 8 {
		t.Errorf("%v %+v", level, by)
	}
	n.hearAt(now.Add(40 * 24 * time.Hour))
	if s := n.dialling.book.Stats(); s.Reports != 0 {
		t.Errorf("%+v", s)
	}
	if level, _ := n.dialling.standings[tag].Level(); level != trust.Paused {
		t.Error("it ended by itself")
	}
}

// A release that says nothing any more is forgotten, here and in the folder; a dial-back is not.
func TestReleaseIsForgotten(t *testing.T) {
	n, tag := dialBench(t)
	n.clock = clock{}
	documents, err := shared.OpenJoined(t.TempDir(), shared.Kind{Prefix: dialPrefix, Join: n.joinStandings, Changed: n.adoptDocument}, nil, n.log)
	if err != nil {
		t.Fatal(err)
	}
	n.dialling.documents = documents
	now := time.Now()
	s := raised(trust.Lowered)
	if err := n.keepStanding(tag, s); err != nil {
		t.Fatal(err)
	}
	n.dropStandings(uint32(now.Unix()) + 100*86400)
	if n.dialling.standings[tag] == nil {
		t.Fatal("a dial-back is forgotten")
	}
	if err := n.keepStanding(tag, s.Released(trust.Release{At: uint32(now.Unix()), Node: "x"})); err != nil {
		t.Fatal(err)
	}
	n.dropStandings(uint32(now.Unix()) + 90*86400)
	if n.dialling.standings[tag] == nil || documents.Stats().Documents != 1 {
		t.Fatal("a release that counts is forgotten")
	}
	n.dropStandings(uint32(now.Unix()) + 92*86400)
	if n.dialling.standings[tag] != nil || documents.Stats().Documents != 0 {
		t.Error("a release that says nothing any more is kept")
	}
}

// Each change of level is logged with its numbers and counted, and a level that does not change is not.
func TestDialIsTold(t *testing.T) {
	n, tag := dialBench(t)
	var log bytes.Buffer
	n.log = slog.New(slog.NewJSONHandler(&log, nil))
	lowered := raised(trust.Lowered)
	paused := lowered.Raised(trust.Paused, trust.Raise{Since: benchNow + 1, Policy: 1, Window: 60, Shown: 9, Weighing: 4, People: 2, Per10K: 20, Node: "x"})
	for _, s := range []*trust.Standing{lowered, lowered, paused, lowered, paused.Released(trust.Release{At: benchNow + 2, By: "me", Why: "fixed", Node: "x"})} {
		n.adopt(tag, s)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	for i, want := range [][]string{{`"level":"lowered"`, `"hides_and_complaints":3`, `"shown":9`}, {`"level":"paused"`, `"threshold_per_10k":20`}, {"released", `"by":"me"`, `"why":"fixed"`}} {
		if len(lines) != 3 {
			t.Fatalf("%d lines: %s", len(lines), log.String())
		}
		for _, part := range want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d has no %s: %s", i, part, lines[i])
			}
		}
	}
	var b bytes.Buffer
	n.metrics.write(&b)
	for _, line := range []string{`{to="lowered"} 1`, `{to="paused"} 1`, `{to="none"} 1`} {
		if !strings.Contains(b.String(), "restraint_dial_back_changes_total"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if i := n.rules.Load().find(tag); n.rules.Load().dials[i].Load() != nil {
		t.Error("released, and still dialled back")
	}
}
