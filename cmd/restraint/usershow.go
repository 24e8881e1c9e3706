package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// userShowCmd shows everything that is held.
type userShowCmd struct{ personFlags }

// userHeld is a look-up as the node answers it. All of it is optional, so that older and
// newer nodes can be asked.
type userHeld struct {
	Held        bool            `json:"held"`
	Exposures   []userScope     `json:"exposures"`
	Holds       []userScope     `json:"holds"`
	Purchases   []userScope     `json:"purchases"`
	Preferences userPreferences `json:"preferences"`
	Hidden      []struct {
		Campaign string `json:"campaign"`
		Tag      string `json:"tag"`
		At       int64  `json:"at"`
		Until    int64  `json:"until"`
	} `json:"hidden_campaigns"`
	Reports []struct {
		Campaign string `json:"campaign"`
		Tag      string `json:"tag"`
		Kind     string `json:"kind"`
		At       int64  `json:"at"`
	} `json:"reports"`
	Lists        []userList `json:"lists"`
	NotSearched  []userList `json:"not_searched"`
	ErasedUntil  int64      `json:"erased_until"`
	DroppedUntil int64      `json:"dropped_until"`
	KeptSeconds  int64      `json:"kept_seconds"`
}

type userList struct {
	List   string `json:"list"`
	Kind   string `json:"kind"`
	Source string `json:"source"`
	Basis  string `json:"basis"`
	State  string `json:"state"`
	Detail string `json:"detail"`
}

// userScope is what something is counted under, and what is.
type userScope struct {
	Per          string  `json:"per"`
	Name         string  `json:"name"`
	Channel      string  `json:"channel"`
	Tag          string  `json:"tag"`
	At           []int64 `json:"at"`
	DroppedUntil int64   `json:"dropped_until"`
	Bought       int64   `json:"bought"`
	Returned     int64   `json:"returned"`
	Since        int64   `json:"since"`
	Until        int64   `json:"until"`
}

type userPreferences struct {
	Personalisation bool     `json:"personalisation"`
	Advertisers     []string `json:"hidden_advertisers"`
	Topics          []string `json:"hidden_topics"`
	PauseUntil      int64    `json:"pause_until"`
	Unnamed         int      `json:"unnamed"`
	// OptOutLists have the person, whatever Personalisation says.
	OptOutLists []userList `json:"opt_out_lists"`
}

// declared is what the policy in force says of a list, where it does: its kind, where it
// is from, on what basis.
func (l *userList) declared() string {
	if l.Kind == "" {
		return "-"
	}
	return strings.ReplaceAll(l.Kind+", "+l.Source, "_", " ") + ", basis: " + l.Basis
}

// Run looks up and prints.
func (c *userShowCmd) Run(ctx context.Context, p *process) error {
	node, err := c.open(p)
	if err != nil {
		return err
	}
	answer, err := c.ask(ctx, p, node, "/v1/users/lookup", nil)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := p.stdout.Write(answer)
		return err
	}
	var held userHeld
	if err := json.Unmarshal(answer, &held); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	return held.print(p.stdout)
}

// moment is a time as people read it.
func moment(at int64) string {
	if at == 0 {
		return "-"
	}
	return time.Unix(at, 0).UTC().Format("2006-01-02 15:04:05") + " UTC"
}

func (s *userScope) what() string {
	said := s.Per
	if s.Name != "" {
		said += " " + s.Name
	}
	if s.Tag != "" {
		said += " (tag " + s.Tag + ")"
	}
	if s.Channel != "" {
		said += ", in " + s.Channel
	}
	return said
}

func (h *userHeld) print(w io.Writer) error {
	t := newTable(w)
	if !h.Held {
		t.row("nothing is held about this identifier")
	}
	if h.ErasedUntil != 0 {
		t.row("erased", "what has a second up to "+moment(h.ErasedUntil)+" is forgotten")
	}
	for i := range h.Exposures {
		x := &h.Exposures[i]
		cells := "-"
		if len(x.At) > 0 {
			cells = fmt.Sprintf("%s, last %s, first kept %s", plural(len(x.At), "time"), moment(x.At[0]), moment(x.At[len(x.At)-1]))
		}
		if x.DroppedUntil != 0 {
			cells += "; older ones dropped up to " + moment(x.DroppedUntil)
		}
		t.row("shown", x.what(), cells)
	}
	for i := range h.Holds {
		x := &h.Holds[i]
		t.row("held", x.what(), "from "+moment(x.Since)+" until "+moment(x.Until))
	}
	for i := range h.Purchases {
		x := &h.Purchases[i]
		t.row("bought", x.what(), moment(x.Bought)+", returned "+moment(x.Returned))
	}
	for _, x := range h.Hidden {
		name := x.Campaign
		if name == "" {
			name = "(tag " + x.Tag + ")"
		}
		t.row("hid", "campaign "+name, moment(x.At)+", until "+moment(x.Until))
	}
	for _, x := range h.Reports {
		name := x.Campaign
		if name == "" {
			name = "(tag " + x.Tag + ")"
		}
		t.row("said", strings.ReplaceAll(x.Kind, "_", " ")+" of campaign "+name, moment(x.At))
	}
	for _, l := range h.Lists {
		t.row("on the list", l.List, l.declared())
	}
	for _, l := range h.NotSearched {
		t.row("not searched", "list "+l.List, l.Detail)
	}
	if h.KeptSeconds != 0 {
		t.row("kept", fmt.Sprintf("exposures, for at most %d days, by the retention of a market that some of them were shown in", h.KeptSeconds/(24*60*60)))
	}
	if h.DroppedUntil != 0 {
		t.row("dropped", "older history, up to "+moment(h.DroppedUntil)+"; it counts as full")
	}
	if err := t.flush(); err != nil {
		return err
	}
	return h.Preferences.print(w)
}

// print says what the person chose.
func (u *userPreferences) print(w io.Writer) error {
	said := "personalisation: yes\n"
	if !u.Personalisation {
		said = "personalisation: no (opted out)\n"
	}
	if len(u.Advertisers) > 0 {
		said += "hidden advertisers: " + strings.Join(u.Advertisers, ", ") + "\n"
	}
	if len(u.Topics) > 0 {
		said += "hidden topics: " + strings.Join(u.Topics, ", ") + "\n"
	}
	if u.Unnamed > 0 {
		said += fmt.Sprintf("hidden, and not named by the policy in force: %d\n", u.Unnamed)
	}
	for _, l := range u.OptOutLists {
		if l.Detail != "" {
			said += fmt.Sprintf("whether the list %s opts the person out cannot be said: %s\n", l.List, l.Detail)
			continue
		}
		said += fmt.Sprintf("opted out by the list %s, whatever is said here: its owner can take the person off it\n", l.List)
	}
	if u.PauseUntil != 0 {
		said += "paused until " + moment(u.PauseUntil) + "\n"
	}
	_, err := io.WriteString(w, said)
	return err
}
