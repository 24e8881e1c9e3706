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
	Kind              string   `json:"kind"`
	Source            string   `json:"source"`
	Basis             string   `json:"basis"`
	Leaving           int64    `json:"leaving"`
	EarlierEpoch      bool     `json:"earlier_epoch"`
	Seen              []struct {
		Source   string `json:"source"`
		LastSeen *int64 `json:"last_seen"`
		Watched  int64  `json:"watched"`
		Silent   bool   `json:"silent"`
	} `json:"seen"`
	Nodes []struct {
		Node       string `json:"node"`
		State      string `json:"state"`
		Generation int64  `json:"generation"`
		Current    bool   `json:"current"`
		Heard      int64  `json:"heard"`
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
	t.row("LIST", "STATE", "GENERATION", "KEYS", "AGE", "FALSE POSITIVES", "MEMORY", "DISK", "NODES", "SOURCES", "KIND", "FROM", "BASIS")
	var notes []string
	for _, l := range lists {
		t.row(l.row()...)
		if l.Declared != nil && !*l.Declared {
			notes = append(notes, l.List+": the policy in force does not declare this list")
		}
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

// notes are what needs attention: sources that no request brings, and nodes on
// which the list is another.
func (l *listed) notes() (notes []string) {
	seconds := func(n int64) string { return roughTime(time.Duration(n) * time.Second) }
	if l.Leaving > 0 {
		notes = append(notes, fmt.Sprintf("%s: %s of the members leave by themselves", l.List, grouped(l.Leaving)))
	}
	switch {
	case l.EarlierEpoch && l.State == "damaged":
		notes = append(notes, l.List+": its files stay sealed in an earlier epoch of the secret, since they are damaged: push it again")
	case l.EarlierEpoch:
		notes = append(notes, l.List+": its files are being sealed in another epoch of the secret")
	}
	for _, s := range l.Seen {
		if !s.Silent {
			continue
		}
		last := "never in the " + seconds(s.Watched) + " that this node watched"
		if s.LastSeen != nil {
			last = "last " + seconds(*s.LastSeen) + " ago"
		}
		notes = append(notes, fmt.Sprintf("%s: no request in 24 h carried %s (%s): its members under that source are not held off; send that identifier with requests, or upload one that they carry",
			l.List, s.Source, last))
	}
	for _, n := range l.Nodes {
		switch {
		case n.Heard > silentNode:
			notes = append(notes, fmt.Sprintf("%s: nothing was heard of node %s for %s", l.List, n.Node, seconds(n.Heard)))
		case !n.Current:
			notes = append(notes, fmt.Sprintf("%s: node %s has generation %d still, or already", l.List, n.Node, n.Generation))
		case n.State != l.State:
			notes = append(notes, fmt.Sprintf("%s: node %s says that it is %s", l.List, n.Node, n.State))
		}
	}
	return notes
}

// silentNode is after how many seconds a node that tells once a minute is missed.
const silentNode = 150

// onNodes says on how many nodes of the cluster the list is the same as here.
func (l *listed) onNodes() string {
	if len(l.Nodes) == 0 {
		return "-"
	}
	same := 0
	for _, n := range l.Nodes {
		if n.Current && n.State == l.State && n.Heard <= silentNode {
			same++
		}
	}
	return fmt.Sprintf("%d of %d", same, len(l.Nodes))
}

// orDash is a cell of what may not be said.
func orDash(said string) string {
	if said == "" {
		return "-"
	}
	return said
}

func (l *listed) row() []string {
	age, rate := "-", "-"
	if l.Generation > 0 || l.Keys > 0 {
		age = roughTime(time.Duration(l.AgeSeconds) * time.Second)
		rate = roughRate(l.FalsePositiveRate)
	}
	return []string{
		l.List, l.State, fmt.Sprint(l.Generation), grouped(l.Keys), age, rate,
		roughSize(l.Bytes), roughSize(l.DiskBytes), l.onNodes(), strings.Join(l.Sources, " "),
		orDash(l.Kind), orDash(l.Source), orDash(l.Basis),
	}
}
