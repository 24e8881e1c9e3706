package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var keyText = regexp.MustCompile(`^rk_[a-z2-7]{8}_[a-z2-7]{52}\n$`)

// newKey makes a key in a file and returns its text and id.
func newKey(t *testing.T, file string, args ...string) (text, id string) {
	t.Helper()
	r := inProcess(t, nil, "", append([]string{"keys", "new", "--keys-file", file}, args...)...)
	if r.code != 0 || !keyText.MatchString(r.stdout) {
		t.Fatalf("%q: exit %d\n%s\n%s", args, r.code, r.stdout, r.stderr)
	}
	return strings.TrimSpace(r.stdout), r.stdout[3:11]
}

// A key is printed once, alone, and is nowhere else; it is listed and revoked by its id.
func TestKeysCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "folder", "keys")
	text, id := newKey(t, file, "--client", "ad-server", "--role", "bid", "--role", "crm", "--rate", "50000")
	secret := text[12:]
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if content, err := os.ReadFile(file); err != nil || strings.Contains(string(content), secret) || !strings.Contains(string(content), id) {
		t.Errorf("%v\n%s", err, content)
	}
	_, dpo := newKey(t, file, "--client", "dpo", "--role", "privacy")
	newKey(t, file, "--client", "ad-server", "--role", "bid", "--reasons", "--rate", "10", "--burst", "20")

	keys := func(args ...string) result {
		return inProcess(t, nil, "", append([]string{"keys"}, append(args, "--keys-file", file)...)...)
	}
	list := keys("list")
	list.must(t, 0, "ID        CLIENT     ROLES    REASONS  RATE              MADE                  REVOKED\n",
		id+"  ad-server  bid,crm  no       50000/s           2027-01-15T08:00:00Z  -\n", dpo+"  dpo        privacy  yes      -  ", "  bid      yes      10/s, 20 at once")
	if strings.Contains(list.stdout, secret) {
		t.Error("the list shows a secret")
	}
	keys("new", "--client", "ad-server", "--role", "bid").must(t, 2, `client "ad-server" has two active keys`, "revoke one first")
	keys("revoke", id).must(t, 0, "key "+id+" is revoked", "SIGHUP")
	keys("list").must(t, 0, id+"  ad-server  bid,crm  no       50000/s           2027-01-15T08:00:00Z  2027-01-15T08:00:00Z\n")
	keys("revoke", id).must(t, 2, id, "revoked already, since 2027-01-15T08:00:00Z")
	keys("revoke", "aaaaaaaa").must(t, 2, `"aaaaaaaa"`, "restraint keys list")
	again, againID := newKey(t, file, "--client", "ad-server", "--role", "bid,metrics")
	keys("revoke", again).must(t, 0, "key "+againID+" is revoked") // whoever has nothing but the key
}

// Wrong uses say what to write instead, make nothing and print no key.
func TestKeysWrongUse(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keys")
	for args, want := range map[string]string{
		"new --client a":                           "--role",
		"new --role bid":                           "--client",
		"new --client a --role admin":              `"admin" is no role: use bid,crm,privacy,ops,metrics`,
		"new --client a --role bid --role bid":     `"bid" stands twice`,
		"new --client a/b --role bid":              `"a/b" is no name of a client`,
		"new --client a --role bid --rate 2000000": `"2000000" is not a whole number from 1 to 1000000`,
		"new --client a --role bid --rate=-1":      "--rate",
		"new --client a --role bid --burst 5":      "set rate too",
		"list":                                     "there is no file of keys",
		"revoke aaaaaaaa":                          "there is no file of keys",
		"revoke":                                   "<id>",
	} {
		r := inProcess(t, nil, "", append([]string{"keys"}, append(strings.Fields(args), "--keys-file", file)...)...)
		r.must(t, 2, want)
		if _, err := os.Stat(file); err == nil || strings.Contains(r.stdout, "rk_") {
			t.Fatalf("%s made something: %s", args, r.stdout)
		}
	}
	newKey(t, file, "--client", "a", "--role", "bid")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	inProcess(t, nil, "", "keys", "list", "--keys-file", file).must(t, 2, "open to others (mode 0644): chmod 600")
	inProcess(t, nil, "", "keys", "new", "--keys-file", file, "--client", "b", "--role", "bid").must(t, 2, "chmod 600")
	if err := os.WriteFile(file, []byte("restraint-keys 1\nid=a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	inProcess(t, nil, "", "keys", "new", "--keys-file", file, "--client", "b", "--role", "bid").must(t, 2, "the file of keys has 6 faults", file+":2: client: missing", "cut off")
	inProcess(t, nil, "", "keys", "list", "--keys-file", dir).must(t, 2, "not a regular file")
}

// Which file is meant: the flag, the environment, the configuration, the data folder.
func TestKeysFileMeant(t *testing.T) {
	t.Chdir(t.TempDir())
	config := writeFile(t, "restraint.yaml", "node: n\nkeys_file: from-config\ndata: elsewhere\n")
	plain := writeFile(t, "restraint.yaml", "node: n\ndata: elsewhere\n")
	for _, c := range []struct {
		env  map[string]string
		args []string
		file string
	}{
		{nil, nil, "data/keys"},
		{nil, []string{"--config", plain}, "elsewhere/keys"},
		{nil, []string{"--config", config}, "from-config"},
		{map[string]string{"RESTRAINT_KEYS_FILE": "from-env"}, []string{"--config", config}, "from-env"},
		{map[string]string{"RESTRAINT_KEYS_FILE": "from-env"}, []string{"--keys-file", "from-flag"}, "from-flag"},
	} {
		if _, err := os.Stat(c.file); err == nil {
			t.Fatalf("%s is there before", c.file)
		}
		inProcess(t, c.env, "", append([]string{"keys", "new", "--client", "a", "--role", "ops"}, c.args...)...).must(t, 0, c.file)
		if info, err := os.Stat(c.file); err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
			t.Errorf("%q %v: %v", c.args, c.env, err)
		}
		inProcess(t, c.env, "", append([]string{"keys", "list"}, c.args...)...).must(t, 0, "ops")
	}
	inProcess(t, nil, "", "keys", "list", "--config", writeFile(t, "r.yaml", "lisen: x\n")).must(t, 2, "lisen")
}
