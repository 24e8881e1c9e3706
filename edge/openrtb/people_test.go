package openrtb

import (
	"fmt"
	"strings"
	"testing"
)

func TestInquiry(t *testing.T) {
	var q Inquiry
	body := `{"user":{"id":"u-1","eids":[{"source":"uidapi.com","uids":[{"id":"x"}]}]},"device":{"ifa":"6d92078a-8246-4ba4-ae5b-76104861e7dc"},` +
		`"personalisation":false,"hidden_advertisers":["acme","b\u0061x"],"hidden_topics":[],"pause_until":1795000000,"at":7}`
	if err := q.Parse([]byte(body), TakesChoices); err != nil {
		t.Fatal(err)
	}
	if len(q.Identifiers) != 3 || !q.HasPersonalisation || q.Personalisation || !q.HasAdvertisers || fmt.Sprintf("%s", q.HiddenAdvertisers) != "[acme bax]" ||
		!q.HasTopics || len(q.HiddenTopics) != 0 || q.PauseUntil != 1795000000 || !q.HasPauseUntil || !q.HasAt || q.At != 7 || q.HasKeepOptOut {
		t.Errorf("%+v", q)
	}
	// Nothing of the request before is left, and null is the same as absent.
	if err := q.Parse([]byte(`{"user":{"id":"u-2"},"personalisation":null,"hidden_advertisers":null,"hidden_topics":null,"pause_until":null}`), TakesChoices); err != nil {
		t.Fatal(err)
	}
	if len(q.Identifiers) != 1 || q.HasPersonalisation || q.HasAdvertisers || q.HasTopics || q.HasPauseUntil || q.HasAt {
		t.Errorf("%+v", q)
	}
	if err := q.Parse([]byte(`{"device":{"ifa":"6d92078a-8246-4ba4-ae5b-76104861e7dc"},"keep_opt_out":false}`), TakesKeep); err != nil || !q.HasKeepOptOut || q.KeepOptOut {
		t.Errorf("%+v, %v", q, err)
	}
}

func TestInquiryFaults(t *testing.T) {
	const user = `"user":{"id":"secret-1"}`
	for body, want := range map[string]string{
		``:                                       "expected an object",
		`{}`:                                     "user: required, or device",
		`{"user":{}}`:                            "user: names no identifier",
		`{"device":{"ifa":"0000-00"}}`:           "user: names no identifier",
		`{` + user + `,"personalization":false}`: "body: there is a field that is not taken here",
		`{` + user + `,"secret-1":1}`:            "user, device, personalisation",
		`{` + user + `,"keep_opt_out":true}`:     "body: there is a field",
		`{` + user + `,"personalisation":0}`:     "personalisation: must be true or false",
		`{` + user + `,"hidden_topics":"holiday"}`:                                     "hidden_topics: must be a list of strings",
		`{` + user + `,"hidden_topics":[""]}`:                                          "hidden_topics: holds an empty name",
		`{` + user + `,"hidden_topics":[null]}`:                                        "hidden_topics: holds an empty name",
		`{` + user + `,"hidden_topics":[1]}`:                                           "hidden_topics: must be a string",
		`{` + user + `,"hidden_topics":["` + strings.Repeat("x", MaxName+1) + `"]}`:    "hidden_topics: 129 bytes",
		`{` + user + `,"hidden_advertisers":["a"` + strings.Repeat(`,"a"`, 100) + `]}`: "hidden_advertisers: more than 100",
		`{` + user + `,"pause_until":-1}`:                                              "pause_until: must be a whole number",
		`{` + user + `} x`:                                                             "expected nothing more",
		`{` + user + `,`:                                                               "expected a key",
		`{` + user + `,"hidden_topics":["a"`:                                           "expected ',' or ']'",
	} {
		var q Inquiry
		err := q.Parse([]byte(body), TakesChoices)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret-1") {
			t.Errorf("%.80s: %v, want %q", body, err, want)
		}
	}
}

func FuzzInquiry(f *testing.F) {
	f.Add([]byte(`{"user":{"id":"u"},"personalisation":false,"hidden_topics":["a"],"pause_until":1}`))
	f.Add([]byte(`{"device":{"ifa":"x"},"keep_opt_out":true,"hidden_advertisers":[null,"a\u00e9"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var q Inquiry
		if err := q.Parse(body, TakesChoices|TakesKeep); err != nil {
			return
		}
		if len(q.Identifiers) == 0 || !q.HasPerson {
			t.Fatal("accepted without an identifier")
		}
		for _, name := range append(q.HiddenAdvertisers, q.HiddenTopics...) {
			if len(name) == 0 || len(name) > MaxName {
				t.Fatalf("a name of %d bytes", len(name))
			}
		}
	})
}
