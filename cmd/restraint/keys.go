package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"restraint/edge/access"
)

// keysCmd looks after the file of access keys. It talks to no node: a node reads the
// file at its start and at SIGHUP.
type keysCmd struct {
	New    keysNewCmd    `cmd:"" help:"Make a key, print it once, and keep its hash in the file of keys."`
	List   keysListCmd   `cmd:"" help:"Show the keys of the file, revoked ones too."`
	Revoke keysRevokeCmd `cmd:"" help:"Revoke a key."`
}

// keysFlags name the file.
type keysFlags struct {
	KeysFile string `help:"File of keys. Default: RESTRAINT_KEYS_FILE, else keys_file of the configuration, else keys in its data folder." placeholder:"FILE"`
	Config   string `help:"Configuration file that the node is started with." placeholder:"FILE"`
}

// path is the file that is meant.
func (f *keysFlags) path(p *process) (string, error) {
	if f.KeysFile != "" {
		return f.KeysFile, nil
	}
	cfg, err := loadConfig(f.Config, nil, false, p.lookup)
	switch {
	case err != nil:
		return "", err
	case cfg.KeysFile != "":
		return cfg.KeysFile, nil
	case filepath.IsAbs(cfg.Data):
		return filepath.Join(cfg.Data, "keys"), nil
	}
	return "./" + filepath.Join(cfg.Data, "keys"), nil
}

// keysFault makes wrong use and wrong configuration of what access says of a file that
// should be there.
func keysFault(err error, path string) error {
	var faults *access.Faults
	switch {
	case err == nil:
		return nil
	case errors.As(err, &faults):
		return wrongUse("the file of keys has %s\n  %s", plural(len(faults.All), "fault"), strings.ReplaceAll(faults.Error(), "\n", "\n  "))
	case errors.Is(err, fs.ErrNotExist):
		return wrongUse("there is no file of keys %q: restraint keys new --keys-file %s makes it with a first key", path, path)
	case errors.Is(err, access.ErrMode), errors.Is(err, access.ErrNotFile),
		errors.Is(err, access.ErrTwoActive), errors.Is(err, access.ErrNoKey), errors.Is(err, access.ErrRevoked):
		return usageError{err}
	}
	return err
}

// keysNewCmd makes a key.
type keysNewCmd struct {
	keysFlags
	Client  string   `help:"Who is to have it: 1 to 64 of a-z A-Z 0-9 . _ -. A client has at most two keys that are not revoked." required:"" placeholder:"NAME"`
	Role    []string `help:"What it may do: bid, crm, privacy, ops or metrics; may repeat." required:"" placeholder:"ROLE"`
	Reasons bool     `help:"May see why a candidate was skipped, which can tell who is a customer. Keys of privacy and ops may anyway."`
	Rate    int      `help:"Requests a second that it may send, 1 to 1000000. Default: no limit." placeholder:"N"`
	Burst   int      `help:"Requests that it may send at once. Default: those of one second." placeholder:"N"`
}

// Run prints the key on stdout, alone, and what else there is to say on stderr.
func (c *keysNewCmd) Run(p *process) error {
	roles, err := access.ParseRoles(strings.Join(c.Role, ","))
	if err != nil {
		return wrongUse("--role: %w", err)
	}
	if c.Rate < 0 || c.Burst < 0 {
		return wrongUse("--rate and --burst are whole numbers from 1")
	}
	key, text, err := access.Make(access.Key{Client: c.Client, Roles: roles, Reasons: c.Reasons, Rate: c.Rate, Burst: c.Burst}, p.now())
	if err != nil {
		return usageError{err}
	}
	path, err := c.path(p)
	if err != nil {
		return err
	}
	if err := access.Change(path, true, func(f *access.File) (*access.File, error) { return f.Add(key) }); err != nil {
		return keysFault(err, path)
	}
	if _, err := fmt.Fprintln(p.stdout, text); err != nil {
		return fmt.Errorf("print key %s: %w: nobody has it now, so revoke it", key.ID, err)
	}
	_, err = fmt.Fprintf(p.stderr, "key %s of %s with %s is in %s; its text is shown this once\n"+
		"a node knows it from its start with --keys-file %s on, or from the next SIGHUP\n", key.ID, key.Client, key.Roles, path, path)
	return err
}

// keysListCmd shows the keys.
type keysListCmd struct{ keysFlags }

// Run prints a table. Nothing in it is secret.
func (c *keysListCmd) Run(p *process) error {
	path, err := c.path(p)
	if err != nil {
		return err
	}
	f, err := access.Read(path)
	if err != nil {
		return keysFault(err, path)
	}
	t := newTable(p.stdout)
	t.row("ID", "CLIENT", "ROLES", "REASONS", "RATE", "MADE", "REVOKED")
	for i := range f.Keys {
		k := &f.Keys[i]
		reasons, rate, revoked := "no", "-", "-"
		if k.Reasons {
			reasons = "yes"
		}
		if k.Rate > 0 {
			rate = strconv.Itoa(k.Rate) + "/s"
			if k.Burst != k.Rate {
				rate += ", " + strconv.Itoa(k.Burst) + " at once"
			}
		}
		if !k.Active() {
			revoked = k.Revoked.Format(time.RFC3339)
		}
		t.row(k.ID, k.Client, k.Roles.String(), reasons, rate, k.Made.Format(time.RFC3339), revoked)
	}
	return t.flush()
}

// keysRevokeCmd revokes a key.
type keysRevokeCmd struct {
	keysFlags
	ID string `arg:"" help:"Id of the key, as restraint keys list shows it."`
}

// Run marks the key; its line stays in the file.
func (c *keysRevokeCmd) Run(p *process) error {
	path, err := c.path(p)
	if err != nil {
		return err
	}
	id := access.IDOf(c.ID) // also where somebody has nothing but the key
	if err := access.Change(path, false, func(f *access.File) (*access.File, error) { return f.Revoke(id, p.now()) }); err != nil {
		return keysFault(err, path)
	}
	_, err = fmt.Fprintf(p.stdout, "key %s is revoked; nodes refuse it from the next SIGHUP on\n", id)
	return err
}
