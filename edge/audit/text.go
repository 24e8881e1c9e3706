package audit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Line is the entry in short, for people.
func (e *Entry) Line() string {
	cells := e.Cells()
	kept := cells[:0]
	for _, cell := range cells {
		if cell != "" {
			kept = append(kept, cell)
		}
	}
	return "entry " + strings.Join(kept, ", ")
}

// Cells are the entry in a table: its number, its time, what was done and what became of
// it, by whom, about what, and before, after and why.
func (e *Entry) Cells() []string {
	did := string(e.Action)
	if e.Outcome != "" {
		did += " " + string(e.Outcome)
	}
	if e.Of != 0 {
		did += " (" + strconv.FormatUint(e.Of, 10) + ")"
	}
	by := string(e.Who.By)
	if e.Who.Client != "" {
		by = e.Who.Client + " (key " + e.Who.Key + ", " + e.Who.Roles + ")"
	}
	var about, changed []string
	if e.Policy != 0 {
		about = append(about, fmt.Sprintf("version %d", e.Policy))
	}
	if e.List != "" {
		about = append(about, "list "+e.List)
	}
	if e.Campaign != "" {
		about = append(about, "campaign "+e.Campaign)
	}
	for _, digest := range e.People {
		about = append(about, "person "+digest)
	}
	for _, facts := range []struct {
		name string
		Facts
	}{{"before", e.Before}, {"after", e.After}} {
		if text, err := json.Marshal(facts.Facts); err == nil && len(facts.Facts) > 0 {
			changed = append(changed, facts.name+" "+string(text))
		}
	}
	if e.Why != "" {
		changed = append(changed, "why "+strconv.Quote(e.Why))
	}
	if e.Request != "" {
		changed = append(changed, "request "+e.Request)
	}
	if e.Trace != "" {
		changed = append(changed, "trace "+e.Trace)
	}
	return []string{strconv.FormatUint(e.Seq, 10), e.At.UTC().Format(time.RFC3339), did, by, strings.Join(about, ", "), strings.Join(changed, ", ")}
}
