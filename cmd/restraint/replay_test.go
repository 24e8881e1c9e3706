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
