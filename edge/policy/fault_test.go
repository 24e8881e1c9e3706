package policy

import (
	"fmt"
	"strings"
	"testing"
)

// faultCase is a text with one fault. Where whole is false the text is the body
// of campaign c, which begins in line 9 after settings that have no fault.
type faultCase struct {
	name  string
	whole bool
	text  string
	line  int
	key   string
	words string
}

const around = `timezone: Europe/Berlin
sensitive: [health]
lists:
  people: {id: [user.id], source: first_party, basis: contract}
  orders: {id: [user.id], items: true, source: first_party, basis: contract}
campaigns:
  other: {advertiser: b, groups: [g]}
  c:
`

var faultCases = []faultCase{
	{"unknown key", false, "advertiser: a\nspacnig: 5m", 10, "campaigns.c.spacnig", `unknown key "spacnig": did you mean spacing?`},
	{"unknown key of a cap", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 1, every: 1h, within: 1h}", 11, "campaigns.c.caps[0].every", "the keys here are per, channel, limit, within"},
	{"duplicate key", false, "advertiser: a\nadvertiser: b", 10, "campaigns.c.advertiser", "written twice, first in line 9"},
	{"nothing written", false, "advertiser: a\nsuppress:", 10, "campaigns.c.suppress", "nothing is written here"},
	{"no advertiser", false, "purpose: contextual", 9, "campaigns.c", "advertiser is missing"},
	{"number for a text", false, "advertiser: 7", 9, "campaigns.c.advertiser", `"7" is a number, not a text: put it in quotes`},
	{"list for a text", false, "advertiser: [a]", 9, "campaigns.c.advertiser", "a list is not what belongs here"},
	{"text for a list", false, "advertiser: a\ngroups: g", 10, "campaigns.c.groups", `write a list`},
	{"text for a mapping", false, "advertiser: a\nactive: always", 10, "campaigns.c.active", `"always" is a text`},
	{"long advertiser", false, "advertiser: " + strings.Repeat("a", 129), 9, "campaigns.c.advertiser", "129 bytes long"},
	{"purpose", false, "advertiser: a\npurpose: fun", 10, "campaigns.c.purpose", `"fun" is unknown: write one of retargeting`},
	{"limit 0", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 0, within: 1h}", 11, "campaigns.c.caps[0].limit", `"0" is out of bounds: write a whole number from 1 to 255`},
	{"limit 256", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 256, within: 1h}", 11, "campaigns.c.caps[0].limit", `"256" is out of bounds`},
	{"limit huge", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 99999999999999999999, within: 1h}", 11, "campaigns.c.caps[0].limit", `write a whole number from 1 to 255`},
	{"limit in quotes", false, "advertiser: a\ncaps:\n- {per: campaign, limit: \"3\", within: 1h}", 11, "campaigns.c.caps[0].limit", `remove the quotes`},
	{"limit 1.5", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 1.5, within: 1h}", 11, "campaigns.c.caps[0].limit", `not a whole number`},
	{"limit 0x3", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 0x3, within: 1h}", 11, "campaigns.c.caps[0].limit", `not a whole number in digits`},
	{"no limit", false, "advertiser: a\ncaps:\n- {per: campaign, within: 1h}", 11, "campaigns.c.caps[0]", `limit is missing`},
	{"no per", false, "advertiser: a\ncaps:\n- {limit: 1, within: 1h}", 11, "campaigns.c.caps[0]", `per is missing`},
	{"no within", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 1}", 11, "campaigns.c.caps[0]", `within is missing`},
	{"unknown per", false, "advertiser: a\ncaps:\n- {per: user, limit: 1, within: 1h}", 11, "campaigns.c.caps[0].per", `"user" is unknown: write campaign, creative`},
	{"unknown group", false, "advertiser: a\ncaps:\n- {per: \"group:h\", limit: 1, within: 1h}", 11, "campaigns.c.caps[0]", `no campaign is in the group "h"`},
	{"not in the group", false, "advertiser: a\ncaps:\n- {per: \"group:g\", limit: 1, within: 1h}", 11, "campaigns.c.caps[0]", `the campaign is not in the group "g": add it`},
	{"group without name", false, "advertiser: a\ncaps:\n- {per: \"group:\", limit: 1, within: 1h}", 11, "campaigns.c.caps[0].per", `is empty`},
	{"window no time", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 1, within: fortnight}", 11, "campaigns.c.caps[0].within", `"fortnight" is not a time`},
	{"window 0", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 1, within: 0s}", 11, "campaigns.c.caps[0].within", `"0s" is not a time`},
	{"window over retention", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 1, within: 91d}", 11, "campaigns.c.caps[0].within", `"91d" is longer than exposures are kept: write at most 90d`},
	{"month over retention", true, "retention: {exposures: 30d}\ncampaigns:\n  c:\n    advertiser: a\n    caps:\n    - {per: campaign, limit: 1, within: month}", 6, "campaigns.c.caps[0].within", `"month" is longer than exposures are kept`},
	{"spacing over retention", false, "advertiser: a\nspacing: 91d", 10, "campaigns.c.spacing", `longer than exposures are kept`},
	{"spacing no duration", false, "advertiser: a\nspacing: 5 minutes", 10, "campaigns.c.spacing", `"5 minutes" is not a duration`},
	{"same window twice", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 1, within: 60m}\n- {per: campaign, limit: 2, within: 1h}", 12, "campaigns.c.caps[1]", `the scope and the window of caps[0]`},
	{"longer allows less", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 3, within: 1h}\n- {per: campaign, limit: 2, within: 24h}", 12, "campaigns.c.caps[1]", `2 within 24h allows no more than 3 within 1h (caps[0])`},
	{"longer allows the same", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 3, within: day}\n- {per: campaign, limit: 3, within: 1h}", 12, "campaigns.c.caps[1]", `3 within day allows no more than 3 within 1h`},
	{"lifetime allows less", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 3, within: 90d}\n- {per: campaign, limit: 3, within: lifetime}", 12, "campaigns.c.caps[1]", `3 within lifetime allows no more`},
	{"rolling as long as the day", false, "advertiser: a\ncaps:\n- {per: campaign, limit: 3, within: 24h}\n- {per: campaign, limit: 5, within: day}", 12, "campaigns.c.caps[1]", `3 within 24h allows no more than 5 within day`},
	{"same scope by channel", false, "advertiser: a\ncaps:\n- {per: campaign, channel: web, limit: 3, within: 24h}\n- {per: campaign, channel: web, limit: 3, within: 7d}", 12, "campaigns.c.caps[1]", `allows no more`},
	{"undeclared list", false, "advertiser: a\nsuppress: [nobody]", 10, "campaigns.c.suppress[0]", `there is no list "nobody": declare it`},
	{"undeclared orders", false, "advertiser: a\npurchased: {lists: [nobody]}", 10, "campaigns.c.purchased.lists[0]", `there is no list "nobody"`},
	{"orders without items", false, "advertiser: a\npurchased: {lists: [people]}", 10, "campaigns.c.purchased.lists[0]", `the list "people" has no items`},
	{"suppress with items", false, "advertiser: a\nsuppress: [orders]", 10, "campaigns.c.suppress[0]", `put it under purchased.lists`},
	{"list twice", false, "advertiser: a\nsuppress: [people, people]", 10, "campaigns.c.suppress[1]", `written twice`},
	{"purchase over retention", false, "advertiser: a\npurchased: {item: 401d}", 10, "campaigns.c.purchased.item", `longer than purchases are kept`},
	{"bad date", false, "advertiser: a\nactive: {from: 2026-02-30}", 10, "campaigns.c.active.from", `"2026-02-30" is not a date`},
	{"early date", false, "advertiser: a\nactive: {from: 1960-01-01}", 10, "campaigns.c.active.from", `out of bounds`},
	{"from is to", false, "advertiser: a\nactive: {from: 2026-01-01, to: 2026-01-01}", 10, "campaigns.c.active", `from is not before to`},
	{"interest until before fresh", false, "advertiser: a\ninterest: {fresh: 3d, until: 2d}", 10, "campaigns.c.interest", `until 48h is before fresh 3d`},
	{"interest fresh alone", false, "advertiser: a\ninterest: {fresh: 3d}", 10, "campaigns.c.interest", `fresh is written without until`},
	{"interest never", false, "advertiser: a\ninterest: {after: 3d, until: 3d}", 10, "campaigns.c.interest", `leaves no time`},
	{"interest least 0", false, "advertiser: a\ninterest: {least: 0}", 10, "campaigns.c.interest.least", `"0" is out of bounds`},
	{"diversity 0", false, "advertiser: a\ndiversity: {same_creative_in_a_row: 0}", 10, "campaigns.c.diversity.same_creative_in_a_row", `out of bounds`},
	{"hold over 2 h", false, "advertiser: a\nhold: 3h", 10, "campaigns.c.hold", `"3h" is too long: write at most 2h`},
	{"sensitive retargeting", false, "advertiser: a\ntopics: [health]", 9, "campaigns.c", `the sensitive topic "health" is retargeted`},
	{"sensitive with a list", false, "advertiser: a\npurpose: contextual\ntopics: [health]\nsuppress: [people]", 9, "campaigns.c", `the sensitive topic "health" is used with a list`},
	{"category as topic", false, "advertiser: a\ntopics: [\"cat:1\"]", 10, "campaigns.c.topics", `"cat:1" is a content category`},
	{"not_beside a topic", false, "advertiser: a\nnot_beside: [war]", 10, "campaigns.c.not_beside", `"war" is not a content category: write cat:`},
	{"merge key", true, "campaigns:\n  a: &a {advertiser: a}\n  c: {<<: *a, advertiser: a}", 3, `campaigns.c."<<"`, `merge keys are not read`},
	{"tagged value", false, "advertiser: !secret a", 9, "campaigns.c.advertiser", `unknown type "!secret"`},

	{"broken YAML", true, "campaigns:\n  c: {advertiser: [a}\n", 2, "", "mend the YAML"},
	{"unknown anchor", true, "campaigns:\n  c: *c\n", 2, "", "unknown anchor 'c' referenced"},
	{"alias of itself", true, "campaigns: {c: &c {advertiser: *c}}\n", 1, "campaigns.c.advertiser", "a mapping is not what belongs here"},
	{"tab", true, "campaigns:\n\tc: {}\n", 2, "", "cannot start any token"},
	{"empty", true, "", 1, "", "the text is empty"},
	{"comment only", true, "# nothing\n", 1, "", "the text is empty"},
	{"two documents", true, "campaigns: {}\n---\ncampaigns: {}\n", 2, "", "more than one document"},
	{"a list", true, "- campaigns\n", 1, "", "write a mapping"},
	{"no campaigns", true, "timezone: UTC\n", 1, "", "campaigns is missing"},
	{"bad zone", true, "timezone: Mars/Olympus\ncampaigns: {}", 1, "timezone", `"Mars/Olympus" is not a time zone`},
	{"local zone", true, "timezone: Local\ncampaigns: {}", 1, "timezone", `is not a time zone`},
	{"no_id", true, "no_id: maybe\ncampaigns: {}", 1, "no_id", `"maybe" is unknown: write one of skip, show`},
	{"source twice", true, "sources: [a, a]\ncampaigns: {}", 1, "sources[1]", `"a" is written twice`},
	{"retention", true, "retention: {exposures: 1h}\ncampaigns: {}", 1, "retention.exposures", `"1h" is too short: write at least 24h`},
	{"consent vendor", true, "consent: {vendor: 65536}\ncampaigns: {}", 1, "consent.vendor", `"65536" is out of bounds`},
	{"consent purpose", true, "consent: {purposes: {storage: [25]}}\ncampaigns: {}", 1, "consent.purposes.storage[0]", `"25" is out of bounds`},
	{"market require", true, "markets: [{name: m, require: gdpr}]\ncampaigns: {}", 1, "markets[0].require", `"gdpr" is unknown: write one of tcf, opt_out, none`},
	{"market without require", true, "markets: [{name: m}]\ncampaigns: {}", 1, "markets[0]", `require is missing`},
	{"market without name", true, "markets: [{require: tcf}]\ncampaigns: {}", 1, "markets[0]", `name is missing`},
	{"no market", true, "markets: []\ncampaigns: {}", 1, "markets", `there is no market`},
	{"market twice", true, "markets:\n- {name: m, require: tcf, countries: [DE]}\n- {name: m, require: tcf}\ncampaigns: {}", 3, "markets[1]", `two markets are named "m"`},
	{"market behind the rest", true, "markets:\n- {name: rest, require: tcf}\n- {name: us, countries: [USA], require: tcf}\ncampaigns: {}", 3, "markets[1]", `never reached`},
	{"country", true, "markets: [{name: m, require: tcf, countries: [DEU, Germany]}]\ncampaigns: {}", 1, "markets[0].countries[1]", `"Germany" is not a country`},
	{"country twice", true, "markets: [{name: m, require: tcf, countries: [DEU, DE]}]\ncampaigns: {}", 1, "markets[0].countries[1]", `"DE" is written twice`},
	{"regions of two", true, "markets: [{name: m, require: tcf, countries: [DEU, USA], regions: [BY]}]\ncampaigns: {}", 1, "markets[0]", `regions of 2 countries`},
	{"region with its country", true, "markets: [{name: m, require: tcf, countries: [USA], regions: [NY, US-CA]}]\ncampaigns: {}", 1, "markets[0].regions", `"US-CA" is not a region of a country: write CA`},
	{"state by its number", true, "markets: [{name: m, require: tcf, countries: [US], regions: [NY, \"06\"]}]\ncampaigns: {}", 1, "markets[0]", `"06" is not a region of USA: write the two letters of the state`},
	{"region in small letters", true, "markets: [{name: m, require: tcf, countries: [USA], regions: [ca]}]\ncampaigns: {}", 1, "markets[0].regions", `"ca" is not a region of a country: write an ISO 3166-2 code`},
	{"region behind its country", true, "markets:\n- {name: us, countries: [USA], require: tcf}\n- {name: ca, countries: [USA], regions: [CA], require: tcf}\ncampaigns: {}", 3, "markets[1]", `never reached in USA-CA, for "us" is there before: put it before "us"`},
	{"region in two markets", true, "markets:\n- {name: west, countries: [USA], regions: [CA, OR], require: tcf}\n- {name: ca, countries: [USA], regions: [NY, CA], require: tcf}\ncampaigns: {}", 3, "markets[1]", `never reached in USA-CA, for "west" is there before`},
	{"country in two markets", true, "markets:\n- {name: eu, countries: [FRA, DEU], require: tcf}\n- {name: de, countries: [CHE, DE, FR], require: none}\ncampaigns: {}", 3, "markets[1]", `never reached in DEU, for "eu" is there before`},
	{"quiet hours", true, "markets: [{name: m, require: tcf, quiet_hours: 22-7}]\ncampaigns: {}", 1, "markets[0].quiet_hours", `"22-7" is not a span of the day`},
	{"quiet hours 24:00", true, "markets: [{name: m, require: tcf, quiet_hours: \"22:00-24:00\"}]\ncampaigns: {}", 1, "markets[0].quiet_hours", `is not a span of the day`},
	{"cap_factor 0", true, "markets: [{name: m, require: tcf, cap_factor: 0}]\ncampaigns: {}", 1, "markets[0].cap_factor", `"0" is out of bounds`},
	{"cap_factor 1.5", true, "markets: [{name: m, require: tcf, cap_factor: 1.5}]\ncampaigns: {}", 1, "markets[0].cap_factor", `"1.5" is out of bounds`},
	{"precision", true, "markets: [{name: m, require: tcf, precision: person}]\ncampaigns: {}", 1, "markets[0].precision", `"person" is unknown`},
	{"unknown market", true, "unknown: eu\ncampaigns: {}", 1, "unknown", `there is no market "eu"`},
	{"dial_back factor", true, "dial_back: {factor: 2}\ncampaigns: {}", 1, "dial_back.factor", `"2" is out of bounds`},
	{"dial_back order", true, "dial_back: {hides_per_10k: 30}\ncampaigns: {}", 1, "dial_back", `pause_at 20 is below hides_per_10k 30`},
	{"holdout share", true, "holdout: 0.05\ncampaigns: {}", 1, "holdout", `write whole percent`},
	{"list with a slash", true, "lists: {a/b: {id: [a], source: first_party, basis: b}}\ncampaigns: {}", 1, `lists."a/b"`, `the name "a/b" cannot stand in the path of an upload: write a name without /`},
	{"list named ..", true, "lists: {..: {id: [a], source: first_party, basis: b}}\ncampaigns: {}", 1, `lists.".."`, `cannot stand in the path`},
	{"list named .", true, "campaigns: {}\nlists:\n  .: {id: [a], source: first_party, basis: b}", 3, `lists."."`, `cannot stand in the path`},
	{"list with a line break", true, "lists: {\"a\\nb\": {id: [a], source: first_party, basis: b}}\ncampaigns: {}", 1, `lists."a\nb"`, "control character"},
	{"list without id", true, "lists: {l: {source: first_party, basis: b}}\ncampaigns: {}", 1, "lists.l", `id is missing`},
	{"list without source", true, "lists: {l: {id: [a], basis: b}}\ncampaigns: {}", 1, "lists.l", `source is missing`},
	{"list without basis", true, "lists: {l: {id: [a], source: first_party}}\ncampaigns: {}", 1, "lists.l", `basis is missing`},
	{"list of no identifier", true, "lists: {l: {id: [], source: first_party, basis: b}}\ncampaigns: {}", 1, "lists.l.id", `the list is empty`},
	{"third party", true, "lists: {l: {id: [a], source: third_party, basis: b}}\ncampaigns: {}", 1, "lists.l.source", `a third-party list is refused`},
	{"third party opt-outs", true, "lists: {l: {kind: opt_out, id: [a], source: third_party, basis: b}}\ncampaigns: {}", 1, "lists.l.source", `a third-party list is refused: remove the list, or write third_party_lists: allow`},
	{"third party refused in writing", true, "third_party_lists: refuse\nlists: {l: {id: [a], source: third_party, basis: b}}\ncampaigns: {}", 2, "lists.l.source", `a third-party list is refused`},
	{"list from elsewhere", true, "lists: {l: {id: [a], source: broker, basis: b}}\ncampaigns: {}", 1, "lists.l.source", `"broker" is unknown: write one of first_party, third_party`},
	{"list on an empty basis", true, "lists: {l: {id: [a], source: first_party, basis: \"\"}}\ncampaigns: {}", 1, "lists.l.basis", `is empty`},
	{"opt-outs without a basis", true, "lists: {l: {kind: opt_out, id: [a], source: first_party}}\ncampaigns: {}", 1, "lists.l", `basis is missing`},
	{"opt-outs without a source", true, "lists: {l: {kind: opt_out, id: [a], basis: objection}}\ncampaigns: {}", 1, "lists.l", `source is missing`},
	{"kind", true, "lists: {l: {kind: optout, id: [a], source: first_party, basis: b}}\ncampaigns: {}", 1, "lists.l.kind", `"optout" is unknown: write one of suppression, opt_out`},
	{"opt-outs of items", true, "lists: {l: {items: true, kind: opt_out, id: [a], source: first_party, basis: b}}\ncampaigns: {}", 1, "lists.l.items", `an opt-out is of a person, not of an item: remove items`},
	{"suppressing opt-outs", true, "lists: {l: {kind: opt_out, id: [a], source: first_party, basis: b}}\ncampaigns: {c: {advertiser: a, suppress: [l]}}", 2, "campaigns.c.suppress[0]", `the list "l" is of opt-outs: remove it here`},
	{"orders of opt-outs", true, "lists: {l: {kind: opt_out, id: [a], source: first_party, basis: b}}\ncampaigns: {c: {advertiser: a, purchased: {lists: [l]}}}", 2, "campaigns.c.purchased.lists[0]", `the list "l" is of opt-outs`},
	{"dsa domain", true, "dsa: {domain: \"https://example.com\"}\ncampaigns: {}", 1, "dsa.domain", `"https://example.com" is not a domain: write the domain alone`},
	{"dsa domain in capitals", true, "dsa: {domain: Example.com}\ncampaigns: {}", 1, "dsa.domain", `is not a domain`},
	{"dsa domain of one label", true, "dsa: {domain: localhost}\ncampaigns: {}", 1, "dsa.domain", `is not a domain`},
	{"dsa domain is an address", true, "dsa: {domain: 192.0.2.1}\ncampaigns: {}", 1, "dsa.domain", `is not a domain`},
	{"dsa without payer", false, "advertiser: a\ndsa: {behalf: Acme}", 10, "campaigns.c.dsa", `paid is missing: say who pays for it`},
	{"dsa without whom", false, "advertiser: a\ndsa: {paid: Acme}", 10, "campaigns.c.dsa", `behalf is missing`},
	{"dsa behalf too long", false, "advertiser: a\ndsa: {behalf: " + strings.Repeat("ö", 101) + ", paid: b}", 10, "campaigns.c.dsa.behalf", `has 101 characters: use at most 100`},
	{"dsa adrender", false, "advertiser: a\ndsa: {behalf: a, paid: b, adrender: 2}", 10, "campaigns.c.dsa.adrender", `"2" is out of bounds: write a whole number from 0 to 1`},
	{"dsa key", false, "advertiser: a\ndsa: {behalf: a, paid: b, render: 1}", 10, "campaigns.c.dsa.render", `did you mean adrender?`},
	{"filter", true, "lists: {l: {id: [a], source: first_party, basis: b, filter: magic}}\ncampaigns: {}", 1, "lists.l.filter", `"magic" is unknown`},
	{"items flag", true, "lists: {l: {id: [a], source: first_party, basis: b, items: yes}}\ncampaigns: {}", 1, "lists.l.items", `"yes" is neither true nor false`},
	{"when_stale alone", true, "lists: {l: {id: [a], source: first_party, basis: b, when_stale: skip}}\ncampaigns: {}", 1, "lists.l.when_stale", `never stale`},
	{"long campaign id", true, "campaigns:\n  " + strings.Repeat("x", 129) + ": {advertiser: a}", 2, `campaigns."` + strings.Repeat("x", 80) + `"...`, "129 bytes long"},
	{"campaign id with NUL", true, "campaigns:\n  \"a\\0b\": {advertiser: a}", 2, `campaigns."a\x00b"`, "control character"},
	{"campaign id with dot in a path", true, "campaigns:\n  a.b: {advertiser: 1}", 2, `campaigns."a.b".advertiser`, "put it in quotes"},
	{"campaign without anything", true, "campaigns:\n  a:\n", 2, `campaigns.a`, "nothing is written here"},
	{"deep", true, "campaigns: " + strings.Repeat("[", 100) + strings.Repeat("]", 100), 1, "campaigns", "write a mapping"},
	{"invalid UTF-8", true, "campaigns: {\"\xff\": {advertiser: a}}", 1, "", "UTF-8"},
}

