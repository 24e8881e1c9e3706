package main

import (
	"strings"
	"testing"
)

// TestCRMPage runs the commands of the page for CRM engineers, in their order,
// against a node with the built-in example policy.
func TestCRMPage(t *testing.T) {
	page, dir := pageOf(t, "crm.md"), t.TempDir()
	s := startServed(t, dir)
	standIn(t, dir, "command=$1\nshift\nexec "+binary+" \"$command\" --addr "+s.url+" \"$@\"\n")
	said := make(map[string]string)
	ran := 0
	for command := range commandsOf(page) {
		if strings.HasPrefix(command, "0 5") { // a line of a crontab, below
			continue
		}
		out, err := shell(dir, strings.ReplaceAll(command, "127.0.0.1:8081", strings.TrimPrefix(s.url, "http://")))
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		said[command] = out
		ran++
	}
	if ran < 12 {
		t.Errorf("only %d commands were found on the page", ran)
	}
	for command, out := range said {
		for part, want := range map[string]string{
			"--dry-run": "unchanged (--dry-run)", "decide": "skip: suppressed", "google export.csv": "columns read     Email Address as email_sha256",
			"kunden.csv": "Mail as email_sha256", "people.ndjson": "keys             2",
		} {
			if strings.Contains(command, part) && !strings.HasPrefix(command, "printf") && !strings.Contains(out, want) {
				t.Errorf("%s\nsays\n%s", command, out)
			}
		}
	}
	// The job of the crontab, without its times and its user; the page has added more
	// members than the export has.
	for line := range strings.Lines(page) {
		if _, job, found := strings.Cut(line, "crm  restraint push"); found {
			job = "bin/restraint push --force" + strings.ReplaceAll(job, "/exports/", "./")
			if out, err := shell(dir, "gzip -c export.csv > today.csv.gz && "+job); err != nil || !strings.Contains(out, "keys             2") {
				t.Errorf("the job: %v\n%s", err, out)
			}
			return
		}
	}
	t.Error("the page has no job")
}
