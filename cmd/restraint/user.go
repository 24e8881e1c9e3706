package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// userCmd is the privacy officer's tool.
type userCmd struct {
	Show   userShowCmd   `cmd:"" help:"Show everything that is held about an identifier."`
	Erase  userEraseCmd  `cmd:"" help:"Forget a person on every node, for good."`
	OptOut userOptOutCmd `cmd:"" name:"opt-out" help:"Show the person nothing that is chosen for them."`
	OptIn  userOptInCmd  `cmd:"" name:"opt-in" help:"Take an opt-out back."`
}

// personFlags name a person to a node.
type personFlags struct {
	nodeFlags
	Source string `help:"Source of the identifier: user.id, buyeruid, ifa, or a name for user.eids." default:"user.id" placeholder:"SOURCE"`
	ID     string `name:"id" help:"The person's identifier; - reads it from standard input, where other users of this machine do not see it." placeholder:"ID"`
	JSON   bool   `name:"json" help:"Print the node's answer as it is."`
}

// maxIdentifier is what is read of an identifier from standard input: more than a node takes.
const maxIdentifier = 4 << 10

// ask posts the person, with more fields, to a path. The identifier goes into the body only.
func (f *personFlags) ask(ctx context.Context, p *process, node *client, path, why string, more map[string]any) ([]byte, error) {
	id := f.ID
	if id == "-" {
		text, err := io.ReadAll(io.LimitReader(p.stdin, maxIdentifier))
		if err != nil {
			return nil, fmt.Errorf("read the identifier: %w", err)
		}
		id = strings.TrimSpace(string(text))
	}
	if id == "" {
		return nil, wrongUse("--id is missing: write the person's identifier, or - to give it on standard input")
	}
	// JSON would have another identifier in place of one that is not UTF-8.
	if !utf8.ValidString(id) || strings.ContainsAny(id, "\r\n") {
		return nil, wrongUse("--id is not one identifier: give one at a time, in UTF-8 and on one line")
	}
	body := map[string]any{}
	user, device := personOf(f.Source, id)
	if len(device) > 0 {
		body["device"] = device
	} else {
		body["user"] = user
	}
	for field, value := range more {
		body[field] = value
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		panic("BUG: a request that JSON cannot hold: " + err.Error())
	}
	return node.do(ctx, request{
		method: http.MethodPost, path: path, body: bytes.NewReader(encoded), bodyBytes: int64(len(encoded)), contentType: "application/json", why: why,
	})
}

// personOf is where an identifier of a source stands in OpenRTB's objects.
func personOf(source, id string) (user, device map[string]any) {
	user, device = map[string]any{}, map[string]any{}
	switch source {
	case "user.id":
		user["id"] = id
	case "buyeruid":
		user["buyeruid"] = id
	case "ifa":
		device["ifa"] = id
	default:
		user["eids"] = []any{map[string]any{"source": source, "uids": []any{map[string]any{"id": id}}}}
	}
	return user, device
}

// userOptOutCmd opts a person out.
type userOptOutCmd struct {
	personFlags
	whyFlag
}

// Run opts out and says what holds now.
func (c *userOptOutCmd) Run(ctx context.Context, p *process) error {
	return c.choose(ctx, p, c.Why, false)
}

// userOptInCmd takes an opt-out back.
type userOptInCmd struct {
	personFlags
	whyFlag
}

// Run opts in and says what holds now.
func (c *userOptInCmd) Run(ctx context.Context, p *process) error {
	return c.choose(ctx, p, c.Why, true)
}

func (f *personFlags) choose(ctx context.Context, p *process, why string, personalisation bool) error {
	node, err := f.open(p)
	if err != nil {
		return err
	}
	answer, err := f.ask(ctx, p, node, "/v1/users/preferences", why, map[string]any{"personalisation": personalisation})
	if err != nil {
		return err
	}
	if f.JSON {
		_, err := p.stdout.Write(answer)
		return err
	}
	var now userPreferences
	if err := json.Unmarshal(answer, &now); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	return now.print(p.stdout)
}
