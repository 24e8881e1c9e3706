package edge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"restraint/caps"
)

const armPolicy = `
markets: [{name: all, require: none}]
sources: [email_sha256, user.id]
campaigns:
  shown: {advertiser: a}
`

// tryOut puts a policy on a node without servers.
func tryOut(t testing.TB, n *Node, text string, percent uint8) {
	t.Helper()
	if _, err := n.putPolicy(policyPut{text: []byte(text), from: "test", pilot: percent}); err != nil {
		t.Fatal(err)
	}
}

// armOfRequest is the arm in which a node decides a request, and the version it decides by.
func armOfRequest(t testing.TB, n *Node, x *exchange, user string) (Arm, int) {
	t.Helper()
	if err := x.req.Parse([]byte(`{"user":{` + user + `},"candidates":[{"campaign":"shown"}]}`)); err != nil {
		t.Fatal(err)
	}
	n.decide(x, benchNow)
	return x.arm, x.judge.rules.Version
}

// Everybody is in the arm of their lot, the arms have the share that was asked for, and
// a pilot that grows keeps whom it had, also after a restart and on a node of its own.
func TestArmsHaveTheirShares(t *testing.T) {
	const people = 20_000
	n := benchNode(t, 32<<20, []byte(armPolicy))
	x := new(exchange)
	before := make([]Arm, people)
	tried := armPolicy + "# tried\n"
	for _, percent := range []uint8{1, 10, 20, 60, 100} {
		tryOut(t, n, tried, percent)
		version := n.rules.Load().trial.tried.Version
		in := 0
		for i := range people {
			arm, by := armOfRequest(t, n, x, fmt.Sprintf(`"id":"u-%d"`, i))
			if want := map[Arm]int{ArmBefore: 1, ArmPilot: version}[arm]; by != want {
				t.Fatalf("arm %s is decided by version %d, want %d", arm, by, want)
			}
			if before[i] == ArmPilot && arm != ArmPilot {
				t.Fatalf("u-%d is not in the pilot of %d %%, and was in a smaller one", i, percent)
			}
			if before[i] = arm; arm == ArmPilot {
				in++
			}
		}
		p := float64(percent) / 100
		if off := math.Abs(float64(in) - people*p); off > 5*math.Sqrt(people*p*(1-p)) { // once in 1.7 million
			t.Errorf("%d of %d are in a pilot of %d %%", in, people, percent)
		}
	}
	if arm, by := armOfRequest(t, n, x, ""); arm != ArmBefore || by != 1 {
		t.Errorf("whom nobody knows is in arm %s, by version %d", arm, by)
	}
}

// The next pilot is of other people.
func TestPilotsDrawAnew(t *testing.T) {
	const people = 4000
	n := benchNode(t, 32<<20, []byte(armPolicy))
	x := new(exchange)
	in := make([]int, people)
	for round := range 2 {
		tryOut(t, n, armPolicy+"# tried\n", 50)
		for i := range people {
			if arm, _ := armOfRequest(t, n, x, fmt.Sprintf(`"id":"u-%d"`, i)); arm == ArmPilot {
				in[i] |= 1 << round
			}
		}
		tryOut(t, n, armPolicy, 0) // which stops it
	}
	var both [4]int
	for _, was := range in {
		both[was]++
	}
	for was, count := range both {
		if math.Abs(float64(count)-people/4) > 5*math.Sqrt(people*3.0/16) {
			t.Errorf("in %02b of the two pilots: %d of %d", was, count, people)
		}
	}
}

// Whatever else a request brings, and in whatever order, the arm is that of the
// identifier whose source the policy names first.
func TestPrimaryIdentifierChoosesTheArm(t *testing.T) {
	n := benchNode(t, 32<<20, []byte(armPolicy))
	tryOut(t, n, armPolicy+"# tried\n", 50)
	x := new(exchange)
	hash := strings.Repeat("ab", 31)
	random := rand.New(rand.NewPCG(1, 2))
	arms := map[Arm]int{}
	for i := range 200 {
		email := fmt.Sprintf(`{"source":"email_sha256","uids":[{"id":"%s%02x"}]}`, hash, i)
		want, _ := armOfRequest(t, n, x, `"eids":[`+email+`]`)
		arms[want]++
		for range 5 {
			others := []string{email}
			for k := range 1 + random.IntN(20) { // beyond 16 what comes last is left out
				others = append(others, fmt.Sprintf(`{"source":"other-%d","uids":[{"id":"%d"}]}`, k%3, random.Uint64()))
			}
			random.Shuffle(len(others), func(i, k int) { others[i], others[k] = others[k], others[i] })
			if got, _ := armOfRequest(t, n, x, fmt.Sprintf(`"id":"u-%d","eids":[%s]`, random.Uint64(), strings.Join(others, ","))); got != want {
				t.Fatalf("arm %s with others, %s alone", got, want)
			}
		}
		two := []string{fmt.Sprintf(`{"source":"email_sha256","uids":[{"id":"%s%02x"},{"id":"%s%02x"}]}`, hash, i, hash, 255-i%50)}
		two = append(two, fmt.Sprintf(`{"source":"email_sha256","uids":[{"id":"%s%02x"},{"id":"%s%02x"}]}`, hash, 255-i%50, hash, i))
		a, _ := armOfRequest(t, n, x, `"eids":[`+two[0]+`]`)
		if b, _ := armOfRequest(t, n, x, `"eids":[`+two[1]+`]`); a != b {
			t.Fatalf("arms %s and %s of two emails in two orders", a, b)
		}
	}
	if arms[ArmBefore] < 50 || arms[ArmPilot] < 50 {
		t.Errorf("arms %v", arms)
	}
}

