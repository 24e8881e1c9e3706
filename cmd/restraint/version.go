package main

import (
	"errors"
	"fmt"
	"runtime/debug"
)

type versionCmd struct{}

// Run prints what the Go tool recorded when this program was built.
func (versionCmd) Run(p *process) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this program was built without module information: build it with the go tool in module mode")
	}
	t := newTable(p.stdout)
	t.row("restraint", versionOf(info))
	t.row("go", info.GoVersion)
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		t.row(m.Path, m.Version)
	}
	return t.flush()
}

// programVersion is what this program calls itself, "unknown" where the Go tool
// recorded nothing.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return versionOf(info)
}

// versionOf is the module's version, or else the commit it was built from.
func versionOf(info *debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	version := info.Main.Version
	if version == "" {
		version = "(devel)"
	}
	if revision := settings["vcs.revision"]; revision != "" {
		version += fmt.Sprintf(" commit %s of %s", revision[:min(12, len(revision))], settings["vcs.time"])
		if settings["vcs.modified"] == "true" {
			version += ", modified"
		}
	}
	return version
}
