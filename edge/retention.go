package edge

import (
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/caps"
	"restraint/edge/identity"
	"restraint/edge/trust"
)

// retained is one kind of thing that a node keeps, and how long.
type retained struct {
	Kind string `json:"kind"`
	// Person: it is about single people, under keyed hashes of their identifiers.
	Person bool `json:"person"`
	// Seconds is how long it is kept; absent where it does not go by age.
	Seconds uint32 `json:"seconds,omitempty"`
	// Setting is what of the policy (or, with a node: before it, of a node's configuration)
	// decides that; absent where nothing does.
	Setting string `json:"setting,omitempty"`
	Detail  string `json:"detail"`
}

// heldNow is one kind, and how old what is held of it is.
type heldNow struct {
	retained
	// Oldest is how many seconds ago the oldest is from, as far as this node knows; absent
	// where there is none, or none is known.
	Oldest *uint32 `json:"oldest_seconds,omitempty"`
}

// getRetention answers GET /v1/retention: what is kept and how long, under the policy
// in force, and how old the oldest is.
func (n *Node) getRetention(ctx *fasthttp.RequestCtx) {
	rules, oldest := n.rules.Load(), n.oldest()
	var kept []heldNow
	for _, kind := range rules.retained() {
		k := heldNow{retained: kind}
		if age, known := oldest[kind.Kind]; known && !strings.HasPrefix(kind.Setting, "markets.") {
			k.Oldest = &age
		}
		kept = append(kept, k)
	}
	sendJSON(ctx, fasthttp.StatusOK, struct {
		Policy int       `json:"policy"`
		Kept   []heldNow `json:"kept"`
	}{rules.Version, kept})
}

// aged are the kinds that go by age and of which oldest tells, so that one can be held to
// the other.
var aged = []string{"exposures", "purchases", "holds", "hidden_campaigns", "reports"}

// oldest is how many seconds ago the oldest of each kind is from that is held. What goes
// by age is looked for in rounds of some minutes, and is found that much later than it
// was in its last decision, look-up or snapshot.
func (n *Node) oldest() map[string]uint32 {
	now, o := n.caps.Now(), n.caps.Stats().Oldest
	ages := make(map[string]uint32)
	for kind, at := range map[string]caps.Second{
		"exposures": o.Exposure, "purchases": o.Purchase, "holds": o.Hold, "hidden_campaigns": o.Passing, "preferences": o.Lasting,
	} {
		if at != 0 {
			ages[kind] = uint32(max(now, at) - at)
		}
	}
	// Of reports only the day is known in which the oldest lies; from its first second on.
	if day := n.dialling.book.Stats().Oldest; day != 0 {
		at := caps.Second(day * daySeconds)
		ages["reports"] = uint32(max(now, at) - at)
	}
	return ages
}

func (r *rules) retained() []retained {
	hold, window := uint32(0), uint32(0)
	for _, p := range r.policies() {
		window = max(window, p.DialBack.Window)
		for i := range p.Campaigns {
			hold = max(hold, p.Campaigns[i].Hold)
		}
	}
	kept := []retained{
		{"exposures", true, r.Retention.Exposures, "retention.exposures", "When what was shown. Older ones are in no decision and no look-up from that second on, and are swept out of memory, with what they were counted under, soon after. Where memory is short, those of the users idle longest go earlier."},
		{"purchases", true, r.Retention.Purchases, "retention.purchases", "What was bought or given back, by tags of item, category and advertiser, and when."},
		{"holds", true, hold, "campaigns.*.hold", "Places held for showings that are about to come, in memory only; the longest of the campaigns' times."},
		{"hidden_campaigns", true, caps.PassingRetention, "", "Hides and complaints: for as long as they count."},
		{"reports", true, trust.KeptSeconds(window), "dial_back.window", "What people say about campaigns (hides, complaints, feedback, opt-outs by an advertisement): kind, second, and a keyed hash that stands for the person in that campaign on that day only. For the window of dial_back, up to its next midnight (UTC) and a day more; then only numbers are left. An erasure takes the person out at once."},
		{"report_numbers", false, trust.KeptDays * 24 * 60 * 60, "", "How many of each kind were reported about a campaign in a day."},
		{"dial_backs", false, 0, "", "Which campaigns are dialled back, since when and by which numbers, until they are released; the last release, with who and why, for 91 days."},
		{"preferences", true, 0, "", "Opt-out, hidden advertisers and topics, pause: until the person changes them, or an erasure. Never by age, or an opt-out would end by itself."},
		{"erasures", true, 0, "", "The second up to which a person's identifiers were forgotten: without end, so that no old copy brings anything back. With it, unless refused, the opt-out."},
		{"lists", true, 0, "", "Members, as keyed hashes, until their owner takes them off, replaces or deletes the list, or until the `until` that they came with. One generation before is kept for a rollback."},
		{"tokens", true, identity.TokenSeconds, "", "Not kept here. Whoever has one can use it for so long, but for a person who is erased meanwhile."},
		{"consent_strings", true, 0, "", "Not kept. What a string was seen to say is remembered in memory, under a keyed hash of it that ends with the process."},
		{"idempotency_answers", false, uint32(onceFor / time.Second), "", "What uploads of lists were answered, for an Idempotency-Key that comes again."},
		{"event_stream", true, 0, "node:nats.max_age", "Messages between the nodes, of exposures and purchases: as long as nats.max_age said when the stream was made (72 h by default). What is older than its own retention is not taken from them."},
		{"refusal_stream", true, 0, "", "Messages between the nodes, of choices, erasures and changes of lists: without end, so that a node that joins knows all of them."},
		{"outbox", true, 0, "node:nats.sync_interval", "Changes on this node's disk until NATS has them, and for twice nats.sync_interval and 10 s after."},
		{"snapshots", true, 0, "node:snapshot.every", "Copies of the memory on disk, the last and the one before; a new one is made when something has happened. What has gone since is left out when one is read, and is not in the next. For nodes that join, a copy of one lies in NATS: it is replaced about every twelfth of nats.max_age, and that of a node that is gone is deleted after nats.max_age."},
		{"pilot_counts", false, 0, "", "While a policy is tried out: how often what was decided and reported in each arm, in sixteen parts of all people; no count is of a single person. Until the share is changed or the pilot ended."},
		{"counts", false, countsKept, "", "How often what was decided and reported, by hour, campaign, arm and market, for /v1/report. There are no people in it. Hours become days after 48 hours and days months after 62 days. So that a report counts once, each node remembers those it counted for 12 to 24 hours, in memory, under a keyed hash that ends with the process."},
		{"audit_record", true, 0, "", "Who changed the policy, lists, access keys and people's choices, when and why; people as keyed digests, which an erasure leaves. Without end: the node removes none of its files."},
		{"policies", false, 0, "", "Every version, with the second it came into force: without end."},
	}
	return slices.Insert(kept, 1, r.retainedInMarkets()...)
}

// retainedInMarkets are the exposures of markets with a retention of their own.
func (r *rules) retainedInMarkets() (kept []retained) {
	for i := range r.Markets {
		if m := &r.Markets[i]; m.Retention != 0 {
			kept = append(kept, retained{
				"exposures", true, m.Retention, "markets." + m.Name + ".retention.exposures",
				"Of those, what was shown in the market " + m.Name + ", and with it whatever else is held under the same identifier: while anything of it is there, all of it goes by the shorter time. What was shown before this was written keeps the time of then.",
			})
		}
	}
	return kept
}
