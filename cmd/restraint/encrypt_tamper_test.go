package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tampered is a node's folder in which a file is changed, and what is seen of it.
type tampered struct {
	name string
	// change is given the folder.
	change func(t *testing.T, data string)
	// refuses is what a node says that does not start; "": it starts.
	refuses string
	// logs is a message of a node that starts; "": there is none.
	logs string
	// see looks at a node that has started.
	see func(t *testing.T, s *served)
}

// one is the newest file of a pattern, by its name.
func one(t *testing.T, data, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(data, pattern))
	if err != nil || len(names) == 0 {
		t.Fatal(pattern, names, err)
	}
	return names[len(names)-1]
}

// flip changes a bit in the middle of each file of a pattern.
func flip(pattern string) func(t *testing.T, data string) {
	return func(t *testing.T, data string) {
		t.Helper()
		one(t, data, pattern)
		names, _ := filepath.Glob(filepath.Join(data, pattern))
		for _, name := range names {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			content[(len(content)+100)/2] ^= 4
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// swap puts the oldest file of one pattern and the newest of another in the place of each
// other.
func swap(a, b string) func(t *testing.T, data string) {
	return func(t *testing.T, data string) {
		t.Helper()
		last := one(t, data, b)
		names, err := filepath.Glob(filepath.Join(data, a))
		if err != nil || names[0] == last {
			t.Fatal(names, err)
		}
		a, b := names[0], last
		for _, step := range [][2]string{{a, a + "x"}, {b, a}, {a + "x", b}} {
			if err := os.Rename(step[0], step[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func suppressesAll(t *testing.T, s *served) {
	t.Helper()
	if _, answer := s.get(t, "/v1/decide?user=a-stranger&campaign=boots"); !strings.Contains(answer, `"suppressed"`) && !strings.Contains(answer, `"stale_list"`) {
		t.Errorf("a list that is damaged lets somebody through: %s", answer)
	}
}

// tamperings change each kind of file.
func tamperings() []tampered {
	list := "data/suppress/lists/needle-customers/"
	return []tampered{
		{name: "outbox", change: flip("data/counters/outbox/*.seg"), logs: "set aside a damaged part of the outbox"},
		{name: "outbox, swapped", change: swap("data/counters/outbox/*.seg", "data/counters/snapshots/*.snap"), logs: "set aside a segment of the outbox that cannot be read"},
		{name: "snapshot", change: flip("data/counters/snapshots/*.snap"), logs: "set aside a damaged snapshot; the one before it is used"},
		{name: "snapshot, swapped", change: swap("data/counters/snapshots/*.snap", "data/counters/snapshots/*.snap"), logs: "set aside a damaged snapshot; the one before it is used"},
		{name: "list keys", change: flip(list + "*.keys"), logs: "list found damaged", see: suppressesAll},
		{name: "list keys, swapped", change: swap(list+"*.keys", list+"*.keys"), logs: "list found damaged"},
		{name: "list journal", change: flip(list + "changes.log"), logs: "list found damaged", see: suppressesAll},
		{name: "list pointer", change: flip(list + "current"), logs: "list found damaged", see: suppressesAll},
		{name: "policy", change: flip("data/policies/*.json"), refuses: "encrypted content is damaged"},
		{name: "policy, swapped", change: swap("data/policies/*.json", "data/policies/*.json"), refuses: "it is another file's"},
		{name: "joined", change: flip("data/joined/*"), logs: "a joined document on disk cannot be read and is set aside"},
		{name: "joined, swapped", change: swap("data/joined/audit.*", "data/joined/traffic.*"), logs: "a joined document on disk cannot be read and is set aside"},
		{name: "the NATS store's key", change: flip("data/nats.key"), refuses: "read the key of the NATS store"},
		{name: "a plain file", refuses: "should be encrypted", change: func(t *testing.T, data string) {
			if err := os.WriteFile(filepath.Join(data, "data/policies/00000009.json"), []byte("{}"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	}
}

// Of each kind of file: what is changed on the disk is noticed, and what a plain damaged
// file would do is done.
func TestEncryptedFilesAreChanged(t *testing.T) {
	made := t.TempDir()
	key := keyFile(t, 1)
	if err := os.WriteFile(filepath.Join(made, "policy.yaml"), []byte(encryptPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // so that there are a snapshot and an outbox behind it
		s := startServed(t, made, "--encrypt-key-file", key)
		s.work(t)
		if status, answer := s.send(t, "PUT", "/v1/policy", "application/yaml", encryptPolicy+"  gloves: {advertiser: needle-shop}\n"); status != 200 {
			t.Fatal(status, answer)
		}
		s.stop(t)
	}
	s := startServed(t, made, "--encrypt-key-file", key)
	s.work(t)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.exited
	for _, c := range tamperings() {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(dir, "data", "secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			c.change(t, dir)
			if c.refuses != "" {
				cmd := exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--encrypt-key-file", key)
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), c.refuses) {
					t.Errorf("%v %s", err, out)
				}
				return
			}
			s := launch(t, dir, "--encrypt-key-file", key)
			s.url = "http://" + s.wait(t, "ready", "not ready yet")["admin"].(string) // what lost something is not ready
			if !slices.Contains(s.said, c.logs) {
				t.Errorf("%q is not among %q", c.logs, s.said)
			}
			if c.see != nil {
				c.see(t, s)
			}
			s.stop(t)
		})
	}
	t.Run("audit", func(t *testing.T) {
		flip("data/audit/*.jsonl")(t, made)
		inProcess(t, nil, "", "audit", "verify", "--data", filepath.Join(made, "data"), "--encrypt-key-file", key).must(t, 1, "WRONG", "the record is not whole")
	})
}
