package edge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"restraint/edge"
)

// dialPolicy dials back from two people and a tenth of the showings on, and pauses at half.
const dialPolicy = `
timezone: UTC
markets: [{name: eu, countries: [DEU], require: tcf}, {name: rest, require: none}]
unknown: rest
dial_back: {window: 24h, min_shown: 4, min_people: 2, hides_per_10k: 1000, factor: 0.5, pause_at: 5000}
sources: [buyeruid, user.id]
campaigns:
  shoes: {advertiser: acme, caps: [{per: campaign, limit: 4, within: 24h}]}
  boots: {advertiser: acme}
`

// reviewed is what a review says.
type reviewed struct {
	Level       string
	InForce     bool `json:"in_force"`
	DialledBack *struct {
		Since                   int64
		Policy                  int
		Shown, Weighing, People uint64
		Node                    string
	} `json:"dialled_back"`
	Released *struct {
		At        int64
		From, Why string
		By, Node  string
	}
	Window struct {
		Reports                 map[string]uint64
		Weighing, People, Shown uint64
		Estimated               bool
	}
}

func (n *node) review(campaign string) (r reviewed) {
	n.t.Helper()
	n.must(200, "GET", "/v1/campaigns/"+campaign+"/review", "", "", &r)
	return r
}

// release has a human release the campaign, and say why.
func (n *node) release(campaign, why string) []byte {
	n.t.Helper()
	resp, body := n.exchange(n.t, n.url, "POST", "/v1/campaigns/"+campaign+"/release", http.Header{"Restraint-Why": {why}}, "")
	if resp.StatusCode != 200 {
		n.t.Fatalf("%d %s", resp.StatusCode, body)
	}
	return body
}

// dialNode is a node under dialPolicy, which showed shoes once to each of p-1 to p-10.
func dialNode(t *testing.T, change func(*edge.Options)) *node {
	t.Helper()
	n := startNode(t, "", dialPolicy, change)
	for i := range 10 {
		n.event(fmt.Sprintf(`{"type":"impression","user":{"id":"p-%d"},"campaign":"shoes","at":%d}`, i+1, dialStart+i))
	}
	return n
}

const dialStart = 1_790_000_000

