package edge

import (
	"bytes"
	"io"
	"strings"
)

// family is one metric with all its series, as /metrics describes it.
type family struct {
	name string
	kind kind
	help string // one sentence: what it counts or says, from when, and what it leaves out
}

// kind is the type of a family in the Prometheus text form.
type kind string

const (
	counter   kind = "counter" // of the process: it begins at 0 when the node starts
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// described is where each family stands in families.
var described = func() map[string]int {
	at := make(map[string]int, len(families))
	for i, f := range families {
		at[f.name] = i
	}
	return at
}()

// familyOf is where the family of a series stands in families; -1: nowhere.
func familyOf(series []byte) int {
	name := string(series[:bytes.IndexAny(series, "{ ")])
	if i, found := described[name]; found {
		return i
	}
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if i, found := described[strings.TrimSuffix(name, part)]; found && families[i].kind == histogram {
			return i
		}
	}
	return -1
}

// expose writes series, one a line and in any order, in the Prometheus text form 0.0.4:
// those of a family together and in the order they came in, after its HELP and TYPE.
func expose(w io.Writer, series []byte) {
	sorted, nameless := make([][][]byte, len(families)), [][]byte(nil)
	for line := range bytes.Lines(series) {
		if i := familyOf(line); i >= 0 {
			sorted[i] = append(sorted[i], line)
		} else {
			nameless = append(nameless, line) // a test says that there are none
		}
	}
	var text bytes.Buffer
	for i, lines := range sorted {
		if len(lines) == 0 {
			continue
		}
		f := &families[i]
		text.WriteString("# HELP " + f.name + " " + f.help + "\n# TYPE " + f.name + " " + string(f.kind) + "\n")
		for _, line := range lines {
			text.Write(line)
		}
	}
	for _, line := range nameless {
		text.Write(line)
	}
	_, _ = w.Write(text.Bytes()) // who scrapes has gone: nobody is left to tell
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// label is a label with a value that is not of this program, such as the name of a list.
func label(name, value string) string {
	return name + `="` + labelEscapes.Replace(strings.ToValidUTF8(value, "\uFFFD")) + `"`
}
