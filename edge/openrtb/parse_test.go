package openrtb

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// request parses a copy of body, and overwrites the copy only when the test ends.
func request(t *testing.T, body string) (*Request, error) {
	t.Helper()
	r := new(Request)
	return r, r.Parse([]byte(body))
}

func TestParseReadsTheContractsExample(t *testing.T) {
	r, err := request(t, `{"id":"req-1",
 "user":{"id":"u-123","buyeruid":"b-9","consent":"CP...","eids":[{"source":"uidapi.com","uids":[{"id":"AbC=","atype":3}]}]},
 "device":{"ifa":"6d92078a-8246-4ba4-ae5b-76104861e7dc","lmt":0,"geo":{"country":"DEU","region":"BY","utcoffset":60}},
 "regs":{"gdpr":1,"coppa":0,"gpp":"DBAB...","gpp_sid":[7],"us_privacy":"1YNN","ext":{"gpc":"0"}},
 "site":{"cat":["483"],"cattax":6}, "channel":"web",
 "candidates":[{"campaign":"spring-shoes","creative":"c-1","item":"sku-9","category":"shoes","interest_at":1793500000,"interest_count":3,"interest_from":"own"}],
 "want":1,"hold":true}`)
	if err != nil {
		t.Fatal(err)
	}
	want := "id=req-1 ids=[user.id=u-123 buyeruid=b-9 ifa=6d92078a-8246-4ba4-ae5b-76104861e7dc uidapi.com=AbC=] dropped=0 " +
		"consent=CP... gpp=DBAB... sid=[7] usp=1YNN gdpr=1 coppa=0 lmt=0 dnt=-1 gpc=false country=DEU region=BY utc=60/true channel=web " +
		"cats=[483:6] want=1 hold=true token=true brief=false at=0/false " +
		"candidates=[spring-shoes/c-1/sku-9/shoes/own/1793500000/true/3/true]"
	if got := requestView(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// with puts fields before a list of one candidate.
func with(fields string) string { return `{` + fields + `,"candidates":[{"campaign":"c"}]}` }

func TestParseDecides(t *testing.T) {
	tests := []struct {
		name, body string
		want       string // part of the view
	}{
		{
			"old places", with(`"user":{"ext":{"consent":"C","eids":[{"source":"s","uids":[{"id":"i"}]}]},"geo":{"country":"USA","region":"CA","utcoffset":-480}},` +
				`"regs":{"ext":{"gdpr":1,"coppa":1,"gpp":"G","gpp_sid":[2,6],"us_privacy":"1YYN","gpc":"1"}}`),
			"ids=[s=i] dropped=0 consent=C gpp=G sid=[2 6] usp=1YYN gdpr=1 coppa=1 lmt=-1 dnt=-1 gpc=true country=USA region=CA utc=-480/true",
		},
		{
			"new places bind", with(`"user":{"consent":"N","ext":{"consent":"O"}},"regs":{"gpp":"GN","gpp_sid":[7],"ext":{"gpp":"GO","gpp_sid":[8]}}`),
			"consent=N gpp=GN sid=[7]",
		},
		{
			"an empty new place does not", with(`"user":{"consent":"","ext":{"consent":"O"}},"regs":{"gpp":"","gpp_sid":[],"ext":{"gpp":"GO","gpp_sid":[8]}}`),
			"consent=O gpp=GO sid=[8]",
		},
		{"gdpr 1 binds from the old place", with(`"regs":{"gdpr":0,"ext":{"gdpr":1}}`), "gdpr=1"},
		{"gdpr 1 binds from the new place", with(`"regs":{"ext":{"gdpr":0},"gdpr":1}`), "gdpr=1"},
		{"coppa 1 binds", with(`"regs":{"coppa":0,"ext":{"coppa":1}}`), "coppa=1"},
		{"opting out binds from the old place", with(`"regs":{"us_privacy":"1YNN","ext":{"us_privacy":"1YYN"}}`), "usp=1YYN"},
		{"opting out binds from the new place", with(`"regs":{"us_privacy":"1YYN","ext":{"us_privacy":"1YNN"}}`), "usp=1YYN"},
		{"gpc as a number", with(`"regs":{"ext":{"gpc":1}}`), "gpc=true"},
		{"gpc as a boolean", with(`"regs":{"gpc":true}`), "gpc=true"},
		{"gpc off", with(`"regs":{"gpc":"0","ext":{"gpc":0}}`), "gpc=false"},
		{"section -1 is none", with(`"regs":{"gpp_sid":[-1,7]}`), "sid=[7]"},
		{
			"eids of both places, without duplicates", with(`"user":{"eids":[{"source":"s","uids":[{"id":"a"},{"id":"b"}]}],"ext":{"eids":[{"uids":[{"id":"b"},{"id":"c"}],"source":"s"}]}}`),
			"ids=[s=a s=b s=c] dropped=0",
		},
		{"the same id of two sources is two", with(`"user":{"id":"a","buyeruid":"a"}`), "ids=[user.id=a buyeruid=a]"},
		{
			"an eid without a source is nobody", with(`"user":{"eids":[{"uids":[{"id":"a"}]},{"source":"","uids":[{"id":"a"}]},{"source":"s"},{"source":"s","uids":[{},{"id":""}]}]}`),
			"ids=[] dropped=2",
		},
		{"a zero ifa is nobody", with(`"device":{"ifa":"00000000-0000-0000-0000-000000000000"}`), "ids=[] dropped=0"},
		{"a zero ifa without dashes", with(`"device":{"ifa":"00000000000000000000000000000000"}`), "ids=[] dropped=0"},
		{"empty identifiers", with(`"user":{"id":"","buyeruid":null},"device":{"ifa":""}`), "ids=[] dropped=0"},
		{"the device's country binds with its region", with(`"user":{"geo":{"country":"FRA","region":"X"}},"device":{"geo":{"country":"DEU"}}`), "country=DEU region= utc"},
		{"lmt and dnt", with(`"device":{"lmt":1,"dnt":0}`), "lmt=1 dnt=0"},
		{"a signal out of its range binds", with(`"device":{"lmt":44,"dnt":-1},"regs":{"gdpr":2}`), "gdpr=1 coppa=-1 lmt=1 dnt=1"},
		{"television", with(`"device":{"devicetype":3},"site":{}`), "channel=ctv"},
		{"set-top box", with(`"device":{"devicetype":7},"app":{}`), "channel=ctv"},
		{"site", with(`"device":{"devicetype":2},"site":{}`), "channel=web"},
		{"app", with(`"app":{}`), "channel=app"},
		{"no channel", with(`"site":null`), "channel= cats"},
		{"a given channel binds", with(`"device":{"devicetype":3},"channel":"audio"`), "channel=audio"},
		{
			"categories", with(`"site":{"cat":["a"],"sectioncat":["b"],"pagecat":["c",null,""],"content":{"cat":["d"],"cattax":2}},"app":{"content":{"cat":["e"]},"cat":["f"]}`),
			"cats=[a:0 b:0 c:0 d:2 e:0 f:0]",
		},
		{
			"each object has its own taxonomy", with(`"app":{"cat":["a"],"cattax":3,"content":{"cat":["b"]}},"site":{"content":{"cattax":2,"cat":["c"]},"cat":["d"],"cattax":7}`),
			"cats=[a:3 b:0 c:2 d:7]",
		},
		{"the auction type is no time", with(`"at":1`), "at=0/false"},
		{"nor is what is no number", with(`"at":"soon"`), "at=0/false"},
		{"a time", with(`"at":1793500123`), "at=1793500123/true"},
		{"hold implies a token", with(`"want":32,"hold":true`), "want=32 hold=true token=true"},
		{"flags", with(`"want":1,"hold":false,"token":true,"brief":true`), "hold=false token=true brief=true"},
		{"null is absent", with(`"id":null,"user":null,"device":null,"regs":null,"app":null,"want":null,"hold":null,"at":null,"ext":null`), "id= ids=[]"},
		{"an ext that is no object", with(`"user":{"ext":99},"regs":{"ext":"x"},"ext":[1]`), "ids=[]"},
		{"whole numbers", with(`"want":1.0,"at":1.7935e9,"device":{"geo":{"utcoffset":-6.00e1}}`), "utc=-60/true"},
		{"candidates in ext", `{"ext":{"prebid":{},"candidates":[{"campaign":"a"},{"campaign":"b"}]}}`, "candidates=[a/////0/false/0/false b/"},
		{"null candidates are not both", `{"candidates":null,"ext":{"candidates":[{"campaign":"a"}]}}`, "candidates=[a/"},
		{"white space", " {\n\t\"candidates\" : [ { \"campaign\" : \"a\" , \"creative\":null } ] \r\n} ", "candidates=[a/"},
		{"escapes", with(`"user":{"\u0069d":"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀z"}`), "ids=[user.id=a\"\\/\b\f\n\r\té😀é😀z]"},
		{"unknown fields", with(`"imp":[{"banner":{"format":[{"w":300,"h":-2.5E+3}]},"x":[true,false,null,"\u0000\ud800",[],{}]}],"":{"":1}`), "id= ids=[]"},
		{"the last of a key binds", with(`"id":"a","id":"b","want":2,"want":3,"want":null`), "id=b ids=[] dropped=0 consent= gpp= sid=[] usp= gdpr=-1"},
		{
			"a later object replaces the earlier", with(`"user":{"id":"a","ext":{"eids":[{"source":"s","uids":[{"id":"x"}]}]}},"user":{"buyeruid":"b"},` +
				`"device":{"lmt":1},"device":{},"regs":{"gdpr":1,"gpp_sid":[3]},"regs":{},"site":{"cat":["a"]},"site":{"pagecat":["b"],"pagecat":["c"]}`),
			"ids=[buyeruid=b] dropped=0 consent= gpp= sid=[] usp= gdpr=-1 coppa=-1 lmt=-1 dnt=-1 gpc=false country= region= utc=0/false channel=web cats=[c:0]",
		},
		{"later candidates replace the earlier", `{"candidates":[{"campaign":"a"},{"campaign":"b"}],"candidates":[{"campaign":"c","campaign":"d"}]}`, "candidates=[d/////0/false/0/false]"},
		{"a later ext takes its candidates away", `{"ext":{"candidates":[{"campaign":"a"}]},"ext":{},"candidates":[{"campaign":"c"}]}`, "candidates=[c/"},
		{
			"the longest names", `{"candidates":[{"campaign":"` + strings.Repeat("c", MaxName) + `","item":"` + strings.Repeat(`\u0041`, MaxName) + `"}]}`,
			strings.Repeat("A", MaxName),
		},
		{"nesting up to the bound", with(`"x":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)), "id="},
	}
	for _, test := range tests {
		r, err := request(t, test.body)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if got := requestView(r); !strings.Contains(got, test.want) {
			t.Errorf("%s: got\n%s\nwithout\n%s", test.name, got, test.want)
		}
	}
}

func TestParseBounds(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`{"campaign":"c"},`, MaxCandidates), ",")
	if r, err := request(t, `{"candidates":[`+many+`]}`); err != nil || len(r.Candidates) != MaxCandidates {
		t.Errorf("%d candidates: %d, %v", MaxCandidates, len(r.Candidates), err)
	}
	if r, err := request(t, `{"candidates":[`+strings.Repeat(many+",", 3)+many+`]}`); err == nil || len(r.Candidates) > MaxCandidates {
		t.Errorf("four times %d candidates: %d kept, %v", MaxCandidates, len(r.Candidates), err)
	}
	uids := strings.Builder{}
	for i := range MaxIdentifiers + 5 {
		fmt.Fprintf(&uids, `,{"id":"%d"}`, i)
	}
	r, err := request(t, with(`"user":{"id":"u","eids":[{"source":"s","uids":[`+uids.String()[1:]+`]}]}`))
	if err != nil || len(r.Identifiers) != MaxIdentifiers || r.IdentifiersDropped != 6 {
		t.Errorf("%d identifiers, %d dropped, %v", len(r.Identifiers), r.IdentifiersDropped, err)
	}
}

// field returns the fault of a field, "" when there is none.
func field(err error, name string) string {
	var faults Faults
	errors.As(err, &faults)
	for _, f := range faults {
		if f.Field == name {
			return f.Detail
		}
	}
	return ""
}