// What weighs, and what is only counted.
func TestWhatWeighs(t *testing.T) {
	at := fmt.Sprintf(`,"at":%d`, dialStart+60)
	for _, c := range []struct {
		name, events     string // separated by blanks
		weighing, people uint64
		hides            uint64
	}{
		{"two people", `{"type":"hide","user":{"id":"p-1"}@} {"type":"hide","user":{"id":"p-2"}@}`, 2, 2, 2},
		{"the same person again", `{"type":"hide","user":{"id":"p-1"}@} {"type":"hide","user":{"id":"p-1"}@}`, 1, 1, 1},
		{"the same id again", `{"type":"hide","id":"h","user":{"id":"p-1"}@} {"type":"hide","id":"h","user":{"id":"p-1"}@}`, 1, 1, 1},
		{"other ids of one person", `{"type":"hide","id":"h","user":{"id":"p-1"}@} {"type":"hide","id":"i","user":{"id":"p-1"}@}`, 1, 1, 2},
		{"nobody it was shown to", `{"type":"hide","user":{"id":"x-1"}@} {"type":"hide","user":{"id":"x-2"}@}`, 0, 0, 2},
		{"without an identifier", `{"type":"hide","user":{}@} {"type":"hide","user":{}@}`, 0, 0, 2},
		{"without an identifier, with an id", `{"type":"hide","id":"h","user":{}@} {"type":"hide","id":"h","user":{}@}`, 0, 0, 1},
		{"by one of several identifiers", `{"type":"hide","user":{"id":"p-1","buyeruid":"b-1"}@}`, 1, 1, 1},
		{"identifiers in another order", `{"type":"hide","id":"h","user":{"buyeruid":"b-1","eids":[{"source":"x","uids":[{"id":"x-1"}]}],"id":"p-1"}@} {"type":"hide","id":"i","user":{"id":"p-1","buyeruid":"b-1"}@}`, 1, 1, 2},
		{"shown in the same request", `{"type":"impression","user":{"id":"y-1"}@} {"type":"hide","user":{"id":"y-1"}@}`, 1, 1, 1},
		{"another campaign shown in the same request", `{"type":"impression","user":{"id":"y-1"},"campaign":"boots"@} {"type":"hide","user":{"id":"y-1"}@}`, 0, 0, 1},
		{"shown, and not kept", `{"type":"impression","user":{"id":"y-1"},"regs":{"gdpr":1}@} {"type":"hide","user":{"id":"y-1"},"regs":{"gdpr":1}@}`, 0, 0, 1},
		{"a load test", `{"type":"hide","user":{"id":"p-1","eids":[{"source":"restraint.load","uids":[{"id":"x"}]}]}@}`, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := dialNode(t, requestClock)
			var lines []string
			for line := range strings.SplitSeq(c.events, "@} ") {
				line = strings.TrimSuffix(line, "@}") + at + "}"
				if !strings.Contains(line, `"campaign"`) {
					line = strings.TrimSuffix(line, "}") + `,"campaign":"shoes"}`
				}
				lines = append(lines, line)
			}
			n.must(202, "POST", "/v1/events", "application/x-ndjson", strings.Join(lines, "\n"), nil)
			r := n.review("shoes")
			if r.Window.Weighing != c.weighing || r.Window.People != c.people || r.Window.Reports["hide"] != c.hides {
				t.Errorf("%+v", r.Window)
			}
			for range 2 { // in a request each, and again: nothing new but where nothing tells them apart
				for _, line := range lines {
					n.event(line)
				}
			}
			r = n.review("shoes")
			if r.Window.Weighing != c.weighing || r.Window.People != c.people || r.Window.Reports["hide"] != c.hides && c.name != "without an identifier" {
				t.Errorf("again: %+v", r.Window)
			}
		})
	}
}

// Who weighed does not weigh on a later day, unless a human released the campaign between.
func TestWhoWeighsAgain(t *testing.T) {
	n := dialNode(t, requestClock)
	hide := func(who string, at int) {
		n.event(fmt.Sprintf(`{"type":"hide","user":{"id":%q},"campaign":"shoes","at":%d}`, who, at))
	}
	const day = 86400
	midnight := dialStart/day*day + day
	hide("p-1", midnight-100)
	hide("p-1", midnight+100)
	if r := n.review("shoes"); r.Window.Weighing != 1 || r.Window.People != 1 || r.Window.Reports["hide"] != 2 || r.Level != "none" {
		t.Fatalf("one angry person on two days: %+v", r)
	}
	hide("p-2", midnight+200)
	if r := n.review("shoes"); r.Level != "lowered" || r.DialledBack.People != 2 || r.DialledBack.Shown != 10 || r.DialledBack.Since != int64(midnight+200) {
		t.Fatalf("%+v", r)
	}
	n.release("shoes", "looked at it")
	hide("p-1", midnight+day+100)
	if r := n.review("shoes"); r.Window.Weighing != 1 || r.Level != "none" || r.Released.Why != "looked at it" || r.Released.From != "lowered" {
		t.Fatalf("after the release: %+v", r)
	}
}

