package edge_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"restraint/caps"
	"restraint/edge"
	"restraint/edge/replica"
)

// heldAnswer is what a look-up answers, as far as the tests look at it.
type heldAnswer struct {
	Identifiers  int
	Held         bool
	Exposures    []heldThing
	Holds        []heldThing
	Purchases    []heldThing
	Preferences  prefers
	Hidden       []struct{ Campaign, Tag string } `json:"hidden_campaigns"`
	Lists        []struct{ List string }
	NotSearched  []struct{ List string } `json:"not_searched"`
	ErasedUntil  int64                   `json:"erased_until"`
	DroppedUntil int64                   `json:"dropped_until"`
	KeptSeconds  int64                   `json:"kept_seconds"`
}

type heldThing struct {
	Per, Name, Channel, Tag string
	At                      []int64
	Bought, Returned        int64
	Since, Until            int64
}

type prefers struct {
	Personalisation bool
	Advertisers     []string `json:"hidden_advertisers"`
	Topics          []string `json:"hidden_topics"`
	PauseUntil      int64    `json:"pause_until"`
	Unnamed         int
}

type erasure struct {
	Receipt string
	At      int64 `json:"erased_at"`
	Until   int64 `json:"erased_until"`
	Kept    bool  `json:"opt_out_kept"`
	Lists   []struct{ List, State string }
}

func (n *node) lookUp(t *testing.T, body string) (h heldAnswer) {
	t.Helper()
	n.must(200, "POST", "/v1/users/lookup", "application/json", body, &h)
	return h
}

func (n *node) erase(t *testing.T, body string) (e erasure) {
	t.Helper()
	n.must(200, "POST", "/v1/users/erase", "application/json", body, &e)
	return e
}

func (n *node) prefer(t *testing.T, body string) (p prefers) {
	t.Helper()
	n.must(200, "POST", "/v1/users/preferences", "application/json", body, &p)
	return p
}

// withKeeper gives a node a keeper over a folder, without other nodes; close it after the node.
func withKeeper(t *testing.T, dir string) (change func(*edge.Options), closed func()) {
	var k *replica.Keeper
	closed = func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}
	return func(o *edge.Options) {
		requestClock(o)
		var err error
		if k, err = replica.Open(replica.Options{Dir: dir, Fingerprint: o.Secret.Fingerprint()}); err != nil {
			t.Fatal(err)
		}
		o.Keeper = keeperOf{k}
	}, closed
}

type keeperOf struct{ *replica.Keeper }

func (keeperOf) Kept() edge.Kept { return edge.Kept{} }

// forgotten asserts that nothing is held of the person but the opt-out and the erasure.
func forgotten(t *testing.T, h *heldAnswer, optedOut bool) {
	t.Helper()
	if len(h.Exposures)+len(h.Holds)+len(h.Purchases)+len(h.Hidden)+len(h.Preferences.Advertisers)+len(h.Preferences.Topics)+h.Preferences.Unnamed != 0 ||
		h.Preferences.PauseUntil != 0 || h.DroppedUntil != 0 || h.ErasedUntil == 0 || h.Preferences.Personalisation == optedOut {
		t.Errorf("not forgotten, or opted out is not %v: %+v", optedOut, *h)
	}
}

const peopleStart = 1793500000

// fill makes a node hold something of every kind about u-1, who is also b-1.
func (n *node) fill(t *testing.T) {
	t.Helper()
	n.must(201, "PUT", "/v1/lists/customers?id=user.id", "text/plain", "u-1\nu-2\n", nil)
	n.must(201, "PUT", "/v1/lists/orders?id=user.id&column=c&item_column=i", "text/csv", "c,i\nu-1,sku-1\n", nil)
	who := `"user":{"id":"u-1","buyeruid":"b-1"}`
	for i, event := range []string{
		`"type":"impression","id":"i-1","campaign":"shoes","item":"sku-2"`,
		`"type":"impression","id":"i-2","campaign":"gone"`,
		`"type":"purchase","advertiser":"acme","item":"sku-2","category":"shoes"`,
		`"type":"hide","campaign":"single"`,
		`"type":"complaint","campaign":"gone"`,
	} {
		n.event(fmt.Sprintf(`{%s,%s,"at":%d}`, event, who, peopleStart+i))
	}
	a := n.decide(fmt.Sprintf(`{%s,"want":1,"hold":true,"at":%d,"candidates":[{"campaign":"shoes"}]}`, who, peopleStart+5))
	if len(a.Decisions) != 1 || !a.Decisions[0].Show {
		t.Fatalf("%+v", a)
	}
	p := n.prefer(t, fmt.Sprintf(`{%s,"hidden_advertisers":["nobody"],"hidden_topics":["war"],"pause_until":%d,"at":%d}`, who, peopleStart+9, peopleStart+6))
	if !p.Personalisation || p.Unnamed != 2 || p.PauseUntil != peopleStart+9 {
		t.Fatalf("%+v", p)
	}
}

