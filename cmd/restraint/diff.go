package main

import (
	"fmt"
	"io"
)

// diffContext is how many equal lines are printed around a difference.
const diffContext = 3

// maxDiffCells bounds the table of printDiff: texts that differ over more than
// about 4,000 lines each are printed as one removal and one addition.
const maxDiffCells = 16 << 20

// printDiff writes the lines of a and b that differ, in the way of diff -u: -
// for a's, + for b's. It finds the longest common subsequence by the table of
// Wagner and Fischer, after equal ends are set aside.
func printDiff(w io.Writer, a, b []string) error {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	d := diff{w: w, line: head + 1 - min(head, diffContext)}
	for _, s := range a[head-min(head, diffContext) : head] {
		d.add(' ', s)
	}
	d.middle(a[head:len(a)-tail], b[head:len(b)-tail])
	for i, s := range a[len(a)-tail:] {
		if i == diffContext {
			break
		}
		d.add(' ', s)
	}
	d.flush()
	return d.err
}

// diff prints lines and leaves out equal ones that are far from a difference.
type diff struct {
	w       io.Writer
	line    int      // in a, of the next line
	equal   []string // equal lines not printed yet
	started bool
	err     error
}

func (d *diff) add(sign byte, s string) {
	if sign == ' ' {
		d.equal = append(d.equal, s)
		d.line++
		return
	}
	skip := 0
	if limit := diffContext; !d.started {
		skip = max(0, len(d.equal)-limit)
	} else if len(d.equal) > 2*limit {
		for _, s := range d.equal[:limit] {
			d.print(' ', s)
		}
		skip = len(d.equal) - limit
	}
	if skip > 0 || !d.started {
		d.printf("@@ line %d @@\n", d.line-len(d.equal)+skip)
	}
	for _, s := range d.equal[skip:] {
		d.print(' ', s)
	}
	d.equal, d.started = d.equal[:0], true
	d.print(sign, s)
	if sign == '-' {
		d.line++
	}
}

func (d *diff) flush() {
	for _, s := range d.equal[:min(len(d.equal), diffContext)] {
		d.print(' ', s)
	}
}

func (d *diff) print(sign byte, s string) { d.printf("%c%s\n", sign, s) }

func (d *diff) printf(format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format, args...)
	}
}

// middle prints what lies between the equal ends.
func (d *diff) middle(a, b []string) {
	if len(a) == 0 || len(b) == 0 || len(a) > maxDiffCells/len(b) {
		for _, s := range a {
			d.add('-', s)
		}
		for _, s := range b {
			d.add('+', s)
		}
		return
	}
	// common[i][j]: length of the longest common subsequence of a[i:] and b[j:].
	common := make([][]int32, len(a)+1)
	for i := range common {
		common[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			d.add(' ', a[i])
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			d.add('-', a[i])
			i++
		default:
			d.add('+', b[j])
			j++
		}
	}
}
