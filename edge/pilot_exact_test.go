package edge_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// shownTo is how often each of some people was shown each campaign.
type shownTo map[string]map[string]int

// exactly is a node on which showings are reported as they are decided, and kept count of.
type exactly struct {
	*node
	now   int
	shown shownTo
}

func (e *exactly) show(user, campaign string) {
	e.now++
	e.event(fmt.Sprintf(`{"type":"impression","user":{"id":%q},"campaign":%q,"item":"i","id":"%d","at":%d}`, user, campaign, e.now, e.now))
	if e.shown[user] == nil {
		e.shown[user] = map[string]int{}
	}
	e.shown[user][campaign]++
}

func (e *exactly) ask(user, campaign string) bool {
	e.now++
	a := e.decide(fmt.Sprintf(`{"user":{"id":%q},"at":%d,"candidates":[{"campaign":%q,"item":"i"}]}`, user, e.now, campaign))
	return a.Decisions[0].Show
}

// exactPolicy is the policy before the pilots of TestPilotEndsExactly, and the one that
// is tried out: with another limit, boots in a group, and a campaign more.
func exactPolicy(limit int, tried bool) string {
	text := fmt.Sprintf(`
timezone: UTC
markets: [{name: everywhere, require: none}]
campaigns:
  shoes: {advertiser: acme, caps: [{per: campaign, limit: %d, within: 24h}, {per: advertiser, limit: 9, within: 24h}]}
  boots: {advertiser: acme}
`, limit)
	if !tried {
		return text
	}
	return strings.Replace(text, "boots: {advertiser: acme}",
		"boots: {advertiser: acme, groups: [g], caps: [{per: group:g, limit: 4, within: 24h}]}\n  new: {advertiser: acme, groups: [g], caps: [{per: item, limit: 6, within: 24h}]}", 1)
}

// may says whether a person may be shown a campaign by the policy, from all showings.
func (s shownTo) may(user, campaign string, limit int, tried bool) bool {
	was := s[user]
	all := was["shoes"] + was["boots"] + was["new"]
	switch campaign {
	case "shoes":
		return was["shoes"] < limit && all < 9
	case "boots":
		return !tried || was["boots"]+was["new"] < 4
	}
	return tried && all < 6 // the item is the advertiser's
}

// Whatever is counted while a policy is tried out, in either arm, is counted for whoever
// is for everybody afterwards: nobody is shown more than its cap and nobody less, whether
// the limit was lower or higher in the pilot, whether a campaign or a group was only in
// one of the two, and however the pilot ends; and what was stopped may be put again.
func TestPilotEndsExactly(t *testing.T) {
	users, campaigns := []string{"u-1", "u-2", "u-3", "u-4", "u-5", "u-6"}, []string{"shoes", "boots", "new"}
	for _, limits := range [][2]int{{2, 5}, {5, 2}} {
		for _, end := range []string{"promote", "stop"} {
			t.Run(fmt.Sprintf("%d beside %d, %s", limits[0], limits[1], end), func(t *testing.T) {
				seed := rand.Uint64()
				random := rand.New(rand.NewPCG(seed, 1))
				t.Logf("seed %d", seed)
				tried := exactPolicy(limits[1], true)
				e := &exactly{startNode(t, "", exactPolicy(limits[0], false), requestClock), 1_790_000_000, shownTo{}}
				e.must(200, "PUT", "/v1/policy?pilot=50", "", tried, nil)
				for range 60 { // some are shown what another device of theirs was allowed
					user, campaign := users[random.IntN(len(users))], campaigns[random.IntN(3)]
					if e.ask(user, campaign) || random.IntN(5) == 0 {
						e.show(user, campaign)
					}
				}
				check := func(limit int, tried bool) {
					t.Helper()
					for _, user := range users {
						for range 6 {
							for _, campaign := range campaigns {
								want := e.shown.may(user, campaign, limit, tried)
								if got := e.ask(user, campaign); got != want {
									t.Fatalf("%s, %s: shown %v, want %v: %v", user, campaign, got, want, e.shown[user])
								}
								if want && (campaign != "boots" || tried) {
									e.show(user, campaign)
								}
							}
						}
					}
				}
				e.must(200, "POST", "/v1/policy/pilot?end="+end, "", "", nil)
				if end == "promote" {
					check(limits[1], true)
					return
				}
				check(limits[0], false)
				for _, user := range users {
					e.show(user, "shoes")
				}
				e.must(200, "PUT", "/v1/policy", "", tried, nil)
				check(limits[1], true)
			})
		}
	}
}
