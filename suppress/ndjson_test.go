package suppress

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// FuzzJSONFields: the last of a name is what encoding/json reads.
func FuzzJSONFields(f *testing.F) {
	for _, s := range []string{`{}`, ` { "a" : 1 , "a":[{"b":"}]"},2] } `, `{"\u0061":"\"\\","b":null,"":-1.5e3}`, `[1]`, `{"a":tru}`, "{\"a\":\"\xff\"}", `{"a":{}}`, `"a"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		fields, why := jsonFields(nil, line)
		want := map[string]json.RawMessage{}
		if err := json.Unmarshal(line, &want); err != nil || why != "" {
			if err != nil && why == "" {
				t.Fatalf("%q is taken: %v", line, fields)
			}
			return
		}
		got := map[string]json.RawMessage{}
		for _, f := range fields {
			got[f.name] = json.RawMessage(f.value)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %v, want %v", line, got, want)
		}
	})
}

// TestNDJSONKeys: keys are found as columns of CSV are, and a row that may have
// lost somebody is rejected.
func TestNDJSONKeys(t *testing.T) {
	s := diskStore(t, t.TempDir())
	s.o.MaxRejected = 1
	im := Import{Format: NDJSON, ID: "user.id", Column: "User_ID"}
	for _, c := range []struct {
		body    string
		bad     uint64
		says    string
		members []string
	}{
		{`{"user_id":"a"}`, 0, "", []string{"a"}},
		{`{"user_id":"a","User_ID":"b"}`, 0, "", []string{"b"}},
		{`{"USER_ID":"a","user_id":"b"}`, 1, "more than once", []string{"a", "b"}},
		{`{"User_ID":"a","User_ID":"b"}`, 1, "more than once", []string{"a", "b"}},
		{"{\"User_ID\":\"a\"}\n{\"user\":\"b\"}", 1, "none of the columns", []string{"a"}},
		{"{\"User_ID\":\"a\"}\n{\"User_ID\":\"b\xff\"}", 1, "UTF-8", []string{"a"}},
		{"{\"User_ID\":\"a\"}\n{\"User_ID\":\"\\ud800\"}", 1, "surrogate", []string{"a"}},
		{`{"User_ID":"\ud83d\ude00"}`, 0, "", []string{"\U0001f600"}},
		{"{\"User_ID\":\"a\"}\n[]\n{", 2, "JSON object", []string{"a"}},
	} {
		rep, err := s.Replace("l", strings.NewReader(c.body), im)
		if err != nil || rep.Rejected != c.bad || c.bad > 0 && !strings.Contains(rep.RejectedSample[0].Detail, c.says) {
			t.Errorf("%q: %+v, %v", c.body, rep, err)
			continue
		}
		for _, id := range c.members {
			if in, _ := s.Member("l", sha256Key([]byte(id))); !in || rep.Keys != uint64(len(c.members)) {
				t.Errorf("%q: %q is a member: %v, of %d", c.body, id, in, rep.Keys)
			}
		}
	}
}

// TestNDJSONShapes: arrays, nested objects, and columns known by their names.
func TestNDJSONShapes(t *testing.T) {
	a, b := sha256Hex("a@example.com"), sha256Hex("b@example.com")
	deep := strings.Repeat("[", 60_000)
	mapped := Import{Format: NDJSON, Map: []Column{{"user.id", "user.id"}, {"emails", "email_sha256"}}}
	path := Import{Format: NDJSON, Map: []Column{{"profile.contact.email", "email_sha256"}}}
	for _, c := range []struct {
		name, body string
		im         Import
		keys       uint64
		empty, bad uint64
		says       string
	}{
		{"array", `{"user.id":1,"emails":["` + a + `", "` + b + `",null]}`, mapped, 3, 1, 0, ""},
		{"empty array", `{"user.id":1,"emails":[ ]}`, mapped, 1, 1, 0, ""},
		{"array of what is none", `{"user.id":1,"emails":[["` + a + `"],{"x":1},true,"` + b + `"]}`, mapped, 2, 0, 1, "array in the array"},
		{"path", `{"profile":{"name":"x","contact":{"email":"` + a + `"}}}` + "\n" + `{"profile":{"contact":{"email":["` + b + `"]}}}`, path, 2, 0, 0, ""},
		{"path by its name", `{"profile.contact.email":"` + a + `"}` + "\n" + `{"profile":{"contact.email":"` + b + `"}}`, path, 2, 0, 0, ""},
		{"path that ends early", `{"profile":{"contact":{"email":"` + a + `"}}}` + "\n" + `{"profile":{"contact":7}}`, path, 1, 1, 1, "none of the columns"},
		{"an object", `{"profile":{"contact":{"email":{"x":"` + a + `"}}}}`, path, 0, 0, 1, "neither a string nor a number"},
		{"known by their names", `{"Email":"` + a + `","USER.ID":"u1","Phone Status":1}` + "\n" + `{"email_address":["` + b + `"],"x":2}`, Import{Format: NDJSON}, 3, 0, 0, ""},
		{"raw beside its hash", `{"Email":"zoe@example.com","email_sha256":"` + a + `"}` + "\n" + `{"Email":"` + b + `"}`, Import{Format: NDJSON}, 2, 0, 0, ""},
		{"raw beside its hash, with a scheme", `{"Email":"zoe@example.com","email_sha256":"` + a + `"}`, Import{Format: NDJSON, Normalize: SchemeMeta}, 2, 0, 0, ""},
		{"a row with none", `{"Email":"` + a + `"}` + "\n" + `{"total":1}`, Import{Format: NDJSON}, 1, 0, 1, "none of the columns"},
		{"twice", `{"Email":"` + a + `","email":"` + b + `"}`, Import{Format: NDJSON}, 2, 0, 1, "more than once"},
		{"deep", `{"Email":"` + a + `"}` + "\n" + `{"Email":` + deep + `}`, Import{Format: NDJSON}, 1, 0, 1, "not a JSON object"},
		{"deep and whole", `{"Email":"` + a + `"}` + "\n" + `{"Email":` + deep[:30_000] + strings.Repeat("]", 30_000) + `}`, Import{Format: NDJSON}, 1, 0, 1, "not a JSON object"},
		{"deep enough to be JSON", `{"Email":` + deep[:9_000] + strings.Repeat("]", 9_000) + `}`, Import{Format: NDJSON}, 0, 0, 1, "array in the array"},
		{"many names", `{"Email":"` + a + `"` + strings.Repeat(`,"Email":1`, 6000) + `}`, Import{Format: NDJSON}, 1, 0, 1, "more than once"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := diskStore(t, t.TempDir())
			s.o.MaxRejected = 1
			if err := s.Declare([]Declaration{{Name: "l", Sources: []string{"email_sha256", "user.id"}}}); err != nil {
				t.Fatal(err)
			}
			rep, err := s.Replace("l", strings.NewReader(c.body), c.im)
			if err != nil || rep.Keys != c.keys || rep.Empty != c.empty || rep.Rejected != c.bad || c.bad > 0 && !strings.Contains(rep.RejectedSample[0].Detail, c.says) {
				t.Fatalf("got %+v, %v", rep, err)
			}
		})
	}
	s := diskStore(t, t.TempDir())
	if err := s.Declare([]Declaration{{Name: "l", Sources: []string{"email_sha256", "email_md5"}}}); err != nil {
		t.Fatal(err)
	}
	for body, says := range map[string]string{`{"Email":"x"}`: "several sources", `{"Mailadresse":"x"}`: `--map "Mailadresse=email_sha256"`, `{"name":"secret@example.com"}`: `it has "name", and none`} {
		if _, err := s.Replace("l", strings.NewReader(body), Import{Format: NDJSON}); !errors.Is(err, ErrColumn) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func sha256Hex(text string) string { return string(digests[0].appendSum(nil, []byte(text))) }
