package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"restraint/caps"
	"restraint/edge"
	"restraint/edge/identity"
	"restraint/edge/policy"
	"restraint/loadtest"
)

// Size of the made-up log. Chosen: some ten seconds of replay.
const (
	syntheticUsers       = 5_000
	syntheticImpressions = 60_000
)

// replayMemory is what a node made for a replay may use.
const replayMemory = 1 * gib

// writeSynthetic writes the made-up log that is then replayed.
func (c *replayCmd) writeSynthetic(p *process) error {
	if err := os.MkdirAll(filepath.Dir(c.File), 0o755); err != nil {
		return fmt.Errorf("write synthetic log: %w", err)
	}
	f, err := os.Create(c.File)
	if err != nil {
		return fmt.Errorf("write synthetic log: %w", err)
	}
	w := bufio.NewWriter(f)
	err = loadtest.SyntheticLog(w, c.Seed, syntheticUsers, syntheticImpressions)
	if err := errors.Join(err, w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("write synthetic log: %w", err)
	}
	_, err = fmt.Fprintf(p.stdout, "wrote a synthetic log, seed %d: %s\n", c.Seed, c.File)
	return err
}

// presetOf is the preset that a log's file is named after: its name up to a dot
// or an underscore, the shortest one; "" for none.
func presetOf(file string) string {
	base, found := strings.ToLower(filepath.Base(file)), ""
	for _, known := range loadtest.Presets() {
		rest, ok := strings.CutPrefix(base, strings.ReplaceAll(known.Name, "-", "_"))
		if ok && rest != "" && strings.ContainsRune("._", rune(rest[0])) && (found == "" || len(known.Name) < len(found)) {
			found = known.Name
		}
	}
	return found
}

// replayNode is a node in this process, for one replay.
type replayNode struct {
	addr string
	dir  string
	stop context.CancelFunc
	done chan error
}

// startReplayNode starts a node that takes its time from the log, on a free port
// of the loopback interface, with an empty store in a temporary folder. text is its
// policy, which came from the file called name.
func startReplayNode(text []byte, name string) (_ *replayNode, err error) {
	dir, err := os.MkdirTemp("", "restraint-replay-")
	if err != nil {
		return nil, fmt.Errorf("start a node for the replay: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	secret, _, err := identity.OpenSecret(filepath.Join(dir, "secret"))
	if err != nil {
		return nil, fmt.Errorf("start a node for the replay: %w", err)
	}
	defaults := defaultConfig()
	node, err := edge.Open(edge.Options{
		Name: "replay", Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Dir: dir, Secret: secret,
		Caps:        caps.Options{Memory: int64(replayMemory), RefusalMemory: int64(replayMemory) / refusalShare},
		MaxRejected: defaults.Lists.MaxRejected, MaxShrink: defaults.Lists.MaxShrink,
		MaxUpload: int64(defaults.Limits.Upload), Connections: defaults.Limits.Connections,
		FirstPolicy: text, FirstPolicyName: name, RequestClock: true, Version: programVersion(),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return nil, fmt.Errorf("start a node for the replay: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &replayNode{addr: node.AdminAddr(), dir: dir, stop: stop, done: make(chan error, 1)}
	go func() { n.done <- node.Run(ctx) }()
	return n, nil
}

// close ends the node and removes what it kept.
func (n *replayNode) close() {
	n.stop()
	<-n.done // it has nothing to say that the replay has not met
	os.RemoveAll(n.dir)
}

// replayPolicy reads the policy; in a folder, that of the preset. A policy that
// cannot be read or has a fault is a wrong use.
func replayPolicy(path, preset string) (text []byte, name string, err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if preset == "" {
			return nil, "", wrongUse("--policy %q is a folder: name the log's --preset, or a file", path)
		}
		path = filepath.Join(path, preset+".yaml")
	}
	if text, err = readPolicy(path, nil); err != nil {
		return nil, "", err
	}
	if _, err := policy.Parse(text, path); err != nil {
		return nil, "", checkFaults{err}
	}
	return text, path, nil
}

func writeJSON(file string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode summary: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}
