package edge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A scenario is one story told to a node: what was so, what happened, what was asked,
// what the node answered and why. It is one JSON file of testdata/scenarios; a field
// that is not described here is an error, and so is an expectation that says nothing.
type scenario struct {
	About   string              `json:"about"`   // the story in a sentence
	Promise []int               `json:"promise"` // the rows of the README's promise table that it shows
	Policy  []string            `json:"policy"`  // its lines
	Builtin bool                `json:"builtin"` // instead: the policy of a first run, without a file
	Start   int64               `json:"start"`   // Unix seconds
	Lists   map[string][]string `json:"lists"`   // uploaded at first: name, lines of CSV of a user.id (and an item)
	// Nowhere are identifiers that the steps bring and that must stand in no answer, log
	// line, metric or file of the node. The node then keeps its counters on disk.
	Nowhere []string `json:"nowhere"`
	Steps   []step   `json:"steps"`
}

// step does one thing, the one of its first group of fields that is given, and states
// what comes of it. "$name" for a token is the one kept under that name.
type step struct {
	At   int64  `json:"at"` // seconds after the scenario's start
	Note string `json:"note"`

	Event  map[string]any `json:"event"`   // POST /v1/events
	Decide map[string]any `json:"decide"`  // POST /v1/decide?explain=1
	Put    []string       `json:"put"`     // lines of a new policy
	End    string         `json:"end"`     // POST /v1/policy/pilot: promote or stop
	Prefer map[string]any `json:"prefer"`  // POST /v1/users/preferences
	LookUp map[string]any `json:"look_up"` // POST /v1/users/lookup
	Erase  map[string]any `json:"erase"`   // POST /v1/users/erase
	// POST /v1/campaigns/{campaign}/release, with Restraint-Why.
	Release *struct {
		Campaign string `json:"campaign"`
		Why      string `json:"why"`
	} `json:"release"`
	Why    *behindToken `json:"why"`    // GET /v1/why, as a browser
	Press  *behindToken `json:"press"`  // one of the buttons of that page
	Get    string       `json:"get"`    // a path of the admin listener
	People []string     `json:"people"` // just what `restraint check --people` prints of the policy, by lines

	Pilot   int             `json:"pilot"`   // put: it is tried out on so many percent of people
	File    string          `json:"file"`    // decide: a file of ../shared/data, to which what Decide has is added
	Keep    string          `json:"keep"`    // decide: the name under which the token is kept
	Want    []expectation   `json:"want"`    // decide: of each candidate that was judged
	Faults  []string        `json:"faults"`  // event, decide, put: refused, and just these are named, as "field: detail"; … for the rest
	Answer  json.RawMessage `json:"answer"`  // of the JSON answer: what it has, at least; null: not that; lists are whole
	Receipt json.RawMessage `json:"receipt"` // erase: likewise, what the receipt says afterwards
	Has     []string        `json:"has"`     // the answer's text; of a page what a person reads
	Lacks   []string        `json:"lacks"`   // beside Has: what is not in it, the page's source included
}

// behindToken is the link of an advertisement that was shown.
type behindToken struct {
	Token    string `json:"token"`
	Campaign string `json:"campaign"`
	Button   string `json:"button"` // press: hide or opt-out
}

// expectation is what is answered about one candidate.
type expectation struct {
	Show    *bool             `json:"show"`
	Reason  string            `json:"reason"`
	Retry   uint32            `json:"retry_after"`
	Because string            `json:"because"` // where it is given; each reason has its sentence in some scenario
	Checks  []json.RawMessage `json:"checks"`  // where they are given: all, in order, as Answer has it
}

