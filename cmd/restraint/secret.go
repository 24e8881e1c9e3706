package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"restraint/edge/identity"
	"restraint/edge/replica"
)

// secretCmd looks after the file of the identifier secret. It talks to no node: a node
// reads the file at its start and at SIGHUP.
type secretCmd struct {
	Rotate secretRotateCmd `cmd:"" help:"Add an epoch to the secret file: what names people is sealed under it once all nodes have the file."`
	Show   secretShowCmd   `cmd:"" help:"Show the epochs of the secret file, never a secret."`
}

// secretFlags name the file.
type secretFlags struct {
	SecretFile string `help:"File of the identifier secret. Default: RESTRAINT_SECRET_FILE, else secret_file of the configuration, else secret in its data folder." placeholder:"FILE"`
	Config     string `help:"Configuration file that the node is started with." placeholder:"FILE"`
}

// path is the file that is meant.
func (f *secretFlags) path(p *process) (string, error) {
	if f.SecretFile != "" {
		return f.SecretFile, nil
	}
	cfg, err := loadConfig(f.Config, nil, false, p.lookup)
	return cfg.SecretFile, err
}

// secretFault makes wrong use of what is wrong with the file.
func secretFault(err error, path string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return wrongUse("there is no secret file %q: a node makes it at its first start; name another with --secret-file", path)
	}
	for _, wrong := range []error{identity.ErrSecretMode, identity.ErrSecretFile, identity.ErrSecretSize, identity.ErrSecretText, identity.ErrSecretZero} {
		if errors.Is(err, wrong) {
			return usageError{err}
		}
	}
	return err
}

// secretRotateCmd prepares an epoch.
type secretRotateCmd struct{ secretFlags }

// Run changes the file and says what is to be done with it.
func (c *secretRotateCmd) Run(p *process) error {
	path, err := c.path(p)
	if err != nil {
		return err
	}
	s, err := identity.Rotate(path, p.now())
	if err != nil {
		return secretFault(err, path)
	}
	newest := s.Epochs().Newest()
	_, err = fmt.Fprintf(p.stdout, "epoch %d with fingerprint %s is in %s\n"+
		"copy the file to every node of the cluster and send each SIGHUP, or restart it; once the last one has it, all write in the new epoch\n"+
		"nothing is lost on the way, and nothing has to be sent again; see deploy/privacy.md, \"Changing the secret\"\n", newest.Number, newest.Fingerprint, path)
	return err
}

// secretShowCmd shows the epochs.
type secretShowCmd struct{ secretFlags }

// Run prints a table. Nothing in it is secret.
func (c *secretShowCmd) Run(p *process) error {
	path, err := c.path(p)
	if err != nil {
		return err
	}
	s, err := identity.ReadSecret(path)
	if err != nil {
		return secretFault(err, path)
	}
	t := newTable(p.stdout)
	t.row("EPOCH", "FINGERPRINT", "MADE", "SEALS")
	for _, e := range s.Epochs().All() {
		made, seals := "-", "yes"
		if !e.Made.IsZero() {
			made = e.Made.Format(time.RFC3339)
		}
		if e.Number == 0 {
			seals = "no"
		}
		t.row(fmt.Sprint(e.Number), e.Fingerprint, made, seals)
	}
	return t.flush()
}

var _ replica.Seals = identity.Seals{}

// reloadSecret takes over the epochs of the file; what is wrong with it is logged and
// those in force stay.
func reloadSecret(have identity.Secret, file string, log *slog.Logger) {
	s, err := identity.ReadSecret(file)
	added := 0
	if err == nil {
		added, err = have.Epochs().Take(s)
	}
	if err != nil {
		log.Error("secret file not reloaded, the epochs in force stay", "file", file, "error", err.Error())
		return
	}
	if added > 0 {
		newest := have.Epochs().Newest()
		log.Info("the secret file has another epoch; it comes into use once every node reads it", "file", file, "epoch", newest.Number, "fingerprint", newest.Fingerprint)
	}
}