func TestFaults(t *testing.T) {
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			text := c.text
			if !c.whole {
				text = around + "    " + strings.ReplaceAll(c.text, "\n", "\n    ") + "\n"
			}
			_, err := Parse([]byte(text), "p.yaml")
			faults, _ := err.(Faults)
			if len(faults) != 1 {
				t.Fatalf("%d faults, want one:\n%v", len(faults), err)
			}
			f := faults[0]
			if f.Line != c.line || f.Key != c.key || !strings.Contains(f.Detail, c.words) {
				t.Errorf("%v\nwant line %d, key %s, words %s", &f, c.line, c.key, c.words)
			}
			if !strings.HasPrefix(err.Error(), fmt.Sprintf("p.yaml:%d: ", c.line)) {
				t.Errorf("the error %q does not begin with file and line", err)
			}
		})
	}
}

func TestEveryFaultAtOnce(t *testing.T) {
	text := `timezone: Mars
markets:
  - {name: eu, require: gdpr, cap_factor: 7}
lists:
  a: {id: [x], source: third_party}
campaigns:
  one: {purpose: fun, hold: 3h}
  two:
    advertiser: b
    caps:
      - {per: campaign, limit: 300, within: 24h}
      - {per: group:g, limit: 3, within: 100d}
    suppress: [missing]
holdout: 0.5
`
	_, err := Parse([]byte(text), "policy.yaml")
	want := `policy.yaml:1: timezone: "Mars" is not a time zone: write an IANA name, as Europe/Berlin or UTC
policy.yaml:3: markets[0].require: "gdpr" is unknown: write one of tcf, opt_out, none
policy.yaml:3: markets[0].cap_factor: "7" is out of bounds: write a number above 0 and at most 1, as 0.5
policy.yaml:5: lists.a.source: a third-party list is refused: remove the list, or write third_party_lists: allow
policy.yaml:5: lists.a: basis is missing: say on what legal basis it is used, as basis: contract
policy.yaml:7: campaigns.one.purpose: "fun" is unknown: write one of retargeting, acquisition, contextual
policy.yaml:7: campaigns.one.hold: "3h" is too long: write at most 2h
policy.yaml:7: campaigns.one: advertiser is missing: say whose campaign it is, as advertiser: acme
policy.yaml:11: campaigns.two.caps[0].limit: "300" is out of bounds: write a whole number from 1 to 255
policy.yaml:12: campaigns.two.caps[1].within: "100d" is longer than exposures are kept: write at most 90d, or raise retention.exposures
policy.yaml:12: campaigns.two.caps[1]: no campaign is in the group "g": write the name of a group that campaigns list under groups
policy.yaml:13: campaigns.two.suppress[0]: there is no list "missing": declare it under lists
policy.yaml:14: holdout: "0.5" is not a whole number: write whole percent of users, as 5`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	_, err := Parse([]byte("campaigns:\n"+strings.Repeat("  - x\n", 5)+strings.Repeat(" ", 3)), "p")
	if err == nil {
		t.Fatal("a list of campaigns is accepted")
	}
	var b strings.Builder
	b.WriteString("campaigns:\n")
	for i := range 1200 {
		fmt.Fprintf(&b, "  c%d: {purpose: 1}\n", i)
	}
	_, err = Parse([]byte(b.String()), "p")
	if faults, _ := err.(Faults); len(faults) != maxFaults+1 || !strings.Contains(faults[maxFaults].Detail, "more than 1000") {
		t.Errorf("%d faults", len(faults))
	}
}
