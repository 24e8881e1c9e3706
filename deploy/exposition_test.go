package deploy

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// exposition is a text in the Prometheus form 0.0.4, and what is wrong with it.
type exposition struct {
	series   series            // by name, as samples have it
	families []string          // in their order
	kinds    map[string]string // by family
	helps    map[string]string
	faults   []string

	family string // that lines belong to
	done   map[string]bool
	seen   map[string]bool // samples
	bucket struct {
		of      string // family and labels but le
		le, sum float64
	}
}

var (
	samplePattern = regexp.MustCompile(`^([a-z][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)$`)
	labelPattern  = regexp.MustCompile(`([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"`)
	// What a name says that is not in seconds, bytes or as a share, or not where it belongs.
	unitPattern = regexp.MustCompile(`_(milliseconds|millis|ms|microseconds|micros|us|nanoseconds|ns|minutes|hours|days|kilobytes|kb|mb|gb|kib|mib|bits|percent|celsius)(_|$)`)
	tailPattern = regexp.MustCompile(`_(seconds|bytes)_.*_?(seconds|bytes)?$`)
)

func (e *exposition) fault(format string, args ...any) {
	e.faults = append(e.faults, fmt.Sprintf(format, args...))
}

// parseExposition reads a text.
func parseExposition(text string) *exposition {
	e := &exposition{series: series{}, kinds: map[string]string{}, helps: map[string]string{}, done: map[string]bool{}, seen: map[string]bool{}}
	if !strings.HasSuffix(text, "\n") {
		e.fault("the last line does not end")
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if comment, ok := strings.CutPrefix(line, "# "); ok {
			e.comment(comment)
		} else {
			e.sample(line)
		}
	}
	e.endHistogram("")
	for name, kind := range e.kinds {
		e.named(name, kind)
	}
	slices.Sort(e.faults)
	return e
}

// comment reads HELP, which begins a family, or TYPE after it.
func (e *exposition) comment(line string) {
	words := strings.SplitN(line, " ", 3)
	switch {
	case len(words) != 3 || words[2] == "":
		e.fault("%q says nothing", line)
	case words[0] == "HELP":
		if e.done[words[1]] {
			e.fault("%s stands here a second time", words[1])
		}
		e.family, e.done[words[1]] = words[1], true
		e.helps[words[1]] = words[2]
		e.families = append(e.families, words[1])
	case words[0] == "TYPE" && words[1] == e.family && e.kinds[words[1]] == "" && slices.Contains([]string{"counter", "gauge", "histogram"}, words[2]):
		e.kinds[words[1]] = words[2]
	default:
		e.fault("%q is not what follows the HELP of %s", line, e.family)
	}
}

// sample reads one series.
func (e *exposition) sample(line string) {
	parts := samplePattern.FindStringSubmatch(line)
	if parts == nil {
		e.fault("%q is no sample", line)
		return
	}
	name, labels := parts[1], parts[2]
	value, err := strconv.ParseFloat(parts[3], 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		e.fault("%q has no value", line)
	}
	if key := name + "{" + labels; e.seen[key] {
		e.fault("%q stands here a second time", line)
	} else {
		e.seen[key] = true
	}
	kind := e.kinds[e.family]
	if part := strings.TrimPrefix(name, e.family); kind == "" || part != "" && (kind != "histogram" || !slices.Contains([]string{"_bucket", "_sum", "_count"}, part)) {
		e.fault("%s stands below %s, a %s", name, e.family, kind)
	}
	if kind != "gauge" && value < 0 {
		e.fault("%q is below 0", line)
	}
	if e.series[name] == nil {
		e.series[name] = map[string][]string{}
	}
	le := ""
	for _, label := range labelPattern.FindAllStringSubmatch(labels, -1) {
		if label[1] == "le" {
			le = label[2]
		}
		if (label[1] == "le") != strings.HasSuffix(name, "_bucket") && kind == "histogram" || slices.Contains([]string{"quantile", "instance", "job"}, label[1]) {
			e.fault("%q has the label %s", line, label[1])
		}
		e.series[name][label[1]] = append(e.series[name][label[1]], label[2])
	}
	if kind == "histogram" {
		e.histogram(strings.TrimPrefix(name, e.family), strings.Replace(labels, `le="`+le+`"`, "", 1), le, value)
	}
}

// histogram checks that buckets ascend and end in +Inf, and that there are a sum and a count, which is that of the last.
func (e *exposition) histogram(part, labels, le string, value float64) {
	b := &e.bucket
	of := e.family + "{" + labels
	switch part {
	case "_bucket":
		if b.of != of {
			e.endHistogram(of)
		}
		bound, err := strconv.ParseFloat(le, 64)
		if err != nil || bound <= b.le || value < b.sum {
			e.fault("%s: bucket %q has %v after %v", of, le, value, b.sum)
		}
		b.le, b.sum = bound, value
	case "_count":
		if b.of != of || !math.IsInf(b.le, 1) || b.sum != value {
			e.fault("%s: the last bucket, to %v, has %v of %v", of, b.le, b.sum, value)
		}
		e.seen[of+" counted"] = true
	}
}

func (e *exposition) endHistogram(next string) {
	if of := e.bucket.of; of != "" && !e.seen[of+" counted"] {
		e.fault("%s has no count", of)
	}
	e.bucket.of, e.bucket.le, e.bucket.sum = next, math.Inf(-1), 0
}

