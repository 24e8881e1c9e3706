package edge_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// whyPolicy has two markets that allow different numbers, and a campaign whose name
// would break a page that does not escape it.
const whyPolicy = `
timezone: Europe/Berlin
markets:
  - {name: half, countries: [FRA], require: none, cap_factor: 0.5}
  - {name: rest, require: none}
unknown: half
lists:
  debtors: {id: [user.id], source: first_party, basis: contract}
campaigns:
  shoes:
    advertiser: acme
    topics: [weddings]
    caps: [{per: campaign, limit: 3, within: 24h}, {per: item, limit: 2, within: 24h}]
    purchased: {item: 90d}
  "<b onload='x'>&\"": {advertiser: "<i>", purpose: contextual}
  place: {advertiser: other, purpose: contextual}
  letter: {advertiser: other, purpose: contextual, caps: [{per: campaign, channel: email, limit: 2, within: week}]}
  welcome: {advertiser: acme, purpose: acquisition, suppress: [debtors]}
`

const odd = `<b onload='x'>&"`

// said is what the JSON of /v1/why says.
type said struct {
	Campaign, Advertiser, Purpose, Reason, Because string
	ChosenAt                                       int64 `json:"chosen_at"`
	Now                                            int64
	Show, Recognised, Erased, Hidden               bool
	OptedOut                                       bool `json:"opted_out"`
	Kept                                           []struct {
		Kind    string
		Seconds int64
		Detail  string
	}
}

// link asks for a token of one campaign.
func (n *node) link(t *testing.T, who, campaign string) (token string) {
	t.Helper()
	var a answer
	n.must(200, "POST", "/v1/decide", "application/json",
		fmt.Sprintf(`{%s,"device":{"geo":{"country":"DEU"}},"want":1,"token":true,"candidates":[{"campaign":%s,"creative":"c-1","item":"sku-9"}]}`, who, encode(t, campaign)), &a)
	if len(a.Decisions) != 1 || !a.Decisions[0].Show || a.Token == "" {
		t.Fatalf("%s: %+v", campaign, a)
	}
	return a.Token
}

// whyOf is the JSON of /v1/why.
func (n *node) whyOf(t *testing.T, token, campaign string) (s said) {
	t.Helper()
	resp, body := n.exchange(t, n.bid, "GET", "/v1/why?t="+token+"&campaign="+url.QueryEscape(campaign), http.Header{"Accept": {"application/json"}}, "")
	if err := json.Unmarshal(body, &s); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%d %v\n%s", resp.StatusCode, err, body)
	}
	return s
}

// inlined is a tag with a script or a style in an attribute.
var inlined = regexp.MustCompile(`<[^>]*\s(on[a-z]+|style)\s*=`)

