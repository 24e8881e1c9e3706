package client

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var askedAB = asked{id: "r", candidates: []Candidate{{Campaign: "a"}, {Campaign: `b"\`}}}

func withWant(q asked, want int, token bool) asked {
	q.want, q.token = want, token
	return q
}

// Answers that are wholly the answer to the request are read, in whatever JSON they stand;
// others are errors.
func TestParseAnswer(t *testing.T) {
	skip, show := `{"campaign":"a","show":false,"reason":"cap","retry_after":7}`, `{"campaign":"b\"\\","show":true}`
	showA, skipB := `{"campaign":"a","show":true}`, `{"campaign":"b\"\\","show":false,"reason":"new_one"}`
	of := func(decisions ...string) string {
		return `{"id":"r","policy":3,"decisions":[` + strings.Join(decisions, ",") + `]}`
	}
	one, token := withWant(askedAB, 1, false), withWant(askedAB, 1, true)
	for name, x := range map[string]struct {
		body string
		q    asked
		good bool
	}{
		"both":            {of(skip, show), askedAB, true},
		"a new reason":    {of(showA, skipB), askedAB, true},
		"blanks, order":   {" {\n\"decisions\" : [ " + strings.ReplaceAll(skip, `"a"`, `"\u0061"`) + " ,\t" + show + " ] , \"policy\":0,\"id\" : \"\\u0072\" }\r\n", askedAB, true},
		"unknown members": {`{"new":[{"a":[-1.5e+3,0.1,null,true]},"\ud83d\ude00"],` + of(`{"because":"Not shown: x","checks":[],`+skip[1:], show)[1:], askedAB, true},
		"want":            {of(showA), one, true},
		"want, all":       {of(skip, show), one, true},
		"token":           {`{"token":"t",` + of(showA)[1:], token, true},

		"one too few":       {of(skip), askedAB, false},
		"none":              {of(), askedAB, false},
		"one too many":      {of(skip, show, show), askedAB, false},
		"wrong order":       {of(show, skip), askedAB, false},
		"another campaign":  {of(strings.Replace(showA, "a", "c", 1), skipB), askedAB, false},
		"goes on":           {of(showA, skipB), one, false},
		"shows more":        {of(showA, show), one, false},
		"want, too few":     {of(skip), one, false},
		"no token":          {of(showA), token, false},
		"a long token":      {`{"token":"` + strings.Repeat("t", 1025) + `",` + of(showA)[1:], token, false},
		"another id":        {strings.Replace(of(skip, show), `"r"`, `"s"`, 1), askedAB, false},
		"no id":             {`{"policy":3,` + of(skip, show)[22:], askedAB, false},
		"no policy":         {`{"id":"r",` + of(skip, show)[21:], askedAB, false},
		"no decisions":      {`{"id":"r","policy":3}`, askedAB, false},
		"brief":             {`{"id":"r","policy":3,"show":[1]}`, askedAB, false},
		"decisions twice":   {of(skip, show)[:len(of(skip, show))-1] + `,"decisions":[` + showA + `,` + show + `]}`, askedAB, false},
		"a verdict twice":   {of(`{"campaign":"a","show":false,"reason":"cap","show":true}`, show), askedAB, false},
		"no verdict":        {of(`{"campaign":"a"}`, show), askedAB, false},
		"no campaign":       {of(`{"show":true}`, show), askedAB, false},
		"shown with reason": {of(`{"campaign":"a","show":true,"reason":"cap"}`, show), askedAB, false},
		"skipped, why":      {of(`{"campaign":"a","show":false}`, show), askedAB, false},
		"a verdict of 1":    {of(`{"campaign":"a","show":1}`, show), askedAB, false},
		"a verdict in text": {of(`{"campaign":"a","show":"true"}`, show), askedAB, false},
		"trueish":           {of(`{"campaign":"a","show":truest}`, show), askedAB, false},
		"two answers":       {of(skip, show) + of(skip, show), askedAB, false},
		"cut":               {of(skip, show)[:len(of(skip, show))-1], askedAB, false},
		"a comma too many":  {strings.Replace(of(skip, show), "]", ",]", 1), askedAB, false},
		"half a pair":       {`{"x":"\ud83d",` + of(skip, show)[1:], askedAB, false},
		"no UTF-8":          {"{\"x\":\"\xff\"," + of(skip, show)[1:], askedAB, false},
		"a control":         {"{\"x\":\"\n\"," + of(skip, show)[1:], askedAB, false},
		"deep":              {`{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,` + of(skip, show)[1:], askedAB, false},
		"a wrong number":    {`{"x":01,` + of(skip, show)[1:], askedAB, false},
		"a large policy":    {strings.Replace(of(skip, show), "3", "99999999999", 1), askedAB, false},
		"a fraction":        {strings.Replace(of(skip, show), "3", "3.5", 1), askedAB, false},
	} {
		a, err := parseAnswer([]byte(x.body), x.q)
		if (err == nil) != x.good {
			t.Errorf("%s: %v\n%s", name, err, x.body)
		}
		if name == "both" && (a.Policy != 3 || a.Decisions[0] != Decision{"a", false, "cap", 7 * time.Second} || a.Decisions[1] != Decision{Campaign: `b"\`, Show: true}) {
			t.Errorf("%+v", a)
		}
	}
}

// What is taken for an answer is one to encoding/json too, with the same verdicts.
func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"id":"r","policy":3,"token":"t","decisions":[{"campaign":"a","show":false,"reason":"cap","retry_after":7},{"campaign":"b\"\\","show":true}]}`,
		`{"new":[{"a":[-1.5e+3]},"\ud83d\ude00"],"id":"\u0072","policy":0,"decisions":[{"campaign":"a","show":true},{"because":"x","campaign":"b\"\\","show":false,"reason":"new"}]}` + "\n",
		`{"policy":3,"show":[1]}`, `null`, ``,
	} {
		f.Add([]byte(seed), 0, false)
		f.Add([]byte(seed), 1, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, want int, token bool) {
		q := withWant(askedAB, want, token)
		a, err := parseAnswer(body, q)
		if err != nil {
			return
		}
		var reference struct {
			ID        string `json:"id"`
			Token     string `json:"token"`
			Policy    int    `json:"policy"`
			Decisions []struct {
				Campaign string `json:"campaign"`
				Show     *bool  `json:"show"`
				Reason   string `json:"reason"`
				Retry    uint32 `json:"retry_after"`
			} `json:"decisions"`
		}
		// encoding/json takes names in any case, and the last of several; such bodies say
		// two things, of which ours are the exact names.
		if !json.Valid(body) {
			t.Fatalf("taken, and no JSON: %q", body)
		}
		if err := json.Unmarshal(body, &reference); err != nil {
			t.Skip()
		}
		shown := 0
		for i, d := range a.Decisions {
			if d.Campaign != q.candidates[i].Campaign {
				t.Fatalf("decision %d is of %q", i, d.Campaign)
			}
			if d.Show {
				shown++
			}
		}
		if q.want > 0 && shown > q.want || (q.want <= 0 || shown < q.want) && len(a.Decisions) != 2 {
			t.Fatalf("%d shown, %d decided: %q", shown, len(a.Decisions), body)
		}
		if otherCase(body) {
			t.Skip()
		}
		if reference.ID != "r" || reference.Token != a.Token || reference.Policy != a.Policy || len(reference.Decisions) != len(a.Decisions) {
			t.Fatalf("%+v\n%+v\n%q", a, reference, body)
		}
		for i, d := range a.Decisions {
			r := reference.Decisions[i]
			if r.Campaign != d.Campaign || r.Show == nil || *r.Show != d.Show || r.Reason != d.Reason || time.Duration(r.Retry)*time.Second != d.RetryAfter {
				t.Fatalf("%+v\n%+v\n%q", d, r, body)
			}
		}
	})
}

// otherCase says whether a member has one of our names in other letters.
func otherCase(body []byte) bool {
	s := scanner{b: body}
	names := []string{"id", "token", "policy", "decisions", "campaign", "show", "reason", "retry_after"}
	for s.i < len(s.b) {
		if s.b[s.i] != '"' {
			s.i++
			continue
		}
		text := string(s.text())
		for _, name := range names {
			if text != name && strings.EqualFold(text, name) {
				return true
			}
		}
	}
	return false
}
