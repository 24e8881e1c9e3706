package edge_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"restraint/edge/access"
)

// withheldPolicy has one campaign that each person of the test is kept from by another
// rule, and one that all may see.
const withheldPolicy = `
timezone: UTC
markets: [{name: everywhere, require: none}]
lists:
  customers: {id: [user.id], source: first_party, basis: contract}
  orders: {id: [user.id], items: true, source: first_party, basis: contract}
campaigns:
  shoes:
    advertiser: acme
    suppress: [customers]
    purchased: {item: 90d, lists: [orders]}
    caps: [{per: campaign, limit: 1, within: 24h}]
    diversity: {same_creative_in_a_row: 3}
  boots:
    advertiser: acme
    spacing: 2h
  open: {advertiser: other, purpose: contextual, hold: 1s}
`

var answerToken = regexp.MustCompile(`"token":"[^"]*"`)

// With a key that may not see reasons, no answer tells a customer on a list from
// somebody who has seen enough, bought, hid or opted out: not by a byte of status,
// headers or body, in any form of the request. With a key that may, they differ.
func TestWithheldReasons(t *testing.T) {
	k := startKeyed(t, withheldPolicy, nil)
	k.add(t, access.Key{Client: "seeing", Roles: access.Bid, Reasons: true})
	k.gate.Replace(k.file)
	k.send(t, "crm", "PUT", "/v1/lists/customers?id=user.id", "text/plain", "customer\n")
	k.send(t, "crm", "PUT", "/v1/lists/orders?id=user.id&column=u&item_column=i", "text/csv", "u,i\nhas-item,sku-9\n")
	k.send(t, "bid", "POST", "/v1/events", "", `{"type":"impression","user":{"id":"capped--"},"campaign":"shoes","creative":"c"}`)
	k.send(t, "bid", "POST", "/v1/events", "", `{"type":"purchase","user":{"id":"bought--"},"advertiser":"acme","item":"sku-9"}`)
	k.send(t, "bid", "POST", "/v1/events", "", `{"type":"hide","user":{"id":"hid-----"},"campaign":"shoes"}`)
	k.send(t, "privacy", "POST", "/v1/users/preferences", "", `{"user":{"id":"opted---"},"personalisation":false}`)
	k.send(t, "privacy", "POST", "/v1/users/preferences", "", `{"user":{"id":"hid-firm"},"hidden_advertisers":["acme"]}`)

	people := []string{"customer", "capped--", "has-item", "bought--", "hid-----", "hid-firm", "opted---"}
	ask := func(more string) string {
		return `{"id":"q","user":{"id":"A-PERSON"},"candidates":[{"campaign":"shoes","creative":"c","item":"sku-9"}` + more
	}
	forms := map[string]string{
		"plain":         post(ask(`]}`)),
		"brief":         post(ask(`],"brief":true}`)),
		"several":       post(ask(`,{"campaign":"open"},{"campaign":"nobody"}]}`)),
		"want":          post(ask(`,{"campaign":"open"},{"campaign":"open"}],"want":1}`)),
		"token":         post(ask(`,{"campaign":"open"}],"want":1,"token":true}`)),
		"token, brief":  post(ask(`,{"campaign":"open"}],"want":2,"token":true,"brief":true}`)),
		"hold, nothing": post(ask(`],"want":1,"hold":true}`)),
		"two wanted":    post(ask(`,{"campaign":"shoes","item":"sku-9"}],"want":2}`)),
		"short":         get("user=A-PERSON&campaign=shoes&item=sku-9"),
		"short, brief":  get("user=A-PERSON&campaign=shoes&item=sku-9&campaign=open&brief=1"),
		"short, want":   get("user=A-PERSON&campaign=shoes&item=sku-9&want=1&token=1"),
		"wrong":         post(ask(`],"want":40}`)),
		"wrong, short":  get("user=A-PERSON&campaign=shoes&item=sku-9&want=x"),
		"explain":       strings.Replace(get("user=A-PERSON&campaign=shoes&item=sku-9"), "user=", "explain=1&user=", 1),
		"event":         request1("POST", "/v1/events", `{"type":"click","user":{"id":"A-PERSON"},"campaign":"shoes"}`),
		"head":          strings.Replace(get("user=A-PERSON&campaign=shoes"), "GET", "HEAD", 1),
	}
	for name, form := range forms {
		first := ""
		for _, person := range people {
			answer := k.asked(t, "bid", form, person)
			if first == "" {
				first = answer
				checkWithheld(t, name, answer)
			}
			if answer != first {
				t.Errorf("%s: %s is told from %s\n%s\n%s", name, person, people[0], answer, first)
			}
		}
	}
	seen := map[string]bool{}
	for _, person := range people {
		seen[k.asked(t, "seeing", forms["plain"], person)] = true
	}
	if len(seen) < 5 { // has-item and bought-- are both purchased
		t.Errorf("the people of this test are kept from the campaign by %d reasons only: %v", len(seen), seen)
	}
	k.checkSpacing(t)
}

