package edge

import (
	"strings"
	"testing"

	"restraint/suppress"
)

// What is settled in a key file is asked before the person's records are locked,
// and then not asked again; other lists wait for their turn.
func TestSettledBeforeLocked(t *testing.T) {
	n := benchNode(t, 16<<20, []byte(`
markets: [{name: all, require: none}]
lists:
  sure: {id: [user.id], exact: true, source: first_party, basis: contract}
  likely: {id: [user.id], source: first_party, basis: contract}
campaigns:
  settled: {advertiser: a, suppress: [likely, sure]}
  not: {advertiser: a, suppress: [likely]}
`))
	for _, name := range []string{"sure", "likely"} {
		if _, err := n.lists.Replace(name, strings.NewReader("member\n"), suppress.Import{Format: suppress.Plain, ID: "user.id"}); err != nil {
			t.Fatal(err)
		}
	}
	x := new(exchange)
	settle := func(user, campaign string) (sure, likely membership) {
		if err := x.req.Parse([]byte(`{"user":{"id":"` + user + `"},"candidates":[{"campaign":"` + campaign + `"}]}`)); err != nil {
			t.Fatal(err)
		}
		rules := n.rules.Load()
		if !rules.settles {
			t.Fatal("the policy has an exact list, and no campaign needs settling")
		}
		x.keys, _ = n.identify(x, x.keys[:0], x.req.Identifiers, rules.Policy, rules.watched, benchNow)
		x.begin(n, rules, benchNow)
		x.judge.settle(x.req.Candidates)
		for i := range rules.Lists {
			if rules.Lists[i].Name == "sure" {
				sure = x.judge.member[i]
			} else {
				likely = x.judge.member[i]
			}
		}
		return sure, likely
	}
	if sure, likely := settle("member", "settled"); sure != inside || likely != notAsked {
		t.Errorf("a member: exact list %d, the other %d", sure, likely)
	}
	if sure, _ := settle("stranger", "settled"); sure != outside {
		t.Errorf("a stranger: exact list %d", sure)
	}
	if sure, likely := settle("member", "not"); sure != notAsked || likely != notAsked {
		t.Errorf("a campaign without exact lists: %d, %d", sure, likely)
	}
	if sure, _ := settle("member", "unknown"); sure != notAsked {
		t.Errorf("an unknown campaign: %d", sure)
	}
}

// Every list of opt-outs is asked before the person's records are locked, whichever
// campaigns are asked for, and not again for any candidate.
func TestOptOutListsAskedOnce(t *testing.T) {
	n := benchNode(t, 16<<20, []byte(`
markets: [{name: all, require: none}]
lists:
  sure: {kind: opt_out, id: [user.id], exact: true, source: first_party, basis: objection}
  likely: {kind: opt_out, id: [user.id], source: first_party, basis: objection}
  customers: {id: [user.id], source: first_party, basis: contract}
campaigns:
  a: {advertiser: a}
`))
	for _, name := range []string{"sure", "likely"} {
		if _, err := n.lists.Replace(name, strings.NewReader(name+"\n"), suppress.Import{Format: suppress.Plain, ID: "user.id"}); err != nil {
			t.Fatal(err)
		}
	}
	x := new(exchange)
	for user, want := range map[string][3]membership{
		"sure": {inside, outside, notAsked}, "likely": {outside, inside, notAsked}, "stranger": {outside, outside, notAsked},
	} {
		if err := x.req.Parse([]byte(`{"user":{"id":"` + user + `"},"candidates":[{"campaign":"a"},{"campaign":"a"}]}`)); err != nil {
			t.Fatal(err)
		}
		rules := n.rules.Load()
		x.keys, _ = n.identify(x, x.keys[:0], x.req.Identifiers, rules.Policy, rules.watched, benchNow)
		x.begin(n, rules, benchNow)
		x.judge.settle(x.req.Candidates)
		if got := [3]membership(x.judge.member); got != want {
			t.Errorf("%s: %v, want %v", user, got, want)
		}
		// From here on nothing asks a list: with none to ask, the answer is the same.
		x.judge.probes = nil
		x.judgeLocked(n, rules, benchNow)
		for i := range x.judge.verdicts {
			if got := x.judge.verdicts[i].reason; (got == OptedOut) != (user != "stranger") {
				t.Errorf("%s: %v", user, got)
			}
		}
	}
}
