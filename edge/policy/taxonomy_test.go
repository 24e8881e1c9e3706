package policy

import (
	"slices"
	"strings"
	"testing"
)

func TestBelow(t *testing.T) {
	for category, want := range map[string]string{
		"cat:386": "386 387 388 389", "cat:389": "389", "cat:139": "139 140", "cat:IAB7": "IAB7", "cat:IAB7-39": "IAB7-39",
		"cat:v9i3On": "v9i3On", "cat:0386": "0386", "cat:1020": "1020",
	} {
		if got := strings.Join(Below(category), " "); got != want {
			t.Errorf("below %s: %s, want %s", category, got, want)
		}
	}
	for id, want := range map[string]string{"IAB7-39": "IAB7", "IAB7": "", "386": "", "IAB": "", "iab7-1": "", "IAB7-": "IAB7"} {
		if got := string(Above([]byte(id))); got != want {
			t.Errorf("above %s: %q, want %q", id, got, want)
		}
	}
}

// Branches lie within one another or apart, as in a tree.
func TestBranchesAreATree(t *testing.T) {
	if len(lastBelow) != len(strings.Fields(branches)) || len(lastBelow) < 80 {
		t.Fatalf("%d branches", len(lastBelow))
	}
	for a, lastA := range lastBelow {
		if lastA <= a || lastA > 698 {
			t.Errorf("%d-%d", a, lastA)
		}
		for b, lastB := range lastBelow {
			if a < b && b <= lastA && lastB > lastA {
				t.Errorf("%d-%d and %d-%d overlap", a, lastA, b, lastB)
			}
		}
	}
}

func TestFlaggedCategories(t *testing.T) {
	all := flaggedCategories()
	if len(all) != 65 || !slices.Contains(all, "cat:286") {
		t.Fatalf("%d categories: %v", len(all), all)
	}
	for _, category := range defaultSensitive {
		if strings.HasPrefix(category, "cat:") && !isCategory(category) {
			t.Errorf("%q is no category", category)
		}
	}
}