// readScenario reads the text of a scenario and refuses one that could not fail.
func readScenario(text string) (*scenario, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	s := new(scenario)
	if err := decoder.Decode(s); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the scenario")
	}
	switch {
	case s.About == "" || s.Start == 0 || s.Promise == nil:
		return nil, errors.New("about, promise and start are required")
	case (len(s.Policy) > 0) == s.Builtin:
		return nil, errors.New("give a policy, or else builtin")
	}
	told, checked := encodeSteps(s), false
	for _, id := range s.Nowhere {
		if !strings.Contains(told, id) {
			return nil, fmt.Errorf("nowhere: no step brings %q", id)
		}
	}
	for i := range s.Steps {
		if err := s.Steps[i].fault(); err != nil {
			return nil, fmt.Errorf("step %d: %w", i, err)
		}
		checked = checked || s.Steps[i].checks()
	}
	if !checked {
		return nil, errors.New("no step states what is answered")
	}
	return s, nil
}

func encodeSteps(s *scenario) string {
	told, err := json.Marshal(struct{ Lists, Steps any }{s.Lists, s.Steps})
	if err != nil {
		panic(err)
	}
	return string(told)
}

// checks says whether the step can fail by what it is answered.
func (s *step) checks() bool {
	return len(s.Want)+len(s.Faults)+len(s.Answer)+len(s.Receipt)+len(s.Has)+len(s.People) > 0
}

// fault is what is wrong with a step.
func (s *step) fault() error {
	does := 0
	for _, given := range []bool{
		s.Event != nil, s.Decide != nil, s.Put != nil, s.End != "", s.Prefer != nil, s.LookUp != nil, s.Erase != nil, s.Why != nil, s.Press != nil, s.Get != "", s.People != nil, s.Release != nil,
	} {
		if given {
			does++
		}
	}
	state := s.Event != nil || s.Put != nil || s.End != "" || s.Prefer != nil || s.Erase != nil || s.Release != nil // may be there for what comes later
	asJSON := s.Release != nil || s.Prefer != nil || s.LookUp != nil || s.Erase != nil || s.Get != ""
	asText := asJSON || s.Why != nil || s.Press != nil
	switch {
	case does != 1:
		return fmt.Errorf("it does %d things, not one", does)
	case !state && !s.checks():
		return errors.New("it asks, and states nothing of the answer")
	case (s.Want != nil || s.Keep != "" || s.File != "") && s.Decide == nil, s.Faults != nil && s.Decide == nil && s.Event == nil && s.Put == nil,
		s.Answer != nil && !asJSON, s.Receipt != nil && s.Erase == nil, (s.Has != nil || s.Lacks != nil) && !asText:
		return errors.New("it states something that its kind of answer does not have")
	case s.Want != nil && s.Faults != nil:
		return errors.New("it is both answered and refused")
	case len(s.Lacks) > 0 && len(s.Has)+len(s.Answer) == 0:
		return errors.New("lacks without has or answer: an empty answer would do")
	case s.Pilot != 0 && s.Put == nil || s.End != "" && s.End != "promote" && s.End != "stop":
		return errors.New("pilot belongs to put, and end is promote or stop")
	case s.Press != nil && s.Press.Button != "hide" && s.Press.Button != "opt-out" || s.Why != nil && s.Why.Button != "":
		return errors.New("press: the buttons are hide and opt-out; why has none")
	}
	for _, texts := range [][]string{s.Has, s.Lacks, s.Faults} {
		for _, text := range texts {
			if strings.TrimSpace(text) == "" {
				return errors.New("an empty text is in every answer")
			}
		}
	}
	for _, part := range []json.RawMessage{s.Answer, s.Receipt} {
		if text := string(part); part != nil && (!strings.HasPrefix(text, "{") || len(strings.Fields(text[1:])) == 1 && strings.Fields(text[1:])[0] == "}") {
			return errors.New("answer and receipt are objects that name something")
		}
	}
	for i := range s.Want {
		if err := s.Want[i].fault(); err != nil {
			return fmt.Errorf("want %d: %w", i, err)
		}
	}
	return nil
}

func (w *expectation) fault() error {
	switch {
	case w.Show == nil:
		return errors.New("it does not say whether the candidate is shown")
	case *w.Show == (w.Reason != ""):
		return errors.New("a reason belongs to what is not shown, and to nothing else")
	case *w.Show && w.Retry != 0:
		return errors.New("what is shown is not to be tried again")
	}
	return nil
}

