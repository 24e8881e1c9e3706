package policy

import (
	"fmt"
	"strings"
)

// maxFaults bounds how many faults one text can report (chosen: more than
// anybody reads).
const maxFaults = 1000

// Fault is one thing wrong with a policy text.
type Fault struct {
	File   string // as given to Parse
	Line   int    // from 1
	Key    string // path of the key, as campaigns.spring-shoes.caps[2].limit; "" for the text as a whole
	Detail string // what is wrong, with the value as written, and after a colon how to mend it
}

// Error returns file:line: key: what: mend.
func (f *Fault) Error() string {
	if f.Key == "" {
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Detail)
	}
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Key, f.Detail)
}

// Faults are all faults of one text, in the order of its lines, at most 1,000
// and then one that says so.
type Faults []Fault

// Error returns one line for each fault.
func (fs Faults) Error() string {
	var b strings.Builder
	for i := range fs {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(fs[i].Error())
	}
	return b.String()
}
