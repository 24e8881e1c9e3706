package policy

import (
	"fmt"
	"strings"
	"testing"
)

const before = `timezone: UTC
lists:
  people: {id: [user.id], source: first_party, basis: contract}
  gone: {id: [user.id], source: first_party, basis: contract}
  moved: {id: [user.id], source: first_party, basis: objection}
  ended: {kind: opt_out, id: [user.id], source: first_party, basis: objection}
campaigns:
  a:
    advertiser: x
    caps:
      - {per: campaign, limit: 3, within: 24h}
      - {per: campaign, limit: 9, within: lifetime}
      - {per: creative, limit: 2, within: day}
  b: {advertiser: x}
  old: {advertiser: x}
`

const after = `timezone: Europe/Berlin
lists:
  people: {id: [user.id], source: first_party, basis: contract, max_age: 48h, filter: fuse}
  fresh: {id: [user.id], source: first_party, basis: consent}
  moved: {kind: opt_out, id: [user.id], source: first_party, basis: objection}
  left: {kind: opt_out, id: [user.id], source: first_party, basis: objection}
campaigns:
  a:
    advertiser: x
    spacing: 5m
    suppress: [people]
    caps:
      - {per: campaign, limit: 5, within: 24h}
      - {per: campaign, limit: 20, within: lifetime}
      - {per: creative, limit: 1, within: day}
      - {per: advertiser, limit: 30, within: week}
  b: {advertiser: x, diversity: {same_creative_in_a_row: 2}}
  brand new: {advertiser: y}
`

func TestDiff(t *testing.T) {
	var got []string
	for _, c := range Diff(compiled(t, before), compiled(t, after)) {
		got = append(got, c.Key+": "+c.Text)
	}
	want := []string{
		"timezone: UTC becomes Europe/Berlin: calendar caps count by the new days at once",
		"lists.people.max_age: off becomes 48h",
		"lists.people.filter: bloom becomes fuse: it is rebuilt at once from the key file",
		"lists.fresh: added: nobody is on it until it is uploaded",
		"lists.moved.kind: suppression becomes opt_out: no retargeting or acquisition campaign is shown to who is on it",
		"lists.left: added: no retargeting or acquisition campaign is shown to who is on it; nobody is until it is uploaded",
		"lists.gone: removed: it is no longer asked, and uploads to it are refused",
		"lists.ended: removed: who is on it is opted out by it no more, and uploads to it are refused",
		"campaigns.a.spacing: off becomes 5m",
		"campaigns.a.suppress: [] becomes [people]",
		"campaigns.a.caps[0]: limit 3 becomes 5 per campaign within 24h; counts are complete at once",
		"campaigns.a.caps[1]: limit 9 becomes 20 per campaign within lifetime; users whose older exposures were already dropped (more than the newest 9) count as full until 90d after the change",
		"campaigns.a.caps[2]: limit 2 becomes 1 per creative within day: binds at once, also for users who have seen more",
		"campaigns.a.caps[3]: added: at most 30 per advertiser within week; showings before the change were not counted, counts are complete when the next week begins",
		"campaigns.b.diversity.same_creative_in_a_row: off becomes 2",
		"campaigns.b: its showings count per advertiser from the change on, those before were not counted: other campaigns' caps read it",
		"campaigns.b.diversity: showings before the change are not counted in a row",
		`campaigns."brand new": added: retargeting for "y" with 0 caps; its showings count from the change on`,
		"campaigns.old: removed: it is no longer shown (unknown_campaign)",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
	if changes := Diff(compiled(t, after), compiled(t, after)); changes != nil {
		t.Errorf("the same policy differs: %v", changes)
	}
}

func TestDiffIsBounded(t *testing.T) {
	text := "campaigns:\n"
	for i := range 3000 {
		text += fmt.Sprintf("  c%d: {advertiser: x}\n", i)
	}
	changes := Diff(compiled(t, "campaigns: {}"), compiled(t, text))
	if len(changes) != maxChanges+1 || changes[maxChanges].Text != "and 2000 more changes" {
		t.Errorf("%d changes, the last %v", len(changes), changes[len(changes)-1])
	}
}
