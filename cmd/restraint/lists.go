package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// listsCmd shows a node's suppression lists.
type listsCmd struct {
	nodeFlags
	JSON bool `name:"json" help:"Print the node's answer as it is."`
}

// listed is one list as the node describes it. All of it is optional, so that
// older and newer nodes can be asked.
type listed struct {
	List              string   `json:"list"`
	State             string   `json:"state"`
	Declared          *bool    `json:"declared"`
	Exact             bool     `json:"exact"`
	Generation        int64    `json:"generation"`
	Keys              int64    `json:"keys"`
	AgeSeconds        int64    `json:"age"`
	FalsePositiveRate float64  `json:"false_positive_rate"`
	Bytes             int64    `json:"bytes"`
	DiskBytes         int64    `json:"disk_bytes"`
	Sources           []string `json:"sources"`
	// UnseenSources are sources of the list that no request carried in 24 h.
	UnseenSources []string `json:"unseen_sources"`
	// Nodes is the list's state on each node of the cluster.
	Nodes []struct {
		Node       string `json:"node"`
		State      string `json:"state"`
		Generation int64  `json:"generation"`
	} `json:"nodes"`
}

// Run prints a table of the lists, and below it what needs attention.
func (c *listsCmd) Run(ctx context.Context, p *process) error {
	node, err := c.open(p)
	if err != nil {
		return err
	}
	body, err := node.do(ctx, request{method: http.MethodGet, path: "/v1/lists"})
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := p.stdout.Write(body)
		return err
	}
	var answer struct {
		Lists []listed `json:"lists"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	return printLists(p.stdout, answer.Lists)
}

func printLists(w io.Writer, lists []listed) error {
	if len(lists) == 0 {
		_, err := fmt.Fprintln(w, "no lists: the policy declares none")
		return err
	}
	t := newTable(w)
	t.row("LIST", "STATE", "GENERATION", "KEYS", "AGE", "FALSE POSITIVES", "MEMORY", "DISK", "SOURCES")
	var notes []string
	for _, l := range lists {
		t.row(l.row()...)
		notes = append(notes, l.notes()...)
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, note := range notes {
		if _, err := fmt.Fprintln(w, note); err != nil {
			return err
		}
	}
	return nil
}

func (l *listed) row() []string {
	age, rate := "-", "-"
	if l.Generation > 0 || l.Keys > 0 {
		age = roughTime(time.Duration(l.AgeSeconds) * time.Second)
		rate = roughRate(l.FalsePositiveRate)
	}
	state := l.State
	for _, n := range l.Nodes {
		state += fmt.Sprintf(" %s:%s@%d", n.Node, n.State, n.Generation)
	}
	return []string{
		l.List, state, fmt.Sprint(l.Generation), grouped(l.Keys), age, rate,
		roughSize(l.Bytes), roughSize(l.DiskBytes), strings.Join(l.Sources, " "),
	}
}

func (l *listed) notes() []string {
	var notes []string
	for _, s := range l.UnseenSources {
		notes = append(notes, fmt.Sprintf("%s: no request in 24 h carried an identifier of source %s: is the column mapped to the right source?", l.List, s))
	}
	if l.Declared != nil && !*l.Declared {
		notes = append(notes, l.List+": the policy in force does not declare this list")
	}
	return notes
}
