package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPolicyPage runs the commands of the page for campaign managers, in their order,
// against a node with the built-in example policy.
func TestPolicyPage(t *testing.T) {
	page, dir := pageOf(t, "policy.md"), t.TempDir()
	s := startServed(t, dir)
	host := strings.TrimPrefix(s.url, "http://")
	standIn(t, dir, "case $1 in check) exec "+binary+" \"$@\";; esac\nexec "+binary+" \"$@\" --addr "+host+"\n")
	deploy, err := filepath.Abs("../../deploy")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(deploy, filepath.Join(dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	// What each command must say; those of one command in the order of the page.
	wants := wanted([][2]string{
		{"policy show >", ""},
		{"check", `You can see "brand-x" of brand-x up to twice in an hour`},
		{"policy diff new", "-      - {per: campaign, limit: 1, within: 2h}\n+      - {per: campaign, limit: 2, within: 2h}\n"},
		{"put --dry-run", "limit 1 becomes 2 per campaign within 2h"},
		{"put --pilot 10", "percent: 10"},
		{"show --pilot", "limit: 2, within: 2h"},
		{"policy pilot", "version 2 is tried out on 10 % of people"},
		{"curl -fsS -K", ""},
		{"diff --effect", "shown of decisions         33.3 %  66.7 %  +33.3"},
		{"--percent 30", "percent: 30"},
		{"--promote --dry-run", "dry_run: true"},
		{"--promote", "version: 4"},
		{"history", "promotion of version 3"},
		{"rollback", "limit 2 becomes 1 per campaign within 2h"},
		{"put holdout", "0 becomes 5"},
		{"> dial.yaml", ""},
		{"policy put dial", "dial_back"},
		{"impression", `"accepted":1`},
		{"complaint", `"accepted":1`},
		{"--release", "spring-shoes is not dialled back"},
		{"review spring-shoes", "spring-shoes is paused: it is shown to nobody until it is released"},
		{"policy review", "2 reports by 2 people in 4 showings within 24h; 5,000 in 10,000 are enough"},
		{"decide", "you are among the 5 % of people, drawn by lot"},
		{"v1/report?by=campaign&", `"rows":`},
		{"format=csv", ""},
	}...)
	for command := range commandsOf(page) {
		out, err := shell(dir, strings.NewReplacer("127.0.0.1:8081", host, "127.0.0.1:8080", host).Replace(command))
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		wants.hold(t, command, out)
	}
	wants.rest(t)
}
