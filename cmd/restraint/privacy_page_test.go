package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// hangUp sends SIGHUP and waits until the node writes in the newest epoch of its secret.
func (s *served) hangUp(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	within(t, "the newest epoch is in use", func() bool {
		st := s.epochs(t).Secret
		return st.Newest > 0 && st.Active == st.Newest
	})
}

// TestPrivacyPage runs the commands of the page for privacy officers, in their order,
// against a node with the built-in example policy.
func TestPrivacyPage(t *testing.T) {
	page, dir := pageOf(t, "privacy.md"), t.TempDir()
	s := startServed(t, dir)
	standIn(t, dir, "case $1 in check|keys|audit|secret) exec "+binary+" \"$@\";; esac\nexec "+binary+" \"$@\" --addr \"$(cat addr)\"\n")
	serves := func(s *served) (host string) {
		host = strings.TrimPrefix(s.url, "http://")
		if err := os.WriteFile(filepath.Join(dir, "addr"), []byte(host), 0o600); err != nil {
			t.Fatal(err)
		}
		return host
	}
	deploy, err := filepath.Abs("../../deploy")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(deploy, filepath.Join(dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	// What each command must say; those of one command in the order of the page.
	wants := wanted([][2]string{
		{"v1/retention", `"kind":"exposures","person":true,"seconds":7776000`},
		{"user show --id -", "shown         campaign spring-shoes"},
		{"users/lookup", `"exposures":[{"per":"advertiser","name":"acme"`},
		{"decide --user u-123", "Not shown: you saw this campaign"},
		{"Accept: application/json", `"because":"Shown: you have seen`},
		{"/v1/why?t=$(cat token)&campaign=spring-shoes", "<h1>Why you see this advertisement</h1>"},
		{"/v1/hide", ""},
		{"/v1/opt-out", ""},
		{"user opt-out", "personalisation: no (opted out)"},
		{"user opt-in", "personalisation: yes"},
		{"users/preferences", `"hidden_advertisers":["brand-x"]`},
		{"user erase --id -", "receipt "},
		{"--receipt", "every node has it"},
		{"user show --id u-123", "forgotten"},
		{"--forget-opt-out", "every node has it"},
		{`"gdpr":1`, `"campaign":"spring-shoes","show":false,"reason":"no_consent"`},
		{`"lmt":1`, `"campaign":"spring-shoes","show":false,"reason":"opted_out"`},
		{"user opt-out --id u-5", "personalisation: no (opted out)"},
		{"audit show --id u-5", `"why":"wrote to us on 3 May"`},
		{"audit show", "person.erase done ("},
		{"v1/audit", `"action":"person.preferences"`},
		{"audit head", ""},
		{"audit verify --head", "by a head of head.json"},
		{"audit key", ""},
		{"audit verify --audit-key", "the record is whole"},
		{"check", "You can see"},
		{"secret rotate", "epoch 1 with fingerprint "},
		{"secret show", "0      "},
		{"v1/status", `"active":1,"newest":1`},
		{"restraint lists", ""},
		{"keys new", "key "},
		{"serve --keys-file", ""},
		{"cat dpo.key", "forgotten"},
		{"cat ad-server.key", `[{"campaign":"spring-shoes","show":false,"reason":"skip"}]`},
		{"keys list", "dpo        privacy  yes"},
		{"keys revoke", "is revoked"},
	}...)
	host := serves(s)
	for command := range commandsOf(page) {
		if args, again := strings.CutPrefix(command, "bin/restraint serve "); again {
			s.stop(t)
			s = startServed(t, dir, strings.Fields(args)...)
			host, command = serves(s), ": "+command
		}
		if strings.Contains(command, "v1/status") { // the page says to send it before
			s.hangUp(t)
		}
		out, err := shell(dir, strings.NewReplacer("127.0.0.1:8081", host, "127.0.0.1:8080", host).Replace(command))
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		wants.hold(t, command, out)
	}
	wants.rest(t)
	// What the buttons sent was held until the erasure that leaves no opt-out.
	if out, err := shell(dir, "RESTRAINT_KEY=$(cat dpo.key) bin/restraint user show --id u-7"); err != nil || strings.Contains(out, "hidden") || strings.Contains(out, "opted out") {
		t.Errorf("%v\n%s", err, out)
	}
}
