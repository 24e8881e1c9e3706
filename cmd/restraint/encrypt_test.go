package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"restraint/edge"
	"restraint/edge/atrest"
	"restraint/edge/identity"
)

const encryptPolicy = `
markets: [{name: all, require: none}]
lists: {needle-customers: {id: [user.id], source: first_party, basis: contract, exact: true}}
campaigns:
  shoes: {advertiser: needle-shop, caps: [{per: campaign, limit: 255, within: 24h}]}
  boots: {advertiser: needle-shop, suppress: [needle-customers], purpose: acquisition}
  hats: {advertiser: needle-shop}
`

// keyFile writes a key file with keys that are told apart by a byte, newest first.
func keyFile(t *testing.T, of ...byte) string {
	t.Helper()
	var keys []byte
	for _, o := range of {
		for i := range 32 {
			keys = append(keys, byte(i*i)+o)
		}
	}
	return writeFile(t, "disk.key", string(keys))
}

// work leaves something of each kind in the node's folder.
func (s *served) work(t *testing.T) {
	t.Helper()
	for _, event := range []string{
		`{"type":"impression","user":{"id":"u-1"},"campaign":"shoes","creative":"c-1"}`, `{"type":"hide","user":{"id":"u-1"},"campaign":"hats"}`,
		`{"type":"purchase","user":{"id":"u-1"},"advertiser":"needle-shop","item":"hat-1"}`,
	} {
		s.mustAccept(t, event)
	}
	if status := s.stream("PUT", "/v1/lists/needle-customers?id=user.id", strings.NewReader("u-2\n")); status/100 != 2 {
		t.Fatal(status)
	}
	if status := s.stream("POST", "/v1/lists/needle-customers/add?id=user.id", strings.NewReader("u-3\n")); status != 200 {
		t.Fatal(status)
	}
	for path, body := range map[string]string{
		"/v1/users/preferences": `{"user":{"id":"u-4"},"personalisation":false}`, "/v1/users/erase": `{"user":{"id":"u-5"}}`,
	} {
		if status, answer := s.post(t, path, body); status/100 != 2 {
			t.Fatalf("%s: %d %s", path, status, answer)
		}
	}
}

// remembers fails the test unless the node knows what work did, so often.
func (s *served) remembers(t *testing.T, works int) {
	t.Helper()
	if n := s.counted(t); n != works {
		t.Errorf("%d impressions, want %d", n, works)
	}
	for user, reason := range map[string]string{"u-1&campaign=hats": "hidden", "u-2&campaign=boots": "suppressed", "u-3&campaign=boots": "suppressed", "u-4&campaign=shoes": "opted_out"} {
		if _, answer := s.get(t, "/v1/decide?user="+user); !strings.Contains(answer, `"`+reason+`"`) {
			t.Errorf("%s: %s", user, answer)
		}
	}
}

