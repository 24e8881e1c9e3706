package edge_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// moments are the times in an answer of /v1/why, and the token in its forms.
var moments = regexp.MustCompile(`"(chosen_at|now)":\d+|<time.*?</time>|t=[A-Za-z0-9_-]+`)

// An ad server holds the token of what it shows, so the page behind it does not tell,
// where keys are asked for, who is on a list or has bought something: neither in the
// judgement of now nor beside it. What the person refused and has seen it still tells.
func TestWhyTellsNoLists(t *testing.T) {
	k := startKeyed(t, strings.Replace(withheldPolicy, "lists:\n", "lists:\n  refusers: {kind: opt_out, id: [user.id], source: third_party, basis: consent}\n", 1)+
		"third_party_lists: allow\n", nil)
	tokens := map[string]string{}
	people := []string{"stranger", "customer", "refusing", "bought--"}
	for _, person := range append(people, "capped--") {
		for _, campaign := range []string{"shoes", "open"} {
			resp, body := k.exchange(t, k.bid, "POST", "/v1/decide", k.bearer("bid"), `{"user":{"id":"`+person+`"},"want":1,"token":true,"candidates":[{"campaign":"`+campaign+`","item":"sku-9"}]}`)
			token := answerToken.FindString(string(body))
			if resp.StatusCode != 200 || token == "" {
				t.Fatalf("%s, %s: %d %s", person, campaign, resp.StatusCode, body)
			}
			tokens[person+campaign] = strings.Trim(strings.TrimPrefix(token, `"token":`), `"`)
		}
	}
	k.send(t, "crm", "PUT", "/v1/lists/customers?id=user.id", "text/plain", "customer\n")
	k.send(t, "crm", "PUT", "/v1/lists/refusers?id=user.id", "text/plain", "refusing\n")
	k.send(t, "bid", "POST", "/v1/events", "", `{"type":"purchase","user":{"id":"bought--"},"advertiser":"acme","item":"sku-9"}`)
	k.send(t, "bid", "POST", "/v1/events", "", `{"type":"impression","user":{"id":"capped--"},"campaign":"shoes"}`)

	why := func(person, campaign, accept string) string {
		t.Helper()
		resp, body := k.exchange(t, k.bid, "GET", "/v1/why?campaign="+campaign+"&t="+url.QueryEscape(tokens[person+campaign]), http.Header{"Accept": {accept}}, "")
		if resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s", person, resp.StatusCode, body)
		}
		return moments.ReplaceAllString(string(body), "")
	}
	for _, campaign := range []string{"shoes", "open"} {
		for _, accept := range []string{"application/json", "text/html"} {
			first := why(people[0], campaign, accept)
			for _, person := range people[1:] {
				if answer := why(person, campaign, accept); answer != first {
					t.Errorf("%s, %s: %s is told from %s\n%s\n%s", campaign, accept, person, people[0], answer, first)
				}
			}
			if !strings.Contains(first, "are not looked at here") {
				t.Errorf("%s, %s: it is not said what was left out\n%s", campaign, accept, first)
			}
		}
	}
	const seen = "you have seen this campaign 1 time in the last 24 hours; the limit is 1."
	if s := why("capped--", "shoes", "application/json"); !strings.Contains(s, seen) || !strings.Contains(s, `"reason":"cap"`) {
		t.Errorf("what the person has seen is not told: %s", s)
	}
	k.send(t, "privacy", "POST", "/v1/users/preferences", "", `{"user":{"id":"capped--"},"personalisation":false}`)
	if s := why("capped--", "shoes", "application/json"); !strings.Contains(s, `"opted_out":true`) {
		t.Errorf("an opt-out of their own is not told: %s", s)
	}
}
