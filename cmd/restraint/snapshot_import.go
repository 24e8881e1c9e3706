package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"restraint/edge"
	"restraint/edge/atrest"
	"restraint/edge/audit"
	"restraint/edge/backup"
	"restraint/edge/identity"
	"restraint/edge/replica"
)

// snapshotImportCmd makes a data folder of a file.
type snapshotImportCmd struct {
	Config string `help:"Configuration file that the node is started with." placeholder:"FILE"`
	File   string `arg:"" help:"What restraint snapshot export wrote." type:"path"`
	kong.Plugins
	keys configFlags
}

// Run checks the whole file, and then makes the folder; after an error it is as it was.
func (c *snapshotImportCmd) Run(p *process) error {
	cfg, err := loadConfig(c.Config, c.keys.given(), false, p.lookup)
	if err != nil {
		return err
	}
	secret, err := identity.ReadSecret(cfg.SecretFile)
	if err != nil {
		return secretFault(err, cfg.SecretFile)
	}
	keys, err := readEncryptKeys(&cfg)
	if err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return wrongUse("open snapshot: %w", err)
	}
	defer func() { _ = f.Close() }()
	var found edge.Backup
	if err := withData(cfg.Data, func() error {
		if err := checkLeft(cfg.Data, keys); err != nil {
			return err
		}
		found, err = c.read(&cfg, secret, keys, f)
		return err
	}); err != nil {
		return err
	}
	if err := printBackup(p.stdout, &found, p.now()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, importSays, cfg.Data, found.Taken.UTC().Format(time.RFC3339))
	return err
}

const importSays = `imported into %s
Erasures, opt-outs and hides after %s are not in it. Where NATS still has its streams, the node reads
them before it is ready; where they are lost, do again what people have asked for since.
In a cluster start this node first, and the others, with empty data folders, once it is ready.
`

// read makes the data folder.
func (c *snapshotImportCmd) read(cfg *Config, secret identity.Secret, keys atrest.Keys, f *os.File) (found edge.Backup, err error) {
	whole := sha256.New()
	r, err := backup.NewReader(io.TeeReader(bufio.NewReaderSize(f, 1<<20), whole))
	if err != nil {
		return found, backupFault(c.File, err)
	}
	stage, err := backup.Stage(cfg.Data)
	if err != nil {
		return found, err
	}
	if found, err = edge.ReadBackup(r, c.options(cfg, secret, stage, whole)); err != nil {
		err = backupFault(c.File, err)
	} else if err = encryptFolder(stage, keys); err == nil {
		err = backup.Commit(cfg.Data)
	}
	if err != nil && !backup.Pending(cfg.Data) {
		err = errors.Join(err, backup.Discard(cfg.Data))
	}
	return found, err
}

func (c *snapshotImportCmd) options(cfg *Config, secret identity.Secret, stage string, whole hash.Hash) edge.BackupOptions {
	return edge.BackupOptions{
		Secret: secret, Dir: stage, Node: cfg.Node, Cluster: len(cfg.NATS.URLs) > 0,
		Facts: func() audit.Facts {
			return audit.Facts{"file": filepath.Base(c.File), "sha256": hex.EncodeToString(whole.Sum(nil))}
		},
		Counters: func(in io.Reader, each func([]byte) error) error {
			_, err := replica.Import(countersDir(stage), in, secret.Fingerprint(), secret.Epochs().Seals(), each)
			return err
		},
	}
}

// countersDir is the folder of the counters in a data folder.
func countersDir(data string) string { return filepath.Join(data, "counters") }

// heldBy are the folders in which a node keeps its state, but for the store of its own NATS server: what that still has is read from it.
var heldBy = []string{"audit", "counters", edge.FormerHeads, "joined", "policies", "suppress"}

// withData calls f while no node can use the data folder, which holds nothing of one; on an error of f it does not either.
func withData(data string, f func() error) error {
	var made []string // what is to go again
	for _, path := range []string{filepath.Join(countersDir(data), "lock"), countersDir(data), data} {
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			made = append(made, path)
		}
	}
	unlock, err := replica.Lock(countersDir(data))
	if errors.Is(err, replica.ErrLocked) {
		return fmt.Errorf("a node runs with the data folder %q: stop it, or name another folder with --data: %w", data, err)
	}
	if err != nil {
		return err
	}
	err = emptyData(data)
	if err == nil {
		err = f()
	}
	if err != nil && !backup.Pending(data) {
		for _, path := range made {
			_ = os.Remove(path) // it leaves a folder that has more
		}
	}
	return errors.Join(err, unlock())
}

// emptyData refuses a folder that holds the state of a node.
func emptyData(data string) error {
	if backup.Pending(data) {
		if err := backup.Finish(data); err != nil {
			return err
		}
		return fmt.Errorf("an earlier import into %q has been brought to its end just now: start the node", data)
	}
	var held []string
	for _, name := range heldBy {
		entries, err := os.ReadDir(filepath.Join(data, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if len(entries) > 1 || len(entries) == 1 && (name != "counters" || entries[0].Name() != "lock") {
			held = append(held, name)
		}
	}
	if len(held) > 0 {
		return wrongUse("the data folder %q holds the state of a node (%s), and an import takes an empty one: move these folders away, or name another with --data",
			data, strings.Join(held, ", "))
	}
	return nil
}

// finishImport brings an import to its end whose process died in it, or removes what it left.
func finishImport(data string) error {
	if !backup.Left(data) {
		return nil
	}
	unlock, err := replica.Lock(countersDir(data))
	if err != nil {
		return err
	}
	return errors.Join(backup.Discard(data), backup.Finish(data), unlock())
}
