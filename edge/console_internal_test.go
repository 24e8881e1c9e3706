package edge

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"restraint/edge/console"
)

// What the page says of roles and reasons is what the node does.
func TestConsoleKnowsTheNode(t *testing.T) {
	page := console.Page(true)
	found := regexp.MustCompile(`data-part="([^"]+)" data-roles="([^"]*)"`).FindAllStringSubmatch(page, -1)
	asked := regexp.MustCompile(`\{\s*path: "([^"]+)", roles: "([^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(found) < 8 || len(asked) < 6 {
		t.Fatalf("only %d parts and %d paths found", len(found), len(asked))
	}
	for _, part := range append(found, asked...) {
		path, roles := part[1], strings.Fields(part[2])
		if path == "/v1/key" {
			continue // for whoever has a key
		}
		rows := doors[path]
		if len(rows) == 0 {
			t.Errorf("%s is no path of the node", path)
			continue
		}
		method := "GET"
		if strings.HasPrefix(path, "/v1/users/") {
			method = "POST"
		}
		may := mayUse(rows, method).Names()
		slices.Sort(may)
		slices.Sort(roles)
		if !slices.Equal(may, roles) {
			t.Errorf("%s is for %q, the page says %q", path, may, roles)
		}
	}
	for _, path := range []string{"/v1/dial-back", campaignPaths + "{campaign}/release"} {
		if doors[path][0].roles.String() != "ops" {
			t.Errorf("%s is for %s, the page takes it to be for ops", path, doors[path][0].roles)
		}
	}
	from, to := strings.Index(page, "const reasonWords = {"), 0
	if from >= 0 {
		to = strings.Index(page[from:], "};")
	}
	if from < 0 || to < 0 {
		t.Fatal("no reasons found")
	}
	var reasons, known []string
	for _, m := range regexp.MustCompile(`\n  ([a-z_]+): "`).FindAllStringSubmatch(page[from:from+to], -1) {
		reasons = append(reasons, m[1])
	}
	for r := Shown + 1; r < reasonCount; r++ {
		known = append(known, r.String())
	}
	if !slices.Equal(reasons, known) {
		t.Errorf("the page has the reasons %q, the node %q", reasons, known)
	}
}
