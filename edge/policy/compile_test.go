package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// names lists the campaign's scopes as per/name/channel=keep.
func scopeNames(c *Campaign) []string {
	var all []string
	for _, s := range c.Scopes {
		all = append(all, fmt.Sprintf("%s%s/%s=%d", s.Per, s.Name, s.Channel, s.Keep))
	}
	slices.Sort(all)
	return all
}

const scopesText = `campaigns:
  a1:
    advertiser: a
    groups: [g]
    caps:
      - {per: campaign, limit: 3, within: 24h}
      - {per: campaign, channel: email, limit: 1, within: week}
      - {per: advertiser, limit: 6, within: day}
      - {per: item, limit: 5, within: 30d}
  a2:
    advertiser: a
    caps:
      - {per: advertiser, limit: 9, within: 30d}
      - {per: creative, channel: web, limit: 2, within: 1h}
  b1:
    advertiser: b
    groups: [g, h]
    diversity: {same_creative_in_a_row: 4}
    caps:
      - {per: group:g, limit: 7, within: 7d}
      - {per: all, limit: 30, within: day}
  b2: {advertiser: b}
`

func TestScopesAreThoseThatAnyCapReads(t *testing.T) {
	p := compiled(t, scopesText)
	checkCompiled(t, p)
	for id, want := range map[string][]string{
		"a1": {"advertiser/=9", "all/=30", "campaign/=3", "campaign/email=1", "creative/web=2", "group:g/=7", "item/=5"},
		"a2": {"advertiser/=9", "all/=30", "campaign/=1", "creative/web=2", "item/=5"},
		"b1": {"all/=30", "campaign/=4", "group:g/=7", "run/=4"},
		"b2": {"all/=30", "campaign/=1"},
	} {
		if got := scopeNames(p.Campaign([]byte(id))); !slices.Equal(got, want) {
			t.Errorf("%s counts under %v, want %v", id, got, want)
		}
	}
	a1, a2 := p.Campaign([]byte("a1")), p.Campaign([]byte("a2"))
	if a1.Scopes[a1.Caps[2].Scope].Tag != a2.Scopes[a2.Caps[0].Scope].Tag {
		t.Error("two campaigns of an advertiser count under two tags")
	}
}

func withLimit(n int) string {
	return fmt.Sprintf("retention: {exposures: 10d}\ncampaigns:\n  a: {advertiser: x, caps: [{per: advertiser, limit: %d, within: 24h}]}\n  b: {advertiser: x}\n", n)
}

func TestEarlierLimitsAreHonouredForTheRetention(t *testing.T) {
	const start = 1_800_000_000
	version := func(text string, now uint32, before *Policy) *Policy {
		src, err := Parse([]byte(text), "p")
		if err != nil {
			t.Fatal(err)
		}
		p := Compile(src, Options{Tagger: testTagger(), Now: now, Previous: before})
		// Another node compiles the same from what is stored with the version.
		if q := Compile(src, Options{Tagger: testTagger(), Now: now, Held: p.Held}); !slices.Equal(q.Held, p.Held) ||
			!slices.Equal(scopeNames(&q.Campaigns[0]), scopeNames(&p.Campaigns[0])) {
			t.Fatalf("compiled from Held: %v, want %v", q.Held, p.Held)
		}
		return p
	}
	keep := func(p *Policy) (n uint8) {
		for _, s := range p.Campaigns[1].Scopes {
			if s.Per == PerAdvertiser {
				n = s.Keep
			}
		}
		return n
	}
	v1 := version(withLimit(9), start, nil)
	v2 := version(withLimit(4), start+day, v1)
	v3 := version("campaigns: {a: {advertiser: x}, b: {advertiser: x}}", start+5*day, v2)
	v4 := version(withLimit(2), start+11*day+1, v3)
	v5 := version(withLimit(2), start+15*day+1, v4)
	if got := []uint8{keep(v1), keep(v2), keep(v3), keep(v4), keep(v5)}; !slices.Equal(got, []uint8{9, 9, 9, 4, 2}) {
		t.Errorf("the versions keep %v", got)
	}
	if len(v5.Held) != 0 {
		t.Errorf("the last version holds %v", v5.Held)
	}
	if v5 := version(withLimit(12), start+2*day, v2); keep(v5) != 12 || len(v5.Held) != 0 {
		t.Errorf("a raised limit keeps %d and holds %v", keep(v5), v5.Held)
	}
}

