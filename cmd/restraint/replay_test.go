package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A replay through a node made for it: a recount of the verdicts that shares no code
// with the node finds no showing over a cap, and no skip for a cap that was not full.
func TestReplayRecount(t *testing.T) {
	dir := t.TempDir()
	r := inProcess(t, nil, "", "replay", "--policy", "../../deploy/examples", "--synthetic", "--seed", "3", "--first", "20000",
		"--expect", "3/24h", "--expect", "10/7d", "--expect", "item:5/7d", "--json", filepath.Join(dir, "summary.json"),
		filepath.Join(dir, "synthetic.csv"))
	if r.code != 0 {
		t.Fatalf("replay: %d\n%s", r.code, r.stderr)
	}
	for _, said := range []string{"SYNTHETIC LOG", "over-delivered                    0 of", "unexplained                       0", "users under the policy"} {
		if !strings.Contains(r.stdout, said) {
			t.Errorf("the summary does not say %q:\n%s", said, r.stdout)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	var summary map[string]any
	if err != nil || json.Unmarshal(text, &summary) != nil || len(summary) < 5 {
		t.Errorf("summary.json: %v\n%s", err, text)
	}
}

// Real logs are replayed under the example policies named after them.
func TestReplayRealLogs(t *testing.T) {
	logs, err := filepath.Glob("../../../shared/data/logs/*.csv.gz")
	if err != nil || len(logs) == 0 {
		t.Skip("no real logs beside the repository")
	}
	for _, name := range []string{"open_bandit_impressions", "otto_events", "online_retail", "cdnow_purchases", "completejourney_transactions"} {
		t.Run(name, func(t *testing.T) {
			r := inProcess(t, nil, "", "replay", "--policy", "../../deploy/examples", "--first", "3000", "../../../shared/data/logs/"+name+".csv.gz")
			if r.code != 0 || !strings.Contains(r.stdout, "refused by the node                              0\n") || !strings.Contains(r.stdout, "spared") {
				t.Errorf("replay: %d\n%s\n%s", r.code, r.stderr, r.stdout)
			}
		})
	}
}

func TestPresetOf(t *testing.T) {
	for file, want := range map[string]string{
		"a/open_bandit_impressions.csv.gz": "open-bandit", "cdnow_purchases.csv": "cdnow", "online_retail.csv.gz": "online-retail",
		"otto_events.csv": "otto", "ottoman.csv": "", "log.csv": "", "synthetic.csv": "synthetic", "otto": "",
	} {
		if got := presetOf(file); got != want {
			t.Errorf("%s: preset %q, want %q", file, got, want)
		}
	}
}

func TestReplayWrongUse(t *testing.T) {
	inProcess(t, nil, "", "replay").must(t, 2, "which log?")
	inProcess(t, nil, "", "replay", "--presets").must(t, 0, "open-bandit", "otto")
	inProcess(t, nil, "", "replay", "--expect", "many", "x.csv").must(t, 2, `"many"`)
	inProcess(t, nil, "", "replay", "--preset", "no-such", "x.csv").must(t, 2, `"no-such": there is no such preset`)
}

// Every wrong use is found before a node is started: in a place where none could
// start, it is what is reported.
func TestReplayChecksBeforeItStarts(t *testing.T) {
	log := writeFile(t, "log.csv", "t,u,c\n1000,ann,a\n")
	good := writeFile(t, "p.yaml", "markets: [{name: all, require: none}]\ncampaigns: {a: {advertiser: x}}\n")
	bad := writeFile(t, "bad.yaml", "campaigns:\n  a: {purpose: nothing, advertiser: x}\n")
	columns := []string{"--time-column", "t", "--user-column", "u", "--campaign-column", "c"}
	replay := func(policy string, args ...string) result {
		return inProcess(t, nil, "", append([]string{"replay", "--policy", policy, log}, args...)...)
	}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	replay(good, columns...).must(t, 1, "start a node for the replay")
	replay(good).must(t, 2, "wrong options", "--time-column=NAME", "--user-column=NAME", "--campaign-column=NAME")
	for _, c := range []struct{ args, want string }{
		{"--workers 999", "--workers=999: want a number from 1 to 256"},
		{"--window=-1", "--window=-1"},
		{"--first=-1", "--first=-1"},
		{"--expect x", `"x"`},
		{"--time-format soon", `--time-format="soon"`},
		{"--time-zone Mars", `--time-zone="Mars"`},
		{"--every-row click", `--every-row="click"`},
		{"--addr h", `"h"`},
	} {
		replay(good, append(strings.Fields(c.args), columns...)...).must(t, 2, c.want)
	}
	replay(bad, columns...).must(t, 2, bad+":2: campaigns.a.purpose")
	replay(bad+".not", columns...).must(t, 2, "no such file")
	replay(writeFile(t, "empty.yaml", "\n"), columns...).must(t, 2, "the file is empty")
	replay(t.TempDir(), columns...).must(t, 2, "is a folder: name the log's --preset")
	replay(t.TempDir(), "--preset", "otto").must(t, 2, "otto.yaml: no such file")
	made := filepath.Join(t.TempDir(), "made.csv")
	inProcess(t, nil, "", "replay", "--policy", good, "--synthetic", "--workers", "999", made).must(t, 2, "--workers=999")
	if _, err := os.Stat(made); err == nil {
		t.Error("a log was written for a replay that cannot be")
	}
}

func TestReplayMissingColumns(t *testing.T) {
	log := writeFile(t, "log.csv", "t,u,c\n1000,ann,a\n")
	policy := writeFile(t, "p.yaml", "markets: [{name: all, require: none}]\ncampaigns: {a: {advertiser: x}}\n")
	inProcess(t, nil, "", "replay", "--policy", policy, "--time-column", "when", "--user-column", "u", "--campaign-column", "c", log).
		must(t, 2, `no column "when" (name the right one with --time-column)`)
	inProcess(t, nil, "", "replay", "--policy", policy, "--time-column", "t", "--user-column", "u", "--campaign-column", "c", log+".not").
		must(t, 1, "no such file")
}
