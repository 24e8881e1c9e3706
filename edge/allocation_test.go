package edge

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"restraint/edge/openrtb"
	"restraint/suppress"
)

// allocationPolicy has a campaign for each reason that a decision can give.
const allocationPolicy = `
sensitive: ["cat:286"]
markets:
  - {name: night, countries: [JPN], require: none, precision: category, quiet_hours: "00:01-00:00", timezone: Asia/Tokyo}
  - {name: all, require: none}
unknown: all
lists:
  customers: {id: [user.id], source: first_party, basis: contract}
  fresh: {id: [user.id], max_age: 1h, when_stale: skip, source: first_party, basis: contract}
  orders: {id: [user.id], items: true, source: first_party, basis: contract}
  left: {kind: opt_out, id: [user.id], source: first_party, basis: objection}
  gone: {kind: opt_out, id: [user.id], exact: true, source: first_party, basis: objection}
dial_back: {min_shown: 4, min_people: 1, hides_per_10k: 1000, pause_at: 5000}
campaigns:
  lowered: {advertiser: a, caps: [{per: campaign, limit: 2, within: 24h}, {per: item, limit: 3, within: 24h}]}
  faded: {advertiser: a, interest: {until: 14d}, caps: [{per: campaign, limit: 8, within: 24h}]}
  paused: {advertiser: a}
  shown:
    advertiser: a
    suppress: [customers]
    purchased: {item: 90d, category: 30d, advertiser: off, lists: [orders]}
    caps: [{per: campaign, limit: 200, within: 24h}, {per: all, limit: 255, within: day}, {per: item, limit: 9, within: lifetime}]
    spacing: 1s
    diversity: {same_creative_in_a_row: 200}
  inactive: {advertiser: a, active: {from: 2030-01-01}}
  hidden: {advertiser: a}
  suppressed: {advertiser: a, suppress: [customers]}
  stale: {advertiser: a, suppress: [fresh]}
  bought: {advertiser: b, purchased: {item: 90d}}
  ordered: {advertiser: a, purchased: {lists: [orders]}}
  interest: {advertiser: a, interest: {least: 2, after: 30m, fresh: 3d, until: 14d, from: [own]}}
  spacing: {advertiser: a, spacing: 1h}
  cap: {advertiser: a, caps: [{per: campaign, limit: 1, within: 24h}, {per: campaign, limit: 5, within: month}]}
  diversity: {advertiser: a, diversity: {same_creative_in_a_row: 2}}
  choosy: {advertiser: a, purpose: contextual, not_beside: ["cat:386"]}
  unwanted: {advertiser: c, topics: [t1, t2]}
`

// Signals of a person: a TCF string that consents to all, one without purpose 3, and
// a GPP string that opts out of sale in California.
const (
	consentAll  = "CO5rKAAO_ooEAEsAHBENDIFoAP___wAAAAYgAKP__8AFH__-AAAA"
	consentNot3 = "CO5rKAAO_ooEAEsAHBENDIFoAN___wAAAAYgAKP__8AFH__-AAAA"
	gppSale     = "DBABBg~BVaqqoJo"
)