// While a policy is tried out, people of both arms complain about one campaign, and it is
// dialled back for both, by whichever policy asks for it first.
func TestDialBackDuringPilot(t *testing.T) {
	n := dialNode(t, nil)
	n.must(200, "PUT", "/v1/policy?pilot=50", "application/yaml", strings.Replace(dialPolicy, "pause_at: 5000", "pause_at: 2000", 1), nil)
	now := time.Now().Unix()
	for i := range 10 {
		n.event(fmt.Sprintf(`{"type":"impression","user":{"id":"q-%d"},"campaign":"shoes","at":%d}`, i, now))
	}
	for i := range 5 {
		n.event(fmt.Sprintf(`{"type":"complaint","user":{"id":"q-%d"},"campaign":"shoes","at":%d}`, i, now))
	}
	if r := n.review("shoes"); r.Level != "paused" || r.Window.Weighing != 5 {
		t.Fatalf("%+v", r)
	}
	for i := range 20 { // of whom some are in the pilot, and some are not
		d := n.decide(fmt.Sprintf(`{"user":{"id":"r-%d"},"candidates":[{"campaign":"shoes"}]}`, i)).Decisions[0]
		if d.Reason != "dialled_back" {
			t.Fatalf("r-%d: %+v", i, d)
		}
	}
	n.must(200, "POST", "/v1/campaigns/shoes/release", "", "", nil)
	for i := range 20 {
		if d := n.decide(fmt.Sprintf(`{"user":{"id":"r-%d"},"candidates":[{"campaign":"shoes"}]}`, i)).Decisions[0]; !d.Show {
			t.Fatalf("r-%d after the release: %+v", i, d)
		}
	}
}