// page is an HTML answer to a browser; its head is checked.
func (n *node) page(t *testing.T, status int, method, target, form string) string {
	t.Helper()
	header := http.Header{"Accept": {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}}
	if method == "POST" {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, body := n.exchange(t, n.bid, method, target, header, form)
	if resp.StatusCode != status {
		t.Fatalf("%s %s: %d, want %d\n%s", method, target, resp.StatusCode, status, body)
	}
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindSubmatch(body)
	if style == nil {
		t.Fatalf("no style:\n%s", body)
	}
	sum := sha256.Sum256(style[1])
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	text := string(body)
	for _, banned := range []string{"<script", "javascript:", "<img", "http://", "https://", "sku-9", "c-1", "debtors", "weddings", "ZgotmplZ"} {
		if strings.Contains(text, banned) {
			t.Errorf("the page has %q:\n%s", banned, text)
		}
	}
	if found := inlined.FindString(text); found != "" {
		t.Errorf("the page has a handler or a style of its own: %s", found)
	}
	for _, needed := range []string{"<!DOCTYPE html>", `<html lang="en">`, "<title>", "<h1>", "<main>", `name="viewport"`} {
		if !strings.Contains(text, needed) {
			t.Errorf("the page has no %s", needed)
		}
	}
	if strings.Count(text, "<h1>") != 1 || strings.Count(text, "<section") != strings.Count(text, "</section>") {
		t.Errorf("headings or sections are not whole:\n%s", text)
	}
	return text
}

// The page and its JSON say the same, with the real numbers of now, and looking at it
// changes nothing.
func TestWhyPage(t *testing.T) {
	n := startNode(t, "", whyPolicy, nil)
	token := n.link(t, `"user":{"id":"u-1"}`, "shoes")
	target := "/v1/why?campaign=shoes&t=" + token
	s := n.whyOf(t, token, "shoes")
	if !s.Show || s.Because != "Shown: you have seen advertisements for this item 0 times in the last 24 hours; up to 2 times allowed." {
		t.Errorf("before: %+v", s)
	}
	n.must(204, "GET", "/v1/impression?campaign=shoes&t="+token, "", "", nil)
	for range 3 {
		s = n.whyOf(t, token, "shoes")
		if want := "Shown: you have seen advertisements for this item 1 time in the last 24 hours; up to 2 times allowed."; !s.Show || s.Reason != "" || s.Because != want {
			t.Errorf("said %q", s.Because)
		}
	}
	if s.Advertiser != "acme" || s.Purpose != "retargeting" || !s.Recognised || s.Erased || s.Hidden || s.OptedOut || s.ChosenAt == 0 || s.Now < s.ChosenAt ||
		len(s.Kept) != 3 || s.Kept[0].Seconds != 90*86400 || s.Kept[1].Seconds != 400*86400 || s.Kept[2].Seconds != 0 {
		t.Errorf("%+v", s)
	}
	text := n.page(t, 200, "GET", target, "")
	for _, want := range []string{
		"Right now it could be shown to you again: you have seen advertisements for this item 1 time in the last 24 hours; up to 2 times allowed.",
		"<strong>shoes</strong> of <strong>acme</strong>", "of now, not of when", "In some countries less is allowed", "people who have shown interest",
		`<form method="post" action="hide?t=` + token + `&amp;campaign=shoes">`, `<form method="post" action="opt-out?t=` + token + `&amp;campaign=shoes">`,
		"for 90 days", "for 400 days", "works for 24 hours", "<time datetime=",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	for _, k := range s.Kept {
		if !strings.Contains(text, html.EscapeString(k.Detail)) {
			t.Errorf("the page does not say %q", k.Detail)
		}
	}
	// Each radio button stands in a label, in a fieldset with a legend.
	if strings.Count(text, "<label><input type=\"radio\" name=\"why\"") != 5 || !strings.Contains(text, "<legend>") {
		t.Errorf("the form is not labelled:\n%s", text)
	}
	// A purchase is said without what and when; the item's own cap is not counted as another's.
	n.event(`{"type":"purchase","user":{"id":"u-1"},"advertiser":"acme","item":"sku-9"}`)
	if s = n.whyOf(t, token, "shoes"); s.Reason != "purchased" || strings.Contains(s.Because, "20") || !strings.Contains(s.Because, "or something like it") {
		t.Errorf("bought: %+v", s)
	}
	n.page(t, 200, "GET", target, "")
}

// What the person chose, and what lists say, is told without their names.
func TestWhySaysNoNames(t *testing.T) {
	n := startNode(t, "", whyPolicy, nil)
	shoes, welcome := n.link(t, `"user":{"id":"u-1"}`, "shoes"), n.link(t, `"user":{"id":"u-1"}`, "welcome")
	n.must(201, "PUT", "/v1/lists/debtors?id=user.id", "text/plain", "u-1\n", nil)
	if s := n.whyOf(t, welcome, "welcome"); s.Reason != "suppressed" || strings.Contains(s.Because, "debtors") || !strings.Contains(s.Because, "a list that we were given") || len(s.Kept) != 4 {
		t.Errorf("on a list: %+v", s)
	}
	n.page(t, 200, "GET", "/v1/why?campaign=welcome&t="+welcome, "")
	n.prefer(t, `{"user":{"id":"u-1"},"hidden_topics":["weddings"]}`)
	if s := n.whyOf(t, shoes, "shoes"); s.Reason != "user_choice" || strings.Contains(s.Because, "weddings") || !strings.Contains(s.Because, "something that this one is about") {
		t.Errorf("a topic: %+v", s)
	}
	n.page(t, 200, "GET", "/v1/why?campaign=shoes&t="+shoes, "")
}

// Of a list that was bought from somebody else it is not said that the advertiser gave it.
func TestWhySaysWhereListsAreFrom(t *testing.T) {
	of := func(source string) string {
		n := startNode(t, "", `
third_party_lists: allow
markets: [{name: everywhere, require: none}]
lists:
  customers: {id: [user.id], source: first_party, basis: contract}
  other: {id: [user.id], source: `+source+`, basis: consent}
campaigns:
  shoes: {advertiser: acme, suppress: [customers, other]}
`, nil)
		for _, k := range n.whyOf(t, n.link(t, `"user":{"id":"u-1"}`, "shoes"), "shoes").Kept {
			if k.Kind == "lists" {
				return k.Detail
			}
		}
		return ""
	}
	const first, third = "Whether you are on a list that acme gave us, ", "Whether you are on a list that acme gave us, such as one of its customers, or that was got from somebody else. "
	if got := of("first_party"); !strings.HasPrefix(got, first) || strings.Contains(got, "somebody else") {
		t.Errorf("said %q", got)
	}
	if got := of("third_party"); !strings.HasPrefix(got, third) {
		t.Errorf("said %q, want %q", got, third)
	}
}

// The channel is that of the answer; what may not be stored is said not to be; and a
// campaign that is gone is told of as such.
func TestWhyByTheToken(t *testing.T) {
	n := startNode(t, "", whyPolicy, nil)
	letter := n.link(t, `"channel":"email","user":{"id":"u-1"}`, "letter")
	n.must(204, "GET", "/v1/impression?campaign=letter&t="+letter, "", "", nil)
	if s, want := n.whyOf(t, letter, "letter"), `Shown: you have seen this campaign in the channel "email" 1 time this week; up to 2 times allowed.`; s.Because != want {
		t.Errorf("said %q, want %q", s.Because, want)
	}
	if s := n.whyOf(t, letter, "letter"); s.Kept[0].Kind != "exposures" || strings.Contains(s.Kept[0].Detail, "not kept") {
		t.Errorf("permitted: %+v", s.Kept)
	}
	unkept := n.link(t, `"regs":{"gdpr":1},"user":{"id":"u-2"}`, "letter")
	if s := n.whyOf(t, unkept, "letter"); !strings.Contains(s.Kept[0].Detail, "is not kept, since you have not permitted it") {
		t.Errorf("not permitted: %+v", s.Kept)
	}
	n.must(200, "PUT", "/v1/policy", "", strings.ReplaceAll(whyPolicy, "  letter:", "  post:"), nil)
	s := n.whyOf(t, letter, "letter")
	if s.Reason != "unknown_campaign" || s.Advertiser != "" || s.Purpose != "" || s.Because != `Not shown: there is no campaign named "letter" here.` || len(s.Kept) != 3 {
		t.Errorf("gone: %+v", s)
	}
	if text := n.page(t, 200, "GET", "/v1/why?campaign=letter&t="+letter, ""); !strings.Contains(text, "<strong>letter</strong>, and") || strings.Contains(text, "In some countries") {
		t.Errorf("gone:\n%s", text)
	}
	// Its hide is kept all the same, for when the policy has it again.
	n.must(204, "POST", "/v1/hide?campaign=letter&t="+letter, "", "", nil)
	n.must(200, "PUT", "/v1/policy", "", whyPolicy, nil)
	if s = n.whyOf(t, letter, "letter"); s.Reason != "hidden" {
		t.Errorf("hidden while gone: %+v", s)
	}
}

// A name is text on the page, whatever it holds.
func TestWhyEscapes(t *testing.T) {
	n := startNode(t, "", whyPolicy, nil)
	token := n.link(t, `"user":{"id":"u-1"}`, odd)
	query := "?t=" + token + "&campaign=" + url.QueryEscape(odd)
	text := n.page(t, 200, "GET", "/v1/why"+query, "")
	if strings.Contains(text, "<b ") || strings.Contains(text, "<i>") || !strings.Contains(text, "&lt;b onload=") {
		t.Errorf("not escaped:\n%s", text)
	}
	action := regexp.MustCompile(`action="(hide[^"]*)"`).FindStringSubmatch(text)
	if action == nil {
		t.Fatalf("no form:\n%s", text)
	}
	if text = n.page(t, 200, "POST", "/v1/"+html.UnescapeString(action[1]), "why=creepy"); strings.Contains(text, "<b ") {
		t.Errorf("not escaped:\n%s", text)
	}
	if s := n.whyOf(t, token, odd); s.Reason != "hidden" || !s.Hidden {
		t.Errorf("the form's own address did not hide it: %+v", s)
	}
	text = n.page(t, 400, "GET", "/v1/why?t="+token+"&campaign="+url.QueryEscape(`"><script>alert(1)</script>`), "")
	if strings.Contains(text, "<script") {
		t.Errorf("not escaped:\n%s", text)
	}
}

// What a link cannot be used for is refused, with a page or a problem that says what to do.
func TestWrongLinks(t *testing.T) {
	n := startNode(t, "", whyPolicy, nil)
	token := n.link(t, `"user":{"id":"u-1"}`, "shoes")
	forged := strings.Repeat("A", len(token))
	last := map[bool]string{true: "B", false: "A"}[token[30] == 'A']
	changed := token[:30] + last + token[31:]
	for name, c := range map[string]struct{ query, word string }{
		"no token":             {"?campaign=shoes", "token is missing"},
		"a forged token":       {"?campaign=shoes&t=" + forged, "token"},
		"a changed token":      {"?campaign=shoes&t=" + changed, "forged"},
		"half a token":         {"?campaign=shoes&t=" + token[:40], "token"},
		"a token too long":     {"?campaign=shoes&t=" + strings.Repeat("A", 1025), "1024"},
		"no campaign":          {"?t=" + token, "campaign: missing"},
		"another campaign":     {"?campaign=welcome&t=" + token, "does not name"},
		"a campaign too long":  {"?campaign=" + strings.Repeat("c", 129) + "&t=" + token, "128"},
		"a campaign with NUL":  {"?campaign=a%00b&t=" + token, "NUL"},
		"a campaign not UTF-8": {"?campaign=%ff&t=" + token, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			for method, path := range map[string]string{"GET": "/v1/why", "POST": "/v1/hide"} {
				text := n.page(t, 400, method, path+c.query, "")
				if !strings.Contains(text, "Nothing was changed") || !strings.Contains(text, "works for 24 hours") || !strings.Contains(html.UnescapeString(text), c.word) {
					t.Errorf("%s does not say %q, or not what to do:\n%s", path, c.word, text)
				}
				resp, body := n.exchange(t, n.bid, method, path+c.query, http.Header{"Accept": {"application/json"}}, "")
				var p problem
				if err := json.Unmarshal(body, &p); err != nil || resp.StatusCode != 400 || resp.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(p.Detail, c.word) {
					t.Errorf("%s: %d %s", path, resp.StatusCode, body)
				}
			}
		})
	}
	n.refused(t, 400, "POST", "/v1/opt-out", "", "", "token")
	n.refused(t, 400, "POST", "/v1/opt-out?t="+changed, "", "", "token")
	if s := n.whyOf(t, token, "shoes"); s.Hidden || s.OptedOut || !s.Show {
		t.Errorf("something was changed: %+v", s)
	}
}

// Of somebody who was erased, and of nobody, the link tells and changes nothing.
func TestWhyOfNobody(t *testing.T) {
	n := startNode(t, "", strings.Replace(whyPolicy, "timezone:", "no_id: show\ntimezone:", 1), nil)
	gone, nobody := n.link(t, `"user":{"id":"u-1"}`, "shoes"), n.link(t, `"user":{}`, "place")
	n.must(204, "GET", "/v1/impression?campaign=shoes&t="+gone, "", "", nil)
	n.erase(t, `{"user":{"id":"u-1"},"keep_opt_out":false}`)
	if s := n.whyOf(t, gone, "shoes"); !s.Erased || s.Recognised || s.Hidden || s.OptedOut || len(s.Kept) != 0 {
		t.Errorf("erased: %+v", s)
	}
	if text := n.page(t, 200, "GET", "/v1/why?campaign=shoes&t="+gone, ""); !strings.Contains(text, "You have been forgotten") || strings.Contains(text, "<form") || strings.Contains(text, "Right now") {
		t.Errorf("erased:\n%s", text)
	}
	if s := n.whyOf(t, nobody, "place"); s.Recognised || s.Erased || !s.Show || len(s.Kept) != 0 {
		t.Errorf("nobody: %+v", s)
	}
	if text := n.page(t, 200, "GET", "/v1/why?campaign=place&t="+nobody, ""); !strings.Contains(text, "Nothing is kept about you") || strings.Contains(text, "<form") {
		t.Errorf("nobody:\n%s", text)
	}
	for _, target := range []string{"/v1/hide?campaign=shoes&t=" + gone, "/v1/opt-out?t=" + gone, "/v1/hide?campaign=place&t=" + nobody, "/v1/opt-out?t=" + nobody} {
		if text := n.page(t, 200, "POST", target, ""); !strings.Contains(text, "Nothing was changed") {
			t.Errorf("%s:\n%s", target, text)
		}
		n.must(204, "POST", target, "", "", nil)
	}
	h := n.lookUp(t, `{"user":{"id":"u-1"}}`)
	forgotten(t, &h, false)
}

// The answer is the one that is asked for by name; who asks for nothing gets the page
// of /v1/why and no page of a button.
func TestWhyNegotiation(t *testing.T) {
	n := startNode(t, "", whyPolicy, nil)
	token := n.link(t, `"user":{"id":"u-1"}`, "shoes")
	for accept, want := range map[string]struct {
		why  string
		hide int
	}{
		"":                                     {"text/html; charset=utf-8", 204},
		"*/*":                                  {"text/html; charset=utf-8", 204},
		"application/json":                     {"application/json", 204},
		"Application/JSON ; q=0.5, */*":        {"application/json", 204},
		"text/html;q=0.4, application/json":    {"application/json", 204},
		"text/html, application/json;q=0.9":    {"text/html; charset=utf-8", 200},
		"text/html, application/json":          {"text/html; charset=utf-8", 204},
		"application/json;q=0":                 {"text/html; charset=utf-8", 204},
		"application/json;q=seven, text/html":  {"text/html; charset=utf-8", 200},
		"application/json-seq, text/html;q=.1": {"text/html; charset=utf-8", 200},
	} {
		header := http.Header{"Accept": {accept}}
		if resp, _ := n.exchange(t, n.bid, "GET", "/v1/why?campaign=shoes&t="+token, header, ""); resp.Header.Get("Content-Type") != want.why || resp.Header.Get("Vary") != "Accept" {
			t.Errorf("Accept %q: %s, want %s", accept, resp.Header.Get("Content-Type"), want.why)
		}
		if resp, _ := n.exchange(t, n.bid, "POST", "/v1/hide?campaign=shoes&t="+token, header, ""); resp.StatusCode != want.hide {
			t.Errorf("Accept %q: hide %d, want %d", accept, resp.StatusCode, want.hide)
		}
	}
}