// Every verdict is reached without an allocation, however many identifiers the
// person has; so are holds and tokens.
func TestDecisionDoesNotAllocate(t *testing.T) {
	n := benchNode(t, 32<<20, []byte(allocationPolicy))
	for name, members := range map[string]string{"customers": "u\nmember\n", "orders": "u,i\nmember,sku-1\nu-1,sku-1\n", "left": "listed\n", "gone": "settled\n"} {
		im := suppress.Import{Format: suppress.Plain, ID: "user.id"}
		if name == "orders" {
			im = suppress.Import{Format: suppress.CSV, Map: []suppress.Column{{Column: "u", Source: "user.id"}}, ItemColumn: "i"}
		}
		if _, err := n.lists.Replace(name, strings.NewReader(members), im); err != nil {
			t.Fatal(err)
		}
	}
	many := `"user":{"id":"u-1","buyeruid":"b-1","eids":[{"source":"x.example","uids":[{"id":"x1"},{"id":"x2"},{"id":"x3"}]}]}`
	tell(t, n, `{"type":"hide",`+many+`,"campaign":"hidden"}`,
		`{"type":"purchase",`+many+`,"advertiser":"b","item":"sku-1"}`,
		`{"type":"impression",`+many+`,"campaign":"spacing"}`,
		`{"type":"impression",`+many+`,"campaign":"cap","id":"1"}`,
		`{"type":"impression",`+many+`,"campaign":"diversity","creative":"a","id":"1"}`,
		`{"type":"impression",`+many+`,"campaign":"diversity","creative":"a","id":"2"}`,
		`{"type":"impression",`+many+`,"campaign":"shown","creative":"b","item":"i","id":"3"}`)

	for _, campaign := range []string{"lowered", "faded", "paused"} {
		for _, who := range []string{`"user":{"id":"w-1"}`, `"user":{"id":"w-2"}`, `"user":{"id":"w-3"}`, many, many, many, many} {
			if campaign != "lowered" || who != many {
				tell(t, n, `{"type":"impression",`+who+`,"campaign":"`+campaign+`"}`)
			}
		}
	}
	tell(t, n, `{"type":"impression",`+many+`,"campaign":"lowered"}`, `{"type":"hide","user":{"id":"w-1"},"campaign":"lowered"}`, `{"type":"hide","user":{"id":"w-1"},"campaign":"faded"}`,
		`{"type":"complaint","user":{"id":"w-1"},"campaign":"paused"}`, `{"type":"complaint","user":{"id":"w-2"},"campaign":"paused"}`,
		`{"type":"complaint","user":{"id":"w-3"},"campaign":"paused"}`, `{"type":"hide","user":{"id":"w-3"},"campaign":"paused"}`)

	member, out, paused := `"user":{"id":"member"}`, `"user":{"id":"out"}`, `"user":{"id":"paused"}`
	choose(t, n, `{`+many+`,"hidden_topics":["t2"]}`)
	choose(t, n, `{`+out+`,"personalisation":false}`)
	choose(t, n, fmt.Sprintf(`{%s,"pause_until":%d}`, paused, benchNow+1000))
	one := func(who, candidate string) string { return "{" + who + `,"candidates":[` + candidate + `]}` }
	for name, c := range map[string]struct {
		request string
		reason  Reason
	}{
		"shown":            {one(many, `{"campaign":"shown","creative":"a","item":"sku-9","category":"k"}`), Shown},
		"unknown_campaign": {one(many, `{"campaign":"nope"}`), UnknownCampaign},
		"inactive":         {one(many, `{"campaign":"inactive"}`), Inactive},
		"child":            {one(many+`,"regs":{"coppa":1}`, `{"campaign":"shown"}`), Child},
		"no_consent":       {one(many+`,"regs":{"gdpr":1,"ext":{"gdpr":1}}`, `{"campaign":"shown"}`), NoConsent},
		"no_consent, TCF":  {one(many[:len(many)-1]+`,"consent":"`+consentNot3+`"}`, `{"campaign":"shown"}`), NoConsent},
		"opted_out":        {one(many+`,"regs":{"gpp":"`+gppSale+`","gpp_sid":[8]}`, `{"campaign":"shown"}`), OptedOut},
		"consented":        {one(many[:len(many)-1]+`,"consent":"`+consentAll+`"}`, `{"campaign":"shown"}`), Shown},
		"sensitive":        {one(many+`,"site":{"cat":["317"],"cattax":6}`, `{"campaign":"shown"}`), Sensitive},
		"not_beside":       {one(many+`,"site":{"cat":["IAB1","387"],"cattax":6}`, `{"campaign":"choosy"}`), NotBeside},
		"too_specific":     {one(many+`,"device":{"geo":{"country":"JPN"}}`, `{"campaign":"shown","item":"i"}`), TooSpecific},
		"quiet_hours":      {one(many+`,"device":{"geo":{"country":"JP"}}`, `{"campaign":"shown"}`), QuietHours},
		"no_id":            {`{"candidates":[{"campaign":"shown"}]}`, NoID},
		"opted_out, asked": {one(out, `{"campaign":"shown"}`), OptedOut},
		"opted_out, list":  {one(`"user":{"id":"listed"}`, `{"campaign":"shown"}`), OptedOut},
		"opted_out, exact": {one(`"user":{"id":"settled"}`, `{"campaign":"shown"}`), OptedOut},
		"contextual":       {one(`"user":{"id":"listed"}`, `{"campaign":"choosy"}`), Shown},
		"user_choice":      {one(many, `{"campaign":"unwanted"}`), UserChoice},
		"paused":           {one(paused, `{"campaign":"shown"}`), UserChoice},
		"hidden":           {one(many, `{"campaign":"hidden"}`), Hidden},
		"suppressed":       {one(member, `{"campaign":"suppressed"}`), Suppressed},
		"stale_list":       {one(many, `{"campaign":"stale"}`), StaleList},
		"purchased":        {one(many, `{"campaign":"bought","item":"sku-1"}`), Purchased},
		"purchased, list":  {one(many, `{"campaign":"ordered","item":"sku-1"}`), Purchased},
		"too_soon":         {one(many, fmt.Sprintf(`{"campaign":"interest","interest_at":%d,"interest_count":2,"interest_from":"own"}`, benchNow-60)), TooSoon},
		"stale_interest":   {one(many, `{"campaign":"interest"}`), StaleInterest},
		"spacing":          {one(many, `{"campaign":"spacing"}`), Spacing},
		"cap":              {one(many, `{"campaign":"cap"}`), Cap},
		"diversity":        {one(many, `{"campaign":"diversity","creative":"a"}`), Diversity},
		"lowered":          {one(many, `{"campaign":"lowered"}`), DialledBack},
		"lowered, fading":  {one(many, fmt.Sprintf(`{"campaign":"faded","interest_at":%d}`, benchNow-3600)), DialledBack},
		"lowered, unseen":  {one(`"user":{"id":"new"}`, `{"campaign":"lowered"}`), Shown},
		"dialled, paused":  {one(member, `{"campaign":"paused"}`), DialledBack},
		"want":             {`{` + many + `,"want":2,"candidates":[{"campaign":"shown","creative":"a"},{"campaign":"shown","creative":"b"}]}`, Shown},
		"token":            {`{` + many + `,"want":1,"token":true,"candidates":[{"campaign":"shown"}]}`, Shown},
	} {
		t.Run(name, func(t *testing.T) {
			x := new(exchange)
			body := make([]byte, 0, 4096)
			var reason Reason
			now := uint32(benchNow) + 60
			run := func() {
				body = append(body[:0], c.request...)
				if err := x.req.Parse(body); err != nil {
					t.Fatal(err)
				}
				n.decide(x, now)
				reason = x.judge.verdicts[0].reason
				x.out = x.appendAnswer(x.out[:0], x.token)
				overwrite(body)
			}
			// What a string says is remembered a moment after it was decoded.
			for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
				before := n.consent.Stats().Decoded
				run()
				if n.consent.Stats().Decoded == before {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("what strings say is not remembered")
				}
			}
			if allocations := testing.AllocsPerRun(100, run); allocations != 0 {
				t.Errorf("%v allocations", allocations)
			}
			if reason != c.reason {
				t.Errorf("reason %s, want %s", reason, c.reason)
			}
		})
	}
}

