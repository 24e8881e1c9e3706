package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"load", "--rate=4000", "--mix", "decide=95,impression=5"}, "restraint load --rate=4000 --mix decide=95,impression=5"},
		{[]string{"load", "--slo", "p99<1ms"}, "restraint load --slo 'p99<1ms'"},
		{[]string{"load", "--key", "secret", "--key=secret", "--users", "5"}, "restraint load --key KEY --key=KEY --users 5"},
		{[]string{"replay", "it's here.csv", ""}, `restraint replay 'it'\''s here.csv' ''`},
		{[]string{"load", "--key"}, "restraint load --key"},
	} {
		if got := commandLine(c.args); got != c.want {
			t.Errorf("%q: %s, want %s", c.args, got, c.want)
		}
	}
}

// A replay draws what it says: the page has the figures of the text, the policy, and
// how to run it again, and no key.
func TestReplayReport(t *testing.T) {
	dir := t.TempDir()
	log, out := filepath.Join(dir, "synthetic.csv"), filepath.Join(dir, "spared.html")
	r := inProcess(t, nil, "", "replay", "--policy", "../../deploy/examples", "--synthetic", "--first", "5000", "--key", "hush-hush", "--report", out, log)
	r.must(t, 0, "SYNTHETIC LOG")
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	found := 0
	for _, line := range strings.Split(r.stdout, "\n") {
		for _, start := range []string{"impressions in the log", "  shown ", "  spared ", "    cap ", "users who reached a cap"} {
			if strings.HasPrefix(line, start) {
				found++
				if figure := strings.TrimSuffix(strings.Fields(strings.TrimPrefix(line, start))[0], ","); !strings.Contains(page, ">"+figure+"<") && !strings.Contains(page, ">"+figure+" <") {
					t.Errorf("the page lacks %s of %q", figure, line)
				}
			}
		}
	}
	if found != 5 {
		t.Errorf("%d of the lines looked for are in\n%s", found, r.stdout)
	}
	for _, want := range []string{"A made-up log:", "../../deploy/examples/synthetic.yaml, which stands at the end", "campaigns:", "--key KEY --report", "</html>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "hush-hush") {
		t.Error("the key is in the page")
	}
	inProcess(t, nil, "", "replay", "--policy", "../../deploy/examples", "--report", filepath.Join(dir, "none", "x.html"), log).must(t, 2, "there is no folder")
	inProcess(t, nil, "", "replay", "--policy", "../../deploy/examples", "--json", filepath.Join(dir, "none", "x.json"), log).must(t, 2, "there is no folder")
}

// A load test of a real node draws what it reports, how to run it again, and no key.
func TestLoadReport(t *testing.T) {
	_, args := startLoaded(t, cappedPolicy)
	out := filepath.Join(t.TempDir(), "load.html")
	run := append(append(args[:1:1], "--rate", "300", "--users", "100", "--key", "hush-hush", "--out", out), args[1:]...)
	r := inProcess(t, nil, "", run...)
	r.must(t, r.code, "corrected") // valid or not: the machine may be busy
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.stderr)
	}
	page, report := string(text), reportOf(t, args)
	for _, want := range []string{
		report.StartedAt.UTC().Format("2006-01-02 15:04:05 UTC"), fmt.Sprintf("of %d</span>", report.Requests.Offered), "restraint load --rate 300 --users 100 --key KEY --out ",
		report.Target.Version, "</html>", `id="charts"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if invalid := strings.Contains(page, "Not valid: these figures"); invalid == report.Validity.Valid {
		t.Errorf("the page says not valid: %t, the report valid: %t", invalid, report.Validity.Valid)
	}
	if strings.Contains(page, "hush-hush") || report.Requests.Offered != 300 {
		t.Errorf("the key is in the page, or %d requests", report.Requests.Offered)
	}
	inProcess(t, nil, "", append(append(args[:1:1], "--out", filepath.Join(out, "x.html")), args[1:]...)...).must(t, 2, "there is no folder")
}
