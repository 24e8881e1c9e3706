package policy

import (
	"strings"
	"testing"
)

const retentionPolicy = `
retention: {exposures: 90d}
markets:
  - {name: us, countries: [USA], require: tcf}
  - {name: de, countries: [DEU], require: tcf, retention: {exposures: 30d}}
  - {name: rest, require: none}
campaigns:
  a:
    advertiser: acme
    spacing: 31d
    caps:
      - {per: campaign, limit: 2, within: 30d}
      - {per: advertiser, limit: 9, within: 60d}
      - {per: all, limit: 3, within: month}
      - {per: group:g, limit: 50, within: lifetime}
    groups: [g]
`

// A market's retention is read, whatever stands first in the text, and it makes the
// stricter of two markets that are alike but for it.
func TestMarketRetention(t *testing.T) {
	for _, text := range []string{retentionPolicy, strings.Replace(retentionPolicy, "\nretention: {exposures: 90d}", "", 1) + "retention: {exposures: 90d}\n"} {
		src, err := Parse([]byte(text), "p.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if src.Markets[0].Retention != 0 || src.Markets[1].Retention != 30*day || src.Markets[2].Retention != 0 {
			t.Errorf("%+v", src.Markets)
		}
		if src.Unknown != 1 || src.Markets[0].stricter(&src.Markets[1]) {
			t.Errorf("the strictest is %d", src.Unknown)
		}
		if got := src.Markets[1].String(); got != "{name: de, countries: [DEU], require: tcf, cap_factor: 1, precision: item, retention: {exposures: 30d}}" {
			t.Error(got)
		}
	}
	shorter, longer := Market{Retention: day}, Market{Retention: 2 * day}
	if !shorter.stricter(&longer) || longer.stricter(&shorter) || !longer.stricter(&Market{}) || (&Market{}).stricter(&longer) {
		t.Error("the shorter is the stricter, none is the longest")
	}
}

func TestMarketRetentionFaults(t *testing.T) {
	for written, want := range map[string]string{
		"{exposures: 91d}":                  `markets[0].retention.exposures: "91d" is longer than exposures are kept in any market: write at most 90d, or raise retention.exposures`,
		"{exposures: 32d}":                  `markets[0].retention.exposures: "32d" cannot be written into the record of a person: write days up to 31d, or a multiple of 15d from 45d to 510d, as 31d`,
		"{exposures: 89d}":                  `as 75d`,
		"{exposures: 36h}":                  `"36h" cannot be written into the record of a person: write days up to 31d, or a multiple of 15d from 45d to 510d, as 24h`,
		"{exposures: 1h}":                   `"1h" is too short: write at least 24h`,
		"{exposures: off}":                  `"off" is not a duration`,
		"{exposures: 30d, purchases: 400d}": `markets[0].retention.purchases: purchases are kept alike in every market: write it under the retention of the whole policy`,
		"{clicks: 3d}":                      `markets[0].retention`,
		"30d":                               `markets[0].retention`,
	} {
		text := "markets: [{name: m, require: tcf, retention: " + written + "}]\ncampaigns: {}"
		_, err := Parse([]byte(text), "p.yaml")
		if faults, _ := err.(Faults); len(faults) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", written, err, want)
		}
	}
}

// A rule that looks further back than a market keeps is no fault; it is said.
func TestMarketRetentionNotes(t *testing.T) {
	p := compiled(t, retentionPolicy)
	want := []Note{
		{"campaigns.a.caps[1]", "9 per advertiser within 60d looks further back than is kept of what is shown in de (30d, also where no country is said): who is shown something there is counted over that time only"},
		{"campaigns.a.caps[2]", "3 per all within month looks further back"},
		{"campaigns.a.caps[3]", "50 per group:g within lifetime looks further back"},
		{"campaigns.a.spacing", "spacing of 31d looks further back"},
	}
	notes := p.Notes()
	for i, n := range notes {
		if len(notes) != len(want) || n.Key != want[i].Key || !strings.HasPrefix(n.Text, want[i].Text) {
			t.Fatalf("%+v\nwant %+v", notes, want)
		}
	}
	known := compiled(t, strings.Replace(retentionPolicy, "campaigns:", "unknown: us\ncampaigns:", 1)).Notes()
	if len(known) != 4 || !strings.Contains(known[0].Text, "shown in de (30d): who") {
		t.Errorf("%+v", known)
	}
	if notes := compiled(t, strings.Replace(retentionPolicy, "30d}}", "90d}}", 1)).Notes(); len(notes) != 0 {
		t.Errorf("%+v", notes)
	}
}

// People in a market that keeps for less get more of what a longer window bounds, and so
// can who was there once: the most that a person can get is not less than that.
func TestMarketRetentionPeople(t *testing.T) {
	text := strings.Replace(retentionPolicy, "    spacing: 31d\n", "", 1)
	text = text[:strings.Index(text, "      - {per: campaign")] + "      - {per: campaign, limit: 2, within: lifetime}\n"
	v := compiled(t, text).People()[0]
	if v.PerLife.Showings != 6 || !strings.Contains(v.Sentence, "and 6 in 90 days") || !strings.Contains(v.Strictest, "de: ") || !strings.Contains(v.Strictest, "remembered for 30 days only") {
		t.Errorf("%+v", v)
	}
	p := compiled(t, text)
	if de, us := p.Campaigns[0].bounding(&p.Markets[1]), p.Campaigns[0].bounding(&p.Markets[0]); de[0] != (rule{2, Rolling, 30*day + 1}) || us[0] != (rule{2, Rolling, 90*day + 1}) {
		t.Errorf("%+v, %+v", de, us)
	}
	p = compiled(t, strings.Replace(text, "within: lifetime", "within: month", 1))
	if de := p.Campaigns[0].bounding(&p.Markets[1]); de[0] != (rule{4, Rolling, 30*day + 1}) {
		t.Errorf("%+v", de)
	}
	v = compiled(t, retentionPolicy).People()[0]
	if !strings.Contains(v.Sentence, "never two within 30 days") {
		t.Errorf("where a showing is forgotten after 30 days, a spacing of 31 days holds for 30: %s", v.Sentence)
	}
}
