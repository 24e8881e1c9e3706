package edge

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Each text stands for one metric, and each metric that is described is one that a node
// writes: those of deploy/metrics.md, which a test holds to a node that does everything.
func TestFamilies(t *testing.T) {
	page, err := os.ReadFile("../deploy/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` ").FindAllSubmatch(page, -1) {
		rows = append(rows, string(row[1]))
	}
	var names []string
	texts := map[string]string{}
	for _, f := range families {
		if !strings.HasPrefix(f.name, "process_") { // which not every kernel has
			names = append(names, f.name)
		}
		if other := texts[f.help]; other != "" && f.help != "Time that all of them did." && f.help != "The most that it was." {
			t.Errorf("%s and %s have one text", f.name, other)
		}
		texts[f.help] = f.name
	}
	if strings.Join(names, " ") != strings.Join(rows, " ") || len(described) != len(families) {
		t.Errorf("described are\n%v\nnodes write\n%v", names, rows)
	}
}

// Series are put together by family, whatever order they came in; one that nobody
// describes is written all the same.
func TestExpose(t *testing.T) {
	var out bytes.Buffer
	expose(&out, []byte("restraint_users 2\nunheard_of 1\nrestraint_list_keys{list=\"a\"} 1\nrestraint_ready 1\n"+
		"restraint_list_bytes{list=\"a\"} 3\nrestraint_list_keys{list=\"b\"} 2\nrestraint_decide_duration_seconds_bucket{le=\"+Inf\"} 0\nrestraint_decide_duration_seconds_count 0\n"))
	text := regexp.MustCompile(`(?m)^# HELP .*\n# TYPE `).ReplaceAllString(out.String(), "# ")
	want := "# restraint_ready gauge\nrestraint_ready 1\n" +
		"# restraint_decide_duration_seconds histogram\nrestraint_decide_duration_seconds_bucket{le=\"+Inf\"} 0\nrestraint_decide_duration_seconds_count 0\n" +
		"# restraint_users gauge\nrestraint_users 2\n" +
		"# restraint_list_keys gauge\nrestraint_list_keys{list=\"a\"} 1\nrestraint_list_keys{list=\"b\"} 2\n" +
		"# restraint_list_bytes gauge\nrestraint_list_bytes{list=\"a\"} 3\n" +
		"unheard_of 1\n"
	if text != want {
		t.Errorf("%s\nwant\n%s", text, want)
	}
	if got := label("list", "a\"\\\n\xff"); got != `list="a\"\\\n�"` {
		t.Errorf("%s", got)
	}
}
