package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
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

// A node reads its keys at the start, says every fault of the file and ends with 2; at
// SIGHUP it takes what is right and keeps what it has where the file is wrong.
func TestServeKeys(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keys")
	first, firstID := newKey(t, file, "--client", "a", "--role", "ops")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(mode os.FileMode, text string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(file, []byte(text), mode), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		mode  os.FileMode
		text  string
		wants []string
	}{
		{0o644, string(content), []string{"open to others (mode 0644): chmod 600"}},
		{0o600, "", []string{file + ":1: the file is empty"}},
		{0o600, string(content[:len(content)-5]), []string{file + ":2: ", "cut off"}},
		{0o600, strings.Replace(string(content), "end\n", string(content[len("restraint-keys 1\n"):]), 1), []string{file + `:3: id "` + firstID + `": stands on line 2 too`}},
		{0o600, "restraint-keys 1\nid=a\nrole=bid\nend\n", []string{"has 11 faults", file + ":2: id: ", file + ":3: role: there is no such field"}},
	} {
		write(c.mode, c.text)
		r := command(t, "", "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data", dir, "--keys-file", file)
		r.must(t, 2, c.wants...)
	}
	command(t, "", "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data", dir, "--keys-file", file+".not").must(t, 2, "there is no file of keys")

	write(0o600, string(content))
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
	if a, b := status(first), status(second); a != 200 || b != 401 {
		t.Errorf("before SIGHUP: %d, %d", a, b)
	}
	s.cmd.Process.Signal(syscall.SIGHUP)
	if line := s.wait(t, "keys in force"); line["active"] != 2.0 {
		t.Errorf("%v", line)
	}
	if a, b := status(first), status(second); a != 200 || b != 200 {
		t.Errorf("after SIGHUP: %d, %d", a, b)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(0o600, string(good[:len(good)-5]))
	s.cmd.Process.Signal(syscall.SIGHUP)
	if line := s.wait(t, "keys not reloaded, those in force stay"); !strings.Contains(line["error"].(string), "cut off") {
		t.Errorf("%v", line)
	}
	if a, b := status(first), status(second); a != 200 || b != 200 {
		t.Errorf("after a wrong file: %d, %d", a, b)
	}
	write(0o600, string(good))
	inProcess(t, nil, "", "keys", "revoke", firstID, "--keys-file", file).must(t, 0)
	s.cmd.Process.Signal(syscall.SIGHUP)
	if line := s.wait(t, "keys in force"); line["active"] != 1.0 || line["revoked"] != 1.0 {
		t.Errorf("%v", line)
	}
	if a, b := status(first), status(second); a != 401 || b != 200 {
		t.Errorf("after it was revoked: %d, %d", a, b)
	}
	s.stop(t)
}

// A node in this process, where the race detector sees it, is sent SIGHUP again and
// again while requests go on: a key that stays is never refused, one that comes and
// goes is either.
func TestHangupUnderLoad(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP) // before the node does, it would end the test
	defer signal.Stop(caught)
	dir := t.TempDir()
	file, bid, admin := filepath.Join(dir, "keys"), filepath.Join(dir, "bid"), filepath.Join(dir, "admin")
	stays, _ := newKey(t, file, "--client", "stays", "--role", "bid")
	with, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changes, _ := newKey(t, file, "--client", "changes", "--role", "bid")
	both, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		ended <- run(ctx, &process{
			args:   []string{"serve", "--listen", "unix:" + bid, "--admin-listen", "unix:" + admin, "--data", filepath.Join(dir, "data"), "--policy", writeFile(t, "p.yaml", servedPolicy), "--keys-file", file},
			lookup: noEnv, stdout: io.Discard, stderr: &errs, now: time.Now,
		})
	}()
	client := &http.Client{Transport: &http.Transport{Dial: func(string, string) (net.Conn, error) { return net.Dial("unix", bid) }}}
	ask := func(key string) (int, error) {
		req, err := http.NewRequest("GET", "http://node/v1/decide?user=u&campaign=shoes", nil)
		if err != nil {
			return 0, err
		}
		req.Header.Set("X-Api-Key", key)
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	within := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !ok(); {
			select {
			case code := <-ended:
				t.Fatalf("the node ended with %d: %s", code, errs.String())
			default:
			}
			if time.Now().After(deadline) {
				t.Fatal("not within 30 s: " + what)
			}
		}
	}
	within("the node answers", func() bool { status, err := ask(stays); return err == nil && status == 200 })
	var done atomic.Bool
	var asking sync.WaitGroup
	asked := [600]atomic.Int64{}
	for range 2 {
		asking.Go(func() {
			for !done.Load() {
				if status, err := ask(stays); err != nil || status != 200 {
					t.Errorf("a key that stays: %d, %v", status, err)
					return
				}
				asked[200].Add(1)
			}
		})
	}
	for round := range 20 {
		text, want := with, 401
		if round%2 == 1 {
			text, want = both, 200
		}
		replacement := filepath.Join(dir, "next")
		if err := errors.Join(os.WriteFile(replacement, text, 0o600), os.Rename(replacement, file), syscall.Kill(os.Getpid(), syscall.SIGHUP)); err != nil {
			t.Fatal(err)
		}
		within(fmt.Sprintf("round %d: %d", round, want), func() bool {
			status, err := ask(changes)
			if err != nil || status != 200 && status != 401 {
				t.Fatalf("a key that changes: %d, %v", status, err)
			}
			asked[status].Add(1)
			return status == want
		})
	}
	done.Store(true)
	asking.Wait()
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d: %s", code, errs.String())
	}
	if asked[200].Load() < 20 || asked[401].Load() < 10 {
		t.Errorf("only %d and %d answers", asked[200].Load(), asked[401].Load())
	}
}
