package edge_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// scenario is one story told to a node: what happened, what was asked, what it
// answered and why. Times are seconds after start.
type scenario struct {
	About   string                     `json:"about"`
	Promise []int                      `json:"promise"` // rows of the README's promise table
	Policy  []string                   `json:"policy"`  // lines
	Start   int64                      `json:"start"`   // Unix seconds
	Lists   map[string]json.RawMessage `json:"lists"`   // name: lines of CSV
	Steps   []step                     `json:"steps"`
}

// step is an event to report, a decision to ask for, or what a person chooses.
type step struct {
	At     int64          `json:"at"` // seconds after start
	Note   string         `json:"note"`
	Event  map[string]any `json:"event"`
	Decide map[string]any `json:"decide"`
	Want   []expectation  `json:"want"`
	Keep   string         `json:"keep"` // name under which the token is kept; "$name" in a later token is replaced
	Put    []string       `json:"put"`  // lines of a new policy
	Prefer map[string]any `json:"prefer"`
	Erase  map[string]any `json:"erase"`
}

type expectation struct {
	Show    bool   `json:"show"`
	Reason  string `json:"reason"`
	Retry   uint32 `json:"retry_after"`
	Because string `json:"because"`
}

// TestScenarios plays every file of testdata/scenarios through the node's own
// HTTP interface.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			decoder := json.NewDecoder(strings.NewReader(string(text)))
			decoder.DisallowUnknownFields()
			var s scenario
			if err := decoder.Decode(&s); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			play(t, &s)
		})
	}
}

func play(t *testing.T, s *scenario) {
	n := startNode(t, "", strings.Join(s.Policy, "\n"), requestClock)
	for name, lines := range s.Lists {
		var csv []string
		if err := json.Unmarshal(lines, &csv); err != nil {
			t.Fatal(err)
		}
		path := "/v1/lists/" + name + "?map=" + strings.Split(csv[0], ",")[0] + ":user.id"
		if strings.Contains(csv[0], ",") {
			path += "&item_column=" + strings.Split(csv[0], ",")[1]
		}
		n.must(201, "PUT", path, "text/csv", strings.Join(csv, "\n"), nil)
	}
	tokens := map[string]string{}
	for i, step := range s.Steps {
		at := s.Start + step.At
		switch {
		case step.Put != nil:
			n.must(200, "PUT", "/v1/policy", "application/yaml", strings.Join(step.Put, "\n"), nil)
		case step.Prefer != nil:
			step.Prefer["at"] = at
			n.prefer(t, encode(t, step.Prefer))
		case step.Erase != nil:
			step.Erase["at"] = at
			n.erase(t, encode(t, step.Erase))
		case step.Event != nil:
			step.Event["at"] = at
			if name, ok := step.Event["token"].(string); ok {
				step.Event["token"] = tokens[strings.TrimPrefix(name, "$")]
			}
			n.event(encode(t, step.Event))
		default:
			step.Decide["at"] = at
			a := n.decide(encode(t, step.Decide))
			tokens[step.Keep] = a.Token
			compare(t, fmt.Sprintf("step %d (%s)", i, step.Note), a.Decisions, step.Want)
		}
	}
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
		if g.Show != w.Show || g.Reason != w.Reason || g.RetryAfter != w.Retry {
			t.Errorf("%s: candidate %d: show %v, reason %q, retry_after %d; want %v, %q, %d\n%s\n%v",
				where, i, g.Show, g.Reason, g.RetryAfter, w.Show, w.Reason, w.Retry, g.Because, g.Checks)
		}
		if w.Because != "" && g.Because != w.Because {
			t.Errorf("%s: candidate %d:\n said %q\n want %q", where, i, g.Because, w.Because)
		}
		if g.Because == "" || len(g.Checks) == 0 && g.Reason != "unknown_campaign" {
			t.Errorf("%s: candidate %d is not explained: %+v", where, i, g)
		}
	}
}
