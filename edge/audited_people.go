package edge

import (
	"slices"

	"github.com/valyala/fasthttp"

	"restraint/caps"
	"restraint/edge/audit"
)

// people are the digests of user keys.
func (n *Node) people(keys []caps.Key) (digests []string) {
	for _, key := range keys {
		digests = append(digests, n.record.digests.Digest(key))
	}
	return digests
}

// choiceFacts are how a person's choices stand; of hidden names only how many there are,
// since the record outlives an erasure.
func choiceFacts(p *preferences) audit.Facts {
	facts := audit.Facts{
		"personalisation": p.Personalisation, "hidden_advertisers": len(p.HiddenAdvertisers), "hidden_topics": len(p.HiddenTopics), "unnamed": p.Unnamed,
	}
	if p.PauseUntil != 0 {
		facts["pause_until"] = uint64(p.PauseUntil)
	}
	return facts
}

// beginPreferences puts a change of a person's choices on record.
func (n *Node) beginPreferences(ctx *fasthttp.RequestCtx, q *inquiry, have *chosen) (*recorded, *problem) {
	before := have.preferences(n.rules.Load().choiceNames(), q.now)
	var fields []string
	for _, field := range []struct {
		name  string
		given bool
	}{
		{"personalisation", q.HasPersonalisation},
		{"hidden_advertisers", q.HasAdvertisers},
		{"hidden_topics", q.HasTopics},
		{"pause_until", q.HasPauseUntil},
	} {
		if field.given {
			fields = append(fields, field.name)
		}
	}
	return n.begin(ctx, audit.Entry{Action: audit.PersonPreferences, People: n.people(q.keys), Before: choiceFacts(&before), After: audit.Facts{"fields": fields}})
}

// beginErasure puts an erasure on record.
func (n *Node) beginErasure(ctx *fasthttp.RequestCtx, q *inquiry, keep bool) (*recorded, *problem) {
	return n.begin(ctx, audit.Entry{Action: audit.PersonErase, People: n.people(q.keys), After: audit.Facts{"keep_opt_out": keep}})
}

// erasureFacts are what an erasure came to.
func erasureFacts(a *erasureAnswer) audit.Facts {
	facts := audit.Facts{"erased_until": uint64(a.ErasedUntil), "opt_out_kept": a.OptOutKept}
	var lists []string
	for _, l := range a.Lists {
		lists = append(lists, l.List+": "+l.State)
	}
	if len(lists) > 0 {
		facts["lists"] = lists
	}
	return facts
}

// noteOptOut puts on record that a person opted out behind a token, unless each of the
// identifiers was opted out before: a token can be shown again and again.
func (n *Node) noteOptOut(keys []caps.Key, held []caps.Held) {
	for i := range held {
		if !slices.ContainsFunc(held[i].Choices, func(c caps.Choice) bool { return c.Field == fieldOptOut && c.Value != 0 }) {
			n.note(audit.Entry{
				Action: audit.PersonOptOut, Outcome: audit.Done, Who: audit.Who{By: audit.ByPerson}, People: n.people(keys), After: audit.Facts{"personalisation": false},
			})
			return
		}
	}
}
