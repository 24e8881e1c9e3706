package edge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"restraint/edge/openrtb"
	"restraint/edge/trust"
)

// hideChoice is one of the reasons that a person may give for hiding a campaign.
type hideChoice struct{ Value, Label string }

// hideChoices are all of them, as /v1/events takes them.
var hideChoices = []hideChoice{
	{"repeats", "I see it too often"},
	{"already_bought", "I have bought it already"},
	{"inappropriate", "It is inappropriate"},
	{"not_interested", "It does not interest me"},
	{"creepy", "It knows too much about me"},
}

// formTypes are the media types of a form; a body of another kind is refused. What curl
// says of a body that is empty is among them.
var formTypes = []string{"application/x-www-form-urlencoded", "text/plain"}

// postHide answers POST /v1/hide: the campaign of the token is hidden for the token's
// person, once that outlives this process.
func (n *Node) postHide(ctx *fasthttp.RequestCtx, x *exchange) {
	e := &openrtb.Event{Type: openrtb.Hide, Campaign: ctx.QueryArgs().Peek("campaign")}
	n.answerRefusal(ctx, x, e, &donePage{Title: "Hidden", Campaign: string(e.Campaign)}, func(r report, c eventCampaign, rules *rules) error {
		r.tags = x.spans.addTags(choiceField(chosenCampaign, c.Tag))
		n.tell(x, &r, e, rules, c)
		n.says(x, &r, e, c.Tag)
		if c.Campaign == nil {
			n.metrics.unknownCampaigns.Inc()
		}
		if r.keys.from == r.keys.to {
			n.metrics.eventsNobody.Inc()
		}
		x.reports = append(x.reports, r)
		return n.apply(x)
	})
}

// postOptOut answers POST /v1/opt-out: the token's person is shown nothing more that is
// chosen for them. With a campaign of the token it is counted as an opt-out by that one,
// else by all that the token names.
func (n *Node) postOptOut(ctx *fasthttp.RequestCtx, x *exchange) {
	e := &openrtb.Event{Type: openrtb.NoEvent, Campaign: ctx.QueryArgs().Peek("campaign")}
	n.answerRefusal(ctx, x, e, &donePage{Title: "Opted out"}, func(r report, c eventCampaign, rules *rules) error {
		x.reports = append(x.reports, r)
		x.heedErasures(n)
		r = x.reports[0]
		keys := x.spans.keys[r.keys.from:r.keys.to]
		if len(keys) == 0 {
			return nil
		}
		held := n.held(keys, r.now)
		// r.at is earlier than now only on a node that may not have heard of an erasure.
		x.changes = append(x.changes[:0], stampAll(keys, []registerChange{{fieldOptOut, 1}}, held, choicesOf(held), r.at)...)
		x.reports = x.reports[:0]
		for _, tag := range x.optedOutBy(rules, c) {
			said := r
			n.saysOf(x, &said, e, trust.OptOut, tag)
			x.reports = append(x.reports, said)
		}
		x.appendReports(n)
		x.reports = append(x.reports[:0], r)
		if err := n.keeper.Record(x.changes); err != nil {
			return fmt.Errorf("keep the opt-out: %w", err)
		}
		n.noteOptOut(keys, held)
		n.metrics.optOuts.Inc()
		n.countSaid(x.changes)
		n.countOptOut(x, e, &r, rules)
		return nil
	})
}

// answerRefusal reads what a person refuses by a token, has it done, and answers with a
// page where the caller is a browser, else with 204. keep is given the rules that hold for
// the person. A token that stands for nobody, or
// for somebody erased since, is accepted and changes nothing; the page says so.
func (n *Node) answerRefusal(ctx *fasthttp.RequestCtx, x *exchange, e *openrtb.Event, done *donePage, keep func(report, eventCampaign, *rules) error) {
	behindToken(ctx)
	browser := quality(ctx, "text/html") > quality(ctx, "application/json")
	refuse := func(p *problem) {
		if browser {
			sendFault(ctx, p)
		} else {
			p.send(ctx)
		}
	}
	if p := n.readForm(ctx, x, e); p != nil {
		refuse(p)
		return
	}
	e.Token = ctx.QueryArgs().Peek("t")
	r, c, rules, p := n.readToken(x, e, n.rules.Load(), n.clock.at(ctx.Time(), 0))
	if p != nil {
		refuse(p)
		return
	}
	done.Nobody = len(x.spans.keys) == 0
	if err := keep(r, c, rules); err != nil {
		refuse(unavailable(err))
		return
	}
	if !browser {
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return
	}
	done.Erased = !done.Nobody && x.reports[0].keys.from == x.reports[0].keys.to
	sendPage(ctx, fasthttp.StatusOK, "done", done)
}

// readForm reads why a person hides something, from the form or else the query.
func (n *Node) readForm(ctx *fasthttp.RequestCtx, x *exchange, e *openrtb.Event) (p *problem) {
	if p := wantType(ctx, formTypes); p != nil {
		return p
	}
	if x.body, p = readBody(ctx, x.body, formBytes, &x.hand); p != nil {
		return p
	}
	if e.Type != openrtb.Hide {
		return nil
	}
	var form fasthttp.Args
	form.ParseBytes(x.body)
	if e.Why = form.Peek("why"); !form.Has("why") {
		e.Why = ctx.QueryArgs().Peek("why")
	}
	known := slices.ContainsFunc(hideChoices, func(c hideChoice) bool { return c.Value == string(e.Why) })
	if !known && len(e.Why) > 0 {
		var names []string
		for _, c := range hideChoices {
			names = append(names, c.Value)
		}
		return newProblem(fasthttp.StatusBadRequest, fmt.Sprintf("why: %.40q is no reason to hide; give one of %s, or none", e.Why, strings.Join(names, ", ")))
	}
	return nil
}
