package edge

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"restraint/edge/access"
	"restraint/edge/audit"
	"restraint/edge/identity"
	"restraint/edge/openrtb"
	"restraint/edge/policy"
	"restraint/edge/trust"
)

// campaignReview is how a campaign stands with the people it is shown to. Times are Unix
// seconds.
type campaignReview struct {
	Campaign string `json:"campaign"`
	InPolicy bool   `json:"in_policy"`
	Level    string `json:"level"`
	// InForce: decisions go by the level. Not so where the policy in force does not have
	// the campaign, or switches dial_back off.
	InForce bool `json:"in_force"`
	// DialledBack are the numbers by which the level was reached; nil: none was.
	DialledBack *trust.Raise   `json:"dialled_back,omitempty"`
	Released    *trust.Release `json:"released,omitempty"`
	// Window is what is reported now, in the window of the policy and since the release.
	Window reviewWindow `json:"window"`
	// Rule is the policy's; nil: dial_back is off.
	Rule *reviewRule `json:"rule,omitempty"`
}

// reviewWindow is what was reported and shown after From and up to To.
type reviewWindow struct {
	From      uint32            `json:"from"`
	To        uint32            `json:"to"`
	Reports   map[string]uint64 `json:"reports"` // by kind
	Weighing  uint64            `json:"weighing"`
	People    uint64            `json:"people"`
	Shown     uint64            `json:"shown"`
	Per10K    float64           `json:"per_10k"` // weighing in 10,000 showings; 0 where nothing was shown
	Estimated bool              `json:"estimated"`
}

// reviewRule is dial_back of the policy in force.
type reviewRule struct {
	WindowSeconds uint32  `json:"window_seconds"`
	MinShown      int     `json:"min_shown"`
	MinPeople     int     `json:"min_people"`
	HidesPer10K   int     `json:"hides_per_10k"`
	PauseAt       int     `json:"pause_at"`
	Factor        float64 `json:"factor"`
}

// review is how the campaign of a name stands at a second.
func (n *Node) review(rules *rules, name string, now uint32) *campaignReview {
	c := &policy.Campaign{ID: name, Tag: n.tags.Tag(identity.KindCampaign, 0, name)}
	r := &campaignReview{Campaign: name}
	of := rules
	for _, version := range rules.both() { // the first that has the campaign, but rather one by which it is judged
		if i := version.find(c.Tag); i >= 0 && (!r.InPolicy || !of.DialBack.On) {
			of, c, r.InPolicy = version, &version.Campaigns[i], true
		}
	}
	s := n.dialling.standing(c)
	level, by := s.Level()
	r.Level, r.DialledBack, r.Released = level.String(), by, s.Release
	r.InForce = rules.dialOf(c.Tag) != nil
	w := n.weigh(of.Policy, c, s, now)
	r.Window = reviewWindow{
		From: w.from, To: now, Reports: make(map[string]uint64), Weighing: w.tally.Weighing, People: w.tally.People, Shown: w.shown, Estimated: w.tally.Estimated,
	}
	for _, kind := range trust.Kinds {
		r.Window.Reports[kind.String()] = w.tally.By[kind]
	}
	if w.shown > 0 {
		r.Window.Per10K = float64(w.tally.Weighing) * 10_000 / float64(w.shown)
	}
	if d := &of.DialBack; d.On {
		r.Rule = &reviewRule{d.Window, d.MinShown, d.MinPeople, d.HidesPer10K, d.PauseAt, float64(d.Factor) / 1e6}
	}
	return r
}

// campaignPaths is what the paths of one campaign begin with.
const campaignPaths = "/v1/campaigns/"

// serveCampaign serves the paths of one campaign; rest is what follows campaignPaths.
func (n *Node) serveCampaign(ctx *fasthttp.RequestCtx, rest string) {
	cut := strings.LastIndexByte(rest, '/')
	action, method := rest[cut+1:], string(ctx.Method())
	name, ok := campaignName(ctx, action)
	switch {
	case cut < 1 || !ok || action != "review" && action != "release":
		notFound(ctx)
	case action == "review" && !allowed("GET", method):
		notAllowed(ctx, "GET")
	case action == "release" && method != "POST":
		notAllowed(ctx, "POST")
	case len(name) > openrtb.MaxName || !utf8.ValidString(name):
		newProblem(fasthttp.StatusBadRequest, fmt.Sprintf("campaign: %.140q is no name: at most %d bytes of UTF-8", name, openrtb.MaxName)).send(ctx)
	case action == "review":
		sendJSON(ctx, fasthttp.StatusOK, n.review(n.rules.Load(), name, n.clock.at(ctx.Time(), 0)))
	default:
		n.postRelease(ctx, name)
	}
}

