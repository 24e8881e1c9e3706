package edge_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"restraint/edge"
)

// reportOf is what GET /v1/report answers.
type reportOf struct {
	Nodes    []string
	Exact    bool `json:"exact_reports"`
	Rows     []reportedRow
	Withheld int `json:"withheld_rows"`
}

type reportedRow struct {
	Day, Campaign, Arm, Market string

	Decisions, Shows uint64
	ShowRate         *float64 `json:"show_rate"`
	Skips            map[string]uint64
	SkipRates        map[string]float64 `json:"skip_rates"`

	Impressions        uint64
	Unkept             uint64 `json:"impressions_unkept"`
	Clicks, Purchases  uint64
	Hides, Complaints  uint64
	Helpful, Intrusive uint64
	OptOuts            uint64   `json:"opt_outs"`
	ClickRate          *float64 `json:"click_rate"`
	HidesPer10k        *float64 `json:"hides_per_10k"`
}

// report asks for a report.
func (n *node) report(query string) (r reportOf) {
	n.t.Helper()
	n.must(200, "GET", "/v1/report?to=4294967295&from=0&"+query, "", "", &r)
	return r
}

// row is the only row of a report.
func (r reportOf) row(t *testing.T) reportedRow {
	t.Helper()
	if len(r.Rows) != 1 {
		t.Fatalf("%d rows, %d withheld: %+v", len(r.Rows), r.Withheld, r.Rows)
	}
	return r.Rows[0]
}

const reportPolicy = `
retention: {exposures: 90d}
markets:
  - {name: eu, countries: [DEU], require: none}
  - {name: us, countries: [USA], require: none}
  - {name: rest, require: tcf}
campaigns:
  shoes: {advertiser: acme, purpose: contextual, caps: [{per: campaign, limit: 2, within: 1h}]}
  boots: {advertiser: acme, purpose: contextual, caps: [{per: campaign, limit: 200, within: 1h}]}
  "=cmd()": {advertiser: evil, purpose: contextual}
`

const reportStart = 1_793_500_000

// decideFor asks for so many people, one after the other, and returns the last token.
func (n *node) decideFor(people int, country, campaign, more string) (token string) {
	n.t.Helper()
	for i := range people {
		var a struct{ Token string }
		n.must(200, "POST", "/v1/decide", "application/json", fmt.Sprintf(`{"at":%d,"user":{"id":"%s-%d"},"device":{"geo":{"country":%q}},"candidates":[{"campaign":%q}]%s}`,
			reportStart, country, i, country, campaign, more), &a)
		token = a.Token
	}
	return token
}

func (n *node) events(lines ...string) {
	n.t.Helper()
	var a struct{ Rejected []any }
	n.must(202, "POST", "/v1/events", "application/x-ndjson", strings.Join(lines, "\n"), &a)
	if len(a.Rejected) > 0 {
		n.t.Fatalf("rejected: %v", a.Rejected)
	}
}

func TestReportCountsDecisionsByMarketAndReason(t *testing.T) {
	n := startNode(t, "", reportPolicy, requestClock)
	n.decideFor(30, "DEU", "shoes", "")
	n.decideFor(20, "USA", "shoes", "")
	for i := range 15 {
		for k := range 2 {
			n.events(fmt.Sprintf(`{"type":"impression","id":"i-%d-%d","user":{"id":"USA-%d"},"device":{"geo":{"country":"USA"}},"campaign":"shoes","at":%d}`, i, k, i, reportStart))
		}
	}
	n.decideFor(20, "USA", "shoes", "")
	n.decideFor(12, "USA", "nothing", "")
	r := n.report("by=campaign,market")
	if len(r.Rows) != 3 || r.Withheld != 0 || len(r.Nodes) != 1 || r.Nodes[0] != "test" {
		t.Fatalf("%+v", r)
	}
	unknown, eu, us := r.Rows[0], r.Rows[1], r.Rows[2]
	if unknown.Campaign != "" || unknown.Skips["unknown_campaign"] != 12 || unknown.Decisions != 12 || unknown.HidesPer10k != nil {
		t.Errorf("unknown campaigns: %+v", unknown)
	}
	if eu.Market != "eu" || eu.Decisions != 30 || eu.Shows != 30 || *eu.ShowRate != 1 || len(eu.Skips) != 0 || eu.ClickRate != nil {
		t.Errorf("eu: %+v", eu)
	}
	if us.Market != "us" || us.Decisions != 40 || us.Shows != 25 || *us.ShowRate != 0.625 || us.Skips["cap"] != 15 || us.SkipRates["cap"] != 0.375 || us.Impressions != 30 {
		t.Errorf("us: %+v", us)
	}
	if all := n.report("by=campaign&campaign=shoes").row(t); all.Decisions != 70 || all.Market != "" {
		t.Errorf("in all: %+v", all)
	}
	if day := n.report("by=day&campaign=shoes").row(t); day.Day != "2026-11-01" || day.Decisions != 70 {
		t.Errorf("of the day: %+v", day)
	}
	if r := n.report("campaign=none"); len(r.Rows) != 0 || r.Withheld != 0 {
		t.Errorf("of no campaign: %+v", r)
	}
}

