package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"restraint/edge/backup"
)

// exported is a snapshot of a node that holds something of every kind, and the secret that it needs.
func exported(t *testing.T) (file, secret string) {
	t.Helper()
	dir := t.TempDir()
	a := fillNode(t, startServed(t, dir, "--node", "edge-1"), dir)
	if status := a.stream("PUT", "/v1/lists/customers?force", &rows{to: 30_000}); status != 200 {
		t.Fatalf("upload: %d", status)
	}
	file = filepath.Join(t.TempDir(), "a.snapshot")
	restraint(t, "snapshot", "export", "--addr", a.url, "--out", file).must(t, 0)
	a.stop(t)
	return file, a.secret()
}

// treeOf is every file in a folder with its content; "": the folder is not there.
func treeOf(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		text := "a folder"
		if !d.IsDir() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(content)
		}
		all = append(all, path+"="+text)
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// A file that is damaged or cut anywhere is told by verify, with the secret and without it, and import refuses it and changes nothing; so it does with a
// file of another secret.
func TestDamagedSnapshotIsRefused(t *testing.T) {
	file, secret := exported(t)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	bad := filepath.Join(t.TempDir(), "bad.snapshot")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 24 {
		damaged, at := bytes.Clone(whole), random.IntN(len(whole))
		if i%4 == 0 {
			damaged = damaged[:at]
		} else {
			damaged[at] ^= byte(1 << random.IntN(8))
		}
		if err := os.WriteFile(bad, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"verify"}, {"verify", "--secret-file", secret}, {"import", "--data", data, "--secret-file", secret}} {
			r := inProcess(t, nil, "", append(append([]string{"snapshot"}, args...), bad)...)
			if r.code != 1 || strings.Contains(r.stdout, "is whole") || !strings.Contains(r.stderr, bad) {
				t.Fatalf("%v with byte %d of %d changed, or cut there: exit %d\n%s%s", args, at, len(whole), r.code, r.stdout, r.stderr)
			}
		}
		if left := treeOf(t, data); left != "" {
			t.Fatalf("byte %d: the import left\n%s", at, left)
		}
	}
	other := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(other, bytes.Repeat([]byte{9}, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	needs := regexpFind(t, `fingerprint ([0-9a-f]{16})`, inProcess(t, nil, "", "snapshot", "verify", file).stdout)
	for _, args := range [][]string{{"verify"}, {"import", "--data", data}} {
		inProcess(t, nil, "", append(append([]string{"snapshot"}, args...), "--secret-file", other, file)...).must(t, 1, "the snapshot needs the one with fingerprint \""+needs+"\"", "and this one has \"")
	}
	inProcess(t, nil, "", "snapshot", "import", "--data", data, "--secret-file", other+".not", file).must(t, 2, "there is no secret file")
	inProcess(t, nil, "", "snapshot", "import", "--data", data, "--secret-file", secret, file+".not").must(t, 2, "no such file")
	if left := treeOf(t, data); left != "" {
		t.Errorf("an import that was refused left\n%s", left)
	}
}

func regexpFind(t *testing.T, pattern, text string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no %s in %s", pattern, text)
	}
	return found[1]
}

