package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// row is one line of the table.
type row struct {
	Section string `json:"section"`
	Name    string `json:"name"`
	// Measured is the median, in Unit.
	Measured float64 `json:"measured"`
	Unit     string  `json:"unit"`
	// Beside is what it stands beside, in the same unit, and BesideWhat what that is.
	Beside     float64 `json:"beside,omitempty"`
	BesideWhat string  `json:"beside_what,omitempty"`
	// Ratio is the median of Measured over Beside, each turn by itself; 0 where nothing
	// stands beside.
	Ratio float64 `json:"ratio,omitempty"`
	// Turns are the values whose median the mark is for, in the order in which they were
	// taken: ratios, or what was measured where nothing stands beside.
	Turns []float64 `json:"turns"`
	// Mark is what is to be reached; nil: none was set.
	Mark *mark `json:"mark,omitempty"`
	// Outcome is met, missed, or not measured.
	Outcome outcome `json:"outcome,omitempty"`
	// Distance is by what share of the mark it was missed; of a mark of 0, by how much.
	Distance float64 `json:"distance,omitempty"`
	// Note says what must be known to read the line, or why nothing was measured.
	Note string `json:"note,omitempty"`
}

// mark bounds the median of the turns.
type mark struct {
	// Bound is "at least" or "at most".
	Bound string  `json:"bound"`
	Value float64 `json:"value"`
}

func atLeast(v float64) *mark { return &mark{"at least", v} }

func atMost(v float64) *mark { return &mark{"at most", v} }

func (m *mark) String() string { return m.Bound + " " + short(m.Value) }

// missedBy is how far a value is from the mark, as a share of the mark; of a mark of 0
// the value itself. 0 where it is reached.
func (m *mark) missedBy(value float64) float64 {
	by := value - m.Value
	if m.Bound == "at least" {
		by = -by
	}
	if m.Value != 0 {
		by /= m.Value
	}
	return max(0, by)
}

type outcome string

const (
	met    outcome = "met"
	missed outcome = "missed"
	none   outcome = "not measured"
	quick  outcome = "quick run" // measured with numbers too small to be judged
)

// ratioRow is a line of turns of two contestants.
func ratioRow(section, name, unit string, a, b []float64, beside string, m *mark) row {
	turns := make([]float64, len(a))
	for i := range turns {
		turns[i] = a[i] / b[i]
	}
	r := row{Section: section, Name: name, Measured: median(a), Unit: unit, Beside: median(b), BesideWhat: beside, Ratio: median(turns), Turns: turns, Mark: m}
	r.judge()
	return r
}

// plainRow is a line of turns of one thing.
func plainRow(section, name, unit string, turns []float64, m *mark) row {
	r := row{Section: section, Name: name, Measured: median(turns), Unit: unit, Turns: turns, Mark: m}
	r.judge()
	return r
}

// missingRow says why something was not measured.
func missingRow(section, name, why string) row {
	return row{Section: section, Name: name, Turns: []float64{}, Outcome: none, Note: why}
}

// judge compares the median with the mark.
func (r *row) judge() {
	if r.Mark == nil {
		return
	}
	value := median(r.Turns)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		panic("BUG: " + r.Name + " was measured as " + fmt.Sprint(value))
	}
	r.Outcome = met
	if r.Distance = r.Mark.missedBy(value); r.Distance > 0 {
		r.Outcome = missed
	}
}

// short is a number with three digits, and commas where it is long.
func short(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.Abs(v) < 999.5:
		digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
		s := strconv.FormatFloat(v, 'f', min(digits, 4), 64)
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s
	}
	scale := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
	s := strconv.FormatInt(int64(math.Round(v/scale)*scale), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// cells are a line of the table, as columns.
func (r *row) cells() []string {
	if r.Outcome == none {
		return []string{r.Name, "not measured", "", "", "", r.Note, ""}
	}
	beside, ratio, marked, outcome := "", "", "", ""
	if r.BesideWhat != "" {
		beside, ratio = short(r.Beside)+" "+r.BesideWhat, short(r.Ratio)
	}
	if r.Mark != nil {
		marked, outcome = r.Mark.String(), string(r.Outcome)
		if r.Outcome == missed {
			outcome = fmt.Sprintf("missed by %s %%", short(100*r.Distance))
			if r.Mark.Value == 0 {
				outcome = "missed by " + short(r.Distance)
			}
		}
	}
	spread := ""
	if len(r.Turns) > 1 {
		spread = short(slices.Min(r.Turns)) + " to " + short(slices.Max(r.Turns))
	}
	return []string{r.Name, short(r.Measured) + " " + r.Unit, beside, ratio, marked, outcome, spread}
}

var columns = []string{"", "measured", "beside", "ratio", "mark", "", "spread"}

// printTable writes the lines by section, then their notes.
func printTable(w io.Writer, rows []row) error {
	var text bytes.Buffer
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	section := ""
	for i := range rows {
		if rows[i].Section != section {
			section = rows[i].Section
			fmt.Fprintf(t, "\n%s\n", strings.Join(append([]string{section}, columns[1:]...), "\t"))
		}
		fmt.Fprintln(t, "  "+strings.Join(rows[i].cells(), "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	notes := "\n"
	for i := range rows {
		if rows[i].Note != "" && rows[i].Outcome != none {
			notes += rows[i].Name + ": " + rows[i].Note + "\n"
		}
	}
	text.WriteString(strings.TrimSuffix(notes, "\n"))
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// printMarkdown writes the same as a table of a README.
func printMarkdown(w io.Writer, rows []row) {
	section := ""
	for i := range rows {
		if rows[i].Section != section {
			section = rows[i].Section
			fmt.Fprintf(w, "\n| %s | measured | beside | ratio | mark | | spread |\n|---|---|---|---|---|---|---|\n", section)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(rows[i].cells(), " | "))
	}
}
