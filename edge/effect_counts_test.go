package edge

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"restraint/edge/effect"
	"restraint/edge/shared"
)

// randomTable is a table with some counts in it.
func randomTable(random *rand.Rand) *armTable {
	t := new(armTable)
	for range random.IntN(40) {
		t[ArmBefore+Arm(random.IntN(int(arms)-1))][random.IntN(effectParts)][random.IntN(int(outcomes))] = random.Uint64N(50)
	}
	return t
}

// The join of counts is commutative, associative and idempotent, in its one form.
func TestArmsJoinIsAMerge(t *testing.T) {
	join := func(a, b []byte) []byte {
		joined, err := joinArms("", a, b)
		if err != nil {
			t.Fatal(err)
		}
		return joined
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		a, b, c := randomTable(random).document(), randomTable(random).document(), randomTable(random).document()
		if !bytes.Equal(join(a, b), join(b, a)) || !bytes.Equal(join(a, join(b, c)), join(join(a, b), c)) || !bytes.Equal(join(a, a), a) || !bytes.Equal(join(nil, a), a) {
			t.Fatalf("%s\n%s\n%s", a, b, c)
		}
	}
}

// What nobody counted is refused, and what a newer program may have is left alone.
func TestArmsDocumentRefused(t *testing.T) {
	numbers := strings.TrimSuffix(strings.Repeat("1,", effectParts), ",")
	for text, newer := range map[string]bool{
		``: false, `{}`: false, `{"format":1}`: false, `[]`: false,
		`{"format":1,"parts":16,"arms":{"pilot":{"show":[1]}}}`:                                        false,
		`{"format":1,"parts":16,"arms":{"pilot":{"show":[` + numbers[2:] + `,-1]}}}`:                   false,
		`{"format":1,"parts":16,"arms":{"pilot":{"show":[` + numbers[2:] + `,1125899906842625]}}}`:     false,
		`{"format":1,"parts":16,"arms":{"pilot":{"show":[` + numbers[2:] + `,18446744073709551616]}}}`: false,
		`{"format":1,"parts":16,"arms":{},"more":1}`:                                                   false,
		`{"format":2,"parts":16,"arms":{}}`:                                                            true,
		`{"format":1,"parts":32,"arms":{}}`:                                                            true,
		`{"format":1,"parts":16,"arms":{"third":{"show":[` + numbers + `]}}}`:                          true,
		`{"format":1,"parts":16,"arms":{"pilot":{"applause":[` + numbers + `]}}}`:                      true,
	} {
		if _, err := parseArmTable([]byte(text)); err == nil || errors.Is(err, shared.ErrNewer) != newer {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := parseArmTable([]byte(`{"format":1,"parts":16,"arms":{"pilot":{"show":[` + numbers + `]}}}`)); err != nil {
		t.Error(err)
	}
}

// Whatever is read as counts has one form, which is read as the same.
func FuzzArmTable(f *testing.F) {
	random := rand.New(rand.NewPCG(2, 2))
	for range 5 {
		f.Add(randomTable(random).document())
	}
	f.Add([]byte(`{"format":1,"parts":16,"arms":{"all":{"cap":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,7]}}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		table, err := parseArmTable(document)
		if err != nil {
			return
		}
		again, err := parseArmTable(table.document())
		if err != nil || *again != *table {
			t.Fatalf("%v\n%s\n%s", err, document, table.document())
		}
	})
}

// Documents of one pilot are those whose names differ in the process alone.
func TestArmsDocumentOfPilot(t *testing.T) {
	c := &compiled{sha256: "a", pilot: &pilotOf{Percent: 10}}
	other := &compiled{sha256: "a", pilot: &pilotOf{Percent: 20}}
	n := benchNode(t, 32<<20, []byte(armPolicy))
	c.tried, other.tried = n.rules.Load().Policy, n.rules.Load().Policy
	own, next, another := effectDocument(c), effectDocument(c), effectDocument(other)
	if own == next || !ofPilot(next, own) || !ofPilot(own, own) || ofPilot(another, own) || ofPilot(own, "") {
		t.Errorf("%s %s %s", own, next, another)
	}
	if err := n.effects.joined.Put(own, new(armTable).document()); err != nil {
		t.Error(err)
	}
}

// What was counted of a pilot is kept while it runs, and dropped when it is over; what
// another node counts of one that this node has not heard of is left to it.
func TestArmsAreDroppedWithThePilot(t *testing.T) {
	n := benchNode(t, 32<<20, []byte(armPolicy))
	later := "effect-00000009-00000000-0000000000000000"
	if err := n.effects.joined.Put(later, new(armTable).document()); err != nil {
		t.Fatal(err)
	}
	count := func(documents int, decisions uint64) {
		t.Helper()
		n.saveEffects()
		if got := n.effects.joined.Stats().Documents; got != documents {
			t.Errorf("%d documents, want %d", got, documents)
		}
		if trial := n.rules.Load().trial; trial != nil {
			all, got := n.happened(trial), uint64(0)
			for part := range effectParts {
				got += all.decisions(ArmBefore, part) + all.decisions(ArmPilot, part)
			}
			if got != decisions {
				t.Errorf("%d decisions, want %d", got, decisions)
			}
		}
	}
	x := new(exchange)
	tryOut(t, n, armPolicy+"# tried\n", 50)
	armOfRequest(t, n, x, `"id":"u-1"`)
	count(2, 1)
	armOfRequest(t, n, x, `"id":"u-2"`)
	count(2, 2)
	tryOut(t, n, armPolicy+"# tried\n", 60)
	count(1, 0)
	armOfRequest(t, n, x, `"id":"u-2"`)
	count(2, 1)
	tryOut(t, n, armPolicy, 0)
	armOfRequest(t, n, x, `"id":"u-2"`)
	count(1, 0)
}

// What is decided and reported is counted in its arm, and told: a pilot that shows less
// is found to, with its interval, and what is alike is not.
func TestEffectIsTold(t *testing.T) {
	const before = `
markets: [{name: all, require: none}]
campaigns:
  shown: {advertiser: a, caps: [{per: campaign, limit: 8, within: 24h}]}
`
	n := benchNode(t, 32<<20, []byte("holdout: 5\n"+before))
	tryOut(t, n, strings.Replace("holdout: 5\n"+before, "limit: 8", "limit: 4", 1), 50)
	x := new(exchange)
	random := rand.New(rand.NewPCG(5, 6))
	for i := range 2000 {
		times := 1 + random.IntN(12)
		for k := range times {
			user := fmt.Sprintf(`"user":{"id":"u-%d"}`, i)
			if err := x.req.Parse([]byte(`{` + user + `,"candidates":[{"campaign":"shown"}]}`)); err != nil {
				t.Fatal(err)
			}
			if n.decide(x, benchNow); x.judge.verdicts[0].reason != Shown {
				continue
			}
			tell(t, n, fmt.Sprintf(`{"type":"impression",%s,"campaign":"shown","id":"%d-%d"}`, user, i, k))
			if random.IntN(10) == 0 {
				tell(t, n, fmt.Sprintf(`{"type":"click",%s,"campaign":"shown"}`, user))
			}
		}
	}
	tell(t, n, `{"type":"purchase","user":{"id":"u-1"},"advertiser":"a"}`)
	if err := x.req.Parse([]byte(`{"candidates":[{"campaign":"shown"}]}`)); err != nil { // nobody: in no arm by lot
		t.Fatal(err)
	}
	n.decide(x, benchNow)
	running, err := n.runningPilot()
	if err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]effect.Verdict{}
	for _, r := range running.Effect.Rates {
		verdicts[r.What] = r.Verdict
		if (r.Low == nil) != (r.Verdict == effect.TooFew) || r.Low != nil && (*r.Low > r.Difference || *r.High < r.Difference) || r.Independent {
			t.Errorf("%+v", r)
		}
	}
	for what, want := range map[string]effect.Verdict{"shown": effect.Less, "cap": effect.More, "clicks": effect.Alike, "purchases": effect.TooFew, "hides": effect.TooFew} {
		if verdicts[what] != want {
			t.Errorf("%s: %q, want %q", what, verdicts[what], want)
		}
	}
	purchases := uint64(0)
	for _, a := range running.Effect.Arms {
		skipped := uint64(0)
		for _, s := range a.Skipped {
			skipped += s.Count
			if a.Arm == "holdout" && s.Reason == "no_id" || s.Reason == "holdout" && a.Arm != "holdout" {
				t.Errorf("%s: %+v", a.Arm, s)
			}
		}
		if a.Shown != a.Impressions || a.Shown+skipped != a.Decisions || a.Decisions == 0 || a.Shown == 0 != (a.Arm == "holdout") {
			t.Errorf("%+v", a)
		}
		purchases += a.Purchases
	}
	if purchases != 1 {
		t.Errorf("%d purchases counted", purchases)
	}
}
