package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"restraint/loadtest"
)

// startLoaded starts a node with a policy and returns what reaches it: its bid listener
// on a unix socket, its admin listener on loopback.
func startLoaded(t *testing.T, policy string) (s *served, args []string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	s = startServed(t, dir, "--listen", "unix:"+filepath.Join(dir, "bid.sock"))
	return s, []string{
		"load", "--addr", "unix:" + filepath.Join(dir, "bid.sock"), "--admin", strings.TrimPrefix(s.url, "http://"),
		"--duration", "1s", "--warm-up", "0s", "--timeout", "20s", "--json", filepath.Join(dir, "report.json"),
	}
}

// reportOf is the report that the last run wrote.
func reportOf(t *testing.T, args []string) (r loadtest.Report) {
	t.Helper()
	text, err := os.ReadFile(args[len(args)-1])
	if err != nil {
		t.Fatal(err)
	}
	read := json.NewDecoder(bytes.NewReader(text))
	read.DisallowUnknownFields()
	if err := read.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

func skips(r *loadtest.Report, reason string) int {
	for _, c := range r.Verdicts.Reasons {
		if c.Name == reason {
			return c.N
		}
	}
	return 0
}

const cappedPolicy = `
markets: [{name: all, require: none}]
campaigns:
  shoes: {advertiser: acme, groups: [feet], caps: [{per: campaign, limit: 3, within: 24h}, {per: group:feet, limit: 5, within: 7d}]}
  socks: {advertiser: acme, groups: [feet], caps: [{per: creative, limit: 1, within: 1h}, {per: advertiser, limit: 6, within: 24h}]}
  hats: {advertiser: other, caps: [{per: item, limit: 2, within: 30d}, {per: campaign, limit: 4, within: lifetime}]}
  gloves: {advertiser: other, caps: [{per: category, limit: 2, within: 2d}, {per: all, limit: 12, within: 7d}]}
`

// A node keeps to the caps of its policy under load, as counted by somebody who shares
// no code with it; and the oracle can tell, since caps fill.
func TestLoadOracleOfRealNode(t *testing.T) {
	s, args := startLoaded(t, cappedPolicy)
	for _, more := range [][]string{nil, {"--want", "3"}, {"--want", "2", "--token"}} {
		run := append(append(args[:1:1], "--oracle", "--rate", "1500", "--users", "60", "--mix", "decide=50,impression=50", "--slo", "errors<0.1%"), append(more, args[1:]...)...)
		r := inProcess(t, nil, "", run...)
		r.must(t, r.code, "over-delivered", "false negatives") // valid or not: the machine may be busy
		report := reportOf(t, args)
		o := report.Oracle
		if o.OverDelivered != 0 || o.FalseNegatives != 0 || o.Capped < 1000 || o.Shown < 100 || o.Impressions < 100 {
			t.Errorf("%v: %+v\n%s", more, o, r.stdout)
		}
		if report.Requests.Good != report.Requests.Offered || report.Server == nil || report.Server.CPUSeconds == 0 || report.Target.Version == "" {
			t.Errorf("%v: %+v, errors %v, server %+v", more, report.Requests, report.Errors, report.Server)
		}
	}
	s.stop(t)
}

// What is made up is a valid request and a valid consent string to a node.
func TestLoadIsUnderstood(t *testing.T) {
	s, args := startLoaded(t, `
consent: {vendor: 77}
markets:
  - {name: eu, countries: [DEU], require: tcf}
  - {name: us, countries: [USA], require: opt_out}
campaigns:
  shoes: {advertiser: acme, purpose: retargeting, interest: {least: 2, after: 30m, fresh: 3d, until: 14d, from: [own]}}
  hats: {advertiser: acme, purpose: acquisition}
`)
	run := func(more ...string) loadtest.Report {
		t.Helper()
		r := inProcess(t, nil, "", append(append(args[:1:1], more...), args[1:]...)...)
		r.must(t, r.code, "corrected")
		report := reportOf(t, args)
		if report.Requests.Good != report.Requests.Offered || report.Requests.Offered == 0 {
			t.Errorf("%v: %+v, errors %v", more, report.Requests, report.Errors)
		}
		return report
	}
	if r := run("--countries", "DEU=1,USA=1", "--consent", "100", "--ifa", "50", "--identifiers", "3", "--rate", "500"); r.Verdicts.Shown != r.Verdicts.Decisions {
		t.Errorf("with consent: %+v", r.Verdicts)
	}
	r := run("--countries", "DEU=1", "--rate", "300")
	if skips(&r, "no_consent") != int(r.Verdicts.Decisions) || r.Outcome != loadtest.OutcomeInvalid {
		t.Errorf("without consent: %+v, %s", r.Verdicts, r.Outcome)
	}
	r = run("--countries", "DEU=1", "--consent", "50", "--rate", "500")
	if share := float64(skips(&r, "no_consent")) / float64(r.Verdicts.Decisions); share < 0.3 || share > 0.7 {
		t.Errorf("with consent of half: %+v", r.Verdicts)
	}
	run("--countries", "USA=1", "--consent", "100", "--mix", "decide=5,impression=2,click=1,purchase=1,hide=1", "--rate", "500")
	run("--countries", "USA=1", "--want", "2", "--hold", "--brief", "--rate", "300")
	run("--schedule", "spike", "--arrivals", "poisson", "--rate", "200", "--countries", "USA=1")
	if _, err := os.Stat("../../../shared/data/bidrequests_bulk.jsonl.gz"); err == nil {
		r := run("--source", "../../../shared/data/bidrequests_bulk.jsonl.gz", "--rate", "1500")
		if r.Config.SourceRows != 1502 || r.Requests.Good != r.Requests.Offered {
			t.Errorf("%+v, %v", r.Requests, r.Errors)
		}
	}
	s.stop(t)
}

// The exit codes of the real program.
func TestLoadExitCodes(t *testing.T) {
	_, args := startLoaded(t, cappedPolicy)
	quick := append(args[1:len(args):len(args)], "--rate", "200", "--users", "100000")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--slo", "p50<10s", "--closed"}, 0, "Every objective was met."},
		{[]string{"--slo", "p50<1ns", "--closed"}, 99, "AN OBJECTIVE WAS MISSED"},
		{[]string{"--campaign", "no-such", "--slo", "p50<10s"}, 3, "unknown_campaign"},
		{[]string{"--slo", "fast"}, 2, `"fast"`},
		{[]string{"--mix", "views=1"}, 2, "views"},
		{[]string{"--countries", "usa"}, 2, "usa"},
		{[]string{"--rate", "0"}, 2, "--rate=0"},
		{[]string{"--duration", "0s"}, 2, "--duration"},
		{[]string{"--addr", "192.0.2.1:80"}, 2, "--yes-remote"},
		{[]string{"--hgrm", "/no/such/folder/x.hgrm"}, 2, "/no/such/folder"},
		{[]string{"--addr", "127.0.0.1:1"}, 1, "restraint serve"},
		{[]string{"--oracle", "--mix", "decide=1"}, 2, "--mix decide=50,impression=50"},
		{[]string{"--find-knee", "--closed"}, 2, "--find-knee"},
		{[]string{"--source", "no.jsonl"}, 1, "no.jsonl"},
		{[]string{"--out", "no/such/folder/x.html"}, 2, "there is no folder"},
	} {
		cmd := exec.CommandContext(t.Context(), binary, append(append([]string{"load"}, quick...), c.args...)...)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: exit %d, want %d with %q\n%s", c.args, code, c.code, c.want, out)
		}
	}
	inProcess(t, nil, "", "load", "--json-schema").must(t, 0, `"$schema"`)
}

