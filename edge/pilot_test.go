package edge_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"restraint/edge"
)

// pilot is what GET /v1/policy/pilot says.
type pilot struct {
	Running                  bool
	Percent, Version, Before int
	Since, Changed           time.Time
	Changes                  []struct{ Key, Text string }
	Effect                   struct {
		Arms []struct {
			Arm                                                                 string
			Decisions, Shown, Impressions, Clicks, Purchases, Hides, Complaints int
			Skipped                                                             []struct {
				Reason string
				Count  int
			}
		}
		Rates []struct {
			What, Of, Verdict         string
			Before, Pilot, Difference float64
			Low, High                 *float64
			Independent               bool
		}
	}
}

func (n *node) pilot() (p pilot) {
	n.t.Helper()
	n.must(200, "GET", "/v1/policy/pilot", "", "", &p)
	return p
}

// versions is by which versions a node decides about a hundred people, and about whom
// by the one that is tried out.
func (n *node) versions() (by map[int]int, tried []string) {
	n.t.Helper()
	by = map[int]int{}
	most := 0
	var last []int
	for i := range 100 {
		var a answer
		n.must(200, "POST", "/v1/decide", "", fmt.Sprintf(`{"user":{"id":"u-%d"},"candidates":[{"campaign":"shoes"}]}`, i), &a)
		by[a.Policy]++
		last = append(last, a.Policy)
		most = max(most, a.Policy)
	}
	for i, version := range last {
		if version == most && len(by) > 1 {
			tried = append(tried, fmt.Sprintf("u-%d", i))
		}
	}
	return by, tried
}

// A pilot is begun, grows, and is promoted: each is a version of the history, the
// numbers in answers are those that judged, and GET gives the text of the others.
func TestPilotGrowsAndIsPromoted(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	if p := n.pilot(); p.Running || p.Percent != 0 {
		t.Errorf("%+v", p)
	}
	n.must(200, "PUT", "/v1/policy?pilot=30&dry_run=1", "", limit("2"), nil)
	if by, _ := n.versions(); by[1] != 100 || n.pilot().Running {
		t.Errorf("after a dry run: %v", by)
	}
	var put struct {
		Version int
		Pilot   struct{ Percent, Before int }
		Changes []struct{ Key, Text string }
	}
	n.must(200, "PUT", "/v1/policy?pilot=30", "", limit("2"), &put)
	if put.Version != 2 || put.Pilot.Percent != 30 || put.Pilot.Before != 1 || len(put.Changes) != 1 {
		t.Errorf("%+v", put)
	}
	by, first := n.versions()
	if by[1]+by[2] != 100 || by[2] < 10 || by[2] > 50 {
		t.Errorf("decided by versions %v", by)
	}
	p := n.pilot()
	if !p.Running || p.Percent != 30 || p.Version != 2 || p.Before != 1 || len(p.Changes) != 1 || !strings.Contains(p.Changes[0].Text, "limit 3 becomes 2") {
		t.Errorf("%+v", p)
	}
	for path, want := range map[string]string{"/v1/policy": testPolicy, "/v1/policy?version=1": testPolicy, "/v1/policy?version=2": limit("2")} {
		if _, text := n.do("GET", path, "", ""); string(text) != want {
			t.Errorf("%s: %s", path, text)
		}
	}
	n.must(200, "PUT", "/v1/policy?pilot=30", "", limit("2"), &put) // nothing new
	if put.Version != 2 || len(n.history()) != 2 {
		t.Errorf("%+v", put)
	}
	n.must(200, "POST", "/v1/policy/pilot?percent=60", "", "", &put)
	by, grown := n.versions()
	if put.Version != 3 || by[1]+by[3] != 100 || len(grown) <= len(first) {
		t.Errorf("%+v, decided by versions %v", put, by)
	}
	for _, user := range first {
		if !slices.Contains(grown, user) {
			t.Errorf("%s has left the pilot that grew", user)
		}
	}
	if again := n.pilot(); !again.Since.Equal(p.Since) || !again.Changed.After(p.Changed) {
		t.Errorf("%+v, before %+v", again, p)
	}
	n.must(200, "PUT", "/v1/policy", "", limit("2"), &put)
	if by, _ := n.versions(); put.Version != 4 || by[4] != 100 || n.pilot().Running {
		t.Errorf("promoted: %+v, %v", put, by)
	}
	var h struct {
		Versions []struct {
			Version int
			From    string
			Pilot   *struct{ Percent, Before int }
		}
	}
	n.must(200, "GET", "/v1/policy/history", "", "", &h)
	if v := h.Versions; len(v) != 4 || v[0].Pilot != nil || v[0].From != "promotion of version 3" || v[1].Pilot.Percent != 60 || v[2].Pilot.Before != 1 || v[3].Pilot != nil {
		t.Errorf("%+v", v)
	}
	n.must(200, "POST", "/v1/policy/rollback", "", "", &put) // to what was for everybody before
	if _, text := n.do("GET", "/v1/policy", "", ""); put.Version != 5 || string(text) != testPolicy {
		t.Errorf("%+v: %s", put, text)
	}
}

