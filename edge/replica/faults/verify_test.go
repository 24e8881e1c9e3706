package faults

import (
	"strings"
	"testing"
	"time"
)

// verify asks every node about everybody and runs all checks. The load is stopped. Several nodes have until the deadline to agree; one
// node has to be right at once.
func (l *load) verify(t testing.TB) {
	t.Helper()
	if wrong := l.findings(t, patience); len(wrong) > 0 {
		t.Errorf("%s", few(wrong))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wrong) > 0 {
		t.Errorf("found while the load ran:%s", few(l.wrong))
		l.wrong = nil
	}
}

// findings is what is wrong once the nodes had so long to agree; with no time at all holds are left out, which travel as best they can and
// are not kept.
func (l *load) findings(t testing.TB, deadline time.Duration) (wrong []string) {
	t.Helper()
	for end := time.Now().Add(deadline); ; pause() {
		readings := l.readAll(t)
		if deadline == 0 {
			for _, r := range readings {
				delete(r.verdicts, tightCampaign)
			}
		}
		wrong = l.check(readings)
		if len(wrong) == 0 || len(l.nodes) == 1 || time.Now().After(end) {
			return wrong
		}
	}
}

// check runs the checks over the answers of all nodes.
func (l *load) check(readings []reading) []string {
	h := l.history
	wrong := checkBounds(h.bounds(impression), only(readings, "count-"), countLimit)
	wrong = append(wrong, checkAgreement(readings)...)
	wrong = append(wrong, checkRefusals(h.bounds(hide), readings, "hidden", func(of string) bool { return strings.HasPrefix(of, "hide-") })...)
	wrong = append(wrong, checkRefusals(h.bounds(purchase), readings, "purchased", func(of string) bool { return strings.HasPrefix(of, "item-") })...)
	return append(wrong, checkOvershoot(h.shownAll(), tightLimit)...)
}

// only keeps the verdicts whose name has the prefix.
func only(readings []reading, prefix string) []reading {
	kept := make([]reading, len(readings))
	for i, r := range readings {
		kept[i] = reading{node: r.node, user: r.user, verdicts: map[string]verdict{}}
		for of, v := range r.verdicts {
			if strings.HasPrefix(of, prefix) {
				kept[i].verdicts[of] = v
			}
		}
	}
	return kept
}

func (l *load) readAll(t testing.TB) (readings []reading) {
	t.Helper()
	for _, user := range l.history.users() {
		for _, n := range l.nodes {
			r, err := n.read(user)
			if err != nil {
				t.Fatalf("read from %s: %v\n%s", n.name, err, n.tail())
			}
			readings = append(readings, r)
		}
	}
	return readings
}

// summary says what a run came to, so that a run that did nothing is seen.
func (l *load) summary(t testing.TB) {
	t.Helper()
	s, o := l.history.totals(), measureOvershoot(l.history.shownAll(), tightLimit)
	t.Logf("seed %d: %d events in %d reports: %d acknowledged, %d refused, %d unknown; %d reads under load; %d shown, %.1f per mille over the cap",
		*seedFlag, s.events, s.reports, s.acknowledged, s.refused, s.unknown, s.reads, o.shown, o.perMille())
	if s.acknowledged == 0 || s.reads == 0 || o.shown == 0 {
		t.Errorf("the load did not do what it is for: %+v, %d shown", s, o.shown)
	}
}
