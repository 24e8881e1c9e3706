package edge

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"restraint/suppress"
)

// Every condition of the store of lists has an answer of its own that says what it
// is: none is taken for a failure of the disk.
func TestListProblems(t *testing.T) {
	known := map[string]error{
		"ErrUnknownList": suppress.ErrUnknownList, "ErrBusy": suppress.ErrBusy, "ErrShrink": suppress.ErrShrink,
		"ErrRejected": suppress.ErrRejected, "ErrColumn": suppress.ErrColumn, "ErrSource": suppress.ErrSource,
		"ErrImport": suppress.ErrImport, "ErrTruncated": suppress.ErrTruncated, "ErrCorrupt": suppress.ErrCorrupt,
		"ErrTooLarge": suppress.ErrTooLarge, "ErrRowTooLong": suppress.ErrRowTooLong, "ErrNoPrevious": suppress.ErrNoPrevious,
		"ErrFingerprint": suppress.ErrFingerprint, "ErrDamaged": suppress.ErrDamaged, "ErrFull": suppress.ErrFull,
		"ErrClosed": suppress.ErrClosed, "ErrName": suppress.ErrName, "ErrOlder": suppress.ErrOlder, "ErrReplay": suppress.ErrReplay,
		"ErrVersion": suppress.ErrVersion, "ErrNoSpace": suppress.ErrNoSpace, "ErrNotDurable": suppress.ErrNotDurable,
		"ErrEpoch": suppress.ErrEpoch, "ErrExpanded": suppress.ErrExpanded, "ErrRatio": suppress.ErrRatio, "ErrTooSlow": suppress.ErrTooSlow,
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../suppress/suppress.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, name := range spec.Names {
			if !strings.HasPrefix(name.Name, "Err") {
				continue
			}
			found++
			err := known[name.Name]
			if err == nil {
				t.Errorf("suppress.%s is not in this test: give it a status in listStatus", name.Name)
				continue
			}
			p := listProblem("l", fmt.Errorf("replace list %q: %w: that; do this", "l", err))
			if p.Status == 500 || !strings.Contains(p.Detail, err.Error()) || !strings.Contains(p.Detail, "do this") || (p.Status == 503) != (p.retryAfter > 0) {
				t.Errorf("%s: %+v", name.Name, p)
			}
		}
		return true
	})
	if found != len(known) {
		t.Errorf("%d conditions in the source, %d here", found, len(known))
	}
	if p := listProblem("l", fmt.Errorf("x: %w", &suppress.ReplayError{After: 5, Through: 9})); p.Status != 409 || !strings.Contains(p.Detail, "upload the list again") {
		t.Errorf("%+v", p)
	}
}
