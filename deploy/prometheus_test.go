package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rules are the files of alerts, with all that is used.
type rules struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) (all []rule) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "prometheus/alerts.yaml")))
	decoder.KnownFields(true)
	var r rules
	if err := decoder.Decode(&r); err != nil {
		t.Fatal(err)
	}
	for _, g := range r.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// others are metrics of Prometheus itself, node_exporter and the kubelet, with their labels.
var others = map[string][]string{
	"up":                          nil,
	"node_filesystem_avail_bytes": {"mountpoint"}, "node_filesystem_size_bytes": {"mountpoint"},
	"kubelet_volume_stats_available_bytes": {"namespace"}, "kubelet_volume_stats_capacity_bytes": {"namespace"},
}

// written are metrics that a node writes once there is something to say: what is held has an oldest. The values of the label are those of
// another metric.
var written = map[string][2]string{"restraint_oldest_seconds": {"kind", "restraint_retention_seconds"}}

// check says what is wrong with the names in a query: metrics that no node has, and labels and values that they do not have.
func (s series) check(q *query) (faults []string) {
	all := []string{"instance", "job"} // which every scrape adds
	for _, sel := range q.selectors {
		if labels, other := others[sel.name]; other {
			all = append(all, labels...)
			continue
		}
		labels, known := s[sel.name]
		if like, later := written[sel.name]; later {
			labels, known = s[like[1]], true
		}
		if !known {
			faults = append(faults, fmt.Sprintf("no node has %s", sel.name))
			continue
		}
		for label := range labels {
			all = append(all, label)
		}
		for label, match := range sel.labels {
			if label == "instance" || label == "job" {
				continue
			}
			for value := range strings.SplitSeq(strings.Trim(strings.TrimLeft(match, "=!~"), `"`), "|") {
				if !slices.Contains(labels[label], value) && !strings.Contains(value, "$") {
					faults = append(faults, fmt.Sprintf("%s has no %s=%q", sel.name, label, value))
				}
			}
		}
	}
	for _, label := range q.grouped {
		if !slices.Contains(all, label) {
			faults = append(faults, fmt.Sprintf("nothing has the label %q", label))
		}
	}
	return faults
}

// headings are the anchors of a page, as GitHub makes them.
func headings(page string) (anchors []string) {
	for line := range strings.Lines(page) {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && line[0] == '#' {
			anchor := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(heading)), " ", "-")
			anchors = append(anchors, regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(anchor, ""))
		}
	}
	return anchors
}

var alertName = regexp.MustCompile(`^Restraint[A-Z][A-Za-z]+$`)

// Every alert asks for metrics that nodes have, says how bad it is, and leads to what to do
// about it; and every runbook has its alert.
func TestAlerts(t *testing.T) {
	metrics, anchors := scraped(t), headings(read(t, "README.md"))
	names, runbooks := map[string]bool{}, []string{}
	all := readRules(t)
	if len(all) < 30 {
		t.Errorf("only %d alerts", len(all))
	}
	for _, r := range all {
		if !alertName.MatchString(r.Alert) || names[r.Alert] {
			t.Errorf("%q is no name, or used twice", r.Alert)
		}
		names[r.Alert] = true
		q, err := parseQuery(r.Expr)
		if err != nil {
			t.Errorf("%s: %v", r.Alert, err)
			continue
		}
		for _, fault := range metrics.check(q) {
			t.Errorf("%s: %s", r.Alert, fault)
		}
		if r.For != "" && !durationPattern.MatchString(r.For) {
			t.Errorf("%s: for %s", r.Alert, r.For)
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" || len(r.Labels) != 1 {
			t.Errorf("%s: labels %v", r.Alert, r.Labels)
		}
		if r.Annotations["summary"] == "" || len(r.Annotations) != 2 {
			t.Errorf("%s: annotations %v", r.Alert, r.Annotations)
		}
		anchor, ok := strings.CutPrefix(r.Annotations["runbook_url"], "README.md#")
		if !ok || anchor != strings.ToLower(r.Alert) || !slices.Contains(anchors, anchor) {
			t.Errorf("%s: %s is no heading of README.md", r.Alert, r.Annotations["runbook_url"])
		}
		runbooks = append(runbooks, anchor)
	}
	for _, anchor := range anchors {
		if strings.HasPrefix(anchor, "restraint") && !slices.Contains(runbooks, anchor) {
			t.Errorf("README.md has a runbook %s for an alert that there is not", anchor)
		}
	}
}

// What is misspelt is found.
func TestMetricFaults(t *testing.T) {
	s := series{"m_total": {"reason": {"cap", "hidden"}}}
	for text, want := range map[string]int{
		`m_total`: 0, `sum by (reason, instance) (rate(m_total{reason="cap"}[5m]))`: 0, `m_total{reason=~"cap|hidden"}`: 0, `up{job="x"}`: 0,
		`n_total`: 1, `m_total{reason="cop"}`: 1, `m_total{because="cap"}`: 1, `sum by (raison) (m_total)`: 1, `m_total{reason=~"cap|hiden"}`: 1,
	} {
		q, err := parseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		if faults := s.check(q); len(faults) != want {
			t.Errorf("%s: %q", text, faults)
		}
	}
}

// Where Prometheus is installed, its own tool finds no fault, and alerts fire when they should.
func TestAlertsByPromtool(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool")
	}
	for _, args := range [][]string{{"check", "rules", "prometheus/alerts.yaml"}, {"check", "config", "--syntax-only", "prometheus/prometheus.yaml"}, {"test", "rules", "prometheus/alerts_when.yaml"}} {
		cmd := exec.Command(tool, args...)
		cmd.Env = os.Environ()
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, said)
		}
	}
}
