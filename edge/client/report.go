package client

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Event is something that happened. What is empty is not sent; which fields a type needs
// is in the node's /openapi.yaml.
type Event struct {
	Type EventType
	// ID is the caller's own identity of the event, at most 256 bytes: reported again, it
	// is the same event. Token is that of the answer that showed it, and says who it was;
	// the user need not be given then. With neither, each report is a new event.
	ID, Token string

	Campaign, Creative, Item, Category, Advertiser string
	Channel                                        string

	Why    string // of a Hide: repeats, already_bought, inappropriate, not_interested, creepy
	Answer string // of a Feedback: helpful, intrusive
	// At is when it happened, to the second; zero: when the node is told.
	At time.Time

	User   User
	Device Device
	Regs   Regs
}

// EventType is what happened.
type EventType string

// The types of events.
const (
	Impression EventType = "impression"
	Click      EventType = "click"
	Purchase   EventType = "purchase"
	Return     EventType = "return"  // undoes a purchase
	Released   EventType = "release" // the auction was lost: gives back what the token holds
	Hide       EventType = "hide"
	Complaint  EventType = "complaint"
	Feedback   EventType = "feedback"
)

// Taken is what became of reported events.
type Taken struct {
	Accepted int
	Rejected []Rejected
}

// Rejected is an event that was not taken.
type Rejected struct {
	Event  int // its index
	Detail string
}

// Report tells a node what happened: 1 to 10,000 events. Those that were accepted outlive
// the node; those that are wrong are told, and the others count all the same. The error
// is nil or an *Error, and then none was taken as far as is known (see Error.Sent); of a
// single event that is wrong, too, which then is also in Rejected. The package's comment
// says what is sent twice. events are only read and not kept.
func (c *Client) Report(ctx context.Context, events ...Event) (Taken, error) {
	if !c.enter() {
		return Taken{}, &Error{Kind: Closed, Detail: "the client was closed"}
	}
	x := c.calls.Get().(*call)
	defer c.done(x)
	if len(events) == 0 || len(events) > maxReportEvents {
		return Taken{}, badRequest("%d events; report 1 to %d at once", len(events), maxReportEvents)
	}
	safe := true
	x.body = x.body[:0]
	for i := range events {
		x.body = append(appendEvent(x.body, &events[i]), '\n')
		safe = safe && (events[i].ID != "" || events[i].Token != "")
	}
	if len(x.body) > maxReportBody {
		return Taken{}, badRequest("the events have %d bytes, at most %d are taken: report fewer at once", len(x.body), maxReportBody)
	}
	var taken Taken
	failed := c.do(ctx, c.reports, x, sending{want: 202, safe: safe, read: func(body []byte) (err error) {
		taken, err = parseTaken(body, len(events))
		return err
	}})
	if failed != nil {
		taken = Taken{}
		if failed.Kind == BadRequest && failed.Status == 400 && len(events) == 1 {
			taken.Rejected = []Rejected{{0, failed.Detail}}
		}
		return taken, failed
	}
	return taken, nil
}

// Release gives back the places that the answer with this token holds: its ads were not
// shown after all.
func (c *Client) Release(ctx context.Context, token string) error {
	_, err := c.Report(ctx, Event{Type: Released, Token: token})
	return err
}

// parseTaken reads the answer to that many events. Each stood on a line of its own.
func parseTaken(body []byte, events int) (Taken, error) {
	var got struct {
		Accepted *int
		Rejected []struct {
			Line   int    `json:"line"`
			Detail string `json:"detail"`
		}
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return Taken{}, err
	}
	if got.Accepted == nil || *got.Accepted < 0 || *got.Accepted+len(got.Rejected) != events {
		return Taken{}, errors.New("it does not say of each event what became of it")
	}
	taken := Taken{Accepted: *got.Accepted}
	last := 0
	for _, r := range got.Rejected {
		if r.Line <= last || r.Line > events {
			return Taken{}, errors.New("it rejects a line that is none")
		}
		last = r.Line
		taken.Rejected = append(taken.Rejected, Rejected{r.Line - 1, r.Detail})
	}
	return taken, nil
}

// appendEvent appends v as one line.
func appendEvent(dst []byte, v *Event) []byte {
	e := encoder{append(dst, '{')}
	e.text("type", string(v.Type))
	e.text("id", v.ID)
	e.text("token", v.Token)
	e.text("campaign", v.Campaign)
	e.text("creative", v.Creative)
	e.text("item", v.Item)
	e.text("category", v.Category)
	e.text("advertiser", v.Advertiser)
	e.text("channel", v.Channel)
	e.text("why", v.Why)
	e.text("answer", v.Answer)
	e.time("at", v.At)
	e.person(&v.User, &v.Device, &v.Regs)
	return append(e.b, '}')
}
