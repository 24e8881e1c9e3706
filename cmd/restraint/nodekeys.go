package main

import (
	"log/slog"

	"restraint/edge/access"
)

// openKeys reads the file of keys that the configuration names; nil where it names
// none. Whatever is wrong with the file is a wrong configuration.
func openKeys(cfg *Config, log *slog.Logger) (*access.Gate, error) {
	if cfg.KeysFile == "" {
		return nil, nil
	}
	f, err := access.Read(cfg.KeysFile)
	if err != nil {
		return nil, keysFault(err, cfg.KeysFile)
	}
	sayKeys(f, cfg.KeysFile, log)
	return access.NewGate(f), nil
}

// reloadKeys puts the keys of the file in force; what is wrong with it is logged and
// the keys in force stay.
func reloadKeys(gate *access.Gate, file string, log *slog.Logger) {
	if gate == nil {
		return
	}
	f, err := access.Read(file)
	if err != nil {
		log.Error("keys not reloaded, those in force stay", "file", file, "error", err.Error())
		return
	}
	gate.Replace(f)
	sayKeys(f, file, log)
}

func sayKeys(f *access.File, file string, log *slog.Logger) {
	about := []any{"file", file, "active", f.Active(), "revoked", len(f.Keys) - f.Active()}
	if f.Active() == 0 {
		log.Warn("no key is active: every path that needs one answers 401; restraint keys new makes one", about...)
		return
	}
	log.Info("keys in force", about...)
}