// namesIn are the files in a folder, and their sizes where the content is the same in each import.
func namesIn(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, size := strings.TrimPrefix(path, dir), info.Size()
		if strings.HasSuffix(name, "/lock") || strings.HasSuffix(name, ".jsonl") {
			size = 0 // of a process, and of times
		}
		all = append(all, fmt.Sprint(name, " ", size))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// A process that dies in the middle of an import leaves the folder as it was, or whole once the next import has looked at it (or a node: see TestServeFinishesImport).
func TestKillInImport(t *testing.T) {
	file, secret := exported(t)
	never := filepath.Join(t.TempDir(), "data")
	restraint(t, "snapshot", "import", "--data", never, "--secret-file", secret, file).must(t, 0)
	want := namesIn(t, never)
	there := func(names ...string) bool {
		_, err := os.Stat(filepath.Join(names...))
		return err == nil
	}
	for name, when := range map[string]func(data string) bool{
		"at once":             func(string) bool { return true },
		"lists are written":   func(data string) bool { return there(data, "import.tmp", "suppress", "lists") },
		"counters are":        func(data string) bool { return there(data, "import.tmp", "counters", "snapshots") },
		"the record is":       func(data string) bool { return there(data, "import.tmp", "audit", "signing.key") },
		"it counts":           func(data string) bool { return there(data, "import") },
		"some of it is moved": func(data string) bool { return there(data, "joined") },
		"never":               func(string) bool { return false },
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			cmd := exec.Command(binary, "snapshot", "import", "--node", "edge-1", "--data", data, "--secret-file", secret, file)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			exited := make(chan error, 1)
			go func() { exited <- cmd.Wait() }()
			for ended := false; !ended && !when(data); {
				select {
				case <-exited:
					ended = true
					exited <- nil
				default:
				}
			}
			_ = cmd.Process.Kill() // it may have ended
			<-exited
			args := []string{"snapshot", "import", "--node", "edge-1", "--data", data, "--secret-file", secret, file}
			r := restraint(t, args...)
			switch {
			case r.code == 0: // as it was
			case r.code == 1 && strings.Contains(r.stderr, "an earlier import"), r.code == 2 && strings.Contains(r.stderr, "holds the state"): // whole
			default:
				t.Fatalf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
			}
			t.Logf("the import after it: exit %d", r.code)
			if got := namesIn(t, data); got != want {
				t.Errorf("%s\nand of an import that was not killed\n%s", got, want)
			}
		})
	}
}

// A node finishes an import whose process died after the moment from which on it counts.
func TestServeFinishesImport(t *testing.T) {
	file, secret := exported(t)
	data := filepath.Join(t.TempDir(), "data")
	restraint(t, "snapshot", "import", "--data", data, "--secret-file", secret, file).must(t, 0)
	// As it was at that moment: nothing is in its place yet.
	pending := filepath.Join(data, "import")
	for _, name := range []string{"counters/snapshots", "counters/imported", "policies", "suppress", "joined", "audit", "former"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(pending, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(data, name), filepath.Join(pending, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := backup.Stage(data); err != nil { // of a later one, that died before that moment
		t.Fatal(err)
	}
	if !backup.Pending(data) {
		t.Fatal("nothing is pending")
	}
	s := startServed(t, filepath.Dir(data), "--secret-file", secret)
	if got := (held{s, ""}).says(t); !strings.Contains(got, "full shoes false cap") || backup.Left(data) {
		t.Error(got)
	}
	s.stop(t)
}

// Where the disk is full nothing of an import stays.
func TestImportOnFullDisk(t *testing.T) {
	file, secret := exported(t)
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small disk of its own needs the right to mount a tmpfs: %v; run as root", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	data := filepath.Join(disk, "data")
	inProcess(t, nil, "", "snapshot", "import", "--data", data, "--secret-file", secret, file).must(t, 1, "no space left")
	if left := treeOf(t, data); left != "" {
		t.Errorf("it left\n%s", left)
	}
	out := filepath.Join(disk, "copy.snapshot")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(whole) }))
	defer node.Close()
	inProcess(t, nil, "", "snapshot", "export", "--addr", node.URL, "--out", out).must(t, 1, "no space left")
	if names, err := os.ReadDir(disk); err != nil || len(names) > 0 {
		t.Errorf("an export left %v, %v", names, err)
	}
}