// scenarioFiles are all scenarios by file name.
func scenarioFiles(t *testing.T) map[string]*scenario {
	t.Helper()
	files, err := filepath.Glob("testdata/scenarios/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	all := map[string]*scenario{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if all[filepath.Base(file)], err = readScenario(string(text)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return all
}

// A scenario that could not fail is refused.
func TestScenarioFaults(t *testing.T) {
	file := func(fields, steps string) string {
		return `{"about":"a","promise":[],"start":1,` + fields + `"steps":[` + steps + `]}`
	}
	const policy, decide, shown = `"policy":["campaigns: {}"],`, `"decide":{"candidates":[]}`, `"want":[{"show":true}]`
	if _, err := readScenario(file(policy, `{`+decide+`,`+shown+`}`)); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		file(policy+`"abuot":"x",`, `{`+decide+`,`+shown+`}`):                             "unknown field",
		file(policy, `{`+decide+`,`+shown+`,"wnat":1}`):                                   "unknown field",
		file(policy, `{`+decide+`,"want":[{"show":true,"becuase":"x"}]}`):                 "unknown field",
		file(policy, `{`+decide+`,`+shown+`}`) + "{}":                                     "follows",
		file("", `{`+decide+`,`+shown+`}`):                                                "give a policy",
		file(policy+`"builtin":true,`, `{`+decide+`,`+shown+`}`):                          "give a policy",
		`{"promise":[],"start":1,` + policy + `"steps":[{` + decide + `,` + shown + `}]}`: "about",
		file(policy, ``): "no step states",
		file(policy, `{"event":{"type":"click"}}`):                             "no step states",
		file(policy, `{`+decide+`}`):                                           "states nothing",
		file(policy, `{`+decide+`,"want":[]}`):                                 "states nothing",
		file(policy, `{`+decide+`,"want":[{}]}`):                               "whether",
		file(policy, `{`+decide+`,"want":[{"show":false}]}`):                   "a reason",
		file(policy, `{`+decide+`,"want":[{"show":true,"reason":"cap"}]}`):     "a reason",
		file(policy, `{`+decide+`,"want":[{"show":true,"retry_after":3}]}`):    "tried again",
		file(policy, `{`+decide+`,`+shown+`,"get":"/x"}`):                      "2 things",
		file(policy, `{"note":"x"}`):                                           "0 things",
		file(policy, `{"look_up":{}}`):                                         "states nothing",
		file(policy, `{"look_up":{},"answer":{ }}`):                            "name something",
		file(policy, `{"look_up":{},"answer":[]}`):                             "name something",
		file(policy, `{"look_up":{},"lacks":["x"]}`):                           "states nothing",
		file(policy, `{"look_up":{},"has":["x"],"lacks":[" "]}`):               "empty text",
		file(policy, `{"prefer":{},"lacks":["x"]}`):                            "lacks without has",
		file(policy, `{"get":"/x","has":[""]}`):                                "empty text",
		file(policy, `{"event":{},`+shown+`}`):                                 "does not have",
		file(policy, `{"why":{"token":"$t","campaign":"c"},"answer":{"a":1}}`): "does not have",
		file(policy, `{"press":{"token":"$t","campaign":"c"},"has":["x"]}`):    "buttons",
		file(policy, `{"put":["x"],"faults":["a: b"],"has":["x"]}`):            "does not have",
		file(policy, `{`+decide+`,`+shown+`,"faults":["a: b"]}`):               "both",
		file(policy, `{"end":"now"}`):                                          "promote or stop",
		file(policy, `{`+decide+`,`+shown+`,"pilot":10}`):                      "belongs to put",
		file(policy, `{"people":[]}`):                                          "states nothing",
		file(policy+`"nowhere":["u-1"],`, `{`+decide+`,`+shown+`}`):            "no step brings",
	} {
		if _, err := readScenario(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nis read with %v, want something about %q", text, err, want)
		}
	}
}
