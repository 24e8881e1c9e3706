package client

import (
	"fmt"
	"strings"
	"time"
)

// Kind is why a call failed: a closed set, fit for the label of a metric.
type Kind string

// The kinds of failure. Those under which OnFailure decides are marked (away).
const (
	Unreachable Kind = "unreachable" // (away) no connection, or it ended before the answer did; 502 and 504 of a proxy
	Timeout     Kind = "timeout"     // (away) the deadline passed, or the context was done
	NotReady    Kind = "not_ready"   // (away) 503: starting, draining or full
	Rate        Kind = "rate"        // (away) 429: over the rate of the key
	NodeFault   Kind = "node_fault"  // (away) another 5xx: the node met a fault of its own
	Closed      Kind = "closed"      // (away) the client was closed
	BadRequest  Kind = "bad_request" // the request is wrong: Fields say where
	Forbidden   Kind = "forbidden"   // 401, 403: no key, a wrong one, or one without the role
	Untrusted   Kind = "untrusted"   // TLS: the node's certificate cannot be believed, or it does not believe this client's
	BadAnswer   Kind = "bad_answer"  // what came is no answer to this request
)

// Error is why no node did what was asked.
type Error struct {
	Kind Kind
	// Addr is the node that was asked last; empty when none was.
	Addr string
	// Status is its HTTP status; 0 without an answer.
	Status int
	// Detail says what is wrong and how to mend it. Nodes put no identifier into it.
	Detail string
	// Fields are the faults of a wrong request, each with its field.
	Fields []FieldError
	// RetryAfter is how long the node asks to be left alone; 0 when it does not say.
	RetryAfter time.Duration
	// Sent: a node, not only the one asked last, may have acted on the request all the same.
	Sent bool
	// Err is the cause, such as a network error; nil when the node answered.
	Err error
}

// FieldError is one fault of a request.
type FieldError struct {
	Field  string `json:"field"` // its path, e.g. candidates[3].campaign
	Detail string `json:"detail"`
}

// Error says what failed, where, and the first faults.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("restraint: " + string(e.Kind))
	if e.Addr != "" {
		b.WriteString(" at " + e.Addr)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, " (%d)", e.Status)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// away says whether OnFailure decides under this failure.
func (e *Error) away() bool {
	return e.Kind != BadRequest && e.Kind != Forbidden && e.Kind != BadAnswer && e.Kind != Untrusted
}

func badRequest(format string, args ...any) *Error {
	return &Error{Kind: BadRequest, Detail: fmt.Sprintf(format, args...)}
}
