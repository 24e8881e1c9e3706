package edge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// optOutPolicy has a list of opt-outs that no campaign names.
const optOutPolicy = `
timezone: UTC
markets: [{name: everywhere, require: none}]
lists:
  refusers: {kind: opt_out, id: [user.id], source: first_party, basis: objection}
  customers: {id: [user.id], source: first_party, basis: contract}
campaigns:
  shoes: {advertiser: acme}
  welcome: {advertiser: acme, purpose: acquisition}
  place: {advertiser: acme, purpose: contextual}
`

// reasonsOf says why each of the campaigns of optOutPolicy is skipped, which is the same
// whether it is explained or not.
func (n *node) reasonsOf(user string) string {
	n.t.Helper()
	body := `{"user":` + user + `,"candidates":[{"campaign":"shoes"},{"campaign":"welcome"},{"campaign":"place"}]}`
	var said [2]string
	for i, query := range []string{"", "?explain=1"} {
		var a answer
		n.must(200, "POST", "/v1/decide"+query, "application/json", body, &a)
		for _, d := range a.Decisions {
			said[i] += " " + d.Campaign + ":" + d.Reason
		}
	}
	if said[0] != said[1] {
		return "plainly" + said[0] + ", explained" + said[1]
	}
	return strings.TrimPrefix(said[0], " ")
}

const (
	nothingPersonal = "shoes:opted_out welcome:opted_out place:"
	unheard         = "shoes:stale_list welcome:stale_list place:"
	everything      = "shoes: welcome: place:"
)

// What the officer is told of a person on a list of opt-outs; what they say themselves
// does not override it; an erasure without the opt-out takes them off.
func TestOptOutListAndPeople(t *testing.T) {
	n := startNode(t, "", optOutPolicy, nil)
	n.must(201, "PUT", "/v1/lists/refusers?id=user.id", "text/plain", "u-1\nu-2\n", nil)
	n.must(201, "PUT", "/v1/lists/customers?id=user.id", "text/plain", "u-1\n", nil)
	type list struct{ List, Kind, Source, Basis, Detail string }
	left := list{List: "refusers", Kind: "opt_out", Source: "first_party", Basis: "objection"}
	both := []list{left, {List: "customers", Kind: "suppression", Source: "first_party", Basis: "contract"}}
	var prefers struct {
		Personalisation bool
		OptOutLists     []list `json:"opt_out_lists"`
	}
	for _, choice := range []string{"true", "false", "true"} {
		n.must(200, "POST", "/v1/users/preferences", "application/json", `{"user":{"id":"u-1"},"personalisation":`+choice+`}`, &prefers)
		if prefers.Personalisation != (choice == "true") || !slices.Equal(prefers.OptOutLists, []list{left}) {
			t.Errorf("personalisation %s: %+v", choice, prefers)
		}
		if got := n.reasonsOf(`{"id":"u-1"}`); got != nothingPersonal {
			t.Errorf("personalisation %s: %s", choice, got)
		}
	}
	var held struct {
		Held        bool
		Lists       []list
		Preferences struct {
			OptOutLists []list `json:"opt_out_lists"`
		}
	}
	n.must(200, "POST", "/v1/users/lookup", "application/json", `{"user":{"id":"u-1"}}`, &held)
	if !held.Held || !slices.Equal(held.Lists, both) || !slices.Equal(held.Preferences.OptOutLists, []list{left}) {
		t.Errorf("look-up: %+v", held)
	}

	if e := n.erase(t, `{"user":{"id":"u-2"},"keep_opt_out":true}`); len(e.Lists) != 1 || e.Lists[0].State != "kept" {
		t.Errorf("with the opt-out: %+v", e)
	}
	if e := n.erase(t, `{"user":{"id":"u-1"},"keep_opt_out":false}`); len(e.Lists) != 2 || e.Lists[0].State != "removed" || e.Lists[1].State != "removed" {
		t.Errorf("without the opt-out: %+v", e)
	}
	if got := n.reasonsOf(`{"id":"u-1"}`); got != everything {
		t.Errorf("taken off: %s", got)
	}
	n.must(200, "POST", "/v1/users/preferences", "application/json", `{"user":{"id":"u-2"},"personalisation":true}`, &prefers)
	if got := n.reasonsOf(`{"id":"u-2"}`); got != nothingPersonal || len(prefers.OptOutLists) != 1 {
		t.Errorf("kept on the list: %s, %+v", got, prefers)
	}
	var other struct {
		OptOutLists []list `json:"opt_out_lists"`
	}
	n.must(200, "POST", "/v1/users/preferences", "application/json", `{"user":{"id":"u-3"},"personalisation":true}`, &other)
	if other.OptOutLists != nil {
		t.Errorf("on no list: %+v", other)
	}
}

