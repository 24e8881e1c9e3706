package edge

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/edge/traffic"
)

const (
	// reportSpan is what a report is of where nothing is said.
	reportSpan = 7 * 24 * time.Hour
	// reportLeast is of how many decisions and reports a row is, at least, to be given: what
	// a few people did could be read off a smaller one. Chosen.
	reportLeast = 10
	// reportMost bounds the rows. Chosen.
	reportMost = 50_000
)

// reportGroups are what a report can be broken down by.
type reportGroups struct{ Campaign, Arm, Market, Day bool }

// reportQuery is what GET /v1/report asks for.
type reportQuery struct {
	from, to uint32
	by       reportGroups
	campaign string // "": all
	one      bool   // campaign is given
	csv      bool
}

// reported is what people said about a campaign.
type reported struct {
	Hides      uint64 `json:"hides"`
	Complaints uint64 `json:"complaints"`
	Helpful    uint64 `json:"helpful"`
	Intrusive  uint64 `json:"intrusive"`
	OptOuts    uint64 `json:"opt_outs"`
}

// heardOf says exactly what was reported of a campaign in a span, on all nodes; false
// where that is not known.
type heardOf func(campaign string, from, to uint32) (reported, bool)

// reportRow is a row of a report. A rate is nil where it would be of nothing.
type reportRow struct {
	Day      *string `json:"day,omitempty"`
	Campaign *string `json:"campaign,omitempty"`
	Arm      *string `json:"arm,omitempty"`
	Market   *string `json:"market,omitempty"`

	Decisions uint64             `json:"decisions"`
	Shows     uint64             `json:"shows"`
	ShowRate  *float64           `json:"show_rate"`
	Skips     map[string]uint64  `json:"skips"`
	SkipRates map[string]float64 `json:"skip_rates"`

	Impressions uint64   `json:"impressions"`
	Unkept      uint64   `json:"impressions_unkept"`
	Clicks      uint64   `json:"clicks"`
	ClickRate   *float64 `json:"click_rate"`
	Purchases   uint64   `json:"purchases"`

	reported
	HidesPer10k *float64 `json:"hides_per_10k"`
}

// reportAnswer is the answer. Times are as RFC 3339.
type reportAnswer struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// CountedFrom and CountedTo are of the buckets that the span touches: they count whole.
	CountedFrom *time.Time `json:"counted_from,omitempty"`
	CountedTo   *time.Time `json:"counted_to,omitempty"`
	Nodes       []string   `json:"nodes"`
	// Exact: what was reported is of the exact sets of the cluster.
	Exact bool        `json:"exact_reports"`
	Rows  []reportRow `json:"rows"`
	// Withheld is how many rows are left out, since they are of a few people.
	Withheld int `json:"withheld_rows"`
}

// getReport answers GET /v1/report.
func (n *Node) getReport(ctx *fasthttp.RequestCtx) {
	now := n.clock.at(time.Now(), 0)
	q, err := readReportQuery(ctx, now)
	if err != nil {
		newProblem(fasthttp.StatusBadRequest, err.Error()).send(ctx)
		return
	}
	n.counting.collect(now)
	r, err := n.report(&q)
	if err != nil {
		newProblem(fasthttp.StatusBadRequest, err.Error()).send(ctx)
		return
	}
	ctx.Response.Header.Set("Vary", "Accept")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.Response.Header.Set("X-Withheld-Rows", strconv.Itoa(r.Withheld))
	if q.csv {
		ctx.SetContentType("text/csv; charset=utf-8; header=present")
		ctx.Response.Header.Set("Content-Disposition", `attachment; filename="report.csv"`)
		ctx.SetBody(r.appendCSV(nil, q.by))
		return
	}
	sendJSON(ctx, fasthttp.StatusOK, r)
}

func readReportQuery(ctx *fasthttp.RequestCtx, now uint32) (q reportQuery, err error) {
	q.csv = quality(ctx, "text/csv") > quality(ctx, "application/json")
	q.by = reportGroups{Campaign: true, Arm: true, Market: true}
	fromGiven := false
	q.to = now
	for key, value := range ctx.QueryArgs().All() {
		text := string(value)
		switch string(key) {
		case "from":
			q.from, err = readSecond(text)
			fromGiven = true
		case "to":
			q.to, err = readSecond(text)
		case "campaign":
			q.campaign, q.one = text, true
		case "by":
			q.by, err = readGroups(text)
		case "format":
			if q.csv = text == "csv"; !q.csv && text != "json" {
				err = fmt.Errorf("%.40q is no format; write json or csv", text)
			}
		default:
			return q, fmt.Errorf("%.40q is no parameter of this path; it takes from, to, campaign, by and format", key)
		}
		if err != nil {
			return q, fmt.Errorf("%s: %w", key, err)
		}
	}
	if !fromGiven {
		q.from = q.to - min(q.to, uint32(reportSpan/time.Second))
	}
	if q.from >= q.to {
		return q, fmt.Errorf("from: %s is not before to, %s", utc(q.from).Format(time.RFC3339), utc(q.to).Format(time.RFC3339))
	}
	return q, nil
}

// readSecond reads Unix seconds, an RFC 3339 time, or a day in UTC.
func readSecond(text string) (uint32, error) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return uint32(n), nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil && t.Unix() >= 0 && t.Unix() <= math.MaxUint32 {
			return uint32(t.Unix()), nil
		}
	}
	return 0, fmt.Errorf("%.40q is no time; write Unix seconds, 2026-11-01 or 2026-11-01T12:00:00Z", text)
}

