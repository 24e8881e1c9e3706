package edge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// matches compares an answer with what the step states of it; text is what is read of it.
func (p *played) matches(s *step, where string, answer []byte, text string) {
	p.t.Helper()
	if s.Answer != nil {
		partOf(p.t, where, answer, s.Answer)
	}
	for _, want := range s.Has {
		if !strings.Contains(text, want) {
			p.t.Errorf("%s: has no %q:\n%s", where, want, text)
		}
	}
	for _, unwanted := range s.Lacks {
		if strings.Contains(text, unwanted) || bytes.Contains(answer, []byte(unwanted)) {
			p.t.Errorf("%s: has %q:\n%s", where, unwanted, answer)
		}
	}
}

// partOf asserts that an answer has what is wanted of it.
func partOf(t *testing.T, where string, answer, wanted []byte) {
	t.Helper()
	var got, want any
	if err := errors.Join(json.Unmarshal(answer, &got), json.Unmarshal(wanted, &want)); err != nil {
		t.Fatalf("%s: %v\n%s", where, err, answer)
	}
	if path := lacking(got, want, ""); path != "" {
		t.Errorf("%s: %s is not as wanted:\n%s\nwant\n%s", where, path, answer, wanted)
	}
}

// lacking names the first place at which got is not as want has it; "" for none.
func lacking(got, want any, path string) string {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return path + " (no object)"
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if at := lacking(got[name], want[name], path+"."+name); at != "" {
				return at
			}
		}
		return ""
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return path + " (its length)"
		}
		for i := range want {
			if at := lacking(got[i], want[i], fmt.Sprintf("%s[%d]", path, i)); at != "" {
				return at
			}
		}
		return ""
	}
	if reflect.DeepEqual(got, want) {
		return ""
	}
	return path + " "
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func compare(t *testing.T, where string, got []decision, want []expectation) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d decisions, want %d: %+v", where, len(got), len(want), got)
	}
	for i, w := range want {
		g := got[i]
		if g.Show != *w.Show || g.Reason != w.Reason || g.RetryAfter != w.Retry {
			t.Errorf("%s: candidate %d: show %v, reason %q, retry_after %d; want %v, %q, %d\n%s\n%v",
				where, i, g.Show, g.Reason, g.RetryAfter, *w.Show, w.Reason, w.Retry, g.Because, g.Checks)
		}
		if w.Because != "" && g.Because != w.Because {
			t.Errorf("%s: candidate %d:\n said %q\n want %q", where, i, g.Because, w.Because)
		}
		if g.Because == "" || len(g.Checks) == 0 {
			t.Errorf("%s: candidate %d is not explained: %+v", where, i, g)
		}
		if w.Checks != nil {
			partOf(t, fmt.Sprintf("%s: candidate %d", where, i), []byte(encode(t, g.Checks)), []byte(encode(t, w.Checks)))
		}
	}
}

// What is lacking of an answer is found, at any depth.
func TestPartOfAnswer(t *testing.T) {
	const got = `{"a":1,"b":{"c":[1,{"d":"x"}],"n":null},"l":[]}`
	for want, path := range map[string]string{
		`{"a":1}`: "", `{"b":{"c":[1,{"d":"x"}]}}`: "", `{"b":{"c":[1,{}],"n":null},"gone":null}`: "", `{"l":[]}`: "",
		`{"a":2}`: ".a", `{"gone":0}`: ".gone", `{"b":{"n":0}}`: ".b.n", `{"b":{"c":[1]}}`: ".b.c (its length)", `{"l":[1]}`: ".l (its length)",
		`{"b":{"c":[1,{"d":"y"}]}}`: ".b.c[1].d", `{"a":{"b":1}}`: ".a (no object)", `{"a":[]}`: ".a (its length)", `{"a":null}`: ".a",
	} {
		var g, w any
		if err := errors.Join(json.Unmarshal([]byte(got), &g), json.Unmarshal([]byte(want), &w)); err != nil {
			t.Fatal(err)
		}
		if at := strings.TrimSpace(lacking(g, w, "")); at != path {
			t.Errorf("%s: lacking %q, want %q", want, at, path)
		}
	}
}
