package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"restraint/edge/identity"
)

// The commands change the file whole or not at all, and never show a secret.
func TestSecretCommands(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	inProcess(t, nil, "", "secret", "rotate", "--secret-file", file).must(t, 2, "there is no secret file", file)
	inProcess(t, nil, "", "secret", "show", "--secret-file", file).must(t, 2, "there is no secret file")
	if _, _, err := identity.OpenSecret(file); err != nil {
		t.Fatal(err)
	}
	r := inProcess(t, nil, "", "secret", "rotate", "--secret-file", file)
	r.must(t, 0, "epoch 1 with fingerprint ", "copy the file to every node", "SIGHUP")
	shown := inProcess(t, nil, "", "secret", "show", "--secret-file", file)
	shown.must(t, 0, "EPOCH", "FINGERPRINT")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := identity.ParseSecretFile(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.Epochs().All() {
		if !strings.Contains(shown.stdout, e.Fingerprint) {
			t.Errorf("%s is not in %s", e.Fingerprint, shown.stdout)
		}
	}
	for _, secret := range regexp.MustCompile(`[0-9a-f]{64}`).FindAllString(string(text), -1) {
		if strings.Contains(r.stdout+r.stderr+shown.stdout+shown.stderr, secret[:8]) {
			t.Error("a secret is shown")
		}
	}
	// The file of the configuration is meant where none is named.
	config := writeFile(t, "r.yaml", "secret_file: "+file+"\n")
	inProcess(t, nil, "", "secret", "show", "--config", config).must(t, 0, s.Fingerprint())
	if err := os.WriteFile(file, text[:len(text)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	inProcess(t, nil, "", "secret", "rotate", "--secret-file", file).must(t, 2, "damaged", file)
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	inProcess(t, nil, "", "secret", "show", "--secret-file", file).must(t, 2, "chmod 600")
}