// A policy that declares a list as opt-outs, or no longer, holds from its next decision on;
// the members need not be sent again.
func TestOptOutListDeclaredLater(t *testing.T) {
	before := strings.Replace(optOutPolicy, "kind: opt_out, ", "", 1)
	n := startNode(t, "", before, nil)
	n.must(201, "PUT", "/v1/lists/refusers?id=user.id", "text/plain", "u-1\n", nil)
	for _, step := range []struct{ policy, want string }{{optOutPolicy, nothingPersonal}, {before, everything}} {
		n.must(200, "PUT", "/v1/policy", "application/yaml", step.policy, nil)
		if got := n.reasonsOf(`{"id":"u-1"}`); got != step.want {
			t.Errorf("%s, want %s", got, step.want)
		}
		if got := n.reasonsOf(`{"id":"u-2"}`); got != everything {
			t.Errorf("a stranger: %s", got)
		}
	}
}

// A list of opt-outs that is too old, or cannot be read, lets nothing personal through;
// whoever is known to be on it is still opted out.
func TestOptOutListInDoubt(t *testing.T) {
	strict := strings.Replace(optOutPolicy, "kind: opt_out, ", "kind: opt_out, max_age: 48h, ", 1)
	lenient := strings.Replace(strict, "max_age: 48h, ", "max_age: 48h, when_stale: show, ", 1)
	n := startNode(t, "", strict, nil)
	if got := n.reasonsOf(`{"id":"u-2"}`); got != unheard {
		t.Errorf("never pushed: %s", got)
	}
	n.must(201, "PUT", "/v1/lists/refusers?id=user.id", "text/plain", "u-1\n", nil)
	if got := n.reasonsOf(`{"id":"u-2"}`); got != everything {
		t.Errorf("fresh: %s", got)
	}
	n.stop()
	makeOlder(t, n.dir, "refusers", 48*3600+5)
	n = startNode(t, n.dir, strict, nil)
	if got := n.reasonsOf(`{"id":"u-2"}`); got != unheard {
		t.Errorf("too old: %s", got)
	}
	if got := n.reasonsOf(`{"id":"u-1"}`); got != nothingPersonal {
		t.Errorf("too old, and on it: %s", got)
	}
	n.must(200, "PUT", "/v1/policy", "application/yaml", lenient, nil)
	if got := n.reasonsOf(`{"id":"u-2"}`); got != everything {
		t.Errorf("too old, and the policy goes on: %s", got)
	}

	n.stop()
	n.damage(t, "refusers")
	n = startNode(t, n.dir, lenient, nil)
	a := n.decide(`{"user":{"id":"u-2"},"candidates":[{"campaign":"shoes"},{"campaign":"place"}]}`)
	if d := a.Decisions; d[0].Reason != "stale_list" || d[0].Because != `Not shown: the list "refusers" of people who opted out cannot be read, and when in doubt we show less.` || !d[1].Show {
		t.Errorf("damaged: %+v", d)
	}
	var prefers struct {
		OptOutLists []struct{ List, Detail string } `json:"opt_out_lists"`
	}
	n.must(200, "POST", "/v1/users/preferences", "application/json", `{"user":{"id":"u-2"},"personalisation":true}`, &prefers)
	if len(prefers.OptOutLists) != 1 || !strings.Contains(prefers.OptOutLists[0].Detail, "cannot be read") {
		t.Errorf("preferences: %+v", prefers)
	}
	if held := n.lookUp(t, `{"user":{"id":"u-2"}}`); len(held.NotSearched) != 1 || held.NotSearched[0].List != "refusers" || len(held.Lists) != 0 {
		t.Errorf("look-up: %+v", held)
	}
	if e := n.erase(t, `{"user":{"id":"u-2"},"keep_opt_out":false}`); len(e.Lists) != 1 || e.Lists[0].State != "failed" {
		t.Errorf("erasure: %+v", e)
	}
}

