package edge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// specFragment is bid.ext.dsa as the specification has it (IAB Tech Lab, community
// extension "DSA Transparency" of 26 January 2024), and nothing beside it.
type specFragment struct {
	Behalf       *string `json:"behalf"`
	Paid         *string `json:"paid"`
	Transparency []struct {
		Domain *string `json:"domain"`
		Params []int   `json:"dsaparams"`
	} `json:"transparency"`
	AdRender *int `json:"adrender"`
}

var specDomain = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*$`)

// readFragment reads a fragment, refusing what the specification does not have.
func readFragment(text []byte) (f specFragment, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return f, err
	}
	for _, name := range []*string{f.Behalf, f.Paid} {
		if name != nil && (*name == "" || utf8.RuneCountInString(*name) > 100) {
			return f, fmt.Errorf("behalf or paid is %q: 1 to 100 characters", *name)
		}
	}
	if f.Behalf != nil && f.Paid == nil {
		return f, fmt.Errorf("paid is missing, which must always be included")
	}
	if f.AdRender != nil && *f.AdRender != 0 && *f.AdRender != 1 {
		return f, fmt.Errorf("adrender is %d", *f.AdRender)
	}
	for _, entity := range f.Transparency {
		if entity.Domain != nil && !specDomain.MatchString(*entity.Domain) {
			return f, fmt.Errorf("%q is no domain", *entity.Domain)
		}
		last := 0
		for _, p := range entity.Params {
			if p <= last || p > 3 {
				return f, fmt.Errorf("user parameters %v", entity.Params)
			}
			last = p
		}
		if last == 0 {
			return f, fmt.Errorf("an entity that applied nothing")
		}
	}
	return f, nil
}

// The test's own reader refuses what is not of the specification.
func TestDSAReader(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"behalf":"Advertiser","paid":"Advertiser","transparency":[{"domain":"dsp1domain.com","dsaparams":[1,2]}],"adrender":1}`: true,
		`{"transparency":[{"dsaparams":[3]}]}`:                          true,
		`{"behalf":"Advertiser"}`:                                       false,
		`{"behalf":"a","paid":"` + strings.Repeat("x", 101) + `"}`:      false,
		`{"transparency":{"domain":"a.com","dsaparams":[1]}}`:           false,
		`{"transparency":[{"domain":"https://a.com","dsaparams":[1]}]}`: false,
		`{"transparency":[{"domain":"a.com","params":[1]}]}`:            false,
		`{"transparency":[{"domain":"a.com","dsaparams":[4]}]}`:         false,
		`{"transparency":[{"domain":"a.com","dsaparams":[]}]}`:          false,
		`{"transparency":[{"domain":"a.com","dsaparams":"1"}]}`:         false,
		`{"adrender":2}`:          false,
		`{"behalf":1,"paid":"a"}`: false,
	} {
		if _, err := readFragment([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// dsaAnswer is an explained answer with the fragments as they are written.
type dsaAnswer struct {
	Token     string
	Decisions []struct {
		Campaign string
		Show     bool
		DSA      json.RawMessage `json:"dsa"`
	}
}

const dsaPolicy = `
timezone: UTC
no_id: show
dsa: {domain: ads.example.com}
markets: [{name: everywhere, require: none}]
lists:
  customers: {id: [user.id], source: first_party, basis: contract}
  left: {kind: opt_out, id: [user.id], source: first_party, basis: objection}
campaigns:
  shoes: {advertiser: acme, dsa: {behalf: Acme <Schuhe> GmbH, paid: Holding & Söhne, adrender: 1}}
  quiet: {advertiser: acme, dsa: {behalf: Acme, paid: Acme, adrender: 0}}
  plain: {advertiser: acme, purpose: acquisition}
  capped: {advertiser: acme, purpose: acquisition, caps: [{per: campaign, limit: 9, within: 24h}]}
  spaced: {advertiser: acme, purpose: acquisition, spacing: 1m}
  varied: {advertiser: acme, purpose: acquisition, diversity: {same_creative_in_a_row: 9}}
  apart: {advertiser: acme, purpose: acquisition, not_beside: ["cat:386"]}
  listed: {advertiser: acme, purpose: acquisition, suppress: [customers]}
  bought: {advertiser: acme, purpose: acquisition, purchased: {item: 90d}}
  wanted: {advertiser: acme, purpose: acquisition, interest: {until: 3d}}
  place: {advertiser: acme, purpose: contextual, caps: [{per: campaign, limit: 9, within: 24h}]}
  stranger: {advertiser: acme, purpose: contextual, suppress: [customers]}
`

// Each campaign that is shown has a fragment of the form of the specification, with the
// user parameters that its purpose and rules come to; a skipped one has none.
func TestDSAFragment(t *testing.T) {
	n := startNode(t, "", dsaPolicy, requestClock)
	n.must(201, "PUT", "/v1/lists/left?id=user.id", "text/plain", "u-out\n", nil)
	const known, nobody, out = `{"id":"u-1"}`, `{}`, `{"id":"u-out"}`
	for _, c := range []struct {
		user, candidate string
		params          []int // nil: none stated
	}{
		{known, `{"campaign":"shoes"}`, []int{1, 2}},
		{known, `{"campaign":"plain"}`, nil},
		{known, `{"campaign":"capped"}`, []int{2}},
		{known, `{"campaign":"spaced"}`, []int{2}},
		{known, `{"campaign":"varied"}`, []int{2}},
		{known, `{"campaign":"apart"}`, []int{2}},
		{known, `{"campaign":"listed"}`, []int{1, 2}},
		{known, `{"campaign":"bought","item":"i"}`, []int{1}},
		{known, `{"campaign":"wanted"}`, nil},
		{known, `{"campaign":"wanted","interest_at":1793490000}`, []int{1}},
		{known, `{"campaign":"place"}`, []int{2}},
		{nobody, `{"campaign":"place"}`, []int{2}},
		{known, `{"campaign":"stranger"}`, []int{1, 2}},
		{nobody, `{"campaign":"stranger"}`, []int{2}},
		{out, `{"campaign":"place"}`, []int{2}},
	} {
		var a dsaAnswer
		n.must(200, "POST", "/v1/decide?explain=1", "application/json", `{"user":`+c.user+`,"at":1793500000,"candidates":[`+c.candidate+`]}`, &a)
		d := a.Decisions[0]
		if !d.Show || (d.DSA == nil) != (c.params == nil) {
			t.Errorf("%s %s: show %v, %s", c.user, c.candidate, d.Show, d.DSA)
			continue
		}
		if c.params == nil {
			continue
		}
		f, err := readFragment(d.DSA)
		if err != nil || len(f.Transparency) != 1 || *f.Transparency[0].Domain != "ads.example.com" || !reflect.DeepEqual(f.Transparency[0].Params, c.params) {
			t.Errorf("%s %s: %v: %s, want %v", c.user, c.candidate, err, d.DSA, c.params)
		}
	}
	var a dsaAnswer
	n.must(200, "POST", "/v1/decide?explain=1", "application/json", `{"user":`+out+`,"at":1793500000,"candidates":[{"campaign":"shoes"},{"campaign":"nope"},{"campaign":"place"}]}`, &a)
	if d := a.Decisions; d[0].Show || d[0].DSA != nil || d[1].DSA != nil || d[2].DSA == nil {
		t.Errorf("skipped with a fragment, or shown without: %+v", d)
	}
	if _, body := n.do("POST", "/v1/decide", "application/json", `{"user":`+known+`,"at":1793500000,"candidates":[{"campaign":"shoes"}]}`); bytes.Contains(body, []byte("dsa")) {
		t.Errorf("without being asked: %s", body)
	}
}

// Who it is for and who pays are as the policy writes them, and nothing is made up where
// it is silent.
func TestDSAStatedByThePolicy(t *testing.T) {
	n := startNode(t, "", dsaPolicy, requestClock)
	fragment := func(campaign string) (f specFragment, text string) {
		t.Helper()
		var a dsaAnswer
		n.must(200, "POST", "/v1/decide?explain=1", "application/json", `{"user":{"id":"u-1"},"at":1793500000,"candidates":[{"campaign":"`+campaign+`"}]}`, &a)
		f, err := readFragment(a.Decisions[0].DSA)
		if err != nil {
			t.Fatalf("%s: %v: %s", campaign, err, a.Decisions[0].DSA)
		}
		return f, string(a.Decisions[0].DSA)
	}
	if f, text := fragment("shoes"); *f.Behalf != "Acme <Schuhe> GmbH" || *f.Paid != "Holding & Söhne" || *f.AdRender != 1 {
		t.Error(text)
	}
	if f, text := fragment("quiet"); *f.Behalf != "Acme" || *f.Paid != "Acme" || f.AdRender == nil || *f.AdRender != 0 {
		t.Error(text)
	}
	if f, text := fragment("capped"); f.Behalf != nil || f.Paid != nil || f.AdRender != nil {
		t.Error(text)
	}
	// Without a domain the parameters alone are known.
	n.must(200, "PUT", "/v1/policy", "application/yaml", strings.Replace(dsaPolicy, "dsa: {domain: ads.example.com}\n", "", 1), nil)
	if f, text := fragment("capped"); len(f.Transparency) != 1 || f.Transparency[0].Domain != nil {
		t.Error(text)
	}
	// A market of quiet hours, and a choice of markets by country, use the context.
	for _, markets := range []string{
		`markets: [{name: everywhere, require: none, quiet_hours: "03:00-03:01"}]`,
		`markets: [{name: far, countries: [JPN], require: none}, {name: everywhere, require: none}]` + "\nunknown: everywhere",
	} {
		n.must(200, "PUT", "/v1/policy", "application/yaml", strings.Replace(dsaPolicy, "markets: [{name: everywhere, require: none}]", markets, 1), nil)
		var a dsaAnswer
		n.must(200, "POST", "/v1/decide?explain=1", "application/json", `{"user":{"id":"u-1"},"at":1793500000,"candidates":[{"campaign":"plain"}]}`, &a)
		if !a.Decisions[0].Show || !strings.Contains(string(a.Decisions[0].DSA), `"dsaparams":[2]`) {
			t.Errorf("%s: %s", markets, a.Decisions[0].DSA)
		}
	}
}

// The person reads the same behind the token, in plain words, and as JSON.
func TestDSAOnTheWhyPage(t *testing.T) {
	n := startNode(t, "", dsaPolicy, nil)
	for _, c := range []struct {
		campaign string
		dsa      string
		says     []string
		not      []string
	}{
		{
			"shoes", `{"behalf":"Acme \u003cSchuhe\u003e GmbH","paid":"Holding \u0026 Söhne","transparency":[{"domain":"ads.example.com","dsaparams":[1,2]}],"adrender":1}`,
			[]string{"on behalf of <strong>Acme &lt;Schuhe&gt; GmbH</strong>; <strong>Holding &amp; Söhne</strong> paid for it.", "<strong>ads.example.com</strong> chose it by", "known about you from elsewhere", "how often you have seen it"},
			[]string{"dsaparams", "GmbH</strong>, who"},
		},
		{"quiet", `{"behalf":"Acme","paid":"Acme","transparency":[{"domain":"ads.example.com","dsaparams":[1,2]}],"adrender":0}`, []string{"on behalf of <strong>Acme</strong>, who paid for it."}, nil},
		{"capped", `{"transparency":[{"domain":"ads.example.com","dsaparams":[2]}]}`, []string{"how often you have seen it"}, []string{"on behalf of", "from elsewhere", "paid"}},
		{"plain", ``, nil, []string{"Who is behind it"}},
	} {
		token := n.link(t, `"user":{"id":"u-1"}`, c.campaign)
		var w struct{ DSA json.RawMessage }
		header := http.Header{"Accept": {"application/json"}}
		_, body := n.exchange(t, n.bid, "GET", "/v1/why?campaign="+c.campaign+"&t="+token, header, "")
		if err := json.Unmarshal(body, &w); err != nil || string(w.DSA) != c.dsa {
			t.Errorf("%s: %v: %s\nwant %s", c.campaign, err, w.DSA, c.dsa)
		}
		if c.dsa != "" {
			if _, err := readFragment(w.DSA); err != nil {
				t.Errorf("%s: %v", c.campaign, err)
			}
		}
		page := n.page(t, 200, "GET", "/v1/why?campaign="+c.campaign+"&t="+token, "")
		for _, words := range c.says {
			if !strings.Contains(page, words) {
				t.Errorf("%s: the page does not say %q:\n%s", c.campaign, words, page)
			}
		}
		for _, words := range c.not {
			if strings.Contains(page, words) {
				t.Errorf("%s: the page says %q:\n%s", c.campaign, words, page)
			}
		}
	}
}
