package loadtest

import "errors"

var (
	// ErrOptions: the options lack something, contradict one another or are out of
	// bounds; nothing was read or sent.
	ErrOptions = errors.New("wrong options")
	// ErrColumn: the log's header lacks a mapped column, or has it twice.
	ErrColumn = errors.New("column not usable")
	// ErrEmptyLog: the log has no header, no rows, or no row that can be read.
	ErrEmptyLog = errors.New("log holds no usable row")
	// ErrCutShort: a gzip stream ends before its end mark; nothing was sent.
	ErrCutShort = errors.New("the gzip file ends early, it is not complete: copy it again")
	// ErrTooManyRows: the log holds more rows than ReplayOptions.MaxRows.
	ErrTooManyRows = errors.New("too many rows")
	// ErrUnreachable: nothing answers HTTP at the address.
	ErrUnreachable = errors.New("node not reachable")
	// ErrNotReady: the node answers, but /readyz is not 200.
	ErrNotReady = errors.New("node not ready")
	// ErrClock: the node takes "now" from its own clock.
	ErrClock = errors.New("node does not run with --clock=request")
	// ErrKey: the node refuses the key, or wants one.
	ErrKey = errors.New("node refuses the key")
	// ErrNode: the node answers what a node must not answer.
	ErrNode = errors.New("unexpected answer of the node")
)