// Holding places allocates nothing in the steady state, in which old holds end as
// new ones come.
func TestHoldDoesNotAllocate(t *testing.T) {
	n := benchNode(t, 32<<20, []byte(allocationPolicy))
	x := new(exchange)
	body := make([]byte, 0, 4096)
	now := uint32(benchNow)
	allocations := testing.AllocsPerRun(1000, func() {
		body = append(body[:0], `{"user":{"id":"u-1"},"want":1,"hold":true,"candidates":[{"campaign":"shown","creative":"a"}]}`...)
		if err := x.req.Parse(body); err != nil {
			t.Fatal(err)
		}
		n.decide(x, now)
		now += 61
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// tell reports events to a node without servers.
func tell(t testing.TB, n *Node, events ...string) {
	t.Helper()
	x := new(exchange)
	for _, e := range events {
		line := []byte(e)
		var event openrtb.Event
		if err := event.Parse(line); err != nil {
			t.Fatal(err)
		}
		x.reports = x.reports[:0]
		x.spans.reset()
		if err := n.readEvent(x, &event, n.rules.Load(), benchNow); err != nil {
			t.Fatal(err)
		}
		overwrite(line)
		if err := n.apply(x); err != nil {
			t.Fatal(err)
		}
	}
}

// choose sets preferences on a node without servers.
func choose(t testing.TB, n *Node, body string) {
	t.Helper()
	q := &inquiry{now: benchNow}
	if err := q.Parse([]byte(body), openrtb.TakesChoices); err != nil {
		t.Fatal(err)
	}
	for _, id := range q.Identifiers {
		q.keys = append(q.keys, n.hasher.Key(string(id.Source), id.ID))
	}
	held := n.held(q.keys, q.now)
	have := choicesOf(held)
	if err := n.keeper.Record(stampAll(q.keys, q.asked(n.tags, have), held, have, q.now)); err != nil {
		t.Fatal(err)
	}
}

// overwrite makes what was kept of a request's buffer fail.
func overwrite(b []byte) {
	junk := byte('a' + rand.IntN(26))
	for i := range b {
		b[i] = junk
	}
}

// In every arm of a pilot, and in the holdout, nothing is allocated.
func TestArmsDoNotAllocate(t *testing.T) {
	n := benchNode(t, 32<<20, []byte("holdout: 30\n"+allocationPolicy))
	if _, err := n.putPolicy(policyPut{text: []byte("holdout: 30\n" + allocationPolicy + "# tried\n"), from: "test", pilot: 50}); err != nil {
		t.Fatal(err)
	}
	x := new(exchange)
	body := make([]byte, 0, 4096)
	measured := map[Arm]int{}
	for i := range 40 {
		request := fmt.Sprintf(`{"user":{"id":"u-%d","buyeruid":"b-%d"},"want":1,"token":true,"candidates":[{"campaign":"cap"},{"campaign":"choosy"}]}`, i, i)
		run := func() {
			body = append(body[:0], request...)
			if err := x.req.Parse(body); err != nil {
				t.Fatal(err)
			}
			n.decide(x, benchNow)
			x.out = x.appendAnswer(x.out[:0], x.token)
			overwrite(body)
		}
		run()
		if allocations := testing.AllocsPerRun(100, run); allocations != 0 {
			t.Errorf("arm %s: %v allocations", x.arm, allocations)
		}
		if held := x.judge.verdicts[0].reason == Holdout; held != (x.arm == ArmHoldout) {
			t.Errorf("arm %s: %s", x.arm, x.judge.verdicts[0].reason)
		}
		measured[x.arm]++
	}
	if len(measured) != 3 {
		t.Errorf("arms %v", measured)
	}
}
