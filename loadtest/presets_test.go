package loadtest

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	logFolder = flag.String("logs", "../../shared/data/logs", "folder of the public logs")
	firstRows = flag.Int("first", 2000, "events of each public log to replay; 0: all")
)

var presetFiles = map[string]string{
	"open-bandit":             "open_bandit_impressions.csv.gz",
	"otto":                    "otto_events.csv.gz",
	"online-retail":           "online_retail.csv.gz",
	"online-retail-purchases": "online_retail.csv.gz",
	"cdnow":                   "cdnow_purchases.csv.gz",
	"cdnow-purchases":         "cdnow_purchases.csv.gz",
	"completejourney":         "completejourney_transactions.csv.gz",
}

// kindsOfPreset are the kinds that each whole log holds, by its description.
var kindsOfPreset = map[string][]kind{
	"open-bandit":             {kindImpression},
	"otto":                    {kindImpression, kindPurchase, kindOther},
	"online-retail":           {kindImpression, kindOther},
	"online-retail-purchases": {kindPurchase, kindReturn},
	"cdnow":                   {kindImpression},
	"cdnow-purchases":         {kindPurchase},
	"completejourney":         {kindImpression, kindPurchase, kindOther},
}

func TestPresetsOnThePublicLogs(t *testing.T) {
	for _, p := range Presets() {
		if p.Name != "synthetic" {
			t.Run(p.Name, func(t *testing.T) { replayPublicLog(t, p) })
		}
	}
}

// replayPublicLog reads the log whole and replays its first events.
func replayPublicLog(t *testing.T, p Preset) {
	path := filepath.Join(*logFolder, presetFiles[p.Name])
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the public log is not here (-logs=FOLDER): %v", err)
	}
	f := newFakeNode(t)
	o := ReplayOptions{Addr: f.addr(), Path: path, Preset: p.Name, Check: []ExpectedCap{{Per: "campaign", Limit: 3, Within: 24 * time.Hour}}}
	if testing.Verbose() {
		o.Summary = os.Stdout
	}
	if _, err := o.complete(); err != nil {
		t.Fatal(err)
	}
	l, err := o.load(p.Columns)
	if err != nil {
		t.Fatal(err)
	}
	checkWhole(t, p.Name, l)
	if *firstRows > 0 {
		l.rows = l.rows[:min(len(l.rows), *firstRows)]
	}
	n, err := newNode(o.Addr, "", nil, o.Timeout, o.Workers)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	s, err := o.run(t.Context(), n, p, l)
	if err != nil {
		t.Fatal(err)
	}
	if s.Replayed != len(l.rows) || s.Refused.Rows != 0 {
		t.Errorf("replayed %d of %d, refused %+v", s.Replayed, len(l.rows), s.Refused)
	}
	if s.Recount.OverDelivered+s.Recount.Unexplained != 0 {
		t.Errorf("recount %+v", s.Recount)
	}
	switch p.Name {
	case "otto":
		if s.AfterPurchase == nil {
			t.Error("the log has both kinds and exposures after purchase are missing")
		}
	case "completejourney": // both kinds, but not among the first events
	default:
		if s.AfterPurchase != nil {
			t.Errorf("the log has one kind, and exposures after purchase are claimed: %+v", s.AfterPurchase)
		}
	}
	for _, d := range f.decisions {
		if c := d.Candidates[0].Campaign; !strings.HasPrefix(c, p.Advertiser) {
			t.Fatalf("campaign %q", c)
		}
	}
}

func checkWhole(t *testing.T, preset string, l *eventLog) {
	t.Helper()
	var n [kinds]int
	for _, r := range l.rows {
		n[r.kind]++
	}
	for k := range kinds {
		if want := slices.Contains(kindsOfPreset[preset], k); want != (n[k] > 0) {
			t.Errorf("%d of kind %s", n[k], k)
		}
	}
	if l.rejected.Rows != 0 {
		t.Errorf("rejected %+v", l.rejected)
	}
	if !slices.IsSortedFunc(l.rows, func(a, b row) int { return cmp.Compare(a.at, b.at) }) {
		t.Error("rows are not in time order")
	}
	t.Logf("kinds %v, files %v", n, l.files)
}

func TestPresetsSayWhatARowStandsFor(t *testing.T) {
	for _, p := range Presets() {
		if p.Stands == "" || p.Advertiser == "" {
			t.Errorf("%s: stands for %q, advertiser %q", p.Name, p.Stands, p.Advertiser)
		}
		if err := p.Columns.validate(); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}

func TestColumnsReplaceAPresetsOwn(t *testing.T) {
	got := Columns{Time: "when", User: []string{"who"}}.over(presets()["otto"].Columns)
	if got.Time != "when" || got.User[0] != "who" || got.Kind != "type" {
		t.Errorf("got %+v", got)
	}
}

// TestJourneyOfMadeUpTables pins what each table is made into.
func TestJourneyOfMadeUpTables(t *testing.T) {
	folder := t.TempDir()
	for table, text := range map[string]string{
		"transactions":      "household_id,product_id,quantity,transaction_timestamp\n7,p1,1.0,2017-03-02T08:00:00Z\n7,p2,1.0,2017-03-02T08:00:00Z\n7,p1,0.0,2017-03-02T09:00:00Z\n8,p1,2.0,2017-03-02T08:00:00Z\n7,p1,1.0,2017-03-09T08:00:00Z\n",
		"campaigns":         "campaign_id,campaign_type,start_date,end_date\n1,A,2017-03-01,2017-03-04\n",
		"campaign_products": "campaign_id,product_id\n1,p1\n",
		"campaign_targets":  "campaign_id,household_id\n1,7\n1,9\n5,7\n",
		"redemptions":       "household_id,coupon_upc,campaign_id,redemption_date\n9,55,1,2017-03-02\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, table+".csv"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := newFakeNode(t)
	s := mustReplay(t, ReplayOptions{Addr: f.addr(), Path: filepath.Join(folder, "transactions.csv"), Preset: "completejourney"})
	// Household 7 sees day 1, buys a listed product on day 2 at 8, so days 2, 3
	// and 4 come after the category. Household 9 redeems on day 2 and is seen
	// on days 1 and 2; days 3 and 4 come after the offer.
	if s.Impressions != 8 || s.Shown != 3 || *s.AfterPurchase != (AfterPurchase{Item: Avoided{2, 2}, Category: Avoided{3, 3}}) {
		t.Errorf("impressions %d, shown %d, after purchase %+v", s.Impressions, s.Shown, s.AfterPurchase)
	}
	if got := counts(map[string]int{"impression": 8, "purchase": 5, "other": 1}); !slices.Equal(s.ByKind, got) {
		t.Errorf("kinds %v, want %v", s.ByKind, got)
	}
	if s.Rejected.ByReason["unknown campaign"] != 1 || s.Rejected.Sample[0] != (RejectedRow{"campaign_targets.csv", 4, "no window is given for this campaign"}) {
		t.Errorf("rejected %+v", s.Rejected)
	}
	if d := f.decisions[0]; d.Candidates[0] != (wireCandidate{"completejourney-1", "", "offer-1", "products-1"}) || d.At%day != day/2 {
		t.Errorf("sent %+v", d)
	}
}
