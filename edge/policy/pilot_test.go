package policy

import (
	"slices"
	"strings"
	"testing"
)

const pilotBefore = `campaigns:
  a1: {advertiser: a, groups: [g], caps: [{per: campaign, limit: 3, within: 24h}, {per: group:g, limit: 7, within: 7d}]}
  a2: {advertiser: a, diversity: {same_creative_in_a_row: 4}, caps: [{per: item, limit: 2, within: 1h}]}
  gone: {advertiser: b, groups: [h]}
`

const pilotTried = `campaigns:
  a1: {advertiser: a, groups: [h], caps: [{per: campaign, limit: 9, within: 24h}, {per: group:h, limit: 5, within: 7d}]}
  a2: {advertiser: a, caps: [{per: item, limit: 1, within: 1h}, {per: creative, channel: web, limit: 6, within: 1h}, {per: all, limit: 30, within: day}]}
  new: {advertiser: b, groups: [g]}
`

func both(t *testing.T, before, tried string) (*Policy, *Policy) {
	t.Helper()
	b, err := Parse([]byte(before), "before")
	if err != nil {
		t.Fatal(err)
	}
	a, err := Parse([]byte(tried), "tried")
	if err != nil {
		t.Fatal(err)
	}
	return CompileBoth(b, a, Options{Tagger: testTagger(), Version: 1}, Options{Tagger: testTagger(), Version: 2})
}

// Under both versions a showing counts under what either reads, and keeps what the
// larger limit needs.
func TestBothCountAlike(t *testing.T) {
	p, q := both(t, pilotBefore, pilotTried)
	checkCompiled(t, p)
	checkCompiled(t, q)
	for id, want := range map[string][]string{
		"a1":   {"all/=30", "campaign/=9", "creative/web=6", "group:g/=7", "group:h/=5", "item/=2"},
		"a2":   {"all/=30", "campaign/=4", "creative/web=6", "item/=2", "run/=4"},
		"gone": {"all/=30", "campaign/=1", "group:h/=5"},
		"new":  {"all/=30", "campaign/=1", "group:g/=7"},
	} {
		for i, version := range []*Policy{p, q} {
			c := version.Campaign([]byte(id))
			if c == nil != (i == 0 && id == "new" || i == 1 && id == "gone") {
				t.Fatalf("version %d: campaign %s: %v", i+1, id, c)
			}
			if c != nil && !slices.Equal(scopeNames(c), want) {
				t.Errorf("version %d: %s counts under %v, want %v", i+1, id, scopeNames(c), want)
			}
		}
	}
	if q.Campaign([]byte("a2")).CreativeScope >= 0 || p.Campaign([]byte("a2")).CreativeScope < 0 {
		t.Error("the diversity of one version binds in the other, or not in its own")
	}
}

// What two versions ask of each other ends with the pilot: what the next version has
// to honour is what each asked by itself, for its retention.
func TestBothLeaveNoMoreThanTheirOwn(t *testing.T) {
	p, q := both(t, withLimit(3), withLimit(9))
	const end = 1_800_000_000
	keeps := p.Keeps(end).Join(q.Keeps(end))
	src, err := Parse([]byte(withLimit(3)), "p")
	if err != nil {
		t.Fatal(err)
	}
	last := func(now uint32) uint8 {
		next := Compile(src, Options{Tagger: testTagger(), Now: now, Held: keeps})
		return next.Campaigns[1].scopeLike(&Scope{Per: PerAdvertiser, Tag: next.Campaigns[1].AdvertiserTag}).Keep
	}
	if got := last(end); got != 9 {
		t.Errorf("kept after the pilot: %d", got)
	}
	if got := last(end + 10*day); got != 3 {
		t.Errorf("kept after the retention: %d", got)
	}
}

func TestPilotFaults(t *testing.T) {
	with := func(what string) string {
		return "lists: {l: {id: [user.id], source: first_party, basis: contract" + what + "}}\n" + "campaigns: {c: {advertiser: a}}"
	}
	for _, c := range []struct{ before, tried, want string }{
		{pilotBefore, pilotTried, ""},
		{"campaigns: {c: {advertiser: a}}", "campaigns: {c: {advertiser: b}}", `campaigns.c.advertiser: "a" becomes "b": its items`},
		{"campaigns: {}", "retention: {exposures: 30d}\ncampaigns: {}", "retention.exposures: 90d becomes 30d: while a policy is tried out"},
		{"campaigns: {}", "retention: {purchases: 30d}\ncampaigns: {}", "retention.purchases: 400d becomes 30d"},
		{"sources: [a]\ncampaigns: {}", "sources: [b]\ncampaigns: {}", "sources: [a] becomes [b]"},
		{"markets: [{name: m, require: none}]\ncampaigns: {}", "markets: [{name: m, require: none, retention: {exposures: 1d}}]\ncampaigns: {}", "markets: [] becomes [m retention 24h]"},
		{"markets: [{name: m, require: none}]\ncampaigns: {}", "markets: [{name: m, require: none, cap_factor: 0.5}]\ncampaigns: {}", ""},
		{with(""), with(", items: true"), "lists.l.items: false becomes true"},
		{with(""), with(", filter: fuse"), "lists.l.filter: bloom becomes fuse"},
		{with(""), with(", exact: true"), "lists.l.exact: false becomes true"},
		{with(""), with(", kind: opt_out"), "lists.l.kind: suppression becomes opt_out"},
		{with(""), with(", max_age: 1h"), ""},
		{with(""), "campaigns: {c: {advertiser: a, purpose: contextual}}", ""},
	} {
		got := PilotFaults(compiled(t, c.before), compiled(t, c.tried)).Error()
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
			t.Errorf("%s\nto\n%s\n%q, want %q", c.before, c.tried, got, c.want)
		}
	}
}