// Everything that is held is told, under its names where the policy has them.
func TestLookUp(t *testing.T) {
	n := startNode(t, "", testPolicy, requestClock)
	h := n.lookUp(t, `{"user":{"id":"u-1"},"at":1793500000}`)
	if h.Held || h.Identifiers != 1 || len(h.NotSearched) != 1 || h.NotSearched[0].List != "orders" || !h.Preferences.Personalisation {
		t.Errorf("a stranger: %+v", h)
	}
	n.fill(t)
	for _, who := range []string{`"user":{"id":"u-1","buyeruid":"b-1"}`, `"user":{"buyeruid":"b-1"}`} {
		h = n.lookUp(t, fmt.Sprintf(`{%s,"at":%d}`, who, peopleStart+7))
		shown := map[string][]int64{}
		for _, x := range h.Exposures {
			shown[x.Per+" "+x.Name] = x.At
		}
		if !h.Held || !reflect.DeepEqual(shown["campaign shoes"], []int64{peopleStart}) || !reflect.DeepEqual(shown["advertiser acme"], []int64{peopleStart}) ||
			!reflect.DeepEqual(shown["other "], []int64{peopleStart + 1}) {
			t.Errorf("%s: exposures %+v", who, h.Exposures)
		}
		if len(h.Holds) != 2 || h.Holds[0].Since != peopleStart+5 || h.Holds[0].Until != peopleStart+65 || h.Holds[1].Name != "shoes" {
			t.Errorf("%s: holds %+v", who, h.Holds)
		}
		if len(h.Purchases) != 3 || h.Purchases[0].Name != "acme" || h.Purchases[0].Bought != peopleStart+2 || h.Purchases[1].Tag == "" {
			t.Errorf("%s: purchases %+v", who, h.Purchases)
		}
		if len(h.Hidden) != 2 || h.Hidden[0].Tag == "" || h.Hidden[1].Campaign != "single" {
			t.Errorf("%s: hidden %+v", who, h.Hidden)
		}
		if p := h.Preferences; p.Unnamed != 2 || p.PauseUntil != peopleStart+9 || !p.Personalisation {
			t.Errorf("%s: preferences %+v", who, p)
		}
		if onList := strings.Contains(who, "u-1"); onList != (len(h.Lists) == 1 && h.Lists[0].List == "customers") {
			t.Errorf("%s: lists %+v", who, h.Lists)
		}
	}
	if h = n.lookUp(t, fmt.Sprintf(`{"user":{"id":"u-2"},"at":%d}`, peopleStart+7)); !h.Held || len(h.Lists) != 1 || len(h.Exposures) != 0 {
		t.Errorf("on a list only: %+v", h)
	}
}

// What an erasure leaves, with the opt-out and without, and what becomes of lists.
func TestErase(t *testing.T) {
	for _, keep := range []bool{true, false} {
		n := startNode(t, "", testPolicy, requestClock)
		n.fill(t)
		body := fmt.Sprintf(`{"user":{"id":"u-1","buyeruid":"b-1"},"at":%d`, peopleStart+10)
		if keep {
			body += "}"
		} else {
			body += `,"keep_opt_out":false}`
		}
		e := n.erase(t, body)
		if e.At != peopleStart+10 || e.Until != peopleStart+10+caps.ErasureSkew || e.Kept != keep || len(e.Lists) != 1 || e.Lists[0].List != "customers" ||
			e.Lists[0].State != map[bool]string{true: "kept", false: "removed"}[keep] {
			t.Errorf("%+v", e)
		}
		for _, who := range []string{`{"user":{"id":"u-1"}`, `{"user":{"buyeruid":"b-1"}`} {
			h := n.lookUp(t, fmt.Sprintf(`%s,"at":%d}`, who, peopleStart+11))
			forgotten(t, &h, keep)
			if listed := len(h.Lists) == 1; listed != (keep && strings.Contains(who, "u-1")) {
				t.Errorf("keep %v: lists %+v", keep, h.Lists)
			}
		}
		if h := n.lookUp(t, fmt.Sprintf(`{"user":{"id":"u-2"},"at":%d}`, peopleStart+11)); len(h.Lists) != 1 {
			t.Errorf("another person was taken off a list: %+v", h)
		}
		d := n.decide(fmt.Sprintf(`{"user":{"id":"u-1"},"at":%d,"candidates":[{"campaign":"shoes"},{"campaign":"welcome"}]}`, peopleStart+12)).Decisions
		if want := map[bool]string{true: "opted_out", false: ""}[keep]; d[0].Reason != want || d[1].Reason != want {
			t.Errorf("keep %v: %+v", keep, d)
		}
		var s struct {
			Done  bool
			Nodes []struct{ Node, State string }
			Until int64 `json:"erased_until"`
		}
		n.must(200, "GET", "/v1/users/erasures/"+e.Receipt, "", "", &s)
		if !s.Done || len(s.Nodes) != 1 || s.Nodes[0].State != "applied" || s.Until != e.Until {
			t.Errorf("%+v", s)
		}
	}
}

