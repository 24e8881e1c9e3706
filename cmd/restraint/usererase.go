package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// userEraseCmd erases, or says how far an erasure is.
type userEraseCmd struct {
	personFlags
	whyFlag
	ForgetOptOut bool          `help:"Keep no opt-out, and take the person off lists of users: they may be shown what is chosen for them again."`
	Receipt      string        `help:"Erase nothing; say how far the erasure of this receipt is." placeholder:"RECEIPT"`
	Wait         time.Duration `help:"How long to wait for all nodes to have it (default 5s)." default:"5s" placeholder:"DURATION"`
}

// userErased is what the node answers to an erasure.
type userErased struct {
	Receipt     string     `json:"receipt"`
	ErasedUntil int64      `json:"erased_until"`
	OptOutKept  bool       `json:"opt_out_kept"`
	Lists       []userList `json:"lists"`
}

// userErasure is how far an erasure is.
type userErasure struct {
	Done   bool   `json:"done"`
	Detail string `json:"detail"`
	Nodes  []struct {
		Node   string `json:"node"`
		State  string `json:"state"`
		Detail string `json:"detail"`
	} `json:"nodes"`
}

// Run erases and follows the erasure from node to node. That some have still to hear of it
// is no error: they will. That the person could not be taken off a list is one.
func (c *userEraseCmd) Run(ctx context.Context, p *process) error {
	node, err := c.open(p)
	if err != nil {
		return err
	}
	if c.Receipt != "" {
		if c.ID != "" || c.ForgetOptOut {
			return wrongUse("--receipt asks how far an erasure is and erases nothing: leave out --id and --forget-opt-out")
		}
		return c.follow(ctx, p, node, c.Receipt)
	}
	answer, err := c.ask(ctx, p, node, "/v1/users/erase", c.Why, map[string]any{"keep_opt_out": !c.ForgetOptOut})
	if err != nil {
		return err
	}
	var erased userErased
	if err := json.Unmarshal(answer, &erased); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	if c.JSON {
		_, err = p.stdout.Write(answer)
	} else if err = erased.print(p.stdout); err == nil {
		err = c.follow(ctx, p, node, erased.Receipt)
	}
	if err != nil {
		return err
	}
	return erased.failed()
}

// failed returns an error that names the lists for which the erasure failed.
func (e *userErased) failed() error {
	var failed []error
	for _, l := range e.Lists {
		if l.State == "failed" {
			failed = append(failed, fmt.Errorf("erase from list %q: %s", l.List, l.Detail))
		}
	}
	return errors.Join(failed...)
}

func (e *userErased) print(w io.Writer) error {
	said := "forgotten: what has a second up to " + moment(e.ErasedUntil) + "\n"
	if e.OptOutKept {
		said += "the person stays opted out\n"
	} else {
		said += "no opt-out is kept\n"
	}
	for _, l := range e.Lists {
		said += fmt.Sprintf("list %s: %s (%s)\n", l.List, l.State, l.Detail)
	}
	_, err := io.WriteString(w, said+"receipt "+e.Receipt+"\n")
	return err
}

// askEvery is the time between two questions how far an erasure is.
const askEvery = 200 * time.Millisecond

// follow asks until every node has the erasure, or the time to wait is over, and prints
// how far each is.
func (c *userEraseCmd) follow(ctx context.Context, p *process, node *client, receipt string) error {
	var state userErasure
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for deadline := p.now().Add(c.Wait); ; {
		answer, err := node.do(ctx, request{method: http.MethodGet, path: "/v1/users/erasures/" + url.PathEscape(receipt)})
		if err != nil {
			return err
		}
		state = userErasure{}
		if err := json.Unmarshal(answer, &state); err != nil {
			return fmt.Errorf("read the node's answer: %w", err)
		}
		if state.Done || !p.now().Before(deadline) {
			if c.JSON {
				_, err := p.stdout.Write(answer)
				return err
			}
			return state.print(p.stdout)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (s *userErasure) print(w io.Writer) error {
	t := newTable(w)
	for _, n := range s.Nodes {
		t.row("node "+n.Node, n.State, n.Detail)
	}
	if err := t.flush(); err != nil {
		return err
	}
	said := "every node has it\n"
	if !s.Done {
		said = "not every node has it yet; ask again with restraint user erase --receipt RECEIPT\n"
	}
	if s.Detail != "" {
		said = s.Detail + "\n" + said
	}
	_, err := io.WriteString(w, said)
	return err
}
