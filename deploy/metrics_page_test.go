package deploy

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write metrics.md by what a node says, with the reasons that it has; new metrics without an alert get none, which the test then finds")

const metricsPage = "metrics.md"

// metricsHead stands above the table.
const metricsHead = `# Metrics

Every metric of ` + "`GET /metrics`" + ` (role ` + "`metrics`" + ` or ` + "`ops`" + `), and the alert that looks at it, or why there is none. Counters begin at 0 when the process starts.
A label that is not of the program has the name of a list or of a source, of the policy, or the id of a key, of the file of keys: neither people nor campaigns are in one.
A test holds this page to what a node answers; ` + "`go test ./deploy -run TestMetricsPage -update`" + ` writes it. Not on it: ` + "`process_*`" + `, which is what the
kernel says of the process, memory, files and waiting (PSI) among it.

| metric | type | what it says | alert |
|---|---|---|---|
`

var metricRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z]+) \\| (.*) \\| (.*) \\|$")

// The page has every metric, as the node describes it; of each that no alert looks at, it says why.
func TestMetricsPage(t *testing.T) {
	scraped(t)
	reasons := map[string]string{}
	for _, row := range metricRow.FindAllStringSubmatch(read(t, metricsPage), -1) {
		if !strings.HasPrefix(row[4], "[") {
			reasons[row[1]] = row[4]
		}
	}
	alerts := map[string][]string{}
	for _, r := range readRules(t) {
		q, err := parseQuery(r.Expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range q.selectors {
			name := s.name
			for _, part := range []string{"_bucket", "_count", "_sum"} {
				name = strings.TrimSuffix(name, part)
			}
			if link := fmt.Sprintf("[%s](README.md#%s)", r.Alert, strings.ToLower(r.Alert)); !slices.Contains(alerts[name], link) {
				alerts[name] = append(alerts[name], link)
			}
		}
	}
	var page strings.Builder
	page.WriteString(metricsHead)
	for _, name := range exposedOnce.families {
		if strings.HasPrefix(name, "process_") {
			continue
		}
		looks := strings.Join(alerts[name], ", ")
		if looks == "" {
			if looks = reasons[name]; strings.TrimSpace(looks) == "" {
				t.Errorf("%s has no alert, and %s does not say why", name, metricsPage)
			}
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", name, exposedOnce.kinds[name], exposedOnce.helps[name], looks)
	}
	if *update {
		if err := os.WriteFile(metricsPage, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if page.String() != read(t, metricsPage) {
		t.Errorf("%s is not what a node says: look at what go test ./deploy -run TestMetricsPage -update changes", metricsPage)
	}
}
