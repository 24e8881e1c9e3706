package openrtb

import (
	"bytes"
	"strings"
	"testing"
)

// checkRequest holds the parser to the slow reader on one body.
func checkRequest(t *testing.T, body []byte) {
	var r Request
	lent := bytes.Clone(body)
	err := r.Parse(lent)
	if err != nil {
		checkFaults(t, body, err)
		return
	}
	o, err := decode(body)
	if err != nil {
		t.Fatalf("accepted %q, which encoding/json refuses: %v", body, err)
	}
	count := referenceCategories(o)
	for _, c := range categoryViews(&r) {
		count[c]--
	}
	for c, n := range count {
		if n != 0 {
			t.Fatalf("%q: category %q %d times too few", body, c, n)
		}
	}
	categories := r.Categories
	r.Categories = nil
	if got, want := strings.Replace(requestView(&r), " cats=[]", "", 1), referenceRequest(o); got != want {
		t.Fatalf("%q\ngot  %s\nwant %s", body, got, want)
	}
	r.Categories = categories
	checkAliases(t, lent, r.aliases())
}

func checkEvent(t *testing.T, line []byte) {
	var e Event
	lent := bytes.Clone(line)
	err := e.Parse(lent)
	if err != nil {
		checkFaults(t, line, err)
		return
	}
	o, err := decode(line)
	if err != nil {
		t.Fatalf("accepted %q, which encoding/json refuses: %v", line, err)
	}
	if got, want := eventView(&e), referenceEvent(o); got != want {
		t.Fatalf("%q\ngot  %s\nwant %s", line, got, want)
	}
	checkAliases(t, lent, e.aliases())
}

// checkFaults: a refusal names fields, and few enough of them.
func checkFaults(t *testing.T, body []byte, err error) {
	faults, ok := err.(Faults)
	if !ok || len(faults) == 0 || len(faults) > MaxFaults+2 {
		t.Fatalf("%q: %T of %d faults", body, err, len(faults))
	}
	for _, f := range faults {
		if f.Field == "" || f.Detail == "" {
			t.Fatalf("%q: fault %+v", body, f)
		}
	}
}

// checkAliases overwrites the body: a field that is not a slice of it, or a slice with
// room behind it, shows.
func checkAliases(t *testing.T, body []byte, fields [][]byte) {
	for i := range body {
		body[i] = 0xfe // in no valid string
	}
	for _, field := range fields {
		if cap(field) > len(field) {
			t.Fatalf("a field of %d bytes has room for %d: an append would write into the body", len(field), cap(field))
		}
		for _, c := range field {
			if c != 0xfe {
				t.Fatalf("%q is no slice of the body", field)
			}
		}
	}
}

// Structure-aware enough: seeds have every field, in both places, and every kind of value.
func requestSeeds() []string {
	seeds := []string{
		`{"id":"r","user":{"id":"u","buyeruid":"b","consent":"C","ext":{"consent":"D","eids":[{"source":"s","uids":[{"id":"i"},{"id":"j"}]}]},"eids":[{"uids":[{"id":"i"}],"source":"s"}],` +
			`"geo":{"country":"USA","region":"CA","utcoffset":-480}},"device":{"ifa":"6d92-0","lmt":1,"dnt":0,"devicetype":3,"geo":{"country":"DE","region":"BY","utcoffset":60}},` +
			`"regs":{"gdpr":0,"coppa":1,"gpp":"G","gpp_sid":[7,-1],"us_privacy":"1YNN","gpc":"1","ext":{"gdpr":1,"coppa":0,"gpp":"H","gpp_sid":[8],"us_privacy":"1YYN","gpc":1}},` +
			`"site":{"cat":["a"],"sectioncat":["b"],"pagecat":["c"],"cattax":6,"content":{"cat":["d"],"cattax":7}},"app":{"cat":["e"],"content":{"cat":["f"]}},"channel":"web",` +
			`"candidates":[{"campaign":"c","creative":"d","item":"e","category":"f","interest_at":1793500000,"interest_count":3,"interest_from":"own"}],"want":1,"hold":true,"token":false,"brief":true,"at":1793500123}`,
		`{"candidates":[{"campaign":"a\u0041\ud83d\ude00\n"},{"c\u0061mpaign":"é"}],"want":1.0e0,"x":[{"y":[[],{},"\ud800",-0.5e-7,true,false,null]}]}`,
		`{"user":{"id":"a"},"user":{"buyeruid":"b"},"ext":{"candidates":[{"campaign":"a"}]},"site":{"cat":["a"],"cat":["b"]},"site":{}}`,
		`{"candidates":[{"campaign":"a","interest_at":0.1e10,"interest_count":100e-2}],"at":1.5e9}`,
		`{}`, ``, `[`, `{"candidates":[]}`, "{\"a\":\"\xff\"}",
	}
	return seeds
}

func eventSeeds() []string {
	return []string{
		`{"type":"impression","token":"t","campaign":"spring-shoes","creative":"c-1","item":"sku-9"}`,
		`{"type":"impression","id":"imp-77","user":{"id":"u-123"},"campaign":"spring-shoes","creative":"c-1","item":"sku-9","channel":"web","at":1793500123}`,
		`{"type":"purchase","id":"ord-5","user":{"id":"u-123"},"advertiser":"acme","item":"sku-9","category":"shoes","at":1793500200}`,
		`{"type":"hide","device":{"ifa":"u-123"},"campaign":"spring-shoes","why":"already_bought","regs":{"gdpr":1}}`,
		`{"type":"feedback","token":"t","campaign":"c","answer":"helpful"}`, `{"type":"release","token":"t"}`,
		`{"type":"\u0063lick","site":{},"app":null,"token":"t","campaign":"c"}`, `{"type":1}`, `{`,
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range requestSeeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(checkRequest)
}

func FuzzEventParse(f *testing.F) {
	for _, seed := range eventSeeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(checkEvent)
}

// FuzzSkip holds the skipping of values, and the view of one value on several lines, to
// encoding/json.
func FuzzSkip(f *testing.F) {
	for _, seed := range append(requestSeeds(), eventSeeds()...) {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p := reader{buf: body}
		before := bytes.Clone(body)
		end := p.skip(space(body, 0))
		if !bytes.Equal(before, body) {
			t.Fatalf("skipping wrote to %q", before)
		}
		whole := end >= 0 && space(body, end) == len(body)
		valid := validUTF8(body)
		if whole != valid && !(valid && strings.Contains(p.broken.Detail, "nested")) {
			t.Fatalf("%q: skip says %t, encoding/json and UTF-8 say %t", body, whole, valid)
		}
		for number, line := range Lines(body) {
			if number < 1 || space(line, 0) == len(line) {
				t.Fatalf("%q: line %d is %q", body, number, line)
			}
		}
	})
}
