package main

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func TestParseBenchmarks(t *testing.T) {
	const out = `goos: linux
pkg: restraint/caps
BenchmarkContains/keys=1e+06-2         	     300	         0 ns/op	        30.5 bloom-hit-ns	         0.36 bloom-hit/plain
some line of a log
BenchmarkContains/keys=1e+06-2         	     300	         0 ns/op	        31.5 bloom-hit-ns	         0.38 bloom-hit/plain
BenchmarkLarge/users=1e+06/at-once       	       1	1234567890 ns/op	  18.50 bytes/counter
PASS
`
	rs, err := parseBenchmarks([]byte(out))
	if err != nil || len(rs) != 3 {
		t.Fatalf("%d results, %v", len(rs), err)
	}
	v, err := rs.values("Contains/keys=1e+06", "bloom-hit-ns")
	if err != nil || len(v) != 2 || v[0] != 30.5 || v[1] != 31.5 {
		t.Errorf("%v, %v", v, err)
	}
	if v, err := rs.values("Large/users=1e+06/at-once", "bytes/counter"); err != nil || v[0] != 18.5 {
		t.Errorf("%v, %v", v, err)
	}
	for name, unit := range map[string]string{"Contains": "bloom-hit-ns", "Contains/keys=1e+06": "no-unit"} {
		if _, err := rs.values(name, unit); !errors.Is(err, errBenchmark) {
			t.Errorf("%s %s: %v", name, unit, err)
		}
	}
	for _, line := range []string{"BenchmarkX-2\t3\t4", "BenchmarkX-2\tmany\t4 ns/op", "BenchmarkX-2\t3\tfour ns/op", "BenchmarkX-2\t1 2 3 4"} {
		if _, err := parseBenchmarks([]byte(line)); !errors.Is(err, errBenchmark) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestMarks(t *testing.T) {
	for _, c := range []struct {
		m        *mark
		turns    []float64
		outcome  outcome
		distance float64
		says     string
	}{
		{atLeast(0.8), []float64{0.9, 0.8, 0.1}, met, 0, "met"},
		{atLeast(0.8), []float64{0.9, 0.4, 0.1}, missed, 0.5, "missed by 50 %"},
		{atMost(20), []float64{30, 20, 10}, met, 0, "met"},
		{atMost(20), []float64{30, 25, 10}, missed, 0.25, "missed by 25 %"},
		{atMost(0), []float64{0, 0, 1}, met, 0, "met"},
		{atMost(0), []float64{2, 2, 2}, missed, 2, "missed by 2"},
		{nil, []float64{1}, "", 0, ""},
	} {
		r := plainRow("s", "n", "u", c.turns, c.m)
		if r.Outcome != c.outcome || r.Distance != c.distance || r.cells()[5] != c.says {
			t.Errorf("%v of %v: %q, %g, %q", c.m, c.turns, r.Outcome, r.Distance, r.cells()[5])
		}
	}
	// The ratio is the median of the turns', not that of the medians.
	r := ratioRow("s", "n", "/s", []float64{100, 10, 90}, []float64{200, 10, 90}, "x", atLeast(0.9))
	if r.Ratio != 1 || r.Measured != 90 || r.Beside != 90 || r.Outcome != met {
		t.Errorf("%+v", r)
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.001234: "0.0012", 0.8: "0.8", 0.123456: "0.123", 1: "1", 12.345: "12.3", 123.9: "124", 999.6: "1,000", 1234: "1,230", 1_234_567: "1,230,000", -5: "-5",
	} {
		if got := short(v); got != want {
			t.Errorf("%g is %q, not %q", v, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	rows := []row{
		ratioRow("first", "a", "/s", []float64{80, 100, 90}, []float64{100, 100, 100}, "bare", atLeast(0.95)),
		missingRow("first", "b", "there is none"),
		plainRow("second", "c", "us", []float64{5}, nil),
	}
	rows[0].Note = "know this"
	var text, markdown strings.Builder
	if err := printTable(&text, rows); err != nil {
		t.Fatal(err)
	}
	printMarkdown(&markdown, rows)
	const wantText = `
first  measured      beside    ratio  mark           spread
  a    90 /s         100 bare  0.9    at least 0.95  missed by 5.26 %  0.8 to 1
  b    not measured                                  there is none

second  measured  beside  ratio  mark  spread
  c     5 us

a: know this
`
	const wantMarkdown = `
| first | measured | beside | ratio | mark | | spread |
|---|---|---|---|---|---|---|
| a | 90 /s | 100 bare | 0.9 | at least 0.95 | missed by 5.26 % | 0.8 to 1 |
| b | not measured |  |  |  | there is none |  |

| second | measured | beside | ratio | mark | | spread |
|---|---|---|---|---|---|---|
| c | 5 us |  |  |  |  |  |
`
	if squeeze(text.String()) != squeeze(wantText) {
		t.Errorf("got\n%s", text.String())
	}
	if markdown.String() != wantMarkdown {
		t.Errorf("got\n%s", markdown.String())
	}
	for line := range strings.Lines(text.String()) {
		if strings.HasSuffix(line, " \n") {
			t.Errorf("%q ends with spaces", line)
		}
	}
}

// squeeze makes one space of many.
func squeeze(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// Consent strings are distinct, valid base64url and of the length that is usual.
func TestConsentStrings(t *testing.T) {
	seen := map[string]bool{}
	for n := range 10_000 {
		s := consentString(n)
		if raw, err := base64.RawURLEncoding.DecodeString(s); err != nil || raw[0]>>2 != 2 || len(s) < 150 || len(s) > 250 {
			t.Fatalf("%q: %v", s, err)
		}
		seen[s] = true
	}
	if len(seen) != 10_000 {
		t.Errorf("%d distinct strings of 10,000", len(seen))
	}
}

// Redis is asked about the same users and candidates as the node.
func TestSameQuestions(t *testing.T) {
	s := shape{Candidates: 5}
	names := namings()
	ours, theirs := s.decideRequests(100, 20), s.redisRequests(&names[0], 100, 20, "")
	script := s.redisRequests(&names[1], 100, 20, "0123")
	for i, a := range s.asks(100, 20) {
		if !strings.Contains(string(ours[i]), `"id":"`+userName(a.user)+`"`) || !strings.Contains(string(theirs[i]), "\r\n"+names[0].key(a.user)+"\r\n") {
			t.Errorf("request %d is not of user %d", i, a.user)
		}
		for _, c := range a.campaigns {
			if !strings.Contains(string(ours[i]), `"`+campaignName(c)+`"`) || !strings.Contains(string(theirs[i]), "\r\n"+campaignName(c)+"\r\n") {
				t.Errorf("request %d does not ask for %s", i, campaignName(c))
			}
		}
		if strings.Count(string(ours[i]), `"campaign"`) != 5 || strings.Count(string(theirs[i]), "\r\n$") != 7 || !strings.HasPrefix(string(script[i]), "*10\r\n$7\r\nEVALSHA\r\n$4\r\n0123\r\n") {
			t.Errorf("%s\n%s\n%s", ours[i], theirs[i], script[i])
		}
	}
}
