package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"restraint/edge/openrtb"
	"restraint/edge/shared"
)

// While a policy is tried out, what happens is counted by arm, and in each arm by
// part: of so many equal parts of all people, drawn by lot. How much the parts differ
// tells how sure a difference between the arms is; see package effect. Nothing is
// counted by person. Who comes without an identifier is in no arm by lot, and not counted.

// effectParts is how many parts there are. Chosen: enough for the deviate of so many
// degrees of freedom to be near its limit (2.13 beside 1.96), few enough that something
// happens in each.
const effectParts = 16

// nobodysPart is the part of whom no lot is drawn for.
const nobodysPart = effectParts

// outcome is something that is counted: a verdict, by its reason, or a report.
type outcome uint8

const (
	outImpressions = outcome(reasonCount) + iota
	outClicks
	outPurchases
	outHides
	outComplaints
	outcomes
)

var reportOutcomes = map[openrtb.EventType]outcome{
	openrtb.Impression: outImpressions, openrtb.Click: outClicks, openrtb.Purchase: outPurchases,
	openrtb.Hide: outHides, openrtb.Complaint: outComplaints,
}

// String is the outcome's name in documents: what another version of the program may
// count too keeps its name.
func (o outcome) String() string {
	if o < outcome(reasonCount) {
		return Reason(o).String()
	}
	return [...]string{"impressions", "clicks", "purchases", "hides", "complaints"}[o-outImpressions]
}

// armCounters are the counts of this process under one pilot. Safe for concurrent use.
type armCounters [arms][effectParts][outcomes]atomic.Uint64

// armTable is armCounters at a moment, or the sum of those of several nodes.
type armTable [arms][effectParts][outcomes]uint64

// each calls f with every place of a table.
func (armTable) each(f func(a Arm, part int, o outcome)) {
	for a := range arms {
		for part := range effectParts {
			for o := range outcomes {
				f(a, part, o)
			}
		}
	}
}

func (c *armCounters) table() (t armTable) {
	t.each(func(a Arm, part int, o outcome) { t[a][part][o] = c[a][part][o].Load() })
	return t
}

// countDecided counts what a request decided: seen are its verdicts by reason.
func (x *exchange) countDecided(seen *[reasonCount]int) {
	if x.trial == nil || x.part == nobodysPart || x.outside {
		return
	}
	counts := &x.trial.counts[x.arm][x.part]
	for r, k := range seen {
		if k > 0 {
			counts[r].Add(uint64(k))
		}
	}
}

// countReport counts a report that is n times what it says, and is not of a load test,
// once it is kept.
func (x *exchange) countReport(r *report, n uint64) {
	if x.trial == nil || r.part == nobodysPart {
		return
	}
	if o, counted := reportOutcomes[r.kind]; counted {
		x.trial.counts[r.arm][r.part][o].Add(n)
	}
}

// armDocument is how a node's counts are kept and shared: by arm and outcome a list of
// effectParts numbers, without what is all 0. A process has a document of its own, so
// of two forms the larger number of each place is the newer one.
type armDocument struct {
	Format int                            `json:"format"` // 1
	Parts  int                            `json:"parts"`  // effectParts
	Arms   map[string]map[string][]uint64 `json:"arms"`
}

// document is the one form of a table.
func (t *armTable) document() []byte {
	d := armDocument{Format: 1, Parts: effectParts, Arms: map[string]map[string][]uint64{}}
	t.each(func(a Arm, part int, o outcome) {
		n := t[a][part][o]
		if n == 0 {
			return
		}
		if d.Arms[a.String()] == nil {
			d.Arms[a.String()] = map[string][]uint64{}
		}
		if d.Arms[a.String()][o.String()] == nil {
			d.Arms[a.String()][o.String()] = make([]uint64, effectParts)
		}
		d.Arms[a.String()][o.String()][part] = n
	})
	text, err := json.Marshal(d)
	if err != nil {
		panic("BUG: counts that JSON cannot hold: " + err.Error())
	}
	return text
}

// parseArmTable reads a document, whoever wrote it.
func parseArmTable(document []byte) (*armTable, error) {
	var d armDocument
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return nil, fmt.Errorf("read counts of a pilot: %w", err)
	}
	switch {
	case d.Format > 1 || d.Format == 1 && d.Parts != effectParts && d.Parts > 0:
		return nil, shared.ErrNewer
	case d.Format != 1 || d.Parts != effectParts:
		return nil, errors.New("no counts of a pilot: its format or its parts are none")
	}
	t := new(armTable)
	for arm, byOutcome := range d.Arms {
		a := armNamed(arm)
		for name, counts := range byOutcome {
			o := outcomeNamed(name)
			switch {
			case a == arms || o == outcomes:
				return nil, shared.ErrNewer
			case len(counts) != effectParts:
				return nil, fmt.Errorf("counts of a pilot: %s of %s in %d parts, not %d", name, arm, len(counts), effectParts)
			}
			for part, n := range counts {
				if n > maxArmCount {
					return nil, fmt.Errorf("counts of a pilot: %d %s of %s are more than anybody counts", n, name, arm)
				}
				t[a][part][o] = n
			}
		}
	}
	return t, nil
}

// maxArmCount bounds what is taken from others, so that sums do not run over: a
// thousand nodes at a million a second for ten years have fewer together.
const maxArmCount = 1 << 50

func armNamed(name string) Arm {
	for a := range arms {
		if a.String() == name {
			return a
		}
	}
	return arms
}

func outcomeNamed(name string) outcome {
	for o := range outcomes {
		if o.String() == name {
			return o
		}
	}
	return outcomes
}

// joinArms joins two forms of one document: of each place the larger number.
func joinArms(_ string, a, b []byte) ([]byte, error) {
	other, err := parseArmTable(b)
	if err != nil {
		return nil, err
	}
	if a != nil {
		mine, err := parseArmTable(a)
		if err != nil {
			return nil, err
		}
		other.each(func(a Arm, part int, o outcome) { other[a][part][o] = max(other[a][part][o], mine[a][part][o]) })
	}
	return other.document(), nil
}

// ofPilot says whether a document's name is of the pilot whose own document has that
// name: all but the process is the same.
func ofPilot(name, own string) bool {
	return own != "" && strings.HasPrefix(name, own[:strings.LastIndexByte(own, '-')+1])
}