// The holdout is a share of its own, that no pilot and no version changes, and it is of
// every arm alike.
func TestHoldoutIsAShareOfItsOwn(t *testing.T) {
	const people = 20_000
	n := benchNode(t, 32<<20, []byte("holdout: 20\n"+armPolicy))
	x := new(exchange)
	held := make([]bool, people)
	count := 0
	for i := range people {
		arm, _ := armOfRequest(t, n, x, fmt.Sprintf(`"id":"u-%d"`, i))
		held[i] = arm == ArmHoldout
		if shown := x.judge.verdicts[0].reason == Shown; shown == held[i] {
			t.Fatalf("arm %s: shown %v", arm, shown)
		}
		if held[i] {
			count++
		}
	}
	near := func(count int, of, p float64, what string) {
		t.Helper()
		if math.Abs(float64(count)-of*p) > 5*math.Sqrt(of*p*(1-p)) {
			t.Errorf("%s: %d of %v", what, count, of)
		}
	}
	near(count, people, 0.2, "held out")
	tryOut(t, n, "holdout: 20\n"+armPolicy+"# tried\n", 50)
	inPilot := 0
	for i := range people {
		arm, by := armOfRequest(t, n, x, fmt.Sprintf(`"id":"u-%d"`, i))
		if arm == ArmHoldout != held[i] {
			t.Fatalf("u-%d is in arm %s, and was held out %v", i, arm, held[i])
		}
		if held[i] && by == 2 {
			inPilot++
		}
	}
	near(inPilot, float64(count), 0.5, "held out under the pilot")
	tryOut(t, n, "holdout: 20\n"+armPolicy+"# tried\n", 0)
	tryOut(t, n, "holdout: 10\n"+armPolicy, 50)
	for i := range people {
		if arm, _ := armOfRequest(t, n, x, fmt.Sprintf(`"id":"u-%d"`, i)); arm == ArmHoldout && !held[i] {
			t.Fatalf("u-%d is held out, and was not when the share was larger", i)
		}
	}
}

// What a token was made for is reported in the arm in which it was decided.
func TestTokensKeepTheArm(t *testing.T) {
	n := benchNode(t, 32<<20, []byte(armPolicy))
	tryOut(t, n, armPolicy+"# tried\n", 50)
	x := new(exchange)
	seen := map[Arm]bool{}
	for i := range 50 {
		body := fmt.Sprintf(`{"user":{"id":"u-%d","buyeruid":"b-%d","eids":[{"source":"x","uids":[{"id":"x-%d"}]}]},"want":1,"token":true,"candidates":[{"campaign":"shown"}]}`, i, i*7, i)
		if err := x.req.Parse([]byte(body)); err != nil {
			t.Fatal(err)
		}
		n.decide(x, benchNow)
		decided := x.arm
		seen[decided] = true
		tell(t, n, fmt.Sprintf(`{"type":"impression","token":%q,"campaign":"shown"}`, x.token))
		counts := n.rules.Load().trial.counts.table()
		if got := counts.sum(decided, outImpressions); got == 0 {
			t.Fatalf("the impression is not counted in arm %s", decided)
		}
	}
	counts := n.rules.Load().trial.counts.table()
	for a := range arms {
		if shown, reported := counts.sum(a, outcome(Shown)), counts.sum(a, outImpressions); shown != reported {
			t.Errorf("arm %s: %d shown, %d impressions", a, shown, reported)
		}
	}
	if len(seen) != 2 {
		t.Errorf("arms %v", seen)
	}
}

// first finds the primary key whatever the order.
func TestPrimaryFirst(t *testing.T) {
	type id struct {
		rank int
		key  byte
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		ids := make([]id, 1+random.IntN(6))
		best := id{99, 255}
		for i := range ids {
			ids[i] = id{random.IntN(3), byte(random.IntN(200))}
			if ids[i].rank < best.rank || ids[i].rank == best.rank && ids[i].key < best.key {
				best = ids[i]
			}
		}
		var p primary
		var keys []caps.Key
		for _, i := range ids {
			keys = append(keys, caps.Key{15: i.key})
			p.first(keys, i.rank)
		}
		if keys[0][15] != best.key {
			t.Fatalf("%v: first is %d", ids, keys[0][15])
		}
	}
}
