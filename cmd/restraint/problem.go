package main

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// problem is the node's refusal (RFC 9457, application/problem+json).
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Field  string `json:"field"`
		Detail string `json:"detail"`
		Line   int    `json:"line"`
	} `json:"errors"`
	Mend   string  `json:"mend"`   // lines that would make it work
	Report *pushed `json:"report"` // how far a refused upload came

	retryAfter string // seconds, as the header has it
}

// maxShown is how many faults or rejected rows are printed at most.
const maxShown = 100

// refusal is the error for an answer other than 2xx.
func refusal(resp *http.Response, body []byte) error {
	p := &problem{Title: http.StatusText(resp.StatusCode), Status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After")}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind == "application/problem+json" {
		if json.Unmarshal(body, p) == nil {
			p.Status = resp.StatusCode
			return p
		}
	}
	p.Detail = fmt.Sprintf("the answer is no problem+json (Content-Type %q): is this the admin listener of a node?", resp.Header.Get("Content-Type"))
	return p
}

// Error says all that the node said, one fault a line.
func (p *problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the node answers %d", p.Status)
	if p.Title != "" {
		b.WriteString(" " + p.Title)
	}
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	switch p.Status {
	case http.StatusUnauthorized:
		b.WriteString("\n  give an access key with --key or in RESTRAINT_KEY")
	case http.StatusForbidden:
		b.WriteString("\n  the key lacks the role for this")
	}
	if p.retryAfter != "" {
		fmt.Fprintf(&b, "\n  try again after %s s", p.retryAfter)
	}
	for i, e := range p.Errors {
		if i == maxShown {
			fmt.Fprintf(&b, "\n  and %d more", len(p.Errors)-maxShown)
			break
		}
		b.WriteString("\n  ")
		if e.Line > 0 {
			fmt.Fprintf(&b, "line %d: ", e.Line)
		}
		if e.Field != "" {
			b.WriteString(e.Field + ": ")
		}
		b.WriteString(e.Detail)
	}
	if p.Report != nil {
		for _, r := range p.Report.rejectedLines() {
			b.WriteString("\n" + r)
		}
	}
	if p.Mend != "" {
		b.WriteString("\n\nThis would mend it:\n" + strings.TrimRight(p.Mend, "\n"))
	}
	return b.String()
}