// An impression, a click, a purchase and what somebody says count once, however they come
// again.
func TestReportCountsReportsOnce(t *testing.T) {
	n := startNode(t, "", reportPolicy, requestClock)
	for i := range 12 {
		token := n.decideFor(1, "DEU", "boots", `,"want":1,"token":true`)
		at := fmt.Sprintf(`"at":%d`, reportStart+i)
		for range 2 {
			n.events(
				fmt.Sprintf(`{"type":"impression","token":%q,"campaign":"boots",%s}`, token, at),
				fmt.Sprintf(`{"type":"click","token":%q,"campaign":"boots",%s}`, token, at),
				fmt.Sprintf(`{"type":"click","id":"c-%d","user":{"id":"x"},"campaign":"boots",%s}`, i, at),
				fmt.Sprintf(`{"type":"purchase","id":"o-%d","user":{"id":"DEU-0"},"advertiser":"acme","item":"sku","at":%d}`, i, reportStart+100+i),
				fmt.Sprintf(`{"type":"hide","user":{"id":"h-%d"},"campaign":"boots",%s}`, i%3, at),
				fmt.Sprintf(`{"type":"complaint","id":"k-%d","user":{"id":"h-1"},"campaign":"boots",%s}`, i%4, at),
				fmt.Sprintf(`{"type":"feedback","answer":"helpful","token":%q,"campaign":"boots",%s}`, token, at),
				fmt.Sprintf(`{"type":"feedback","answer":"intrusive","id":"f","user":{"id":"h-1"},"campaign":"boots",%s}`, at),
			)
			n.must(204, "GET", "/v1/impression?campaign=boots&t="+token, "", "", nil)
			n.must(204, "POST", "/v1/opt-out?t="+token, "", "", nil)
		}
	}
	token := n.decideFor(1, "USA", "boots", `,"want":1,"token":true`)
	for range 2 {
		n.must(204, "POST", "/v1/hide?campaign=boots&t="+token, "", "", nil)
	}
	for _, query := range []string{"by=campaign&campaign=boots", "by=campaign,market&campaign=boots"} {
		r := n.report(query)
		if strings.Contains(query, "market") { // clicks and purchases without a place have no market
			if len(r.Rows) != 2 || r.Withheld != 1 || r.Rows[0].Market != "" || r.Rows[0].Clicks != 12 || r.Rows[1].Market != "eu" || r.Rows[1].Clicks != 12 {
				t.Errorf("%s: %+v", query, r)
			}
			continue
		}
		row := r.row(t)
		if row.Impressions != 12 || row.Unkept != 0 || row.Clicks != 24 || row.Purchases != 12 || row.Complaints != 4 || row.Helpful != 12 || row.Intrusive != 1 || row.OptOuts != 12 {
			t.Errorf("%s: %+v", query, row)
		}
		// Three people, and a token; and four complaints.
		if row.Hides != 4 || *row.HidesPer10k != 6666.666667 {
			t.Errorf("hides: %d, %v", row.Hides, *row.HidesPer10k)
		}
	}
}