// The page says that the person opted out, not by which list, and still takes an opt-out
// of their own, which outlives the list.
func TestOptOutListAndTheWhyPage(t *testing.T) {
	n := startNode(t, "", optOutPolicy, nil)
	token := n.link(t, `"user":{"id":"u-1"}`, "shoes")
	target := "/v1/why?campaign=shoes&t=" + token
	if s := n.whyOf(t, token, "shoes"); s.OptedOut || !s.Show || !s.keeps("opt_out_lists") {
		t.Errorf("not on the list: %+v", s)
	}
	n.must(201, "PUT", "/v1/lists/refusers?id=user.id", "text/plain", "u-1\n", nil)
	s := n.whyOf(t, token, "shoes")
	const sentence = "Not shown: as far as can be told from here, you are on a list of people who opted out, and this campaign is chosen for you."
	if !s.OptedOut || s.Show || s.Reason != "opted_out" || s.Because != sentence {
		t.Errorf("on the list: %+v", s)
	}
	page := n.page(t, 200, "GET", target, "")
	if strings.Contains(page, "refusers") || !strings.Contains(page, "You are on a list of people who opted out") || !strings.Contains(page, `action="opt-out?t=`) {
		t.Errorf("the page names the list, or does not say it, or has no button:\n%s", page)
	}
	n.page(t, 200, "POST", "/v1/opt-out?t="+token, "")
	page = n.page(t, 200, "GET", target, "")
	if !strings.Contains(page, "You are opted out of") || strings.Contains(page, `action="opt-out?t=`) {
		t.Errorf("after an opt-out of their own:\n%s", page)
	}
	n.must(200, "POST", "/v1/lists/refusers/remove?id=user.id", "text/plain", "u-1\n", nil)
	if s := n.whyOf(t, token, "shoes"); !s.OptedOut {
		t.Errorf("off the list, with an opt-out of their own: %+v", s)
	}
	place := n.link(t, `"user":{"id":"u-1"}`, "place")
	if s := n.whyOf(t, place, "place"); !s.Show || s.keeps("opt_out_lists") {
		t.Errorf("contextual: %+v", s)
	}
}

// keeps says whether a kind is among those that are kept.
func (s *said) keeps(kind string) bool {
	for _, k := range s.Kept {
		if k.Kind == kind {
			return true
		}
	}
	return false
}

// A list of opt-outs pushed to one node holds on all, and so does every change of it.
func TestOptOutListOnAllNodes(t *testing.T) {
	nodes, _, _, _ := listCluster(t, 3)
	nodes[0].must(200, "PUT", "/v1/policy", "", optOutPolicy, nil)
	inForce(t, 2, optOutPolicy, nodes...)
	everywhere := func(user, want string) {
		t.Helper()
		for i, n := range nodes {
			eventually(t, fmt.Sprintf("node %d has %s: %s", i, user, want), func() bool { return n.reasonsOf(`{"id":"`+user+`"}`) == want })
		}
	}
	nodes[1].must(201, "PUT", "/v1/lists/refusers?id=user.id", "text/plain", "u-1\n", nil)
	everywhere("u-1", nothingPersonal)
	nodes[2].must(200, "POST", "/v1/lists/refusers/add?id=user.id", "text/plain", "u-2\n", nil)
	everywhere("u-2", nothingPersonal)
	if e := nodes[0].erase(t, `{"user":{"id":"u-2"},"keep_opt_out":false}`); len(e.Lists) != 1 || e.Lists[0].State != "removed" {
		t.Errorf("erasure: %+v", e)
	}
	everywhere("u-2", everything)
	everywhere("u-1", nothingPersonal)
}
