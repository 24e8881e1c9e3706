package loadtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func oracleRun(t *testing.T, change func(f *loadNode, o *LoadOptions)) *LoadRecount {
	t.Helper()
	f := newLoadNode(t)
	o := f.options()
	o.Oracle = true
	change(f, &o)
	r := mustLoad(t, o)
	if r.Oracle == nil || r.Oracle.Decisions == 0 || r.Oracle.Impressions == 0 {
		t.Fatalf("%+v", r.Oracle)
	}
	if r.Oracle.Shown+r.Oracle.Capped != r.Oracle.Decisions || r.Oracle.Shown != r.Verdicts.Shown {
		t.Errorf("%+v of %+v", r.Oracle, r.Verdicts)
	}
	var text bytes.Buffer
	if err := r.Print(&text); err != nil || !strings.Contains(text.String(), "per mille") {
		t.Errorf("%v\n%s", err, text.String())
	}
	return r.Oracle
}

func TestLoadOracleFindsNothingWhereNothingIs(t *testing.T) {
	for name, want := range map[string]int{"each by itself": 0, "together": 3} {
		t.Run(name, func(t *testing.T) {
			if o := oracleRun(t, func(_ *loadNode, o *LoadOptions) { o.Config.Want = want }); o.OverDelivered+o.FalseNegatives != 0 || o.Capped == 0 {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestLoadOracleFindsOverDelivery(t *testing.T) {
	o := oracleRun(t, func(f *loadNode, _ *LoadOptions) { f.leaky = true })
	if o.OverDelivered == 0 || o.OverDeliveredPerMille == 0 || o.FalseNegatives != 0 || o.OverLimit == 0 || !strings.Contains(strings.Join(o.Sample, "\n"), "shown although campaign:2/24h is full") {
		t.Errorf("%+v", o)
	}
}

func TestLoadOracleFindsFalseNegatives(t *testing.T) {
	o := oracleRun(t, func(f *loadNode, _ *LoadOptions) { f.stingy = true })
	if o.FalseNegatives == 0 || o.FalseNegativesPerMille == 0 || o.OverDelivered != 0 || !strings.Contains(strings.Join(o.Sample, "\n"), "none can be full") {
		t.Errorf("%+v", o)
	}
}

// twoCaps is an oracle for one campaign with a cap of 2 in 10 s, and one of 3 of all
// for ever.
func twoCaps(t *testing.T) (*loadOracle, *candidateList) {
	t.Helper()
	p := mustPolicy(t, "campaigns: {a: {advertiser: x, caps: [{per: campaign, limit: 2, within: 10s}, {per: all, limit: 3, within: lifetime}]}}")
	lists := []candidateList{{candidates: []candidate{{campaign: p.Campaigns["a"]}}}}
	o, err := newLoadOracle(p, lists, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return o, &lists[0]
}

// shownAt puts in a showing whose report was sent and acknowledged at these seconds;
// acked 0: never.
func (o *loadOracle) shownAt(c *candidate, sent, acked float64, refused bool) {
	s := o.of(1)
	for _, scope := range c.counted {
		key := userScope{1, scope}
		s.shown[key] = append(s.shown[key], &showing{sent: seconds(sent), acked: seconds(acked), refused: refused})
	}
}

func TestLoadOracleBounds(t *testing.T) {
	type times struct {
		sent, acked float64
		refused     bool
	}
	for _, c := range []struct {
		name           string
		shown          []times
		asked, told    float64 // the decision
		verdict        judged
		over, negative int64
	}{
		{"nothing shown", nil, 5, 6, judgedShow, 0, 0},
		{"nothing shown, skipped", nil, 5, 6, judgedCap, 0, 1},
		{"full", []times{{1, 2, false}, {1, 2, false}}, 5, 6, judgedShow, 1, 0},
		{"full, skipped", []times{{1, 2, false}, {1, 2, false}}, 5, 6, judgedCap, 0, 0},
		{"one on its way", []times{{1, 2, false}, {4, 5.5, false}}, 5, 6, judgedShow, 0, 0},
		{"one on its way, skipped", []times{{1, 2, false}, {4, 5.5, false}}, 5, 6, judgedCap, 0, 0},
		{"one never known", []times{{1, 2, false}, {4, 0, false}}, 50, 51, judgedShow, 0, 0},
		{"one refused", []times{{1, 2, false}, {4, 0, true}}, 5, 6, judgedCap, 0, 1},
		{"one reported afterwards", []times{{1, 2, false}, {7, 8, false}}, 5, 6, judgedCap, 0, 1},
		{"long ago", []times{{1, 2, false}, {1, 2, false}}, 20, 21, judgedShow, 0, 0},
		{"long ago, skipped", []times{{1, 2, false}, {1, 2, false}}, 20, 21, judgedCap, 0, 1},
		{"at the edge, shown", []times{{1, 2, false}, {1, 2, false}}, 11.5, 11.6, judgedShow, 0, 0},
		{"at the edge, skipped", []times{{1, 2, false}, {1, 2, false}}, 11.5, 11.6, judgedCap, 0, 0},
		{"full for ever", []times{{1, 2, false}, {1, 2, false}, {3, 4, false}}, 5000, 5001, judgedShow, 1, 0},
		{"another reason", nil, 5, 6, judgedSkip, 0, 0},
	} {
		o, list := twoCaps(t)
		for _, s := range c.shown {
			o.shownAt(&list.candidates[0], s.sent, s.acked, s.refused)
		}
		o.judge(1, list, []judged{c.verdict}, false, seconds(c.asked), seconds(c.told))
		o.judge(2, list, []judged{judgedShow}, false, seconds(c.asked), seconds(c.told)) // somebody else
		if f := o.recount(); f.OverDelivered != c.over || f.FalseNegatives != c.negative {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func TestLoadOracleCountsShowingsOverACap(t *testing.T) {
	o, list := twoCaps(t)
	for i := range 5 {
		v := o.report(1, &list.candidates[0])
		o.reported(1, v, i != 3, i == 3)
	}
	if f := o.recount(); f.Impressions != 4 || f.OverLimit != 2 || f.OverLimitPerMille != 500 {
		t.Errorf("%+v", f)
	}
}

func TestLoadOracleScopes(t *testing.T) {
	p := mustPolicy(t, `campaigns:
  a: {advertiser: x, groups: [g], caps: [{per: campaign, limit: 1, within: 1h}, {per: creative, limit: 2, within: 1h}, {per: group:g, limit: 3, within: 1h}]}
  b: {advertiser: x, groups: [g], caps: [{per: advertiser, limit: 4, within: 1h}, {per: item, limit: 5, within: 1h}]}
  c: {advertiser: y, caps: [{per: category, limit: 6, within: 1h}, {per: all, limit: 7, within: 1h}]}
`)
	lists := []candidateList{{candidates: []candidate{
		{campaign: p.Campaigns["a"], creative: "k", item: "i", category: "q"},
		{campaign: p.Campaigns["b"], item: "i"},
		{campaign: p.Campaigns["c"], creative: "k", category: "q"},
	}}}
	o, err := newLoadOracle(p, lists, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	names := map[uint32]string{}
	for name, n := range o.scopes {
		names[n] = strings.ReplaceAll(name, "\x00", " ")
	}
	for i, want := range []string{
		"advertiser x, all, campaign a, category x q, creative x k, group:g, item x i; campaign a 1, creative x k 2, group:g 3",
		"advertiser x, all, campaign b, group:g, item x i; advertiser x 4, item x i 5",
		"advertiser y, all, campaign c, category y q, creative y k; category y q 6, all 7",
	} {
		c := lists[0].candidates[i]
		var counted, limits []string
		for _, n := range c.counted {
			counted = append(counted, names[n])
		}
		for _, l := range c.limits {
			limits = append(limits, fmt.Sprint(names[l.scope], " ", l.cap.Limit))
		}
		got := strings.Join(slices.Sorted(slices.Values(counted)), ", ") + "; " + strings.Join(limits, ", ")
		if got != want {
			t.Errorf("candidate %d: %s, want %s", i, got, want)
		}
	}
	for text, says := range map[string]string{
		"campaigns: {a: {advertiser: x, caps: [{per: campaign, limit: 1, within: week}]}}":                                   "campaigns.a.caps[0]: per campaign within week",
		"campaigns: {a: {advertiser: x, caps: [{per: campaign, channel: email, limit: 1, within: 1h}]}}":                     "campaigns.a.caps[0]",
		"campaigns: {a: {advertiser: x, interest: {fresh: 1d}}}":                                                             "campaigns.a.interest",
		"{campaigns: {a: {advertiser: x, caps: [{per: all, limit: 1, within: 1h}]}}, markets: [{name: m, cap_factor: 0.5}]}": "market m: cap_factor 0.5",
		"campaigns: {a: {advertiser: x}}": "no campaign of this policy has one",
	} {
		if _, err := newLoadOracle(mustPolicy(t, text), nil, time.Now()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
