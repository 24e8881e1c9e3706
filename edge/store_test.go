package edge_test

import (
	"fmt"
	"net/url"
	"testing"
)

// Where the person has not permitted storage, nothing of what is shown is kept, whichever
// way it is asked for or reported: no hold, no impression. What a person refuses or buys is.
func TestStorageNotPermitted(t *testing.T) {
	const policy = `
timezone: UTC
markets: [{name: eu, countries: [DEU], require: tcf}, {name: rest, require: none}]
unknown: eu
campaigns:
  brand: {advertiser: acme, purpose: contextual, hold: 10m, caps: [{per: campaign, limit: 1, within: 24h}]}
  other: {advertiser: acme, purpose: contextual, hold: 10m, caps: [{per: all, limit: 2, within: 24h}]}
`
	n := startNode(t, "", policy, nil)
	const who = `"user":{"id":"u-1","buyeruid":"b-1"},"regs":{"gdpr":1}`
	ask := func() answer {
		return n.decide(`{` + who + `,"want":3,"hold":true,"candidates":[{"campaign":"brand"},{"campaign":"brand"},{"campaign":"other"},{"campaign":"other"}]}`)
	}
	shown := func() (a answer) {
		t.Helper()
		a = ask()
		// The places of one answer count for one another all the same.
		for i, want := range []bool{true, false, true, false} {
			if len(a.Decisions) != 4 || a.Decisions[i].Show != want {
				t.Fatalf("%+v", a)
			}
		}
		return a
	}
	token := shown().Token
	for _, report := range []string{
		`"token":"` + token + `","campaign":"brand"`,
		`"token":"` + token + `","campaign":"brand","id":"i-1"`,
		`"token":"` + token + `","campaign":"brand","device":{"geo":{"country":"USA"}},"regs":{"gdpr":0}`,
		`"id":"i-2","campaign":"brand",` + who,
		`"campaign":"brand","user":{"id":"u-1"}`, // nothing is known of where
		`"campaign":"brand","user":{"id":"u-1"},"regs":{"coppa":1},"device":{"geo":{"country":"USA"}}`,
		`"campaign":"brand","user":{"id":"u-1","consent":"not a consent string"},"device":{"geo":{"country":"USA"}}`,
		`"campaign":"unheard of","user":{"id":"u-1"}`,
	} {
		n.event(`{"type":"impression",` + report + `}`)
		n.event(`{"type":"click",` + report + `}`)
	}
	for _, path := range []string{"/v1/impression?t=%s&campaign=brand", "/v1/release?t=%s"} {
		n.must(204, "GET", fmt.Sprintf(path, url.QueryEscape(token)), "", "", nil)
	}
	n.must(200, "GET", "/v1/impression.gif?campaign=brand&t="+url.QueryEscape(token), "", "", nil)
	n.event(`{"type":"release","token":"` + token + `"}`)
	if h := n.lookUp(t, `{"user":{"id":"u-1","buyeruid":"b-1"}}`); h.Held {
		t.Fatalf("kept: %+v", h)
	}
	token = shown().Token

	n.event(`{"type":"purchase","item":"sku-1","advertiser":"acme","token":"` + token + `"}`)
	n.event(`{"type":"complaint","campaign":"other","user":{"id":"u-1"},"regs":{"gdpr":1,"coppa":1}}`)
	n.event(`{"type":"hide","campaign":"brand","token":"` + token + `"}`)
	h := n.lookUp(t, `{"user":{"buyeruid":"b-1"}}`)
	if len(h.Hidden) != 1 || len(h.Purchases) != 2 || len(h.Exposures)+len(h.Holds) != 0 {
		t.Errorf("%+v", h)
	}
	for _, d := range ask().Decisions {
		if d.Reason != "hidden" {
			t.Errorf("%+v", d)
		}
	}
	// A hold of one who permits it is given back, though the report comes from one who does not.
	a := n.decide(`{"user":{"id":"u-2"},"device":{"geo":{"country":"USA"}},"want":1,"hold":true,"candidates":[{"campaign":"brand"}]}`)
	n.event(`{"type":"release","token":"` + a.Token + `","regs":{"gdpr":1}}`)
	if h := n.lookUp(t, `{"user":{"id":"u-2"}}`); len(h.Holds) != 1 || h.Holds[0].Per != "given_back" {
		t.Errorf("%+v", h.Holds)
	}
}