func TestReportAttributesPurchasesToWhatWasShown(t *testing.T) {
	n := startNode(t, "", reportPolicy, requestClock)
	n.decideFor(10, "DEU", "boots", "")
	n.decideFor(10, "DEU", "shoes", "")
	n.decideFor(10, "DEU", "=cmd()", "")
	const day = 24 * 3600
	for _, event := range []string{
		fmt.Sprintf(`{"type":"impression","user":{"id":"u-1"},"device":{"geo":{"country":"DEU"}},"campaign":"boots","at":%d}`, reportStart),
		fmt.Sprintf(`{"type":"impression","user":{"id":"u-1"},"device":{"geo":{"country":"DEU"}},"campaign":"=cmd()","at":%d}`, reportStart),
		fmt.Sprintf(`{"type":"purchase","user":{"id":"u-1"},"advertiser":"acme","item":"a","at":%d}`, reportStart-1), // before it was shown
		fmt.Sprintf(`{"type":"purchase","user":{"id":"u-1"},"advertiser":"acme","item":"b","at":%d}`, reportStart+30*day),
		fmt.Sprintf(`{"type":"purchase","user":{"id":"u-2"},"advertiser":"acme","item":"b","at":%d}`, reportStart+30*day),   // was shown nothing
		fmt.Sprintf(`{"type":"purchase","user":{"id":"u-1"},"advertiser":"acme","item":"c","at":%d}`, reportStart+30*day+1), // too late
		fmt.Sprintf(`{"type":"purchase","user":{"id":"u-1"},"advertiser":"acme","item":"b","at":%d}`, reportStart+30*day),   // the same again
		fmt.Sprintf(`{"type":"return","user":{"id":"u-1"},"advertiser":"acme","item":"b","at":%d}`, reportStart+31*day),
	} {
		n.events(event)
	}
	got := map[string]uint64{}
	for _, row := range n.report("by=campaign").Rows {
		got[row.Campaign] = row.Purchases
	}
	if got["boots"] != 1 || got["shoes"] != 0 || got["=cmd()"] != 0 || len(got) != 3 {
		t.Errorf("%v", got)
	}
}

// Where storage is not permitted an impression is counted, apart, and nothing of it kept.
func TestReportCountsImpressionsThatAreNotKept(t *testing.T) {
	n := startNode(t, "", reportPolicy, requestClock)
	for i := range 12 {
		for range 2 {
			n.events(fmt.Sprintf(`{"type":"impression","id":"i-%d","user":{"id":"u-1"},"device":{"geo":{"country":"FRA"}},"campaign":"boots","at":%d}`, i, reportStart),
				fmt.Sprintf(`{"type":"impression","id":"n-%d","user":{},"device":{"ifa":"00000000-0000-0000-0000-000000000000"},"campaign":"boots","at":%d}`, i, reportStart))
		}
	}
	if row := n.report("by=campaign").row(t); row.Impressions != 0 || row.Unkept != 24 {
		t.Errorf("%+v", row)
	}
}

func TestReportLeavesOutLoadTests(t *testing.T) {
	n := startNode(t, "", reportPolicy, requestClock)
	n.decideFor(10, "DEU", "boots", "")
	for i := range 20 {
		var a struct{ Token string }
		n.must(200, "POST", "/v1/decide", "application/json", fmt.Sprintf(
			`{"at":%d,"user":{"eids":[{"source":"restraint.load","uids":[{"id":"l-%d"}]}]},"candidates":[{"campaign":"boots"}],"want":1,"token":true}`, reportStart, i), &a)
		n.events(fmt.Sprintf(`{"type":"impression","token":%q,"campaign":"boots","at":%d}`, a.Token, reportStart),
			fmt.Sprintf(`{"type":"click","user":{"eids":[{"source":"restraint.load","uids":[{"id":"l-%d"}]}]},"campaign":"boots","at":%d}`, i, reportStart),
			fmt.Sprintf(`{"type":"click","user":{"id":"u"},"campaign":"boots","at":%d}`, reportStart))
	}
	if row := n.report("by=campaign").row(t); row.Decisions != 10 || row.Impressions != 0 || row.Unkept != 0 || row.Clicks != 20 {
		t.Errorf("%+v", row)
	}
}

