package openrtb

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

func TestParseNamesWhatIsWrong(t *testing.T) {
	long := strings.Repeat("x", MaxName+1)
	tests := []struct{ name, body, field, detail string }{
		{"nothing", ``, "body", "byte 0: expected an object, but the body ends"},
		{"a list", `[]`, "body", "must be an object, not a list"},
		{"null", `null`, "body", "must be an object, not null"},
		{"a string", `"malformed"`, "body", "must be an object, not a string"},
		{"an open object", `{"id":"a"`, "body", "byte 9: expected ',' or '}' after a value, but the body ends"},
		{"an open string", `{"id":"a`, "body", "byte 8: a string has no end, but the body ends"},
		{"an open key", `{"id`, "body", "byte 4"},
		{"no colon", `{"id" "a"}`, "body", "byte 6: expected ':'"},
		{"no value", `{"id":}`, "body", "byte 6: expected a value"},
		{"no comma", `{"id":"a" "b":1}`, "body", "byte 10: expected ',' or '}'"},
		{"a comma too many", `{"id":"a",}`, "body", "byte 10: expected a key"},
		{"a comma too many in a list", `{"candidates":[{"campaign":"a"},]}`, "body", "byte 32"},
		{"a wrong bracket", `{"x":[1}}`, "body", "byte 7: expected ',' or ']'"},
		{"trailing bytes", with(`"id":"a"`) + "x", "body", "expected nothing more after the object"},
		{"a second object", with(`"id":"a"`) + "{}", "body", "expected nothing more"},
		{"NaN", with(`"x":NaN`), "body", "byte 5: expected a value"},
		{"a leading zero", with(`"x":01`), "body", "byte 6"},
		{"a plus", with(`"x":+1`), "body", "byte 5"},
		{"no fraction", with(`"x":1.`), "body", "byte 5"},
		{"no exponent", with(`"x":1e`), "body", "byte 5"},
		{"half a word", with(`"x":tru`), "body", "byte 5"},
		{"a comment", with(`"x":/*1*/2`), "body", "byte 5"},
		{"single quotes", `{'id':1}`, "body", "byte 1"},
		{"a byte order mark", "\ufeff{}", "body", "byte 0"},
		{"a control character", with("\"x\":\"a\x1fb\""), "body", "control character"},
		{"a raw NUL", with("\"id\":\"a\x00b\""), "body", "control character"},
		{"a control character in a key", "{\"a\n\":1}", "body", "control character"},
		{"no such escape", with(`"x":"\x41"`), "body", "no such escape"},
		{"a short escape", with(`"x":"\u00g0"`), "body", "no such escape"},
		{"invalid UTF-8 where it is skipped", with("\"x\":\"a\xffb\""), "body", "byte 7: not valid UTF-8"},
		{"invalid UTF-8 where it is kept", with("\"id\":\"\xc0\x80\""), "body", "not valid UTF-8"},
		{"a byte of nothing in a long string", with("\"id\":\"0123456789\x80abcdefghijklmn\""), "body", "byte 17: not valid UTF-8"},
		{"a surrogate in UTF-8", with("\"id\":\"\xed\xa0\x80\""), "body", "not valid UTF-8"},
		{"nesting", with(`"x":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000)), "body", "nested deeper than 1000"},
		{"nesting by one too deep", with(`"x":` + strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1)), "body", "nested deeper than 1000"},
		{"nesting of objects", with(`"x":` + strings.Repeat(`{"x":`, 10000) + "1" + strings.Repeat("}", 10000)), "body", "nested deeper than 1000"},
		{"nesting without an end", `{"x":` + strings.Repeat("[", 10000), "body", "nested deeper than 1000"},

		{"a NUL", with(`"id":"a\u0000b"`), "id", "contains a NUL"},
		{"half a pair", with(`"user":{"id":"\ud83d"}`), "user.id", "half a surrogate pair"},
		{"half a pair, the wrong half", with(`"user":{"id":"\ude00x"}`), "user.id", "half a surrogate pair"},
		{"half a pair and an escape", with(`"user":{"id":"\ud83d\u0041"}`), "user.id", "half a surrogate pair"},
		{"a number for a string", with(`"id":7`), "id", "must be a string, not a number (7)"},
		{"a number for an identifier", with(`"user":{"id":4711}`), "user.id", "must be a string, not a number"},
		{"an object for a string", with(`"device":{"ifa":{}}`), "device.ifa", "must be a string, not an object"},
		{"a string for an object", with(`"user":"u"`), "user", "must be an object, not a string"},
		{"a list for an object", with(`"regs":[]`), "regs", "must be an object, not a list"},
		{"a string for a number", with(`"regs":{"ext":{"gdpr":"1"}}`), "regs.ext.gdpr", "must be a number, not a string"},
		{"a boolean for a number", with(`"device":{"lmt":true}`), "device.lmt", "must be a number, not true"},
		{"half a signal", with(`"regs":{"coppa":0.5}`), "regs.coppa", "must be a whole number"},
		{"no such gpc", with(`"regs":{"ext":{"gpc":"yes"}}`), "regs.ext.gpc", `must be "0" or "1"`},
		{"a number for consent", with(`"user":{"ext":{"consent":2}}`), "user.ext.consent", "must be a string"},
		{"a long consent", with(`"user":{"consent":"` + strings.Repeat("C", MaxConsent+1) + `"}`), "user.consent", "8193 bytes, at most 8192"},
		{"a long gpp", with(`"regs":{"gpp":"` + strings.Repeat("C", MaxConsent+1) + `"}`), "regs.gpp", "8193 bytes"},
		{"too many sections", with(`"regs":{"gpp_sid":[` + strings.Repeat("7,", MaxSections) + `7]}`), "regs.gpp_sid", "33 given, at most 32"},
		{"a section that is no number", with(`"regs":{"gpp_sid":["7"]}`), "regs.gpp_sid", "must be a number"},
		{"a long identifier", with(`"user":{"buyeruid":"` + strings.Repeat("x", MaxIdentifier+1) + `"}`), "user.buyeruid", "1025 bytes, at most 1024"},
		{"a long source", with(`"user":{"eids":[{},{"source":"` + long + `"}]}`), "user.eids[1].source", "129 bytes"},
		{"eids that are no list", with(`"user":{"eids":{}}`), "user.eids", "must be a list"},
		{"an eid that is no object", with(`"user":{"ext":{"eids":[1]}}`), "user.ext.eids[0]", "must be an object, not a number"},
		{"a uid that is no object", with(`"user":{"eids":[{"uids":[{},"x"]}]}`), "user.eids[0].uids[1]", "must be an object, not a string"},
		{"a uid's id", with(`"user":{"eids":[{"uids":[{"id":5}]}]}`), "user.eids[0].uids[0].id", "must be a string, not a number"},
		{"the place after eids", with(`"user":{"eids":[{"uids":[{}]}],"buyeruid":5}`), "user.buyeruid", "must be a string"},
		{"the place after user", with(`"user":{"geo":{},"ext":{}},"channel":5`), "channel", "must be a string"},
		{"a country", with(`"device":{"geo":{"country":49}}`), "device.geo.country", "must be a string, not a number (49)"},
		{"an offset", with(`"user":{"geo":{"utcoffset":3600}}`), "user.geo.utcoffset", "from -1440 to 1440, not 3600"},
		{"a category", with(`"site":{"cat":["a",5]}`), "site.cat", "must be a string, not a number (5)"},
		{"categories", with(`"app":{"content":{"cat":"a"}}`), "app.content.cat", "must be a list of strings, not a string"},
		{"too many categories", with(`"site":{"cat":[` + strings.Repeat(`"a",`, 40) + `"a"],"pagecat":[` + strings.Repeat(`"a",`, 40) + `"a"]}`), "site.pagecat", "more than 64"},
		{"no candidates", `{}`, "candidates", "required"},
		{"null candidates", `{"candidates":null}`, "candidates", "required"},
		{"an empty list", `{"candidates":[]}`, "candidates", "empty"},
		{"an empty list in ext", `{"ext":{"candidates":[]}}`, "ext.candidates", "empty"},
		{"no list", `{"candidates":{}}`, "candidates", "must be a list, not an object"},
		{"both places", `{"candidates":[{"campaign":"a"}],"ext":{"candidates":[{"campaign":"a"}]}}`, "candidates", "both"},
		{"both places, the other way", `{"ext":{"candidates":[{"campaign":"a"}]},"candidates":[{"campaign":"a"}]}`, "candidates", "both"},
		{"501 candidates", `{"candidates":[` + strings.Repeat(`{"campaign":"c"},`, MaxCandidates) + `{"campaign":"c"}]}`, "candidates", "501 given, at most 500"},
		{"no campaign", `{"candidates":[{"campaign":"a"},{"creative":"b"}]}`, "candidates[1].campaign", "required"},
		{"an empty campaign", `{"candidates":[{"campaign":""}]}`, "candidates[0].campaign", "required"},
		{"a campaign in ext", `{"ext":{"candidates":[{"campaign":3}]}}`, "ext.candidates[0].campaign", "must be a string, not a number (3)"},
		{"a long campaign", `{"candidates":[{"campaign":"` + long + `"}]}`, "candidates[0].campaign", "129 bytes, at most 128"},
		{"a long item", `{"candidates":[{"campaign":"a","item":"` + long + `"}]}`, "candidates[0].item", "129 bytes"},
		{"no object", `{"candidates":["a"]}`, "candidates[0]", "must be an object, not a string"},
		{"null", `{"candidates":[null]}`, "candidates[0]", "must be an object, not null"},
		{"an interest", `{"candidates":[{"campaign":"a","interest_at":1793500000000}]}`, "candidates[0].interest_at", "to 4294967295, not 1793500000000"},
		{"a negative interest", `{"candidates":[{"campaign":"a","interest_count":-1}]}`, "candidates[0].interest_count", "not -1"},
		{"a part of an interest", `{"candidates":[{"campaign":"a","interest_count":1.5}]}`, "candidates[0].interest_count", "whole number"},
		{"want 0", with(`"want":0`), "want", "from 1 to 32, not 0"},
		{"want 33", with(`"want":33`), "want", "not 33"},
		{"want in words", with(`"want":"1"`), "want", "must be a number, not a string"},
		{"want a half", with(`"want":5e-1`), "want", "not 5e-1"},
		{"want beyond all numbers", with(`"want":1e999999999999999999999`), "want", "must be a whole number"},
		{"hold without want", with(`"hold":true`), "hold", "needs want"},
		{"token without want", with(`"token":true`), "token", "needs want"},
		{"a hold that is no boolean", with(`"want":1,"hold":1`), "hold", "must be true or false, not a number (1)"},
		{"milliseconds", with(`"at":1793500123000`), "at", "to 4294967295"},
		{"a time before all times", with(`"at":-1`), "at", "not -1"},
	}
	for _, test := range tests {
		r, err := request(t, test.body)
		if err == nil {
			t.Errorf("%s: accepted %s", test.name, requestView(r))
		} else if got := field(err, test.field); !strings.Contains(got, test.detail) || got == "" {
			t.Errorf("%s: got %q, want %s: %s", test.name, err, test.field, test.detail)
		}
	}
}

func TestParseNamesEveryFault(t *testing.T) {
	_, err := request(t, `{"user":{"id":5},"want":0,"hold":true,"candidates":[{"campaign":5},{},{"campaign":"a","item":5}]}`)
	want := "user.id: must be a string, not a number; " +
		"want: must be a whole number from 1 to 32, not 0; " +
		"candidates[0].campaign: must be a string, not a number (5); " +
		"candidates[1].campaign: required; " +
		"candidates[2].item: must be a string, not a number (5)"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	_, err = request(t, `{"candidates":[`+strings.Repeat("{},", 400)+`{}],"x":}`)
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != MaxFaults+2 {
		t.Fatalf("%d faults: %v", len(faults), err)
	}
	if got := faults[MaxFaults].Detail; got != strconv.Itoa(401-MaxFaults)+" further faults are not listed" {
		t.Error(got)
	}
	if faults[MaxFaults+1].Field != "body" {
		t.Errorf("the syntax error is not last: %v", faults[MaxFaults+1])
	}
}

// Faults are answered and may be logged, so they must not carry identifiers.
func TestFaultsRepeatNoIdentifier(t *testing.T) {
	for _, body := range []string{
		`{"user":1234567}`, `{"user":{"id":1234567}}`, `{"user":{"buyeruid":1234567}}`, `{"user":{"consent":1234567}}`,
		`{"user":{"eids":[{"source":"s","uids":[{"id":1234567}]}]}}`, `{"user":{"eids":[{"source":"s","uids":[1234567]}]}}`,
		`{"user":{"eids":[{"source":"s","uids":1234567}]}}`, `{"user":{"eids":1234567}}`, `{"user":{"eids":[1234567]}}`,
		`{"user":{"ext":{"eids":[{"source":"s","uids":[{"id":1234567}]}]}}}`, `{"device":{"ifa":1234567}}`, `{"device":1234567}`,
		`{"regs":{"gpp":1234567}}`, `{"user":{"id":"1234567` + strings.Repeat("x", MaxIdentifier) + `"}}`, `{"user":{"id":"1234567\u0000"}}`,
	} {
		_, err := request(t, strings.TrimSuffix(body, "}")+`,"candidates":[{"campaign":"c"}]}`)
		if err == nil || strings.Contains(err.Error(), "1234567") {
			t.Errorf("%.60s: %v", body, err)
		}
	}
}

// A request that is read again says nothing of the one before it.
func TestParseForgets(t *testing.T) {
	var r Request
	first := `{"id":"a","user":{"id":"u","consent":"C","eids":[{"source":"s","uids":[{"id":"x"}]}],"geo":{"country":"FRA","utcoffset":5}},"device":{"ifa":"i","lmt":1,"dnt":1},` +
		`"regs":{"gdpr":1,"coppa":1,"gpp":"G","gpp_sid":[7],"us_privacy":"1YYN","gpc":1},"site":{"cat":["a"],"cattax":6},"channel":"web","at":1793500123,` +
		`"candidates":[{"campaign":"a","creative":"b","item":"c","category":"d","interest_at":1,"interest_count":2,"interest_from":"own"},{"campaign":"b"}],"want":1,"hold":true,"brief":true}`
	for _, body := range []string{first, `{"id":`, first[:len(first)-1], `{"user":{"id":5}}`, first} {
		_ = r.Parse([]byte(body))
		err := r.Parse([]byte(`{"candidates":[{"campaign":"c"}]}`))
		fresh, _ := request(t, `{"candidates":[{"campaign":"c"}]}`)
		if got, want := requestView(&r), requestView(fresh); err != nil || got != want {
			t.Errorf("after %.20s: %v\ngot  %s\nwant %s", body, err, got, want)
		}
	}
}
