package suppress

import (
	"encoding/json"
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