func readGroups(text string) (g reportGroups, err error) {
	for name := range strings.SplitSeq(text, ",") {
		switch name {
		case "campaign":
			g.Campaign = true
		case "arm":
			g.Arm = true
		case "market":
			g.Market = true
		case "day":
			g.Day = true
		default:
			return g, fmt.Errorf("%.40q is nothing to break a report down by; write some of campaign, arm, market and day, with commas between them", name)
		}
	}
	return g, nil
}

func utc(second uint32) time.Time { return time.Unix(int64(second), 0).UTC() }

// reportKey tells rows apart.
type reportKey struct {
	day string
	traffic.Row
}

// rowCounts are the counters of a row, by measure, and the span of their buckets.
type rowCounts struct {
	by         map[string]uint64
	begin, end int64 // Unix seconds; end is the first after it, 0 for none
}

func newRowCounts() *rowCounts {
	return &rowCounts{by: make(map[string]uint64), begin: math.MaxInt64}
}

func (c *rowCounts) touch(cell *traffic.Cell) {
	c.begin, c.end = min(c.begin, int64(cell.Begin)), max(c.end, cell.End())
}

// report counts up what is asked for.
func (n *Node) report(q *reportQuery) (*reportAnswer, error) {
	r := &reportAnswer{From: utc(q.from), To: utc(q.to), Nodes: []string{}, Rows: []reportRow{}}
	rows, nodes := make(map[reportKey]*rowCounts), make(map[string]bool)
	all := newRowCounts()
	n.counting.each(q.from, q.to, func(node string, cell *traffic.Cell) {
		nodes[node] = true
		if q.one && cell.Campaign != q.campaign {
			return
		}
		all.touch(cell)
		key := q.key(cell)
		if rows[key] == nil {
			rows[key] = newRowCounts()
		}
		rows[key].touch(cell)
		rows[key].by[cell.Measure] += cell.N
	})
	if len(rows) > reportMost {
		return nil, fmt.Errorf("that would be %d rows, more than %d: ask for a shorter span, one campaign, or fewer groups", len(rows), reportMost)
	}
	r.Nodes = append(r.Nodes, slices.Sorted(maps.Keys(nodes))...)
	if all.end > 0 {
		from, to := time.Unix(all.begin, 0).UTC(), time.Unix(all.end, 0).UTC()
		r.CountedFrom, r.CountedTo = &from, &to
	}
	exactly := n.heard != nil && q.by == reportGroups{Campaign: true}
	r.Exact = exactly
	keys := slices.SortedFunc(maps.Keys(rows), func(a, b reportKey) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.Campaign, b.Campaign), cmp.Compare(a.Arm, b.Arm), cmp.Compare(a.Market, b.Market))
	})
	for _, key := range keys {
		counts := rows[key]
		row := q.row(key, counts.by)
		if exactly && key.Campaign != "" { // of campaigns that no policy has only the counts are known together
			// Of the buckets that the others are of, or the rates would be of two spans.
			said, ok := n.heard(key.Campaign, uint32(counts.begin), uint32(min(counts.end-1, math.MaxUint32)))
			if ok {
				row.reported = said
			}
			r.Exact = r.Exact && ok
		}
		if row.size() < reportLeast {
			r.Withheld++
			continue
		}
		row.rate()
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

// key is the row in which a counter is.
func (q *reportQuery) key(c *traffic.Cell) (k reportKey) {
	if q.by.Campaign {
		k.Campaign = c.Campaign
	}
	if q.by.Arm {
		k.Arm = c.Arm
	}
	if q.by.Market {
		k.Market = c.Market
	}
	if q.by.Day {
		k.day = utc(c.Begin).Format(time.DateOnly)
		if c.Level == traffic.Month {
			k.day = utc(c.Begin).Format("2006-01")
		}
	}
	return k
}

// row is what was counted under a key.
func (q *reportQuery) row(key reportKey, counts map[string]uint64) (row reportRow) {
	for _, group := range []struct {
		wanted bool
		to     **string
		name   string
	}{{q.by.Day, &row.Day, key.day}, {q.by.Campaign, &row.Campaign, key.Campaign}, {q.by.Arm, &row.Arm, key.Arm}, {q.by.Market, &row.Market, key.Market}} {
		if group.wanted {
			*group.to = &group.name
		}
	}
	row.Skips, row.SkipRates = make(map[string]uint64), make(map[string]float64)
	for measure, n := range counts {
		if reason, ok := strings.CutPrefix(measure, countSkip); ok {
			row.Skips[reason] = n
			row.Decisions += n
		}
	}
	row.Shows = counts[countShow]
	row.Decisions += row.Shows
	row.Impressions, row.Unkept, row.Clicks, row.Purchases = counts[countImpression], counts[countUnkept], counts[countClick], counts[countPurchase]
	row.reported = reported{
		Hides: counts[countHide], Complaints: counts[countComplaint], Helpful: counts[countHelpful], Intrusive: counts[countIntrusive], OptOuts: counts[countOptOut],
	}
	return row
}

// size is how much a row is of.
func (row *reportRow) size() uint64 {
	return row.Decisions + row.Impressions + row.Unkept + row.Clicks + row.Purchases + row.Hides + row.Complaints + row.Helpful + row.Intrusive + row.OptOuts
}

// rate sets the rates.
func (row *reportRow) rate() {
	shown := row.Impressions + row.Unkept
	row.ShowRate = share(row.Shows, row.Decisions, 1)
	row.ClickRate = share(row.Clicks, shown, 1)
	row.HidesPer10k = share(row.Hides+row.Complaints, shown, 10_000)
	for reason, n := range row.Skips {
		row.SkipRates[reason] = *share(n, row.Decisions, 1)
	}
}

// share is n of so many, times a scale, to six digits after the point; nil of none.
func share(n, of uint64, scale float64) *float64 {
	if of == 0 {
		return nil
	}
	v := math.Round(float64(n)/float64(of)*scale*1e6) / 1e6
	return &v
}