// An export that ends early, by a connection that dies or cleanly, is not taken for whole, and the older file stays.
func TestCutExportIsNotKept(t *testing.T) {
	file, _ := exported(t)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(http.ResponseWriter){
		"the connection dies": func(w http.ResponseWriter) {
			_, _ = w.Write(whole[:len(whole)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"it ends cleanly, too early": func(w http.ResponseWriter) { _, _ = w.Write(whole[:len(whole)-1]) },
		"nothing comes":              func(http.ResponseWriter) {},
		"something else comes":       func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
		"one byte is another": func(w http.ResponseWriter) {
			b := bytes.Clone(whole)
			b[len(b)/2] ^= 1
			_, _ = w.Write(b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
			defer node.Close()
			out := filepath.Join(t.TempDir(), "a.snapshot")
			if err := os.WriteFile(out, []byte("the older one"), 0o600); err != nil {
				t.Fatal(err)
			}
			inProcess(t, nil, "", "snapshot", "export", "--addr", node.URL, "--out", out).must(t, 1, "did not come whole")
			inProcess(t, nil, "", "snapshot", "export", "--addr", node.URL, "--out", "-").must(t, 1, "did not come whole")
			names, err := os.ReadDir(filepath.Dir(out))
			text, _ := os.ReadFile(out)
			if err != nil || len(names) != 1 || string(text) != "the older one" {
				t.Errorf("%v, %v, %q", names, err, text)
			}
		})
	}
	addr, _ := fakeNode(t, 403, problemJSON, `{"title":"Forbidden","status":403,"detail":"this key has not the role ops"}`)
	inProcess(t, nil, "", "snapshot", "export", "--addr", addr, "--out", filepath.Join(t.TempDir(), "x")).must(t, 1, "has not the role ops")
	inProcess(t, nil, "", "snapshot", "export", "--addr", addr, "--out", filepath.Join(t.TempDir(), "not", "x")).must(t, 2, "--out")
	inProcess(t, nil, "", "snapshot", "export", "--addr", addr).must(t, 2, "--out")
}

// To standard output comes what would be in the file.
func TestExportToStandardOutput(t *testing.T) {
	file, secret := exported(t)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, bytes.NewReader(whole)) }))
	defer node.Close()
	r := inProcess(t, nil, "", "snapshot", "export", "--addr", node.URL, "--out", "-")
	r.must(t, 0)
	if r.stdout != string(whole) {
		t.Errorf("%d bytes, not %d", len(r.stdout), len(whole))
	}
	inProcess(t, nil, r.stdout, "snapshot", "verify", "--secret-file", secret, "-").must(t, 0, "the file is whole")

	var stdout, stderr strings.Builder // on a terminal
	code := run(t.Context(), &process{
		args: []string{"snapshot", "export", "--addr", node.URL, "--out", filepath.Join(t.TempDir(), "x")}, lookup: func(string) (string, bool) { return "", false },
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, terminal: true, now: time.Now,
	})
	if size := roughSize(int64(len(whole))); code != 0 || !strings.Contains(stderr.String(), "\r"+size) {
		t.Errorf("exit %d, and the bar does not say %s: %q", code, size, stderr.String())
	}
}

// A node that was not ready says so in the file, and whoever exports or verifies it is told.
func TestSnapshotOfNodeThatIsNotReady(t *testing.T) {
	var file bytes.Buffer
	h := backup.Head{Taken: time.Unix(1_799_999_000, 0), Node: "edge\x1b[2J-1", Fingerprint: "0123456789abcdef", Epoch: "0123456789abcdef", NotReady: []string{"stream_events: gap"}}
	w, err := backup.NewWriter(&file, &h, func([]byte) ([]byte, error) { return make([]byte, 32), nil })
	if err == nil {
		_, err = w.Section("later", "\x1b]0;x\a")
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := fakeNode(t, 200, "application/octet-stream", file.String())
	out := filepath.Join(t.TempDir(), "a.snapshot")
	r := inProcess(t, nil, "", "snapshot", "export", "--addr", addr, "--out", out)
	r.must(t, 0, "16m 40s ago")
	if !strings.Contains(r.stderr, "may lack something: stream_events: gap") {
		t.Errorf("no warning: %s", r.stderr)
	}
	r = inProcess(t, nil, "", "snapshot", "verify", out)
	r.must(t, 0, "NOT READY", "stream_events: gap", `node "edge\x1b[2J-1"`)
	if strings.ContainsAny(r.stdout, "\x1b\a") { // whoever made the file does not write to the terminal
		t.Errorf("%q", r.stdout)
	}
}