// readable are the needles that stand in files of the folder, with the files.
func readable(t *testing.T, data string) map[string][]string {
	t.Helper()
	secret, err := identity.ReadSecret(filepath.Join(data, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	needles := map[string][]byte{
		"advertiser": []byte("needle-shop"), "list": []byte("needle-customers"), "policy": []byte("campaigns:"), "audit": []byte(`list.add`),
		"stream": []byte("restraint."), "joined": []byte(`"heads":`),
	}
	for _, user := range []string{"u-1", "u-2", "u-3", "u-4"} {
		key := identity.NewHasher(secret).Key("user.id", []byte(user))
		needles[user] = key[:]
	}
	found := map[string][]string{}
	err = filepath.WalkDir(data, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		for needle, text := range needles {
			if bytes.Contains(content, text) {
				found[needle] = append(found[needle], strings.TrimPrefix(name, data))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Nothing that is kept can be read on the disk once there is a key, be the node stopped or
// killed, and be it encrypted from the first start on or since a later one; all is there
// for who has the key, also after another took its place.
func TestEncryptedAtRest(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(encryptPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServed(t, dir)
	s.work(t)
	s.stop(t)
	plain := readable(t, data)
	if len(plain) != 10 {
		t.Errorf("of 10 needles without a key: %v", plain) // or the search finds nothing ever
	}
	t.Logf("without a key: %v", plain)
	one, two, both := keyFile(t, 1), keyFile(t, 2), keyFile(t, 2, 1)
	works := 1
	for i, key := range []string{one, one, both, two} {
		s := startServed(t, dir, "--encrypt-key-file", key, "--snapshot-every", "1s")
		s.remembers(t, works)
		s.work(t)
		works++
		if i%2 == 0 {
			if err := s.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-s.exited
		} else {
			s.stop(t)
		}
		if found := readable(t, data); len(found) > 0 {
			t.Errorf("start %d: can be read: %v", i, found)
		}
	}
	fingerprintOne, fingerprintTwo := fingerprintOf(t, one), fingerprintOf(t, two)
	before := newest(t, data)
	serve := func(args ...string) result {
		out, err := exec.Command(binary, append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, args...)...).CombinedOutput()
		if err == nil {
			t.Errorf("it served with %v", args)
		}
		return result{code: err.(*exec.ExitError).ExitCode(), stderr: string(out)}
	}
	serve().must(t, 2, "encrypt.key_file", fingerprintTwo)
	serve("--encrypt-key-file", one).must(t, 2, fingerprintOne, fingerprintTwo)
	if now := newest(t, data); now != before {
		t.Errorf("a start without the key wrote %s, where %s was the newest", now, before)
	}
	inProcess(t, nil, "", "audit", "verify", "--data", data).must(t, 2, fingerprintTwo)
	inProcess(t, nil, "", "audit", "verify", "--data", data, "--encrypt-key-file", one).must(t, 2, fingerprintTwo)
	inProcess(t, nil, "", "audit", "verify", "--data", data, "--encrypt-key-file", two).must(t, 0, "the record is whole", "signed")
	inProcess(t, map[string]string{"RESTRAINT_ENCRYPT_KEY_FILE": two}, "", "audit", "show", "--data", data).must(t, 0, "list.add", "needle-customers")

	s = startServed(t, dir, "--encrypt-key-file", two)
	s.remembers(t, works)
	if _, status := s.get(t, "/v1/status"); !strings.Contains(status, `"encrypted_under":"`+fingerprintTwo+`"`) {
		t.Error(status)
	}
	if _, metrics := s.get(t, "/metrics"); !strings.Contains(metrics, "\nrestraint_encrypted_at_rest 1\n") {
		t.Error("no metric")
	}
	s.stop(t)
}

// What is exported from one encrypted node is imported under another key: nothing of it can
// be read on that disk either, before the first start and after, but for the heads of the
// former record, which an auditor takes away.
func TestEncryptedImport(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "a.snapshot")
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(encryptPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServed(t, dir, "--encrypt-key-file", keyFile(t, 1))
	s.work(t)
	restraint(t, "snapshot", "export", "--addr", s.url, "--out", file).must(t, 0)
	s.stop(t)

	t.Run("into what another key left", func(t *testing.T) { importBesideKey(t, filepath.Join(dir, "data"), file) })

	other, key := t.TempDir(), keyFile(t, 2)
	data := filepath.Join(other, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(filepath.Join(dir, "data", "secret"))
	if err == nil {
		err = os.WriteFile(filepath.Join(data, "secret"), secret, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	into := []string{"snapshot", "import", "--data", data, "--secret-file", filepath.Join(data, "secret"), file}
	restraint(t, append(into, "--encrypt-key-file", filepath.Join(data, "secret"))...).must(t, 2, "is under data")
	restraint(t, append(into, "--encrypt-key-file", key)...).must(t, 0, "imported into")
	for range 2 {
		found := readable(t, data)
		if heads := found["joined"]; len(heads) != 1 || !strings.HasPrefix(heads[0], "/"+edge.FormerHeads+"/") || len(found) != 1 {
			t.Errorf("can be read: %v", found)
		}
		s = startServed(t, other, "--encrypt-key-file", key)
		s.remembers(t, 1)
		s.stop(t)
	}
}

// importBesideKey imports into a folder of which only what says that it is encrypted, or the
// key of the NATS store, was left where it was: with another key the node would not start.
func importBesideKey(t *testing.T, of, file string) {
	for _, name := range []string{atrest.Mark, storeKeyFile} {
		data := filepath.Join(t.TempDir(), "data")
		if err := os.MkdirAll(data, 0o700); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadFile(filepath.Join(of, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(data, name), left, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		before, into := treeOf(t, data), []string{"snapshot", "import", "--data", data, "--secret-file", filepath.Join(of, "secret"), file}
		restraint(t, append(into, "--encrypt-key-file", keyFile(t, 2))...).must(t, 2, fingerprintOf(t, keyFile(t, 1)), name, "move it away")
		restraint(t, into...).must(t, 2, fingerprintOf(t, keyFile(t, 1)), name, "encrypt.key_file")
		if now := treeOf(t, data); now != before {
			t.Errorf("%s: it left\n%s", name, now)
		}
		restraint(t, append(into, "--encrypt-key-file", keyFile(t, 2, 1))...).must(t, 0, "imported into")
	}
}

func fingerprintOf(t *testing.T, file string) string {
	t.Helper()
	cfg := defaultConfig()
	cfg.Encrypt.KeyFile = file
	keys, err := readEncryptKeys(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	return keys.Fingerprint()
}

// newest is the file that was written last.
func newest(t *testing.T, dir string) (name string) {
	t.Helper()
	last := int64(0)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.ModTime().UnixNano() > last {
			last, name = info.ModTime().UnixNano(), fmt.Sprint(path, " ", info.ModTime().UnixNano(), " ", info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// A key file that is none, or that others can read, or that goes with the data, is a wrong
// configuration, for serve and for check.
func TestEncryptKeyFileIsWrong(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	good := keyFile(t, 1)
	raw, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, content []byte, mode fs.FileMode) string {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.WriteFile(path, content, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file("data/key", raw, 0o600), link); err != nil {
		t.Fatal(err)
	}
	for name, wants := range map[string][]string{
		filepath.Join(dir, "none"):             {"no such file", "head -c 32 /dev/urandom"},
		dir:                                    {"not a regular file"},
		file("short", raw[:31], 0o600):         {"31 bytes"},
		file("line", append(raw, '\n'), 0o600): {"33 bytes"},
		file("group", raw, 0o640):              {"chmod 600"},
		file("others", raw, 0o604):             {"chmod 600"},
		file("zero", make([]byte, 32), 0o600):  {"random bytes"},
		file("text", []byte(strings.Repeat("0123456789abcdef", 4)), 0o600): {"no text"},
		filepath.Join(data, "key"): {"is under data"},
		link:                       {"is under data"},
	} {
		for _, command := range []string{"serve", "check"} {
			inProcess(t, nil, "", command, "--data", data, "--encrypt-key-file", name).must(t, 2, append(wants, name)...)
		}
	}
	inProcess(t, map[string]string{"RESTRAINT_ENCRYPT_KEY_FILE": good}, "", "check", "--data", data).must(t, 0, "without fault")
	config := writeFile(t, "r.yaml", "data: "+data+"\nencrypt: {key_file: "+good+"}\n")
	inProcess(t, nil, "", "serve", "--config", config, "--print-config").must(t, 0, "encrypt:", "key_file: "+good)
	if left, err := os.ReadDir(data); err != nil || len(left) != 1 {
		t.Errorf("%v %v", left, err)
	}
}