func TestKeepsJoinIsAMerge(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	some := func() Keeps {
		var k Keeps
		for range r.IntN(6) {
			k = append(k, Keep{ScopeName{Per(r.IntN(2)), string(rune('a' + r.IntN(2))), ""}, uint8(1 + r.IntN(4)), uint32(1 + r.IntN(4))})
		}
		return k.Join(nil)
	}
	for range 2000 {
		a, b, c := some(), some(), some()
		ab := a.Join(b)
		if !slices.Equal(ab, b.Join(a)) || !slices.Equal(ab.Join(c), a.Join(b.Join(c))) || !slices.Equal(ab.Join(b), ab) {
			t.Fatalf("join of %v, %v, %v is no merge", a, b, c)
		}
		for now := range uint32(5) {
			for _, k := range append(slices.Clone(a), b...) {
				if now < k.Until && !slices.ContainsFunc(ab, func(j Keep) bool {
					return j.ScopeName == k.ScopeName && j.Limit >= k.Limit && now < j.Until
				}) {
					t.Fatalf("join of %v and %v forgets %v at %d", a, b, k, now)
				}
			}
		}
	}
}

func TestTooManyScopesAreRefused(t *testing.T) {
	text := "campaigns:\n"
	for i := range 3 {
		text += fmt.Sprintf("  c%d:\n    advertiser: a\n    caps:\n", i)
		for j := range 30 {
			text += fmt.Sprintf("      - {per: advertiser, channel: ch%d-%d, limit: 1, within: 1h}\n", i, j)
		}
	}
	_, err := Parse([]byte(text), "p")
	faults, _ := err.(Faults)
	if len(faults) != 3 || faults[0].Key != "campaigns.c0" {
		t.Errorf("refused with %v", err)
	}
}

func TestAcceptedCapSets(t *testing.T) {
	for _, caps := range []string{
		"{per: campaign, limit: 5, within: 24h}, {per: campaign, limit: 3, within: day}",     // five in any 24 hours over midnight
		"{per: campaign, limit: 3, within: 12h}, {per: campaign, limit: 4, within: day}",     //
		"{per: campaign, limit: 10, within: 29d}, {per: campaign, limit: 20, within: month}", //
		"{per: campaign, limit: 20, within: 30d}, {per: campaign, limit: 10, within: month}", //
		"{per: campaign, limit: 3, within: 24h}, {per: advertiser, limit: 3, within: 7d}",    // two scopes
		"{per: campaign, limit: 3, within: 24h}, {per: campaign, channel: web, limit: 3, within: 7d}",
		"{per: campaign, limit: 3, within: week}, {per: campaign, limit: 4, within: lifetime}",
	} {
		compiled(t, "campaigns: {a: {advertiser: x, caps: ["+caps+"]}}")
	}
}

func TestSettings(t *testing.T) {
	p := compiled(t, `no_id: show
sources: [a, b]
markets:
  - {name: rest-of-us, countries: [US], require: opt_out, cap_factor: 0.5, quiet_hours: "22:00-07:00", timezone: America/New_York}
  - {name: eu, countries: [DE, FRA], require: tcf, cap_factor: 0.333333, precision: category}
  - {name: rest, require: none}
campaigns: {}
`)
	if !p.NoIDShow || p.Rank([]byte("b")) != 1 || p.Rank([]byte("z")) != 2 || p.Unknown != 1 {
		t.Errorf("settings are %+v", p.Settings)
	}
	us, eu := &p.Markets[0], &p.Markets[1]
	if us.QuietFrom != 22*60 || us.QuietTo != 7*60 || us.Zone.String() != "America/New_York" || us.Countries[0] != "USA" || us.quietMinutes() != 540 {
		t.Errorf("us is %+v", us)
	}
	for limit, want := range map[uint8][2]uint8{1: {1, 1}, 2: {1, 1}, 3: {1, 1}, 7: {3, 2}, 255: {127, 84}} {
		if us.Limit(limit) != want[0] || eu.Limit(limit) != want[1] {
			t.Errorf("limit %d becomes %d and %d, want %v", limit, us.Limit(limit), eu.Limit(limit), want)
		}
	}
	if eu.Precision != PrecisionCategory || !p.Consent.Purposes[Retargeting].Has(4) || p.Consent.Purposes[Retargeting].Has(2) || p.Retention.Purchases != 400*day {
		t.Errorf("defaults are %+v", p.Settings)
	}
	if none := compiled(t, "campaigns: {}"); len(none.Markets) != 1 || none.Markets[0].Require != RequireTCF {
		t.Error("without markets consent is not required")
	}
}

func TestDatesAreTheZones(t *testing.T) {
	p := compiled(t, "timezone: Asia/Tokyo\ncampaigns: {a: {advertiser: x, active: {from: 2026-01-01, to: 2026-01-02T00:00:00Z}}}")
	c := &p.Campaigns[0]
	if c.From != uint32(time.Date(2025, 12, 31, 15, 0, 0, 0, time.UTC).Unix()) || c.To != uint32(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC).Unix()) {
		t.Errorf("active from %d to %d", c.From, c.To)
	}
}
