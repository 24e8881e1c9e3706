package main

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// command runs the built program with a key in its environment; none for "".
func command(t *testing.T, key string, args ...string) result {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "RESTRAINT_KEY="+key)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// Each command that talks to a node works with a key of the role it needs, in the
// environment and as a flag, and says what is missing without one and with another.
func TestCommandsWithKeys(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keys")
	keys := map[string]string{}
	for _, roles := range []string{"bid", "crm", "privacy", "ops", "metrics", "bid,ops"} {
		keys[roles], _ = newKey(t, file, "--client", strings.ReplaceAll(roles, ",", "-"), "--role", roles)
	}
	s := startServed(t, dir, "--keys-file", file)
	replays := t.TempDir()
	again := startServed(t, replays, "--keys-file", file, "--clock=request", "--policy", writeFile(t, "p.yaml", servedPolicy))
	people := writeFile(t, "people.txt", "u-1\nu-2\n")
	log := writeFile(t, "log.csv", "t,u,c\n2026-01-01T10:00:00Z,ann,shoes\n2026-01-01T10:05:00Z,ann,shoes\n")
	changed := writeFile(t, "policy.yaml", servedPolicy)
	for _, c := range []struct {
		addr, role, args, wants string
	}{
		{s.url, "crm", "push --list acme-customers --id user.id " + people, "2"},
		{s.url, "crm", "lists", "acme-customers"},
		{s.url, "ops", "lists", "acme-customers"},
		{s.url, "privacy", "user show --id u-1", "acme-customers"},
		{s.url, "privacy", "user opt-out --id u-3", "opted out"},
		{s.url, "privacy", "user opt-in --id u-3", "personalisation: yes"},
		{s.url, "privacy", "user erase --id u-4", "receipt "},
		{s.url, "privacy", "decide --user u-1 --campaign welcome-acme", "suppressed"},
		{s.url, "ops", "decide --user u-1 --campaign welcome-acme", "suppressed"},
		{s.url, "ops", "policy show", "campaigns:"},
		{s.url, "ops", "policy put --dry-run " + changed, "campaigns"},
		{s.url, "ops", "policy history", "VERSION"},
		{s.url, "ops", "policy diff " + changed, "shoes"},
		{again.url, "bid,ops", "replay --time-column t --user-column u --campaign-column c " + log, "cap"},
	} {
		args := append(strings.Fields(c.args), "--addr", c.addr)
		command(t, keys[c.role], args...).must(t, 0, c.wants)
		command(t, "", append(args, "--key", keys[c.role])...).must(t, 0, c.wants)
		command(t, "", args...).must(t, 1, "401")
		command(t, keys["metrics"], args...).must(t, 1, "403")
		command(t, keys[c.role][:60], args...).must(t, 1, "401")
		if strings.HasPrefix(c.args, "decide") || strings.HasPrefix(c.args, "replay") {
			command(t, keys["bid"], args...).must(t, 1, "403", "ops")
		}
	}
	command(t, "", "lists", "--addr", s.url).must(t, 1, "give an access key with --key or in RESTRAINT_KEY")
	command(t, keys["bid"], "user", "show", "--id", "u-1", "--addr", s.url).must(t, 1, "is for the role privacy; key "+keys["bid"][3:11]+" has bid")
	// What a command prints has no key in it.
	for _, args := range []string{"lists", "user show --id u-1"} {
		if r := command(t, keys["bid"], append(strings.Fields(args), "--addr", s.url)...); strings.Contains(r.stdout+r.stderr, keys["bid"][12:]) {
			t.Errorf("%s prints the key", args)
		}
	}
	s.stop(t)
	again.stop(t)
}

// A node that is given a file of keys with faults says every one and ends with 2.
func TestServeRefusesKeys(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keys")
	_, id := newKey(t, file, "--client", "a", "--role", "ops")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	serve := func(file string) result {
		return command(t, "", "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data", dir, "--keys-file", file)
	}
	for _, c := range []struct {
		mode  os.FileMode
		text  string
		wants []string
	}{
		{0o644, string(content), []string{"open to others (mode 0644): chmod 600"}},
		{0o600, "", []string{file + ":1: the file is empty"}},
		{0o600, string(content[:len(content)-5]), []string{file + ":2: ", "cut off"}},
		{0o600, strings.Replace(string(content), "end\n", string(content[len("restraint-keys 1\n"):]), 1), []string{file + `:3: id "` + id + `": stands on line 2 too`}},
		{0o600, "restraint-keys 1\nid=a\nrole=bid\nend\n", []string{"has 11 faults", file + ":2: id: ", file + ":3: role: there is no such field"}},
	} {
		writeKeys(t, file, c.mode, c.text)
		serve(file).must(t, 2, c.wants...)
	}
	serve(file+".not").must(t, 2, "there is no file of keys")
}

func writeKeys(t *testing.T, file string, mode os.FileMode, text string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(file, []byte(text), mode), os.Chmod(file, mode)); err != nil {
		t.Fatal(err)
	}
}

// At SIGHUP a node takes the keys of a file that is right, and keeps those it has where
// the file is wrong.
func TestKeysAtHangup(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keys")
	first, firstID := newKey(t, file, "--client", "a", "--role", "ops")
	s := startServed(t, dir, "--keys-file", file)
	status := func(key string) int {
		req, err := http.NewRequest("GET", s.url+"/v1/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Api-Key", key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	second, _ := newKey(t, file, "--client", "a", "--role", "ops")
	must := func(when string, a, b int) {
		t.Helper()
		if gotA, gotB := status(first), status(second); gotA != a || gotB != b {
			t.Errorf("%s: %d and %d, want %d and %d", when, gotA, gotB, a, b)
		}
	}
	must("before SIGHUP", 200, 401)
	s.cmd.Process.Signal(syscall.SIGHUP)
	if line := s.wait(t, "keys in force"); line["active"] != 2.0 {
		t.Errorf("%v", line)
	}
	must("after SIGHUP", 200, 200)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeKeys(t, file, 0o600, string(good[:len(good)-5]))
	s.cmd.Process.Signal(syscall.SIGHUP)
	if line := s.wait(t, "keys not reloaded, those in force stay"); !strings.Contains(line["error"].(string), "cut off") {
		t.Errorf("%v", line)
	}
	must("after a wrong file", 200, 200)
	writeKeys(t, file, 0o600, string(good))
	inProcess(t, nil, "", "keys", "revoke", firstID, "--keys-file", file).must(t, 0)
	s.cmd.Process.Signal(syscall.SIGHUP)
	if line := s.wait(t, "keys in force"); line["active"] != 1.0 || line["revoked"] != 1.0 {
		t.Errorf("%v", line)
	}
	must("after it was revoked", 401, 200)
	s.stop(t)
}
