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
		if l.Declared != nil && !*l.Declared {
			notes = append(notes, l.List+": the policy in force does not declare this list")
		}
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
	return []string{
		l.List, l.State, fmt.Sprint(l.Generation), grouped(l.Keys), age, rate,
		roughSize(l.Bytes), roughSize(l.DiskBytes), strings.Join(l.Sources, " "),
	}
}
