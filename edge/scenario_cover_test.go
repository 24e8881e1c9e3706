package edge_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"restraint/edge"
)

// Every reason has a scenario in which it is given, with its sentence, and so has a
// showing.
func TestScenariosCoverReasons(t *testing.T) {
	told := map[string]string{} // by reason: a file with its sentence
	for file, s := range scenarioFiles(t) {
		for i := range s.Steps {
			for _, w := range s.Steps[i].Want {
				if w.Because != "" {
					told[w.Reason] = file
				}
			}
		}
	}
	if told[""] == "" {
		t.Error("no scenario has the sentence of a showing")
	}
	delete(told, "")
	var missing []string
	for r := edge.Shown + 1; r <= edge.Holdout; r++ {
		if told[r.String()] == "" {
			missing = append(missing, r.String())
		}
		delete(told, r.String())
	}
	if len(missing) > 0 {
		t.Errorf("no scenario has a sentence for %q", missing)
	}
	if len(told) > 0 {
		t.Errorf("scenarios have reasons that are none: %v", told)
	}
}

// numbers are how many numbers the sentence of a reason has at least: how much, how
// long, when, and the limit. A date has two.
var numbers = map[string]int{
	"inactive": 4, "hidden": 3, "stale_list": 1, "too_soon": 2, "spacing": 2, "cap": 2, "diversity": 2, "quiet_hours": 6, "holdout": 1, "dialled_back": 6,
}

// What was decided by a number is said with it.
func TestSentencesHaveTheirNumbers(t *testing.T) {
	number := regexp.MustCompile(`\d+`)
	looked := map[string]bool{}
	for file, s := range scenarioFiles(t) {
		for i := range s.Steps {
			for _, w := range s.Steps[i].Want {
				if w.Because == "" {
					continue
				}
				looked[w.Reason] = true
				if got := len(number.FindAllString(w.Because, -1)); got < numbers[w.Reason] {
					t.Errorf("%s: %d numbers, want %d: %s", file, got, numbers[w.Reason], w.Because)
				}
			}
		}
	}
	for reason := range numbers {
		if !looked[reason] {
			t.Errorf("no sentence of %s was looked at", reason)
		}
	}
}

// promises is how many rows the promise has; kept are those that are enforced. The
// others may be, wholly or in part.
const promises = 35

var (
	// promiseRow is a row of the README's table: number, what people say, rule, reason or
	// effect, scenarios.
	promiseRow = regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| (.+) \|$`)
	linkTarget = regexp.MustCompile(`\]\(([^)]+)\)`)
	codeWord   = regexp.MustCompile("`([a-z_]+)`")
)

const scenarioFolder = "edge/testdata/scenarios/"

// The README's table has every row of the promise in order, each with scenarios that are
// there and say that they are of that row, or says that it is not built yet; and every
// scenario of a row is linked from it.
func TestPromiseTable(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## What people complain about")
	table, _, _ = strings.Cut(table, "\n## ")
	rows := promiseRow.FindAllStringSubmatch(table, -1)
	if len(rows) != promises {
		t.Fatalf("%d rows, want %d", len(rows), promises)
	}
	all := scenarioFiles(t)
	for i, row := range rows {
		if faults := promiseFaults(i+1, row, all); len(faults) > 0 {
			t.Errorf("row %s:\n%s\n%s", row[1], row[0], strings.Join(faults, "\n"))
		}
	}
	for file, s := range all {
		for _, row := range s.Promise {
			if row < 1 || row > promises {
				t.Errorf("%s is of row %d, and there are %d", file, row, promises)
			}
		}
	}
}

// promiseFaults are what is wrong with a row of the table, which should have a number.
func promiseFaults(number int, row []string, all map[string]*scenario) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if row[1] != strconv.Itoa(number) {
		fault("it should be row %d", number)
	}
	for _, reason := range codeWord.FindAllStringSubmatch(row[4], -1) {
		if isReason(reason[1]) && !hasSentence(all, number, reason[1]) {
			fault("none of its scenarios has the sentence of %s", reason[1])
		}
	}
	unlinked := map[string]bool{}
	for file, s := range all {
		if slices.Contains(s.Promise, number) {
			unlinked[file] = true
		}
	}
	linked := 0
	for _, target := range linkTarget.FindAllStringSubmatch(row[5], -1) {
		if _, err := os.Stat(filepath.Join("..", target[1])); err != nil {
			fault("%s is not there", target[1])
		}
		file, ok := strings.CutPrefix(target[1], scenarioFolder)
		if !ok || file == "" {
			continue
		}
		if linked++; !unlinked[file] {
			fault("%s does not say that it is of this row, or is linked twice", file)
		}
		delete(unlinked, file)
	}
	if len(unlinked) > 0 {
		fault("not linked: %v", slices.Sorted(maps.Keys(unlinked)))
	}
	if linked == 0 {
		fault("it has no scenario")
	}
	return faults
}

func isReason(name string) bool {
	for r := edge.Shown + 1; r <= edge.Holdout; r++ {
		if r.String() == name {
			return true
		}
	}
	return false
}

// hasSentence says whether a scenario of a row has the reason with its sentence.
func hasSentence(all map[string]*scenario, row int, reason string) bool {
	for _, s := range all {
		for i := range s.Steps {
			for _, w := range s.Steps[i].Want {
				if slices.Contains(s.Promise, row) && w.Reason == reason && w.Because != "" {
					return true
				}
			}
		}
	}
	return false
}

// A row that is not true is found.
func TestPromiseFaults(t *testing.T) {
	told := []step{{Want: []expectation{{Reason: "cap", Because: "x"}, {Reason: "spacing"}}}}
	all := map[string]*scenario{"cap-rolling.json": {Promise: []int{4}, Steps: told}, "spacing.json": {Promise: []int{5}}}
	const rolling, spacing, gone = "[r](edge/testdata/scenarios/cap-rolling.json)", "[s](edge/testdata/scenarios/spacing.json)", "[g](edge/testdata/scenarios/gone.json)"
	for _, c := range []struct {
		number     int
		line, want string
	}{
		{4, "| 4 | a | b | `cap` | " + rolling + " |", ""},
		{4, "| 5 | a | b | `cap` | " + rolling + " |", "should be row 4"},
		{4, "| 4 | a | b | `cap`, `spacing` | " + rolling + " |", "the sentence of spacing"},
		{4, "| 4 | a | b | `cap`, `diversity` | " + rolling + " |", "the sentence of diversity"},
		{4, "| 4 | a | b | `cap` | " + gone + ", " + rolling + " |", "not there"},
		{4, "| 4 | a | b | `cap` | " + rolling + ", " + spacing + " |", "does not say"},
		{4, "| 4 | a | b | `cap` | " + rolling + ", " + rolling + " |", "linked twice"},
		{4, "| 4 | a | b | `cap` | [all](edge/testdata/scenarios/) |", "not linked: [cap-rolling.json]"},
		{36, "| 36 | a | b | `holdout` | [doc](README.md) |", "has no scenario"},
	} {
		row := promiseRow.FindStringSubmatch(c.line)
		if row == nil {
			t.Fatalf("%s is no row", c.line)
		}
		faults := strings.Join(promiseFaults(c.number, row, all), "; ")
		if c.want == "" && faults != "" || !strings.Contains(faults, c.want) {
			t.Errorf("%s: %q, want something about %q", c.line, faults, c.want)
		}
	}
}