// campaignName is the name in a path as it was sent: the path that is routed by has lost
// what names may have (two slashes, dots).
func campaignName(ctx *fasthttp.RequestCtx, action string) (string, bool) {
	sent := string(ctx.URI().PathOriginal())
	if i := strings.IndexAny(sent, "?#"); i >= 0 {
		sent = sent[:i]
	}
	sent, begins := strings.CutPrefix(sent, campaignPaths)
	sent, ends := strings.CutSuffix(sent, "/"+action)
	name, err := url.PathUnescape(sent)
	return name, begins && ends && name != "" && err == nil
}

// postRelease answers POST /v1/campaigns/{campaign}/release: a human has looked into it.
// Only what is reported and shown from now on counts.
func (n *Node) postRelease(ctx *fasthttp.RequestCtx, name string) {
	p := n.clockUnknown("releasing a campaign")
	if _, wrong := n.clock.wrong(); p == nil && wrong {
		p = newProblem(fasthttp.StatusServiceUnavailable, "the clock of this node is wrong (see /readyz), and only what is reported after a release counts: correct it, or ask another node")
	}
	if p != nil {
		p.send(ctx)
		return
	}
	rules, now := n.rules.Load(), n.clock.at(ctx.Time(), 0)
	tag := n.tags.Tag(identity.KindCampaign, 0, name)
	s := n.dialling.standing(&policy.Campaign{ID: name, Tag: tag})
	level, _ := s.Level()
	if level == trust.None {
		newProblem(fasthttp.StatusConflict, fmt.Sprintf("the campaign %q is not dialled back, so there is nothing to release; /v1/dial-back lists those that are", name)).send(ctx)
		return
	}
	change, p := n.begin(ctx, audit.Entry{Action: audit.CampaignReview, Campaign: name, Before: audit.Facts{"level": level.String()}})
	if p != nil {
		p.send(ctx)
		return
	}
	released := s.Released(trust.Release{
		At: now, Shown: n.counting.shown(name, now, now, 0), Why: why(ctx), By: callerOf(ctx), Node: n.options.Name,
	})
	if err := n.keepStanding(tag, released); err != nil {
		n.logOf(ctx).Error("release not kept", "campaign", name, "error", err.Error())
		p := diskProblem(err, "the campaign stays as it was")
		change.failed(p)
		p.send(ctx)
		return
	}
	change.end(audit.Done, nil, audit.Facts{"level": trust.None.String()})
	n.logOf(ctx).Info("campaign released", "campaign", name, "from", level.String())
	sendJSON(ctx, fasthttp.StatusOK, n.review(rules, name, now))
}

// callerOf names the key of the request's caller; "" where there are no keys.
func callerOf(ctx *fasthttp.RequestCtx) string {
	caller, ok := ctx.UserValue(callerKey{}).(*access.Caller)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s (key %s)", caller.Client, caller.ID)
}

// dialledCampaign is one that is dialled back, as the list has it.
type dialledCampaign struct {
	Campaign    string       `json:"campaign"`
	InPolicy    bool         `json:"in_policy"`
	Level       string       `json:"level"`
	InForce     bool         `json:"in_force"`
	DialledBack *trust.Raise `json:"dialled_back"`
}

// getDialBack answers GET /v1/dial-back: every campaign that is dialled back, by name.
func (n *Node) getDialBack(ctx *fasthttp.RequestCtx) {
	rules := n.rules.Load()
	all := []dialledCampaign{}
	n.dialling.mu.Lock()
	for tag, s := range n.dialling.standings {
		if level, by := s.Level(); level != trust.None {
			_, at := rules.having(tag)
			all = append(all, dialledCampaign{s.Campaign, at >= 0, level.String(), rules.dialOf(tag) != nil, by})
		}
	}
	n.dialling.mu.Unlock()
	slices.SortFunc(all, func(a, b dialledCampaign) int { return cmp.Compare(a.Campaign, b.Campaign) })
	sendJSON(ctx, fasthttp.StatusOK, struct {
		Policy    int               `json:"policy"`
		Now       time.Time         `json:"now"`
		Campaigns []dialledCampaign `json:"campaigns"`
	}{rules.Version, time.Unix(int64(n.clock.at(ctx.Time(), 0)), 0).UTC(), all})
}
