package loadtest

import (
	"maps"
	"slices"
	"strings"
)

// Preset is how one known log is read.
type Preset struct {
	Name string
	// Stands says in one sentence what a row stands for in the replay.
	Stands string
	// Notes are what a reader of the summary must know beside that: what the
	// log does not say, and what is assumed.
	Notes []string
	// Advertiser of purchases; campaigns carry it in their names.
	Advertiser string
	Columns    Columns
}

// Presets returns the known logs in order of their names. The logs are public:
// Open Bandit Dataset, OTTO recommender sessions, The Complete Journey,
// UCI Online Retail, CDNOW.
func Presets() []Preset {
	return slices.SortedFunc(maps.Values(presets()), func(a, b Preset) int { return strings.Compare(a.Name, b.Name) })
}

const presetJourney = "completejourney"

func presets() map[string]Preset {
	retail := Columns{Time: "InvoiceDate", User: []string{"CustomerID"}, CampaignName: "online-retail", Item: []string{"StockCode"}, Quantity: "Quantity", Undo: "InvoiceNo=C"}
	cdnow := Columns{Time: "date", TimeFormat: "20060102", User: []string{"customer_id"}, CampaignName: "cdnow", Quantity: "number_of_cds"}
	whatIf := "the log holds purchases only: no showing in this replay took place, so it says how a policy treats a stream of this shape, not what people were shown"
	all := []Preset{{
		Name: "open-bandit", Advertiser: "open-bandit",
		Stands: "A row is one showing of one fashion item at one place of a shop's page; the user is a cohort (four features together), not a person.",
		Notes:  []string{"many people share a cohort, so counts per user are higher here than any person's", "items are numbered within a campaign: the item sent is campaign-item"},
		Columns: Columns{
			Time: "timestamp", User: []string{"user_feature_0", "user_feature_1", "user_feature_2", "user_feature_3"},
			CampaignName: "open-bandit", Campaign: "campaign", Item: []string{"campaign", "item_id"}, Clicked: "click",
		},
	}, {
		Name: "otto", Advertiser: "otto",
		Stands: "A click in a web shop's session stands for one showing of that article, an order is a purchase of it; carts are counted and not sent.",
		Notes:  []string{"the log has no showings: a click is the nearest thing to one that it records"},
		Columns: Columns{
			Time: "ts_ms", TimeFormat: "unix-ms", User: []string{"session"}, CampaignName: "otto", Item: []string{"aid"},
			Kind: "type", Impressions: []string{"clicks"}, Purchases: []string{"orders"},
		},
	}, {
		Name: "online-retail", Advertiser: "online-retail",
		Stands:  "What if each invoice line had been one showing of that article to that customer? Cancelled lines are no showing.",
		Notes:   []string{whatIf, "for the purchases themselves use the preset online-retail-purchases"},
		Columns: retail,
	}, {
		Name: "online-retail-purchases", Advertiser: "online-retail",
		Stands:  "An invoice line is a purchase of that article by that customer, a line of a cancelled invoice (C...) undoes it; there are no showings.",
		Columns: purchasesOf(retail),
	}, {
		Name: "cdnow", Advertiser: "cdnow",
		Stands:  "What if each order of CDs had been one showing to that customer? Days only, no articles.",
		Notes:   []string{whatIf, "for the purchases themselves use the preset cdnow-purchases"},
		Columns: cdnow,
	}, {
		Name: "cdnow-purchases", Advertiser: "cdnow",
		Stands:  "A row is a purchase by that customer at that advertiser, no article known; there are no showings.",
		Columns: purchasesOf(cdnow),
	}, journeyPreset(), {
		Name: "synthetic", Advertiser: "synthetic",
		Stands: "A row is one event that a seeded generator made up: a showing, a purchase or a return.",
		Columns: Columns{
			Time: "at", TimeFormat: "unix", User: []string{"user"}, Campaign: "campaign", Creative: "creative", Item: []string{"item"}, Category: "category",
			Kind: "kind", Impressions: []string{"impression"}, Purchases: []string{"purchase"}, Returns: []string{"return"}, Clicked: "clicked",
		},
	}}
	byName := make(map[string]Preset, len(all))
	for _, p := range all {
		byName[p.Name] = p
	}
	return byName
}

func purchasesOf(c Columns) Columns {
	c.Every = "purchase"
	return c
}
