package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"restraint/edge/audit"
)

const auditPolicy = "markets: [{name: all, require: none}]\nlists: {customers: {id: [user.id], source: first_party, basis: contract}}\n" +
	"campaigns: {only: {advertiser: a, caps: [{per: campaign, limit: %d, within: 1h}]}}\n"

// writePolicy writes the policy of these tests with a limit.
func writePolicy(t *testing.T, dir string, limit int) string {
	t.Helper()
	path := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, auditPolicy, limit), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// auditRun runs restraint audit with the data folder of dir.
func auditRun(t *testing.T, dir, command string, args ...string) result {
	t.Helper()
	return inProcess(t, nil, "", append([]string{"audit", command, "--data", filepath.Join(dir, "data")}, args...)...)
}

// entriesOf are the entries of the record in dir.
func entriesOf(t *testing.T, dir string) (entries []audit.Entry) {
	t.Helper()
	r := auditRun(t, dir, "show", "--json")
	r.must(t, 0)
	for line := range strings.Lines(r.stdout) {
		e, err := audit.ReadEntry([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

// A node that is killed in the middle of changes has each that it answered on record, with
// an announcement for each that it made, and its record is whole once it starts again.
func TestKillKeepsTheRecord(t *testing.T) {
	dir := t.TempDir()
	writePolicy(t, dir, 3)
	answered := map[string]bool{}
	for round := range 4 {
		s := startServed(t, dir)
		var mu sync.Mutex
		var clients sync.WaitGroup
		done := 0
		for w := range 3 {
			clients.Go(func() {
				for i := 0; ; i++ {
					why := fmt.Sprintf("%d-%d-%d", round, w, i)
					method, path, body := "POST", "/v1/users/preferences", fmt.Sprintf(`{"user":{"id":"u-%s"},"personalisation":false}`, why)
					switch w {
					case 1:
						method, path, body = "PUT", "/v1/policy", fmt.Sprintf(auditPolicy+"# %s\n", 3+i%50, why)
					case 2:
						path, body = "/v1/lists/customers/add?id=user.id", "u-"+why+"\n"
					}
					status, err := s.asks(method, path, why, body)
					if err != nil {
						return // killed
					}
					mu.Lock()
					done++
					answered[why] = status < 300
					mu.Unlock()
				}
			})
		}
		enough := time.NewTicker(time.Millisecond)
		for deadline := time.Now().Add(30 * time.Second); ; <-enough.C {
			mu.Lock()
			so := done >= 20+rand.IntN(20)
			mu.Unlock()
			if so || time.Now().After(deadline) {
				break
			}
		}
		enough.Stop()
		if err := s.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-s.exited
		clients.Wait()
	}
	s := startServed(t, dir)
	s.stop(t)
	auditRun(t, dir, "verify").must(t, 0, "the record is whole")
	entries := entriesOf(t, dir)
	begun, ended := map[uint64]string{}, map[string]audit.Outcome{}
	for _, e := range entries {
		switch {
		case e.Why != "":
			begun[e.Seq] = e.Why
		case e.Of != 0:
			ended[begun[e.Of]] = e.Outcome
		}
	}
	for why, ok := range answered {
		if outcome, there := ended[why]; !there || ok != (outcome == audit.Done) {
			t.Errorf("%s: answered, done %v, on record: %q", why, ok, outcome)
		}
	}
	if len(answered) < 40 {
		t.Errorf("only %d changes were answered", len(answered))
	}
}

// asks sends a change with a reason.
func (s *served) asks(method, path, why, body string) (int, error) {
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Restraint-Why", why)
	req.Header.Set("Content-Type", "application/json")
	if strings.Contains(path, "lists") {
		req.Header.Set("Content-Type", "text/plain")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var body2 bytes.Buffer
	_, err = body2.ReadFrom(resp.Body)
	return resp.StatusCode, err
}

// The commands over a record that was tampered with: exit codes, and the first entry that
// is wrong.
func TestAuditVerify(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	policy := writePolicy(t, dir, 3)
	s := startServed(t, dir)
	addr := "--addr=" + s.url
	writePolicy(t, dir, 4)
	inProcess(t, nil, "", "policy", "put", addr, "--why", "as agreed", policy).must(t, 0)
	inProcess(t, nil, "", "policy", "rollback", addr, "--why", "it was too much").must(t, 0)
	inProcess(t, nil, "u-1\n", "push", addr, "--list", "customers", "--id", "user.id", "--format", "text", "--why", "the export of May", "-").must(t, 0)
	inProcess(t, nil, "", "user", "opt-out", addr, "--id", "u-1", "--why", "called us").must(t, 0)
	inProcess(t, nil, "", "user", "erase", addr, "--id", "u-1", "--why", "wrote to us").must(t, 0)
	head := filepath.Join(dir, "head.json")
	kept := inProcess(t, nil, "", "audit", "head", addr)
	kept.must(t, 0, `"sig":"`)
	if err := os.WriteFile(head, []byte(kept.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	inProcess(t, nil, "", "audit", "show", addr, "--since", "2").must(t, 0, "policy.rollback done (", "version 3", `why "it was too much"`, "list customers", "loopback")
	inProcess(t, nil, "", "audit", "verify", "--data", data, "--peer", s.url).must(t, 0, "the record is whole", "by a head of the node at "+s.url)
	s.stop(t)

	whole := auditRun(t, dir, "verify")
	whole.must(t, 0, "the record is whole", "signed", "give --peer ADDR of another node, or --head FILE")
	if with := auditRun(t, dir, "verify", "--head", head); with.code != 0 || strings.Contains(with.stdout, "give --peer") {
		t.Errorf("%+v", with)
	}
	key := auditRun(t, dir, "key")
	key.must(t, 0)
	keyFile := writeFile(t, "audit.key", key.stdout)
	auditor := map[string]string{"RESTRAINT_SECRET_FILE": filepath.Join(dir, "none")}
	inProcess(t, auditor, "", "audit", "verify", "--data", data, "--audit-key", keyFile).must(t, 0, "the record is whole")

	found := auditRun(t, dir, "show", "--id", "u-1", "--json")
	found.must(t, 0, `"action":"person.preferences"`, `"action":"person.erase"`)
	if n := strings.Count(found.stdout, "\n"); n != 4 || strings.Contains(found.stdout, "u-1") {
		t.Errorf("%d entries about the person\n%s", n, found.stdout)
	}
	if stranger := auditRun(t, dir, "show", "--id", "u-2", "--json"); stranger.code != 0 || stranger.stdout != "" {
		t.Errorf("%+v", stranger)
	}

	log := filepath.Join(data, "audit", "0000000000000001.jsonl")
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	put := func(text []byte) {
		if err := os.WriteFile(log, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(bytes.Replace(text, []byte("as agreed"), []byte("as ordere"), 1))
	auditRun(t, dir, "verify").must(t, 1, "the record is not whole: 0000000000000001.jsonl:5: entry 5: its hash does not fit: it was altered")
	put(slices.Concat(bytes.Join(lines[:4], nil), bytes.Join(lines[5:], nil)))
	auditRun(t, dir, "verify").must(t, 1, "0000000000000001.jsonl:5: entry 5: it is missing")
	put(bytes.Join(lines[:6], nil))
	auditRun(t, dir, "verify").must(t, 1, "entry 7: the end was cut off", "joined/audit.")
	if err := os.RemoveAll(filepath.Join(data, "joined")); err != nil {
		t.Fatal(err)
	}
	auditRun(t, dir, "verify").must(t, 0, "no head of this record fits") // nothing is left to tell by
	auditRun(t, dir, "verify", "--head", head).must(t, 1, "entry 7: the end was cut off", "head.json")
	put(text)

	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"verify", "--data", filepath.Join(dir, "none")}, "there is no record of changes in"},
		{[]string{"verify", "--data", data, "--head", filepath.Join(dir, "none")}, "read head"},
		{[]string{"verify", "--data", data, "--head", keyFile}, "no head of an audit record"},
		{[]string{"verify", "--data", data, "--audit-key", head}, "64 hexadecimal digits"},
		{[]string{"verify", "--data", data, "--first", "0"}, "--first 0"},
		{[]string{"verify", "--data", data, "--peer", "nowhere"}, "nowhere"},
		{[]string{"show", "--data", data, "--since", "tomorrow"}, `--since "tomorrow"`},
	} {
		inProcess(t, nil, "", append([]string{"audit"}, c.args...)...).must(t, 2, c.want)
	}
	inProcess(t, auditor, "", "audit", "verify", "--data", data).must(t, 2, "the identifier secret is needed")
	if _, err := os.Stat(auditor["RESTRAINT_SECRET_FILE"]); !os.IsNotExist(err) {
		t.Errorf("verify made a secret: %v", err)
	}
	auditRun(t, dir, "verify", "--node", "another").must(t, 1, `not of node "another"`)
	other := filepath.Join(dir, "other.json")
	if err := os.WriteFile(other, bytes.ReplaceAll([]byte(kept.stdout), []byte(`"node":"`), []byte(`"node":"x`)), 0o600); err != nil {
		t.Fatal(err)
	}
	auditRun(t, dir, "verify", "--head", other).must(t, 2, "it has no head of node")
	wrong := filepath.Join(dir, "wrong")
	if err := os.WriteFile(wrong, bytes.Repeat([]byte{7}, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	inProcess(t, map[string]string{"RESTRAINT_SECRET_FILE": wrong}, "", "audit", "verify", "--data", data).must(t, 1, "entry 1: ", "kept under another secret")
}

// A full disk refuses changes with 503 and the reason, decisions and a person's own opt-out
// go on, and what is owed is written once there is room.
func TestAuditDiskFull(t *testing.T) {
	dir := t.TempDir()
	policy := writePolicy(t, dir, 3)
	record := filepath.Join(dir, "data", "audit")
	if err := os.MkdirAll(record, 0o700); err != nil {
		t.Fatal(err)
	}
	// The record alone is on the small disk: whatever else a full disk does is tested elsewhere.
	if err := syscall.Mount("tmpfs", record, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a small disk of its own needs the right to mount a tmpfs: %v; run as root", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(record, syscall.MNT_DETACH) })
	s := startServed(t, dir)
	var a struct{ Token string }
	_, body := s.post(t, "/v1/decide", `{"user":{"id":"u-7"},"want":1,"token":true,"candidates":[{"campaign":"only"}]}`)
	if err := json.Unmarshal([]byte(body), &a); err != nil || a.Token == "" {
		t.Fatal(body, err)
	}
	filler := filepath.Join(record, "filler")
	fill := func() {
		if err := os.WriteFile(filler, make([]byte, 64<<10), 0o600); err == nil {
			t.Fatal("the disk is not full")
		}
		// The last page that the log has begun takes some more.
		for i := 0; ; i++ {
			status, body := s.send(t, "POST", "/v1/users/preferences", "application/json", fmt.Sprintf(`{"user":{"id":"f-%d"},"personalisation":false}`, i))
			if status == 503 {
				if !strings.Contains(body, "nothing was changed: the audit record cannot be written") || !strings.Contains(body, "disk of the node is full") {
					t.Error(body)
				}
				return
			}
			if i > 100 {
				t.Fatal(status, body)
			}
		}
	}
	owed := func() (n int) {
		_, body := s.get(t, "/v1/status")
		_, text, _ := strings.Cut(body, `"owed":`)
		if _, err := fmt.Sscan(strings.TrimRight(text[:strings.IndexAny(text, ",}")], " "), &n); err != nil {
			t.Fatal(body, err)
		}
		return n
	}
	fill()
	before := owed() // the outcome of the last change that fitted, or nothing
	writePolicy(t, dir, 9)
	for _, c := range []struct{ method, path, mediaType, body string }{
		{"PUT", "/v1/policy", "", fmt.Sprintf(auditPolicy, 9)},
		{"PUT", "/v1/lists/customers?id=user.id", "text/plain", "u-1\n"},
		{"POST", "/v1/lists/customers/add?id=user.id", "text/plain", "u-1\n"},
		{"DELETE", "/v1/lists/customers", "", ""},
		{"POST", "/v1/users/preferences", "application/json", `{"user":{"id":"u-1"},"personalisation":false}`},
		{"POST", "/v1/users/erase", "application/json", `{"user":{"id":"u-1"}}`},
	} {
		if status, body := s.send(t, c.method, c.path, c.mediaType, c.body); status != 503 || !strings.Contains(body, "nothing was changed") {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
	if status, body := s.send(t, "POST", "/v1/opt-out?t="+a.Token, "", ""); status != 204 {
		t.Errorf("opt-out: %d %s", status, body)
	}
	if _, body := s.post(t, "/v1/decide", `{"user":{"id":"u-1"},"candidates":[{"campaign":"only"}]}`); !strings.Contains(body, `"show":true`) || !strings.Contains(body, `"policy":1`) {
		t.Error(body)
	}
	if _, body := s.get(t, "/v1/status"); owed() != before+1 || !strings.Contains(body, `no space left`) {
		t.Error(body)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if status, body := s.send(t, "PUT", "/v1/policy", "", fmt.Sprintf(auditPolicy, 9)); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	fill()
	s.stop(t)
	s = startServed(t, dir) // which is ready while the disk is full
	if _, body := s.get(t, "/v1/status"); !strings.Contains(body, `"owed":1`) {
		t.Error(body)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	untilSo(t, "what is owed is written", func() bool {
		_, body := s.get(t, "/v1/status")
		return strings.Contains(body, `"owed":0`) && !strings.Contains(body, "no space left")
	})
	s.stop(t)
	auditRun(t, dir, "verify").must(t, 0, "the record is whole")
	entries := entriesOf(t, dir)
	i := slices.IndexFunc(entries, func(e audit.Entry) bool { return e.Action == audit.PersonOptOut })
	if i < 0 || entries[i].After["happened_at"] == nil || !slices.ContainsFunc(entries[i:], func(e audit.Entry) bool { return e.Action == audit.PolicyPut && e.Policy == 2 }) {
		t.Errorf("%+v", entries)
	}
	_ = policy
}
