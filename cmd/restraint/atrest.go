package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"restraint/edge/atrest"
	"restraint/edge/identity"
	"restraint/edge/replica"
)

// readEncryptKeys reads the key file that the configuration names; no keys where it names
// none. Whatever is wrong with it is a wrong configuration.
func readEncryptKeys(cfg *Config) (keys atrest.Keys, err error) {
	name := cfg.Encrypt.KeyFile
	if name == "" {
		return keys, nil
	}
	if isBelow(cfg.Data, name) {
		return keys, wrongUse("encrypt.key_file %q is under data, %q: whoever takes that has the key as well; put it on another disk, or have a secret manager give it", name, cfg.Data)
	}
	b, err := identity.ReadPrivateFile(name, atrest.MostKeys*atrest.KeySize)
	if err == nil {
		keys, err = atrest.ParseKeys(b)
	}
	if err != nil {
		return keys, wrongUse("encrypt.key_file %q: %w: make one with (umask 077; head -c 32 /dev/urandom > FILE), chmod 600 FILE", name, err)
	}
	return keys, nil
}

// isBelow says whether a file is in a folder, also by way of links.
func isBelow(dir, name string) bool {
	for _, follow := range []func(string) (string, error){filepath.EvalSymlinks, filepath.Abs} {
		d, err := follow(dir)
		if err == nil {
			d, err = filepath.Abs(d)
		}
		n, err2 := follow(name)
		if err2 == nil {
			n, err2 = filepath.Abs(n)
		}
		if err != nil || err2 != nil {
			continue
		}
		if rel, err := filepath.Rel(d, n); err == nil && filepath.IsLocal(rel) {
			return true
		}
	}
	return false
}

// openAtRest makes the folder data, and has everything in it encrypted where the
// configuration says so; the Disk is nil where it does not.
func openAtRest(cfg *Config, log *slog.Logger) (*atrest.Disk, error) {
	keys, err := readEncryptKeys(cfg)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	disk, err := atrest.Open(atrest.Options{
		Dir: cfg.Data, Keys: keys, Lock: filepath.Join(cfg.Data, "counters", "lock"), Leave: leftPlain, Aside: isAside, Log: log,
	})
	if errors.Is(err, atrest.ErrKey) || errors.Is(err, atrest.ErrPlain) || errors.Is(err, atrest.ErrVersion) {
		return nil, usageError{err}
	}
	return disk, err
}

// encryptFolder encrypts what was written into a folder that is to become data, and which
// nobody else uses, where there is a key.
func encryptFolder(dir string, keys atrest.Keys) error {
	lock, mark := filepath.Join(dir, "lock"), filepath.Join(dir, atrest.Mark)
	disk, err := atrest.Open(atrest.Options{Dir: dir, Keys: keys, Lock: lock, Leave: leftPlain, Log: slog.New(slog.DiscardHandler)})
	if err != nil || disk == nil {
		return err
	}
	for _, name := range []string{lock, mark} { // they are data's own
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkLeft refuses a data folder without the state of a node that has the mark of one that
// encrypted under another key, or its key of the NATS store: no node would start with it.
func checkLeft(data string, keys atrest.Keys) error {
	_, err := atrest.Look(data, keys, atrest.Mark, storeKeyFile)
	if errors.Is(err, atrest.ErrKey) {
		return usageError{fmt.Errorf("%w; where that key is lost, move it away, and what is there of %q, %q and %q with it", err, atrest.Mark, storeKeyFile, "nats")}
	}
	return err
}

// leftPlain says what under data is not encrypted by this program: what names nobody, what
// the NATS server encrypts, and what is an operator's.
func leftPlain(path string) bool {
	first, rest, _ := strings.Cut(path, "/")
	switch first {
	case ".", "audit", atrest.Mark, "joined", "policies", storeKeyFile:
		return false
	case "counters":
		return rest == "lock" || rest == "id" || rest == "epoch" || strings.HasPrefix(rest, ".id.") || strings.HasPrefix(rest, ".epoch.")
	case "suppress":
		return rest == "followed" || strings.HasPrefix(rest, ".followed.")
	}
	return true
}

// isAside says which files are kept for people to look at, and read by nobody.
func isAside(path string) bool {
	name := path[strings.LastIndexByte(path, '/')+1:]
	return strings.HasSuffix(name, ".damaged") || strings.HasSuffix(name, ".aside") || strings.HasPrefix(name, "aside.") || strings.Contains(name, ".torn-")
}

// storeKeyFile, under data, has the key of the embedded NATS server's store, encrypted as
// all else, so that another key in front of the key file does not change it: the server
// cannot be trusted with that (2.15.2 gives up streams that are empty then).
const storeKeyFile = "nats.key"

// storeKey is the key of the embedded NATS server's store, made at the first start that
// encrypts; "" where nothing is encrypted.
func storeKey(cfg *Config, disk *atrest.Disk) (string, error) {
	if disk == nil {
		return "", nil
	}
	name, store := filepath.Join(cfg.Data, storeKeyFile), filepath.Join(cfg.Data, "nats")
	key, err := disk.ReadWhole(name)
	if errors.Is(err, fs.ErrNotExist) {
		if had, _ := filepath.Glob(filepath.Join(store, "jetstream", "*", "streams", "*", "meta.key")); len(had) == 0 {
			key = make([]byte, atrest.KeySize)
			_, _ = rand.Read(key) // never fails; it ends the process instead
			err = disk.WriteFile(name, key)
		}
	}
	if err != nil {
		return "", fmt.Errorf("read the key of the NATS store: %w: put %q back from a backup, or remove %q, and what the node has on its disk is published again", err, name, store)
	}
	return hex.EncodeToString(key), nil
}

// keeperFiles opens the files of a keeper through the disk.
func keeperFiles(disk *atrest.Disk) func(string, int) (replica.File, error) {
	if disk == nil {
		return nil
	}
	return func(name string, flag int) (replica.File, error) {
		f, err := disk.OpenFile(name, flag)
		switch {
		case errors.Is(err, atrest.ErrPath), errors.Is(err, atrest.ErrPlain):
			return nil, fmt.Errorf("%w: %w", replica.ErrUnreadable, err)
		case err != nil:
			return nil, err
		}
		return f, nil
	}
}

// lookAtRest reads what a node left of its record of changes, be it encrypted or not.
func lookAtRest(cfg *Config) (*atrest.Disk, error) {
	keys, err := readEncryptKeys(cfg)
	if err != nil {
		return nil, err
	}
	disk, err := atrest.Look(cfg.Data, keys, "audit", "joined")
	if errors.Is(err, atrest.ErrKey) {
		return nil, usageError{err}
	}
	return disk, err
}