// A row of a few people is not given.
func TestReportWithholdsSmallRows(t *testing.T) {
	n := startNode(t, "", reportPolicy, requestClock)
	n.decideFor(9, "DEU", "boots", "")
	n.decideFor(10, "USA", "boots", "")
	if r := n.report(""); len(r.Rows) != 1 || r.Rows[0].Market != "us" || r.Rows[0].Arm != "all" || r.Withheld != 1 {
		t.Errorf("%+v", r)
	}
	if row := n.report("by=campaign").row(t); row.Decisions != 19 {
		t.Errorf("%+v", row)
	}
	n.decideFor(1, "DEU", "boots", "")
	if r := n.report(""); len(r.Rows) != 2 || r.Withheld != 0 {
		t.Errorf("%+v", r)
	}
}

func TestReportAsCSV(t *testing.T) {
	n := startNode(t, "", reportPolicy, requestClock)
	n.decideFor(11, "DEU", "=cmd()", "")
	n.decideFor(12, "DEU", "boots", "")
	n.decideFor(1, "USA", "boots", "")
	for _, ask := range []struct{ query, accept string }{{"format=csv", ""}, {"", "text/csv"}, {"format=csv", "application/json"}} {
		resp, body := n.exchange(t, n.url, "GET", "/v1/report?from=0&to=4294967295&"+ask.query, http.Header{"Accept": {ask.accept}}, "")
		if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/csv") || resp.Header.Get("X-Withheld-Rows") != "1" {
			t.Fatalf("%+v: %d, %v\n%s", ask, resp.StatusCode, resp.Header, body)
		}
		rows, err := csv.NewReader(strings.NewReader(string(body))).ReadAll()
		if err != nil || len(rows) != 3 {
			t.Fatalf("%v\n%s", err, body)
		}
		column := map[string]int{}
		for i, name := range rows[0] {
			column[name] = i
		}
		if rows[1][column["campaign"]] != "'=cmd()" || rows[1][column["decisions"]] != "11" || rows[1][column["show_rate"]] != "1" || rows[2][column["market"]] != "eu" ||
			rows[2][column["hides_per_10k"]] != "" {
			t.Errorf("%s", body)
		}
		for r := edge.Shown + 1; r <= edge.Holdout; r++ {
			if rows[2][column["skip_"+r.String()]] != "0" || rows[2][column["skip_rate_"+r.String()]] != "0" {
				t.Errorf("no columns of %s:\n%s", r, body)
			}
		}
	}
	if resp, _ := n.exchange(t, n.url, "GET", "/v1/report?format=json", http.Header{"Accept": {"text/csv"}}, ""); !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		t.Errorf("json: %s", resp.Header.Get("Content-Type"))
	}
}

func TestReportQueryFaults(t *testing.T) {
	n := startNode(t, "", reportPolicy, nil)
	for query, names := range map[string][]string{
		"from=yesterday":                        {"from", "yesterday", "2026-11-01"},
		"to=-1":                                 {"to", "-1"},
		"to=4294967296":                         {"to", "4294967296"},
		"from=2026-11-02&to=2026-11-01":         {"from", "2026-11-02", "before"},
		"from=5&to=5":                           {"from", "before"},
		"by=person":                             {"by", "person", "campaign, arm, market and day"},
		"by=":                                   {"by"},
		"format=xml":                            {"format", "xml", "json or csv"},
		"campain=x":                             {"campain", "campaign"},
		"from=1969-12-31":                       {"from", "1969-12-31"},
		"from=" + strings.Repeat("9", 100):      {"from"},
		"by=" + strings.Repeat("campaign,", 99): {"by"},
	} {
		n.refused(t, 400, "GET", "/v1/report?"+query, "", "", names...)
	}
	n.must(200, "GET", "/v1/report?from=2026-11-01&to=2026-11-01T12:00:00%2B01:00&by=arm,arm", "", "", nil)
	n.must(200, "GET", "/v1/report", "", "", nil)
}

func TestReportOutlivesARestart(t *testing.T) {
	n := startNode(t, "", reportPolicy, requestClock)
	n.decideFor(12, "DEU", "boots", "")
	n.stop()
	n = startNode(t, n.dir, reportPolicy, requestClock)
	n.decideFor(15, "DEU", "boots", "")
	if row := n.report("by=campaign").row(t); row.Decisions != 27 {
		t.Errorf("%+v", row)
	}
	n.stop()
	n = startNode(t, n.dir, reportPolicy, requestClock)
	if row := n.report("by=campaign").row(t); row.Decisions != 27 {
		t.Errorf("after another restart: %+v", row)
	}
}
