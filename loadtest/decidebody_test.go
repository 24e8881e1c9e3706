package loadtest

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const testPolicy = `
campaigns:
  shoes: {advertiser: acme, groups: [feet], caps: [{per: campaign, limit: 3, within: 24h}, {per: group:feet, limit: 5, within: 7d}]}
  socks: {advertiser: acme, groups: [feet], interest: {least: 2, after: 30m, fresh: 3d, until: 14d, from: [own, partner]}}
  hats: {advertiser: other, caps: [{per: all, limit: 9, within: lifetime}]}
  gone: {advertiser: acme, active: {from: 2020-01-01, to: 2021-01-01}}
consent: {vendor: 77}
`

func mustPolicy(t testing.TB, text string) *loadPolicy {
	t.Helper()
	p, err := parseLoadPolicy([]byte(text), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func testConfig() LoadConfig {
	return LoadConfig{Users: 1000, Zipf: 1, Identifiers: 3, IFAPercent: 50, Candidates: 7, CreativePercent: 100, ItemPercent: 50, CategoryPercent: 50, ConsentPercent: 50}
}

// decideJSON is a decide request as a node reads it.
type decideJSON struct {
	User struct {
		ID      string
		Consent string
		EIDs    []struct {
			Source string
			UIDs   []struct {
				ID    string
				AType int
			}
		}
	}
	Device *struct {
		IFA string
		Geo *struct{ Country string }
	}
	Regs *struct {
		GDPR   *int
		GPP    string
		GPPSID []int `json:"gpp_sid"`
	}
	Candidates []struct {
		Campaign, Creative, Item, Category string
		InterestAt                         int64 `json:"interest_at"`
		InterestCount                      int   `json:"interest_count"`
		InterestFrom                       string
	}
	Want              int
	Hold, Token       bool
	Site, Imp, Unused any
}

func makeBodies(t *testing.T, c LoadConfig, shells []shell, n int) (bodies []decideJSON, asked []askedOf) {
	t.Helper()
	p, r := mustPolicy(t, testPolicy), rand.New(rand.NewPCG(1, 1))
	m := newDecideMaker(&c, makeCandidates(p, &c, r, time.Now()), makeConsents(40, p.Consent.Vendor, r, time.Now()), shells)
	for range n {
		text, a := m.appendBody(nil, r)
		var d decideJSON
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		bodies, asked = append(bodies, d), append(asked, a)
	}
	return bodies, asked
}

func TestDecideBodies(t *testing.T) {
	c := testConfig()
	c.Countries = []Weight{{"DEU", 3}, {"USA", 1}}
	c.Want, c.Hold, c.Token = 2, true, true
	c.Zipf = 0 // or the shares would be those of a few users
	bodies, asked := makeBodies(t, c, nil, 2000)
	identifiers, countries, seen := [4]int{}, map[string]int{}, map[string]int{}
	withIFA, tcf, gpp, items, creatives := 0, 0, 0, 0, map[string]string{}
	for i, d := range bodies {
		if len(d.User.EIDs) != 1 || d.User.EIDs[0].Source != LoadSource || d.User.ID != "" {
			t.Fatalf("%+v", d.User)
		}
		uids := d.User.EIDs[0].UIDs
		identifiers[len(uids)]++
		if who, known := seen[uids[0].ID]; known && who != asked[i].user {
			t.Fatalf("users %d and %d are one", who, asked[i].user)
		}
		seen[uids[0].ID] = asked[i].user
		if len(uids) > 1 {
			if raw, err := base64.StdEncoding.DecodeString(uids[1].ID); err != nil || len(raw) != 32 {
				t.Errorf("identifier %q", uids[1].ID)
			}
		}
		if len(uids) > 2 && !uuid.MatchString(uids[2].ID) {
			t.Errorf("identifier %q", uids[2].ID)
		}
		if d.Device.IFA != "" {
			if withIFA++; !uuid.MatchString(d.Device.IFA) {
				t.Errorf("ifa %q", d.Device.IFA)
			}
		}
		countries[d.Device.Geo.Country]++
		if d.User.Consent != "" && d.Regs.GDPR != nil && *d.Regs.GDPR == 1 {
			tcf++
		}
		if d.Regs != nil && d.Regs.GPP != "" && slices.Equal(d.Regs.GPPSID, []int{7}) {
			gpp++
		}
		if len(d.Candidates) != 7 || d.Want != 2 || !d.Hold || !d.Token {
			t.Fatalf("%+v", d)
		}
		for j, candidate := range d.Candidates {
			of := asked[i].list.candidates[j]
			if candidate.Campaign != of.campaign.name || candidate.Creative != of.creative || candidate.Item != of.item || candidate.Category != of.category {
				t.Fatalf("candidate %+v is %+v", candidate, of)
			}
			if candidate.Campaign == "gone" || candidate.Campaign == "socks" != (candidate.InterestCount == 3) {
				t.Fatalf("candidate %+v", candidate)
			}
			if other := creatives[candidate.Creative]; other != "" && other != candidate.Campaign {
				t.Fatalf("creative %q is of %q and %q", candidate.Creative, other, candidate.Campaign)
			}
			creatives[candidate.Creative] = candidate.Campaign
			if candidate.Item != "" {
				items++
			}
		}
	}
	for name, c := range map[string][2]int{
		"one identifier": {identifiers[1], 1200}, "two": {identifiers[2], 600}, "three": {identifiers[3], 200}, "ifa": {withIFA, 1000},
		"Germany": {countries["DEU"], 1500}, "consent": {tcf + gpp, 1000}, "items": {items, 7000},
	} {
		if c[0] < c[1]*2/3 || c[0] > c[1]*3/2 {
			t.Errorf("%s: %d, want about %d", name, c[0], c[1])
		}
	}
	if gpp == 0 || len(creatives) < 3*creativesEach {
		t.Errorf("%d GPP strings, %d creatives", gpp, len(creatives))
	}
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestRunsAreOtherPeople(t *testing.T) {
	one, other := people{run: 1, identifiers: 3}, newPeople(&LoadConfig{Run: "x", Identifiers: 3})
	for user := range 1000 {
		if string(one.appendEIDs(nil, user)) == string(other.appendEIDs(nil, user)) {
			t.Fatal("the same person in two runs")
		}
	}
	again := newPeople(&LoadConfig{Run: "x", Identifiers: 3})
	if string(again.appendEIDs(nil, 5)) != string(other.appendEIDs(nil, 5)) {
		t.Error("another person in the same run")
	}
}

func TestSourceBodies(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log.jsonl")
	text := `{"id":"r1","user":{"id":"real","buyeruid":"b","keywords":"k","consent":"C","eids":[{"source":"s","uids":[{"id":"real"}]}],"ext":{"eids":[1],"x":2}},"device":{"ifa":"real","geo":{"country":"FRA"}},"regs":{"gdpr":0},"ext":{"candidates":[1],"y":1},"site":{"page":"p"},"want":9}

{"Path":"a.json","Request":{"id":"r2","device":{},"imp":[{"id":"1"}]}}
{"repo":"r","request":{"id":"r3","user":"odd"}}
`
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	shells, err := readSource(log)
	if err != nil || len(shells) != 3 {
		t.Fatalf("%d rows, %v", len(shells), err)
	}
	bodies, asked := makeBodies(t, testConfig(), shells, 300)
	for i, d := range bodies {
		whole, _ := json.Marshal(d)
		if strings.Contains(string(whole), "real") || d.User.EIDs[0].Source != LoadSource || len(d.Candidates) != 7 || d.Want != 0 {
			t.Fatalf("%s", whole)
		}
		if asked[i].shell == &shells[0] && (d.User.Consent != "C" || d.Device.Geo.Country != "FRA" || d.Regs == nil || d.Site == nil) {
			t.Fatalf("%s", whole)
		}
	}
	for name, c := range map[string][2]string{
		"not JSON":    {"{}\nx\n", "line 1: an empty object"},
		"a list":      {`{"a":1}` + "\n[1]\n", "line 2: not a JSON object"},
		"no object":   {`{"request":3}`, "member request is not a JSON object"},
		"empty":       {"\n\n", "no usable row"},
		"a long line": {`{"a":"` + strings.Repeat("x", maxSourceLine) + `"}`, "a node takes"},
	} {
		if err := os.WriteFile(log, []byte(c[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readSource(log); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a log says, what is sent is JSON and about the users of the test.
func FuzzShell(f *testing.F) {
	for _, seed := range []string{
		`{"id":"r1","user":{"id":"x","eids":[1],"ext":{"eids":[1]}},"device":{"ifa":"y","geo":{}},"regs":{"gdpr":1},"ext":{"candidates":[]}}`,
		`{"Path":"p","Request":{"user":null,"device":[],"regs":3,"":0}}`, `{"request":{"ext":"s","device":{}}}`,
	} {
		f.Add([]byte(seed))
	}
	p, r, c := mustPolicy(f, testPolicy), rand.New(rand.NewPCG(1, 1)), testConfig()
	m := newDecideMaker(&c, makeCandidates(p, &c, r, time.Now()), nil, nil)
	f.Fuzz(func(t *testing.T, line []byte) {
		s, err := parseShell(line)
		if err != nil {
			return
		}
		m.shells = []shell{s}
		text, _ := m.appendBody(nil, r)
		var d struct {
			User struct {
				ID   json.RawMessage
				EIDs []struct{ Source string }
			}
			Candidates []json.RawMessage
		}
		if !json.Valid(text) {
			t.Fatalf("%s", text)
		}
		// Names that differ in case only are one to this decoder.
		if err := json.Unmarshal(text, &d); err == nil && len(d.Candidates) != c.Candidates {
			t.Fatalf("%d candidates: %s", len(d.Candidates), text)
		}
	})
}

func FuzzLoadPolicy(f *testing.F) {
	f.Add([]byte(testPolicy))
	f.Add([]byte(cappedElsewhere))
	f.Fuzz(func(_ *testing.T, text []byte) {
		p, err := parseLoadPolicy(text, time.Unix(1_800_000_000, 0))
		if err != nil {
			return
		}
		c := testConfig()
		lists := makeCandidates(p, &c, rand.New(rand.NewPCG(1, 1)), time.Unix(1_800_000_000, 0))
		_, _ = newLoadOracle(p, lists, time.Unix(1_800_000_000, 0))
	})
}

const cappedElsewhere = `{"campaigns":{"a":null,"b":{"caps":[{"per":"group:x","limit":1,"within":"1h"}],"active":{"from":"2026-01-01"}}},"markets":[{"cap_factor":1}]}`

func TestRealSource(t *testing.T) {
	path := "../../shared/data/bidrequests_bulk.jsonl.gz"
	if _, err := os.Stat(path); err != nil {
		t.Skip("no real bid requests beside the repository")
	}
	shells, err := readSource(path)
	if err != nil || len(shells) != 1502 {
		t.Fatalf("%d rows, %v", len(shells), err)
	}
	p, r, c := mustPolicy(t, testPolicy), rand.New(rand.NewPCG(1, 1)), testConfig()
	m := newDecideMaker(&c, makeCandidates(p, &c, r, time.Now()), nil, nil)
	for i := range shells {
		m.shells = shells[i : i+1]
		if text, _ := m.appendBody(nil, r); !json.Valid(text) {
			t.Fatalf("row %d: %s", i+1, text)
		}
	}
}

func TestMakingBodiesDoesNotAllocate(t *testing.T) {
	c := testConfig()
	p, r := mustPolicy(t, testPolicy), rand.New(rand.NewPCG(1, 1))
	m := newDecideMaker(&c, makeCandidates(p, &c, r, time.Now()), makeConsents(40, 0, r, time.Now()), nil)
	buf := make([]byte, 0, 16<<10)
	if n := testing.AllocsPerRun(200, func() { m.appendBody(buf, r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLoadPolicy(t *testing.T) {
	p := mustPolicy(t, testPolicy)
	if !slices.Equal(p.names, []string{"hats", "shoes", "socks"}) || p.Consent.Vendor != 77 {
		t.Errorf("%v, vendor %d", p.names, p.Consent.Vendor)
	}
	if _, err := parseLoadPolicy([]byte(`{"campaigns":{"a":{"advertiser":"x"}}}`), time.Now()); err != nil {
		t.Errorf("JSON: %v", err)
	}
	for _, text := range []string{"", "campaigns: {}", "campaigns: [", "campaigns: {a: {active: {to: 2001-01-01}}}"} {
		if _, err := parseLoadPolicy([]byte(text), time.Now()); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "30m": 30 * time.Minute, "24h": 24 * time.Hour, "7d": 168 * time.Hour, "day": 0, "": 0, "h": 0, "1.5h": 0, "-1h": 0} {
		if got, ok := parseSpan(text); got != want || ok != (want > 0) {
			t.Errorf("%q is %v, %t", text, got, ok)
		}
	}
}

func TestConsentStringsAreDistinct(t *testing.T) {
	made := makeConsents(100, 900, rand.New(rand.NewPCG(1, 1)), time.Now())
	seen := map[string]bool{}
	for _, c := range made {
		seen[string(c.user)+string(c.regs)] = true
	}
	if len(made) != 100 || len(seen) != 100 {
		t.Errorf("%d made, %d distinct", len(made), len(seen))
	}
}
