package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kong"

	"restraint/edge"
	"restraint/edge/replica"
)

// process is what a command sees of the world, so that tests can give another.
type process struct {
	args           []string
	lookup         func(string) (string, bool) // environment
	variables      func() []string             // its names; nil: none
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool // stderr is a terminal
	now            func() time.Time
}

// commands are the commands, each with its flags. What Run returns decides the
// exit code: see exitCode.
type commands struct {
	Serve    serveCmd    `cmd:"" help:"Run a node."`
	Check    checkCmd    `cmd:"" help:"Validate configuration and policy; every fault at once."`
	Push     pushCmd     `cmd:"" help:"Stream a CRM export into a suppression list of a node."`
	Lists    listsCmd    `cmd:"" help:"Show a node's suppression lists."`
	Decide   decideCmd   `cmd:"" help:"Ask a node for one decision and its explanation."`
	User     userCmd     `cmd:"" help:"Show what is held about a person, erase it, or opt them out."`
	Policy   policyCmd   `cmd:"" help:"Show and change a node's policy."`
	Replay   replayCmd   `cmd:"" help:"Feed a real event log through a node and report what the policy would have spared."`
	Audit    auditCmd    `cmd:"" help:"Show and check the record of changes: what, by whom and why."`
	Keys     keysCmd     `cmd:"" help:"Make, show and revoke access keys."`
	Snapshot snapshotCmd `cmd:"" help:"Back up all that a node holds, check a backup, and restore it."`
	Secret   secretCmd   `cmd:"" help:"Rotate the identifier secret, and show its epochs."`
	Load     loadCmd     `cmd:"" help:"Drive a node with load and report how fast, and how right, it answers."`
	Nats     natsCmd     `cmd:"" help:"Run the NATS server that is linked into this program."`
	Version  versionCmd  `cmd:"" help:"Print the version of this program, of Go and of its modules."`
}

const description = `Restraint decides whether an advertisement may be shown to a person:
how often they have seen it, what they bought, and which lists they are on.`

// run runs one command and returns the exit code: 0, 2 for wrong use or wrong
// configuration, 99 or 3 for what a load test found, 1 for everything else. It prints
// errors to stderr.
func run(ctx context.Context, p *process) (code int) {
	// kong ends the process after printing help and goes on where it does not end.
	type helpPrinted int
	defer func() {
		switch r := recover().(type) {
		case nil:
		case helpPrinted:
			code = int(r)
		default:
			panic(r)
		}
	}()
	var cmds commands
	cmds.Serve.Plugins = kong.Plugins{cmds.Serve.keys.build()}
	cmds.Check.Plugins = kong.Plugins{cmds.Check.keys.build()}
	cmds.Snapshot.Import.Plugins = kong.Plugins{cmds.Snapshot.Import.keys.build()}
	parser, err := kong.New(&cmds, kong.Name("restraint"), kong.Description(description),
		kong.Writers(p.stdout, p.stderr), kong.Exit(func(code int) { panic(helpPrinted(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}),
		kong.Bind(p), kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		panic("BUG: commands: " + err.Error())
	}
	parsed, err := parser.Parse(p.args)
	if err != nil {
		_, _ = fmt.Fprintf(p.stderr, "restraint: %v\nsee restraint %s--help\n", err, commandOf(err))
		return 2
	}
	if err := parsed.Run(); err != nil {
		_, _ = fmt.Fprintf(p.stderr, "restraint %s: %v\n", parsed.Selected().Path(), err)
		return exitCode(err)
	}
	return 0
}

// commandOf is the command that a parse error is about, and a space, or nothing.
func commandOf(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Selected() != nil {
		return parse.Context.Selected().Path() + " "
	}
	return ""
}

// usageError is a wrong use that the flags' own rules cannot see.
type usageError struct{ error }

func wrongUse(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

func (e usageError) Unwrap() error { return e.error }

// exitCode is 2 for wrong use and wrong configuration, what a load test came to, else 1.
func exitCode(err error) int {
	var load loadFailed
	if errors.As(err, &load) {
		return load.code
	}
	var use usageError
	var config configFaults
	var checked checkFaults
	var refused edge.PolicyError
	if errors.As(err, &use) || errors.As(err, &config) || errors.As(err, &checked) || errors.As(err, &refused) ||
		errors.Is(err, replica.ErrBrokerOptions) || errors.Is(err, replica.ErrServerConfig) {
		return 2
	}
	return 1
}
