// Command restraint runs a node that decides whether an advertisement may be
// shown to a person, and the commands that talk to a node.
//
// Each command is in a file of its own. This package is the only one that reads
// flags, environment and configuration file, and the only one that exits.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // a policy's zones, wherever it runs
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, &process{
		args:      os.Args[1:],
		lookup:    os.LookupEnv,
		variables: environment,
		stdin:     os.Stdin,
		stdout:    os.Stdout,
		stderr:    os.Stderr,
		terminal:  isTerminal(os.Stderr),
		now:       time.Now,
	}))
}

// isTerminal says whether a person watches f, which a bar can be drawn on.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
