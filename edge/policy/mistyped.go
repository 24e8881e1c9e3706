package policy

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

var (
	yamlLine   = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	yamlAnchor = regexp.MustCompile(`^unknown anchor '(.+)' referenced`)
)

// SyntaxError is what the YAML library says of a text that it cannot read: the
// line, from 1 and as exactly as it tells, and the fault without the line.
func SyntaxError(text []byte, err error) (line int, what string) {
	line, what = 1, strings.ReplaceAll(err.Error(), "\n", " ")
	if m := yamlLine.FindStringSubmatch(what); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = what[len(m[0]):]
	}
	// The library numbers lines from 0 in what it says of tokens, and gives no
	// line for an anchor.
	if line > 0 && strings.HasPrefix(what, "did not find expected") {
		line++
	}
	if m := yamlAnchor.FindStringSubmatch(what); m != nil {
		before, _, _ := bytes.Cut(text, []byte("*"+m[1]))
		line = 1 + bytes.Count(before, []byte("\n"))
	}
	return max(line, 1), what
}

// EditDistance is Levenshtein's distance of two short texts: the least
// insertions, removals and replacements of bytes. Of texts over 64 bytes it is
// just large.
func EditDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 99
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			d := diagonal
			if a[i-1] != b[j-1] {
				d++
			}
			diagonal = row[j]
			row[j] = min(d, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