// Erased again and again, nothing grows: neither what the erasure reaches nor its stamps.
func TestEraseAgain(t *testing.T) {
	n := startNode(t, "", testPolicy, requestClock)
	for i := range 20 {
		e := n.erase(t, fmt.Sprintf(`{"user":{"id":"u"},"at":%d}`, peopleStart+i))
		if e.Until != int64(peopleStart+i+caps.ErasureSkew) {
			t.Fatalf("erasure %d reaches to %d", i, e.Until-peopleStart)
		}
	}
	// The opt-out that one erasure kept is taken by the next that keeps none.
	n.erase(t, fmt.Sprintf(`{"user":{"id":"u"},"keep_opt_out":false,"at":%d}`, peopleStart+21))
	h := n.lookUp(t, fmt.Sprintf(`{"user":{"id":"u"},"at":%d}`, peopleStart+22))
	forgotten(t, &h, false)
}

// A late event, one that stands ahead, a token from before, and the same again after a restart from what is on disk: none brings the person back. What comes after the
// erasure's skew counts again.
func TestErasedStaysErased(t *testing.T) {
	dir, counters := t.TempDir(), filepath.Join(t.TempDir(), "counters")
	keep, closed := withKeeper(t, counters)
	n := startNode(t, dir, testPolicy, keep)
	a := n.decide(fmt.Sprintf(`{"user":{"id":"u-1"},"want":1,"hold":true,"at":%d,"candidates":[{"campaign":"shoes"}]}`, peopleStart))
	n.fill(t)
	e := n.erase(t, fmt.Sprintf(`{"user":{"id":"u-1"},"at":%d}`, peopleStart+10))
	back := func(n *node) {
		t.Helper()
		for _, event := range []string{
			fmt.Sprintf(`{"type":"impression","id":"late","user":{"id":"u-1"},"campaign":"shoes","at":%d}`, peopleStart+9),
			fmt.Sprintf(`{"type":"purchase","user":{"id":"u-1"},"advertiser":"acme","at":%d}`, peopleStart+9),
			fmt.Sprintf(`{"type":"impression","id":"ahead","user":{"id":"u-1"},"campaign":"shoes","at":%d}`, e.Until),
			// By the token, long after the skew.
			fmt.Sprintf(`{"type":"impression","token":%q,"campaign":"shoes","at":%d}`, a.Token, e.Until+3600),
			fmt.Sprintf(`{"type":"purchase","token":%q,"campaign":"shoes","item":"x","at":%d}`, a.Token, e.Until+3600),
			fmt.Sprintf(`{"type":"hide","token":%q,"campaign":"shoes","at":%d}`, a.Token, e.Until+3600),
		} {
			n.event(event)
		}
		h := n.lookUp(t, fmt.Sprintf(`{"user":{"id":"u-1"},"at":%d}`, e.Until+3601))
		forgotten(t, &h, true)
	}
	back(n)
	n.stop()
	closed()
	keep, closed = withKeeper(t, counters) // by its last snapshot
	n = startNode(t, dir, testPolicy, keep)
	back(n)
	n.stop()
	closed()
	snapshots, err := filepath.Glob(filepath.Join(counters, "snapshots", "*"))
	if err != nil || len(snapshots) == 0 {
		t.Fatalf("no snapshots: %v", err)
	}

	fresh := startNode(t, "", testPolicy, requestClock)
	f := fresh.erase(t, fmt.Sprintf(`{"user":{"id":"u-1"},"at":%d}`, peopleStart))
	fresh.event(fmt.Sprintf(`{"type":"impression","user":{"id":"u-1"},"campaign":"shoes","at":%d}`, f.Until+1))
	if h := fresh.lookUp(t, fmt.Sprintf(`{"user":{"id":"u-1"},"at":%d}`, f.Until+2)); len(h.Exposures) == 0 {
		t.Errorf("nothing counts after the erasure: %+v", h)
	}
}