// named says what is wrong with a name: base units, which stand last, and total for counters alone.
func (e *exposition) named(name, kind string) {
	own := strings.HasPrefix(name, "restraint_")
	switch {
	case !own && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_"):
		e.fault("%s is of nothing that is known", name)
	case (kind == "counter") != strings.HasSuffix(name, "_total"):
		e.fault("%s is a %s", name, kind)
	case unitPattern.MatchString(name) || own && strings.Contains(name+"_", "_"+kind+"_"):
		e.fault("%s: write seconds, bytes or a share, and leave out the type", name)
	case own && tailPattern.MatchString(strings.TrimSuffix(name, "_total")):
		e.fault("%s: the unit stands last", name)
	case kind == "histogram" && !strings.HasSuffix(name, "_seconds") && !strings.HasSuffix(name, "_bytes"):
		e.fault("%s has no unit", name)
	case kind != "histogram" && (strings.HasSuffix(name, "_count") || strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_bucket")):
		e.fault("%s is named as a part of a histogram", name)
	}
	if help := e.helps[name]; !strings.HasSuffix(help, ".") || strings.ContainsAny(help, "\\`") {
		e.fault("%s: %q is no sentence", name, help)
	}
}

// The rules find what is wrong, and nothing in what is right.
func TestExpositionRules(t *testing.T) {
	const good = "# HELP a_b_total Bees.\n# TYPE a_b_total counter\na_b_total{x=\"1\"} 1\na_b_total{x=\"\\\"\\\\\\n\"} 2\n"
	const series = "# HELP restraint_b_total Bees.\n# TYPE restraint_b_total counter\nrestraint_b_total{x=\"1\"} 1\nrestraint_b_total{x=\"\\\"\\\\\\n\"} 2e+06\n"
	const buckets = "# HELP go_x_seconds Time.\n# TYPE go_x_seconds histogram\ngo_x_seconds_bucket{le=\"1e-06\"} 1\ngo_x_seconds_bucket{le=\"1\"} 3\ngo_x_seconds_bucket{le=\"+Inf\"} 3\ngo_x_seconds_sum 2\ngo_x_seconds_count 3\n"
	for _, c := range []struct {
		text string
		want string // a part of the first fault; "": none
	}{
		{series, ""},
		{buckets, ""},
		{series + buckets, ""},
		{good, "a_b_total is of nothing"},
		{series + buckets + series, "a second time"},
		{strings.Replace(series, `x="1"`, `x="1`, 1), "is no sample"},
		{strings.Replace(series, `\\\n`, `\x00`, 1), "is no sample"},
		{strings.Replace(series, " 1\n", " NaN\n", 1), "no value"},
		{strings.Replace(series, " 1\n", " -1\n", 1), "below 0"},
		{strings.Replace(series, " 1\n", " 1 1700000000\n", 1), "is no sample"},
		{strings.Replace(series, "x=\"1\"} 1\n", "x=\"1\"} 1\nrestraint_b_total{x=\"1\"} 1\n", 1), "a second time"},
		{strings.Replace(series, "counter\n", "gauge\n", 1), "is a gauge"},
		{strings.ReplaceAll(series, "b_total", "b"), "is a counter"},
		{strings.ReplaceAll(series, "b_total", "b_ms_total"), "write seconds"},
		{strings.ReplaceAll(series, "b_total", "seconds_b_total"), "stands last"},
		{strings.Replace(series, "# TYPE restraint_b_total counter\n", "", 1), "stands below"},
		{strings.Replace(series, "# HELP restraint_b_total Bees.\n", "", 1), "is not what follows"},
		{strings.Replace(series, "Bees.", "Bees", 1), "is no sentence"},
		{strings.Replace(series, `x="1"`, `job="1"`, 1), "has the label job"},
		{strings.TrimSuffix(series, "\n"), "does not end"},
		{strings.Replace(buckets, "go_x_seconds_count 3\n", "", 1), "has no count"},
		{strings.Replace(buckets, "count 3", "count 4", 1), "the last bucket"},
		{strings.Replace(buckets, `"1"} 3`, `"1"} 0`, 1), "bucket"},
		{strings.Replace(buckets, `le="1"`, `le="1e-07"`, 1), "bucket"},
		{strings.Replace(buckets, "go_x_seconds_sum", "go_x_seconds_max", 1), "stands below"},
	} {
		e := parseExposition(c.text)
		if (len(e.faults) == 0) != (c.want == "") || c.want != "" && !slices.ContainsFunc(e.faults, func(f string) bool { return strings.Contains(f, c.want) }) {
			t.Errorf("%s\nfaults %q, want %q", c.text, e.faults, c.want)
		}
	}
}

// What a node says of itself is well formed, also to Prometheus' own tool, and nothing that
// somebody outside chose gets into it.
func TestMetrics(t *testing.T) {
	s := startScraped(t)
	s.work(t)
	before := parseExposition(s.must(t, 200, "GET", "/metrics", "", ""))
	s.annoy()
	text := s.must(t, 200, "GET", "/metrics", "", "")
	after := parseExposition(text)
	for _, fault := range after.faults {
		t.Error(fault)
	}
	for _, name := range slices.Sorted(maps.Keys(after.series)) {
		for label, values := range after.series[name] {
			if !slices.Equal(values, before.series[name][label]) {
				t.Errorf("%s{%s}: %q were %q", name, label, values, before.series[name][label])
			}
		}
	}
	if lists := after.series["restraint_list_keys"]["list"]; !slices.Contains(lists, `we\"ird\\list {a=\"b\"} é`) {
		t.Errorf("lists %q", lists)
	}
	s.wantLog(t)
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool: the rules of this test alone were looked at")
	}
	cmd := exec.Command(tool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if said, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(said)) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, said)
	}
}