// checkSpacing: a rule of time has no retry_after where one that never passes has none.
func (k *keyed) checkSpacing(t *testing.T) {
	t.Helper()
	k.exchange(t, k.url, "POST", "/v1/events", k.bearer("bid"), `{"type":"impression","user":{"id":"waiting-"},"campaign":"boots"}`)
	form := get("user=A-PERSON&campaign=boots")
	if a, b := k.asked(t, "bid", form, "waiting-"), k.asked(t, "bid", form, "hid-firm"); a != b || strings.Contains(a, "retry_after") {
		t.Errorf("spacing is told from a choice:\n%s\n%s", a, b)
	}
	if a := k.asked(t, "seeing", form, "waiting-"); !strings.Contains(a, `"reason":"spacing","retry_after":7`) {
		t.Errorf("no spacing: %s", a)
	}
}

// checkWithheld looks at one answer by itself.
func checkWithheld(t *testing.T, form, answer string) {
	t.Helper()
	for _, told := range []string{"retry_after", "because", "checks", "Retry-After", "suppressed", `"reason":"cap"`, "purchased"} {
		if strings.Contains(answer, told) {
			t.Errorf("%s: the answer has %q\n%s", form, told, answer)
		}
	}
	want := map[string]string{
		"plain": `[{"campaign":"shoes","show":false,"reason":"skip"}]`, "brief": `"show":[]`, "short": `"reason":"skip"`, "event": "HTTP/1.1 202 ",
		"several": `{"campaign":"open","show":true},{"campaign":"nobody","show":false,"reason":"skip"}]`, "token": `"token":"(`, "explain": "HTTP/1.1 403 ", "wrong": "HTTP/1.1 400 ",
	}[form]
	if !strings.Contains(answer, want) {
		t.Errorf("%s: no %s in\n%s", form, want, answer)
	}
}

// send has a client change something, which has to be taken.
func (k *keyed) send(t *testing.T, client, method, path, mediaType, body string) {
	t.Helper()
	header := k.bearer(client)
	header.Set("Content-Type", mediaType)
	if resp, answer := k.exchange(t, k.url, method, path, header, body); resp.StatusCode > 202 {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, answer)
	}
}

func request1(method, path, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nX-Api-Key: KEY\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
}

func post(body string) string { return request1("POST", "/v1/decide", body) }
func get(query string) string { return request1("GET", "/v1/decide?"+query, "") }

// asked is the whole answer to a person's form, byte by byte, but for a token, which is
// told by its length.
func (k *keyed) asked(t *testing.T, client, form, person string) string {
	t.Helper()
	answer := k.raw(t, strings.NewReplacer("A-PERSON", person, "KEY", k.keys[client]).Replace(form), false)
	if answer == "" {
		t.Fatalf("no answer to %s", form)
	}
	return answerToken.ReplaceAllStringFunc(answer, func(token string) string { return fmt.Sprintf(`"token":"(%d bytes)"`, len(token)) })
}
