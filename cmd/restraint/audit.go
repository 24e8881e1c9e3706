package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"restraint/edge/identity"
)

// auditCmd reads and checks the record of changes.
type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Check a node's record of changes: that nothing was altered, taken out or cut off."`
	Show   auditShowCmd   `cmd:"" help:"Print the record: what was changed, by whom and why."`
	Head   auditHeadCmd   `cmd:"" help:"Print a signed head of a node's record, to be kept elsewhere for a later verify --head."`
	Key    auditKeyCmd    `cmd:"" help:"Print the key by which an auditor checks the record without the identifier secret."`
}

// auditFlags name a record on this machine, or a copy of one.
type auditFlags struct {
	Config string `help:"Configuration file that the node is started with." placeholder:"FILE"`
	Data   string `help:"The node's data folder, or a copy of it. Default: data of the configuration." placeholder:"DIR"`

	EncryptKeyFile string `help:"File of the key that the data folder is encrypted with. Default: RESTRAINT_ENCRYPT_KEY_FILE, else encrypt.key_file of the configuration." placeholder:"FILE"`
}

// config is the configuration that is meant.
func (f *auditFlags) config(p *process) (Config, error) {
	flags := map[string]string{}
	if f.Data != "" {
		flags["data"] = f.Data
	}
	if f.EncryptKeyFile != "" {
		flags["encrypt.key_file"] = f.EncryptKeyFile
	}
	return loadConfig(f.Config, flags, false, p.lookup)
}

// auditDir is the folder of the record under a data folder.
func auditDir(data string) (string, error) {
	dir := filepath.Join(data, "audit")
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.IsDir():
		return "", wrongUse("there is no record of changes in %q: give the node's data folder with --data, or its configuration with --config", data)
	case err != nil:
		return "", fmt.Errorf("look at the record: %w", err)
	}
	return dir, nil
}

// readSecret reads the secret that the configuration names, and makes none.
func readSecret(cfg *Config) (s identity.Secret, err error) {
	if _, err := os.Stat(cfg.SecretFile); err != nil {
		return s, wrongUse("the identifier secret is needed: %w; name its file with secret_file in the configuration or RESTRAINT_SECRET_FILE", err)
	}
	if s, _, err = identity.OpenSecret(cfg.SecretFile); err != nil {
		return s, usageError{err}
	}
	return s, nil
}

// auditKeyCmd prints the key of the chain.
type auditKeyCmd struct{ auditFlags }

// Run prints it on a line.
func (c *auditKeyCmd) Run(p *process) error {
	cfg, err := c.config(p)
	if err != nil {
		return err
	}
	secret, err := readSecret(&cfg)
	if err != nil {
		return err
	}
	key := secret.AuditKey()
	_, err = fmt.Fprintln(p.stdout, hex.EncodeToString(key[:]))
	return err
}

// readAuditKey reads what auditKeyCmd printed.
func readAuditKey(name string) (key [32]byte, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return key, wrongUse("read --audit-key: %w", err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != len(key) {
		return key, wrongUse("--audit-key %q: a key is %d hexadecimal digits, as restraint audit key prints them", name, 2*len(key))
	}
	return [32]byte(raw), nil
}
