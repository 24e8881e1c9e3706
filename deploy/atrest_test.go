package deploy

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The lines that encrypt the disk are commented out where they are shown. Taken in, they
// name a key where the page says that it comes from.
func TestEncryptLines(t *testing.T) {
	option := regexp.MustCompile(`(?m)^( *)#(encrypt: .*)$`)
	for file, want := range map[string]string{
		"systemd/restraint.yaml": "/run/credentials/restraint.service/disk.key", "kubernetes/config.yaml": "/etc/restraint/secret/disk.key",
	} {
		line := option.FindStringSubmatch(read(t, file))
		if line == nil {
			t.Errorf("%s has no line", file)
			continue
		}
		config := filepath.Join(t.TempDir(), "restraint.yaml")
		if err := os.WriteFile(config, []byte(line[2]+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := printed(t, nil, "--config", config)["encrypt.key_file"]; got != want {
			t.Errorf("%s: %q", file, got)
		}
	}
	if unit := read(t, "systemd/restraint.service"); !strings.Contains(unit, "#LoadCredentialEncrypted=disk.key:") {
		t.Error("the unit has no such credential")
	}
}

// The page's way to make a key makes one, and its way to change it has both, the new one
// first, then the new one alone.
func TestKeyCommands(t *testing.T) {
	dir := t.TempDir()
	commands := regexp.MustCompile(`(?m)^    (\(umask 077;.*\))`).FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(commands) != 3 {
		t.Fatal(commands)
	}
	var before []byte
	for i, size := range []int{32, 64, 32} {
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(commands[i][1], "/etc/restraint/", ""))
		cmd.Dir = dir
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", commands[i][1], err, said)
		}
		key, err := os.ReadFile(filepath.Join(dir, "disk.key"))
		if err != nil || len(key) != size || i == 1 && !bytes.HasSuffix(key, before) || i == 2 && !bytes.HasPrefix(before, key) {
			t.Fatalf("%s: %d bytes, %v", commands[i][1], len(key), err)
		}
		if said, code := call(t, dir, nil, "check", "--encrypt-key-file", "disk.key"); code != 0 {
			t.Errorf("%s: %s", commands[i][1], said)
		}
		before = key
	}
}

// A server of the cluster with the two lines taken in encrypts its store.
func TestNATSStoreKey(t *testing.T) {
	dir, pki := t.TempDir(), t.TempDir()
	for _, name := range []string{"server.conf", "accounts.conf"} {
		text := read(t, "nats/cluster/"+name)
		if name == "server.conf" {
			text = strings.NewReplacer("#key: $NATS_STORE_KEY", "key: $NATS_STORE_KEY", "#cipher: aes", "cipher: aes").Replace(text)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	issue(t, pki, "server", "127.0.0.1", "server.restraint")
	addrs := freeAddrs(t, 2)
	s := start(t, dir, []string{
		"NATS_NAME=nats-1", "NATS_LISTEN=" + addrs[0], "NATS_CLUSTER=" + addrs[1], "NATS_STORE=" + filepath.Join(dir, "store"), `NATS_ROUTES=["nats-route://` + addrs[1] + `"]`,
		"NATS_CA=" + filepath.Join(pki, "ca.pem"), "NATS_CERT=" + filepath.Join(pki, "server.pem"), "NATS_KEY=" + filepath.Join(pki, "server-key.pem"),
		`NATS_STORE_KEY="a key of this test that is long enough"`,
	}, "nats", "--config", filepath.Join(dir, "server.conf"))
	poll(t, "the server encrypts", func() bool { return strings.Contains(s.logged(), "Encryption:      AES") })
	poll(t, "it has written something", func() bool {
		found := false
		err := filepath.WalkDir(filepath.Join(dir, "store"), func(name string, e fs.DirEntry, err error) error {
			found = found || err == nil && e.Name() == "meta.key"
			return nil
		})
		return err == nil && found
	})
}