// A person hides something right after an erasure that reaches minutes ahead: it is hidden.
func TestHideAfterErasure(t *testing.T) {
	n := startNode(t, "", testPolicy, requestClock)
	n.erase(t, fmt.Sprintf(`{"user":{"id":"u-1"},"keep_opt_out":false,"at":%d}`, peopleStart))
	n.event(fmt.Sprintf(`{"type":"hide","user":{"id":"u-1"},"campaign":"shoes","at":%d}`, peopleStart+5))
	n.prefer(t, fmt.Sprintf(`{"user":{"id":"u-1"},"hidden_advertisers":["acme"],"at":%d}`, peopleStart+6))
	h := n.lookUp(t, fmt.Sprintf(`{"user":{"id":"u-1"},"at":%d}`, peopleStart+7))
	if len(h.Hidden) != 1 || !slices.Equal(h.Preferences.Advertisers, []string{"acme"}) {
		t.Errorf("%+v", h)
	}
}

// Each field by itself, the later change wins, the most restrictive over several identifiers, and a list given is the whole list.
func TestPreferences(t *testing.T) {
	n := startNode(t, "", testPolicy, requestClock)
	at := peopleStart
	set := func(who, what string, want prefers) {
		t.Helper()
		at++
		if got := n.prefer(t, fmt.Sprintf(`{"user":{%s},%s,"at":%d}`, who, what, at)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	none := []string{}
	one, two, both := `"id":"u-1"`, `"buyeruid":"b-1"`, `"id":"u-1","buyeruid":"b-1"`
	set(one, `"personalisation":false`, prefers{Personalisation: false, Advertisers: none, Topics: none})
	set(one, `"hidden_advertisers":["acme","other"]`, prefers{Personalisation: false, Advertisers: []string{"acme"}, Topics: none, Unnamed: 1})
	set(one, `"personalisation":true`, prefers{Personalisation: true, Advertisers: []string{"acme"}, Topics: none, Unnamed: 1})
	set(one, `"hidden_advertisers":["other"],"pause_until":1795000000`, prefers{Personalisation: true, Advertisers: none, Topics: none, Unnamed: 1, PauseUntil: 1795000000})
	set(two, `"personalisation":false`, prefers{Personalisation: false, Advertisers: none, Topics: none})
	set(both, `"pause_until":null,"hidden_topics":["x","x"]`, prefers{Personalisation: false, Advertisers: none, Topics: none, Unnamed: 2, PauseUntil: 1795000000})
	set(both, `"personalisation":true,"hidden_advertisers":[],"hidden_topics":[],"pause_until":0`, prefers{Personalisation: true, Advertisers: none, Topics: none})
	// Two changes in one second: the later wins, also from a restrictive to a permissive one.
	at--
	set(both, `"personalisation":false`, prefers{Personalisation: false, Advertisers: none, Topics: none})
	at--
	set(both, `"personalisation":true`, prefers{Personalisation: true, Advertisers: none, Topics: none})
	at -= 500 // a clock that is behind
	set(both, `"personalisation":false`, prefers{Personalisation: false, Advertisers: none, Topics: none})
}

func TestPeopleRefused(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	seventeen := `{"user":{"eids":[{"source":"s","uids":[`
	for i := range 17 {
		seventeen += fmt.Sprintf(`{"id":"secret-%d"},`, i)
	}
	seventeen = strings.TrimSuffix(seventeen, ",") + `]}]}}`
	for _, path := range []string{"/v1/users/lookup", "/v1/users/erase"} {
		n.refused(t, 400, "POST", path, "application/json", seventeen, "at most 16")
		n.refused(t, 400, "POST", path, "application/json", `{"user":{"eids":[{"source":"email_sha256","uids":[{"id":"raw@mail.example"}]}]}}`, "not hashed")
		n.refused(t, 400, "POST", path, "application/json", `{"user":{"id":"u"},"who":1}`, "not taken here")
		n.refused(t, 415, "POST", path, "image/png", `{}`, "image/png")
		n.refused(t, 405, "GET", path, "", "", "POST")
	}
	n.refused(t, 400, "POST", "/v1/users/preferences", "application/json", `{"user":{"id":"u"}}`, "nothing is chosen")
	n.refused(t, 400, "POST", "/v1/users/preferences", "application/json", `{"user":{"id":"u"},"keep_opt_out":true}`, "not taken here")
	n.refused(t, 400, "GET", "/v1/users/erasures/x", "", "", "receipt")
	n.refused(t, 405, "POST", "/v1/users/erasures/x", "", "", "GET")
	if h := n.lookUp(t, `{"user":{"id":"u"}}`); h.Held {
		t.Errorf("a request that was refused changed something: %+v", h)
	}
}

// Without room for one more refusal nothing is erased, and nobody loses an opt-out.
func TestPeopleFull(t *testing.T) {
	n := startNode(t, "", testPolicy, func(o *edge.Options) {
		requestClock(o)
		o.Caps = caps.Options{Memory: 1 << 20, RefusalMemory: 64 << 10, Shards: 1}
	})
	n.event(fmt.Sprintf(`{"type":"impression","user":{"id":"first"},"campaign":"shoes","at":%d}`, peopleStart))
	full := false
	for i := 0; i < 5000 && !full; i++ {
		status, answer := n.do("POST", "/v1/users/preferences", "application/json", fmt.Sprintf(`{"user":{"id":"u-%d"},"personalisation":false,"at":%d}`, i, peopleStart))
		if full = status == 503; !full && status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	if !full {
		t.Fatal("never full")
	}
	status, answer := n.do("POST", "/v1/users/erase", "application/json", fmt.Sprintf(`{"user":{"id":"first"},"at":%d}`, peopleStart+1))
	var problem struct{ Detail string }
	if err := json.Unmarshal(answer, &problem); err != nil || status != 503 || !strings.Contains(problem.Detail, "memory") {
		t.Errorf("%d %s", status, answer)
	}
	if h := n.lookUp(t, fmt.Sprintf(`{"user":{"id":"first"},"at":%d}`, peopleStart+2)); len(h.Exposures) == 0 || h.ErasedUntil != 0 {
		t.Errorf("half an erasure: %+v", h)
	}
	if h := n.lookUp(t, fmt.Sprintf(`{"user":{"id":"u-0"},"at":%d}`, peopleStart+2)); h.Preferences.Personalisation {
		t.Error("an opt-out is lost")
	}
}

// What people ask is counted.
func TestPeopleMetrics(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.lookUp(t, `{"user":{"id":"u"}}`)
	n.erase(t, `{"user":{"id":"u"}}`)
	n.erase(t, `{"user":{"id":"u"}}`)
	n.prefer(t, `{"user":{"id":"u"},"pause_until":1}`)
	_, metrics := n.do("GET", "/metrics", "", "")
	for _, line := range []string{"restraint_lookups_total 1\n", "restraint_erasures_total 2\n", "restraint_preferences_total 1\n", "restraint_events_of_erased_total 0\n"} {
		if !strings.Contains(string(metrics), line) {
			t.Errorf("no %q", line)
		}
	}
}

// An erasure that keeps no opt-out takes the one that it knows of, however new; one that is given in the same second elsewhere, or after it by a clock that is
// behind, is not taken.
func TestEraseOptOutOfThisSecond(t *testing.T) {
	n := startNode(t, "", testPolicy, requestClock)
	n.prefer(t, fmt.Sprintf(`{"user":{"id":"u"},"personalisation":false,"at":%d}`, peopleStart))
	n.erase(t, fmt.Sprintf(`{"user":{"id":"u"},"keep_opt_out":false,"at":%d}`, peopleStart))
	h := n.lookUp(t, fmt.Sprintf(`{"user":{"id":"u"},"at":%d}`, peopleStart))
	forgotten(t, &h, false)
	n.prefer(t, fmt.Sprintf(`{"user":{"id":"u"},"personalisation":false,"at":%d}`, peopleStart))
	h = n.lookUp(t, fmt.Sprintf(`{"user":{"id":"u"},"at":%d}`, peopleStart))
	forgotten(t, &h, true)
}