// A pilot is stopped by name, by the text before, or by going back; nothing else that is
// put ends it, and reading the file again does not.
func TestPilotIsStopped(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.refused(t, 409, "POST", "/v1/policy/pilot?end=promote", "", "", "no policy is being tried out")
	version := 1
	for what, stop := range map[string]func(){
		"end=stop":        func() { n.must(200, "POST", "/v1/policy/pilot?end=stop", "", "", nil) },
		"the text before": func() { n.must(200, "PUT", "/v1/policy", "", testPolicy, nil) },
		"rollback":        func() { n.must(200, "POST", "/v1/policy/rollback", "", "", nil) },
		"to a version":    func() { n.must(200, "POST", "/v1/policy/rollback?version=1", "", "", nil) },
	} {
		n.must(200, "PUT", "/v1/policy?pilot=40", "", limit("2"), nil)
		version++
		n.refused(t, 409, "PUT", "/v1/policy", "", limit("5"), fmt.Sprintf("version %d, on 40 %% of people", version))
		n.refused(t, 409, "PUT", "/v1/policy?pilot=10", "", limit("5"), "promote it or stop it first")
		n.refused(t, 409, "PUT", "/v1/policy?pilot=10", "", testPolicy, "being tried out")
		n.refused(t, 400, "POST", "/v1/policy/pilot", "", "", "end=promote")
		n.refused(t, 400, "POST", "/v1/policy/pilot?end=now", "", "", "promote or stop")
		for _, file := range []string{testPolicy, limit("2")} {
			if err := n.running.PutPolicy([]byte(file), "policy.yaml"); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.running.PutPolicy([]byte(limit("5")), "policy.yaml"); err == nil || !strings.Contains(err.Error(), "being tried out") {
			t.Errorf("another file while a policy is tried out: %v", err)
		}
		if p := n.pilot(); !p.Running || p.Version != version {
			t.Fatalf("%s: before: %+v", what, p)
		}
		stop()
		version++
		if by, _ := n.versions(); by[version] != 100 || n.pilot().Running {
			t.Errorf("%s: %v", what, by)
		}
		if _, text := n.do("GET", "/v1/policy", "", ""); string(text) != testPolicy {
			t.Errorf("%s: in force is %s", what, text)
		}
	}
}

// What is one for everybody cannot be tried out on some.
func TestPilotOfWhatIsOneForEverybody(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	for text, key := range map[string]string{
		"retention: {exposures: 30d}" + testPolicy: "retention.exposures",
		strings.Replace(testPolicy, "{id: [user.id, email_sha256]", "{exact: true, id: [user.id, email_sha256]", 1): "lists.customers.exact",
		strings.Replace(testPolicy, "shoes:\n    advertiser: acme", "shoes:\n    advertiser: other", 1):             "campaigns.shoes.advertiser",
	} {
		n.refused(t, 400, "PUT", "/v1/policy?pilot=10", "", text, key)
		n.refused(t, 400, "PUT", "/v1/policy?pilot=10&dry_run=1", "", text, key)
	}
	if n.pilot().Running || len(n.history()) != 1 {
		t.Error("something was put")
	}
}

// A node that ends without warning has the pilot it had, with the same people in it, and
// what was counted of it.
func TestPilotOutlivesARestart(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.must(200, "PUT", "/v1/policy?pilot=40", "", limit("2"), nil)
	by, tried := n.versions()
	n.stop()
	var options edge.Options
	again := startNode(t, n.dir, testPolicy, func(o *edge.Options) { options = *o })
	if p := again.pilot(); !p.Running || p.Percent != 40 || p.Version != 2 {
		t.Fatalf("%+v", p)
	}
	counted := 0
	for _, arm := range again.pilot().Effect.Arms {
		counted += arm.Decisions
	}
	if counted != 100 {
		t.Errorf("%d decisions counted, want 100", counted)
	}
	if by2, tried2 := again.versions(); by2[2] != by[2] || !slices.Equal(tried, tried2) {
		t.Errorf("%v, before %v", by2, by)
	}
	again.stop()

	// A pilot in a file that nobody can have written is none to start with.
	name := filepath.Join(n.dir, "policies", "00000002.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for old, broken := range map[string]string{`"percent": 40`: `"percent": 140`, `"draw": 2`: `"draw": 1`} {
		if err := os.WriteFile(name, []byte(strings.Replace(string(text), old, broken, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := edge.Open(options)
		if err == nil || !strings.Contains(err.Error(), "00000002.json") || !strings.Contains(err.Error(), "move the file away") {
			t.Errorf("%s: %v", broken, err)
		}
	}
}

// Lists of both versions are declared: one that only the policy that is tried out has
// can be uploaded, suppresses in its arm, and goes with it.
func TestPilotListsOfBoth(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	tried := strings.Replace(testPolicy, "lists:\n", "lists:\n  all: {id: [user.id], source: first_party, basis: contract}\n", 1)
	tried = strings.Replace(tried, "shoes:\n    advertiser: acme\n", "shoes:\n    advertiser: acme\n    suppress: [all]\n", 1)
	n.must(200, "PUT", "/v1/policy?pilot=50", "", tried, nil)
	users := ""
	for i := range 100 {
		users += fmt.Sprintf("u-%d\n", i)
	}
	n.must(201, "PUT", "/v1/lists/all?id=user.id", "text/plain", users, nil)
	n.must(201, "PUT", "/v1/lists/customers?id=user.id", "text/plain", "u-1\n", nil)
	for i := range 100 {
		a := n.decide(fmt.Sprintf(`{"user":{"id":"u-%d"},"candidates":[{"campaign":"shoes"}]}`, i))
		if d := a.Decisions[0]; d.Show != (a.Policy == 1) || !d.Show && d.Reason != "suppressed" {
			t.Fatalf("u-%d: %+v", i, a)
		}
	}
	var list edge.ListAnswer
	n.must(200, "GET", "/v1/lists/all", "", "", &list)
	if !list.Declared || list.Basis != "contract" {
		t.Errorf("%+v", list)
	}
	n.must(200, "POST", "/v1/policy/pilot?end=stop", "", "", nil)
	n.must(404, "PUT", "/v1/lists/all?id=user.id", "text/plain", users, nil)
}

// The page behind the token is by the rules of the person's arm; a campaign of the other
// arm alone is none for them.
func TestWhyIsOfTheArm(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.must(200, "PUT", "/v1/policy?pilot=50", "", limit("2")+"  new: {advertiser: fresh, purpose: contextual}\n", nil)
	arms := map[bool]int{}
	for i := range 40 {
		who := fmt.Sprintf(`"user":{"id":"u-%d"}`, i)
		tried := n.decide(`{`+who+`,"candidates":[{"campaign":"shoes"}]}`).Policy == 2
		arms[tried]++
		want := map[bool]string{true: "up to 2 times allowed", false: "up to 3 times allowed"}[tried]
		if s := n.whyOf(t, n.link(t, who, "shoes"), "shoes"); !strings.Contains(s.Because, want) {
			t.Fatalf("tried %v: %s", tried, s.Because)
		}
		if !tried {
			continue
		}
		token := n.link(t, who, "new")
		if s := n.whyOf(t, token, "new"); s.Advertiser != "fresh" || !s.Show {
			t.Fatalf("%+v", s)
		}
	}
	if arms[true] == 0 || arms[false] == 0 {
		t.Errorf("arms %v", arms)
	}
}

// Who is in the holdout reads so on the page.
func TestWhyOfTheHoldout(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	token := n.link(t, `"user":{"id":"u-1"}`, "shoes")
	n.must(200, "PUT", "/v1/policy", "", "holdout: 100"+testPolicy, nil)
	if s := n.whyOf(t, token, "shoes"); s.Show || s.Reason != "holdout" || !strings.Contains(s.Because, "100 % of people, drawn by lot") {
		t.Errorf("%+v", s)
	}
}

// The report and the effect of a pilot say the same of each arm, and neither counts what
// comes twice, or a load test.
func TestReportIsByArm(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.must(200, "PUT", "/v1/policy?pilot=50", "", limit("2")+"  new: {advertiser: acme}\n", nil)
	for i := range 100 {
		who := fmt.Sprintf(`"user":{"id":"u-%d"}`, i)
		n.must(200, "POST", "/v1/decide", "", `{`+who+`,"candidates":[{"campaign":"shoes"},{"campaign":"new"}]}`, nil)
		for range 2 {
			n.event(fmt.Sprintf(`{"type":"impression",%s,"campaign":"new","id":"i-%d"}`, who, i))
			n.event(fmt.Sprintf(`{"type":"click",%s,"campaign":"new","id":"c-%d"}`, who, i))
			n.event(fmt.Sprintf(`{"type":"purchase",%s,"advertiser":"acme","item":"i","id":"p-%d"}`, who, i))
		}
		load := fmt.Sprintf(`"user":{"eids":[{"source":"restraint.load","uids":[{"id":"%d"}]}]}`, i)
		n.must(200, "POST", "/v1/decide", "", `{`+load+`,"candidates":[{"campaign":"shoes"}]}`, nil)
		n.event(fmt.Sprintf(`{"type":"impression",%s,"campaign":"shoes","id":"l-%d"}`, load, i))
	}
	var report struct {
		Rows []struct {
			Arm                                       string
			Decisions, Impressions, Clicks, Purchases int
		}
	}
	n.must(200, "GET", "/v1/report?by=arm", "", "", &report)
	said := map[string][4]int{}
	for _, r := range report.Rows {
		said[r.Arm] = [4]int{r.Decisions, r.Impressions, r.Clicks, r.Purchases}
	}
	all := 0
	for _, a := range n.pilot().Effect.Arms {
		if a.Arm == "holdout" {
			continue
		}
		if got := [4]int{a.Decisions, a.Impressions, a.Clicks, a.Purchases}; got != said[a.Arm] || a.Decisions != 2*a.Clicks || a.Clicks != a.Purchases {
			t.Errorf("%s: %v, by the report %v", a.Arm, got, said[a.Arm])
		}
		all += a.Decisions
	}
	if all != 200 || len(said) != 2 {
		t.Errorf("%d decisions; %v", all, said)
	}
}

// A campaign that people have dialled back is so in both arms, by whichever version it
// was shown.
func TestDialBackIsInBothArms(t *testing.T) {
	const dial = "dial_back: {window: 1h, min_shown: 10, min_people: 2, hides_per_10k: 1, pause_at: 2}\n"
	n := startNode(t, "", dial+testPolicy, nil)
	n.must(200, "PUT", "/v1/policy?pilot=50", "", dial+limit("2")+"  new: {advertiser: acme}\n", nil)
	arms := map[int]int{}
	for i := range 40 {
		who := fmt.Sprintf(`"user":{"id":"u-%d"}`, i)
		for _, campaign := range []string{"shoes", "new"} {
			n.event(fmt.Sprintf(`{"type":"impression",%s,"campaign":%q,"id":"i-%d"}`, who, campaign, i))
			n.event(fmt.Sprintf(`{"type":"complaint",%s,"campaign":%q,"id":"c-%d"}`, who, campaign, i))
		}
	}
	eventually(t, "both are paused", func() bool {
		var said struct {
			Campaigns []struct{ Campaign, Level string }
		}
		n.must(200, "GET", "/v1/dial-back", "", "", &said)
		return len(said.Campaigns) == 2 && said.Campaigns[0].Level == "paused" && said.Campaigns[1].Level == "paused"
	})
	for i := range 40 {
		a := n.decide(fmt.Sprintf(`{"user":{"id":"other-%d"},"candidates":[{"campaign":"shoes"},{"campaign":"new"}]}`, i))
		arms[a.Policy]++
		if a.Decisions[0].Reason != "dialled_back" || a.Policy == 2 && a.Decisions[1].Reason != "dialled_back" {
			t.Fatalf("%+v", a)
		}
	}
	if len(arms) != 2 {
		t.Errorf("decided by %v", arms)
	}
}