// The paths with the token as the credential count too: once for each token.
func TestReportsByToken(t *testing.T) {
	n := startNode(t, "", dialPolicy, nil)
	ask := func(who string) string {
		return n.decide(`{"user":{"id":"` + who + `"},"want":2,"token":true,"candidates":[{"campaign":"shoes"},{"campaign":"boots"}]}`).Token
	}
	token := ask("p-1")
	for range 2 {
		n.must(204, "POST", "/v1/hide?campaign=shoes&t="+token, "", "", nil)
		n.event(`{"type":"hide","token":"` + token + `","campaign":"shoes"}`)
	}
	if r := n.review("shoes"); r.Window.Weighing != 1 || r.Window.People != 1 || r.Window.Reports["hide"] != 1 {
		t.Errorf("%+v", r.Window) // though no showing of it was reported: the token names it
	}
	if r := n.review("boots"); r.Window.Reports["hide"] != 0 {
		t.Errorf("%+v", r.Window)
	}
	one, all := ask("p-2"), ask("p-3")
	n.must(400, "POST", "/v1/opt-out?campaign=other&t="+one, "", "", nil)
	for range 2 {
		n.must(204, "POST", "/v1/opt-out?campaign=shoes&t="+one, "", "", nil)
		n.must(204, "POST", "/v1/opt-out?t="+all, "", "", nil)
	}
	for campaign, want := range map[string]uint64{"shoes": 2, "boots": 1} {
		if r := n.review(campaign); r.Window.Reports["opt_out"] != want || r.Window.People > 1 {
			t.Errorf("%s: %+v, want %d opt-outs", campaign, r.Window, want)
		}
	}
	_, metrics := n.do("GET", "/metrics", "", "")
	for _, line := range []string{`restraint_reports_held 4`, `restraint_campaigns_dialled_back{level="paused"} 0`, `restraint_reports_total{kind="opt_out"} 6`} {
		if !strings.Contains(string(metrics), line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}

// Reports of a person are found, and after an erasure they are nobody's: they count, and
// weigh no more.
func TestReportsOfErased(t *testing.T) {
	n := dialNode(t, requestClock)
	n.event(fmt.Sprintf(`{"type":"hide","user":{"id":"p-1"},"campaign":"shoes","at":%d}`, dialStart+60))
	n.event(fmt.Sprintf(`{"type":"feedback","answer":"intrusive","user":{"id":"p-1"},"campaign":"elsewhere","at":%d}`, dialStart+61))
	var held struct {
		Held    bool
		Reports []struct {
			Campaign, Tag, Kind string
			At                  int64
		}
	}
	ask := func(id string) {
		n.must(200, "POST", "/v1/users/lookup", "application/json", fmt.Sprintf(`{"user":{"id":%q},"at":%d}`, id, dialStart+70), &held)
	}
	ask("p-1")
	if r := held.Reports; len(r) != 2 || r[0].Kind != "intrusive" || r[0].Campaign != "" || len(r[0].Tag) != 16 || r[1].Campaign != "shoes" || r[1].Kind != "hide" || r[1].At != dialStart+60 {
		t.Fatalf("%+v", held)
	}
	if ask("p-2"); len(held.Reports) != 0 {
		t.Fatalf("%+v", held)
	}
	n.must(200, "POST", "/v1/users/erase", "application/json", fmt.Sprintf(`{"user":{"id":"p-1"},"at":%d}`, dialStart+71), nil)
	if ask("p-1"); len(held.Reports) != 0 {
		t.Errorf("after the erasure: %+v", held)
	}
	if r := n.review("shoes"); r.Window.Reports["hide"] != 1 || r.Window.Weighing != 0 || r.Window.People != 0 {
		t.Errorf("%+v", r.Window)
	}
}

// What cannot be released or read is refused, with what to do.
func TestReleaseRefused(t *testing.T) {
	n := dialNode(t, nil)
	n.refused(t, 409, "POST", "/v1/campaigns/shoes/release", "", "", "not dialled back", "/v1/dial-back")
	n.refused(t, 405, "GET", "/v1/campaigns/shoes/release", "", "", "POST")
	n.refused(t, 405, "POST", "/v1/campaigns/shoes/review", "", "", "GET")
	n.refused(t, 404, "GET", "/v1/campaigns/shoes", "", "", "openapi")
	n.refused(t, 404, "GET", "/v1/campaigns/shoes/other", "", "", "openapi")
	n.refused(t, 400, "GET", "/v1/campaigns/"+strings.Repeat("c", 129)+"/review", "", "", "128 bytes")
	for _, name := range []string{"a%2Fb", "a%2F%2Fb", "%E2%82%AC"} { // names are as they are
		var r struct {
			Campaign string
			InPolicy bool `json:"in_policy"`
		}
		n.must(200, "GET", "/v1/campaigns/"+name+"/review", "", "", &r)
		if want := map[string]string{"a%2Fb": "a/b", "a%2F%2Fb": "a//b", "%E2%82%AC": "€"}[name]; r.Campaign != want || r.InPolicy {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A release says whose key it was; who has another role may not even look.
func TestReleaseSaysWho(t *testing.T) {
	k := startKeyed(t, dialPolicy, nil)
	send := func(status int, client, method, path, body string) (answer []byte) {
		t.Helper()
		resp, answer := k.exchange(t, k.url, method, path, k.bearer(client), body)
		if resp.StatusCode != status {
			t.Fatalf("%s %s by %s: %d, want %d\n%s", method, path, client, resp.StatusCode, status, answer)
		}
		return answer
	}
	for i := range 4 {
		send(202, "bid", "POST", "/v1/events", fmt.Sprintf(`{"type":"impression","user":{"id":"p-%d"},"campaign":"shoes"}`, i))
	}
	for i := range 2 {
		send(202, "bid", "POST", "/v1/events", fmt.Sprintf(`{"type":"complaint","user":{"id":"p-%d"},"campaign":"shoes"}`, i))
	}
	for _, client := range []string{"bid", "crm", "privacy", "metrics"} {
		send(403, client, "GET", "/v1/campaigns/shoes/review", "")
		send(403, client, "POST", "/v1/campaigns/shoes/release", "")
		send(403, client, "GET", "/v1/dial-back", "")
	}
	var r reviewed
	if err := json.Unmarshal(send(200, "ops", "POST", "/v1/campaigns/shoes/release", ""), &r); err != nil || r.Level != "none" || r.Released.From != "paused" {
		t.Fatalf("%v %+v", err, r)
	}
	if !strings.HasPrefix(r.Released.By, "ops (key ") || r.Released.Node != "test" {
		t.Errorf("released by %q on %q", r.Released.By, r.Released.Node)
	}
}