// Ctrl-C ends the run early, with a report of what was run.
func TestLoadInterrupted(t *testing.T) {
	s, args := startLoaded(t, cappedPolicy)
	hgrm := filepath.Join(t.TempDir(), "l.hgrm")
	cmd := exec.Command(binary, append(args[:len(args):len(args)], "--duration", "1h", "--hgrm", hgrm)...)
	var out bytes.Buffer
	progress, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	said := make([]byte, 4096)
	for all := ""; !strings.Contains(all, "measuring"); {
		n, err := progress.Read(said)
		if all += string(said[:n]); err != nil {
			t.Fatalf("%v: %s", err, all)
		}
	}
	s.until(t, func() bool {
		_, metrics := s.get(t, "/metrics")
		count := regexp.MustCompile(`(?m)^restraint_decide_duration_seconds_count (\d+)$`).FindStringSubmatch(metrics)
		return count != nil && len(count[1]) > 1 // more than the one that the load test asks before it measures
	})
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	text := new(bytes.Buffer)
	_, _ = text.ReadFrom(progress)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(text.String(), "interrupted after") || !strings.Contains(out.String(), "CUT SHORT") {
		t.Errorf("exit %d\n%s\n%s", code, text, out.String())
	}
	if r := reportOf(t, args); r.CutShort == "" || r.Seconds > 60 || r.Requests.Good == 0 {
		t.Errorf("%+v", r.Requests)
	}
	if info, err := os.Stat(hgrm); err != nil || info.Size() == 0 {
		t.Errorf("%v", err)
	}
}

func TestLoadSendsTheKey(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
	}{
		"flag":        {nil, []string{"--key", "k-1"}},
		"environment": {map[string]string{"RESTRAINT_KEY": "k-1"}, nil},
	} {
		addr, last := fakeNode(t, 200, "text/plain", "campaigns: {}")
		inProcess(t, c.env, "", append([]string{"load", "--addr", addr, "--admin", addr}, c.args...)...).must(t, 1, "no campaign that is active")
		if got := last.header.Get("Authorization"); got != "Bearer k-1" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestLoadWantsTheOutcome(t *testing.T) {
	for outcome, code := range map[string]int{loadtest.OutcomePass: 0, loadtest.OutcomeMissed: 99, loadtest.OutcomeInvalid: 3} {
		err := loadOutcome(&loadtest.Report{Outcome: outcome})
		if got := 0; err != nil {
			if got = exitCode(fmt.Errorf("load: %w", err)); got != code {
				t.Errorf("%s: exit %d", outcome, got)
			}
		} else if code != 0 {
			t.Errorf("%s is a pass", outcome)
		}
	}
	if err := loadOutcome(&loadtest.Report{Outcome: loadtest.OutcomePass, CutShort: "interrupted"}); exitCode(err) != 1 {
		t.Errorf("cut short: %v", err)
	}
}
