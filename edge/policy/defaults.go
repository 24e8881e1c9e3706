package policy

import (
	"math"
	"strconv"
)

// What holds where the text is silent. The private way is the default: every
// looser choice has to be written.
const (
	defaultExposuresSeconds = 90 * day  // as in the contract's example
	defaultPurchasesSeconds = 400 * day // as in the contract's example
	defaultHoldSeconds      = 60
	defaultDialBackSeconds  = day
	defaultDialBackShown    = 10000
	defaultDialBackPeople   = 50
	defaultDialBackHides    = 5
	defaultDialBackFactor   = millionths / 2
	defaultDialBackPauseAt  = 20
	defaultMarket           = "default" // the only market where none is written; requires TCF consent
)

// defaultSensitive are the topics that are sensitive where the text names none:
// the special categories of GDPR article 9 and what people named beside them
// (debts, grief, gambling, alcohol, children); the categories that IAB Content
// Taxonomy 2.2 flags as sensitive, and 286, Medical Health, above most of them;
// and what Content Taxonomy 1.0 has in their place (chosen: special education,
// pregnancy, special needs, health, politics, dating, divorce, gay life, religion).
var defaultSensitive = append([]string{
	"alcohol", "biometrics", "children", "debt", "ethnicity", "faith", "gambling", "genetics", "grief",
	"health", "politics", "religion", "sexuality", "trade_union",
	"cat:IAB5-15", "cat:IAB6-7", "cat:IAB6-8", "cat:IAB7", "cat:IAB11-4", "cat:IAB14-1", "cat:IAB14-2", "cat:IAB14-3", "cat:IAB23",
}, flaggedCategories()...)

// flaggedCategories are 286 and the 64 categories with the flag SCD in IAB Tech
// Lab's file of Content Taxonomy 2.2; in the files of 3.0 and 3.1 the flags stand
// beside other rows.
func flaggedCategories() []string {
	var all []string
	for _, span := range [][2]int{
		{136, 136},
		{188, 189},
		{199, 200},
		{211, 211},
		{214, 214},
		{224, 224},
		{231, 231},
		{237, 237},
		{286, 323},
		{387, 388},
		{410, 410},
		{453, 463},
		{465, 465},
		{468, 468},
		{549, 549},
	} {
		for id := span[0]; id <= span[1]; id++ {
			all = append(all, "cat:"+strconv.Itoa(id))
		}
	}
	return all
}

// Bounds on what is written (chosen, except where a source is named). They keep
// a text from taking more memory or time than its use is worth.
const (
	MaxTextBytes     = 16 << 20 // of one policy text
	MaxCampaigns     = 100_000
	MaxLists         = 1_000
	MaxNameBytes     = 128 // of a campaign, creative, item, category, group, list, source: the contract's
	maxCaps          = 32  // of one campaign
	maxScopes        = 64  // a showing of one campaign is counted under
	maxHeldScopes    = 128 // of one advertiser or group, with those of earlier versions
	maxGroups        = 32  // of one campaign
	maxTopics        = 256 // also of sensitive topics and places of interest
	maxMarkets       = 300 // more than there are countries
	maxRegions       = 100
	maxSources       = 64
	maxHoldSeconds   = 2 * hour
	maxRetention     = 3650 * day
	maxInterest      = 3650 * day
	maxDepth         = 16        // of nesting
	maxAliased       = 4_000_000 // values read through YAML aliases
	maxSeparators    = 4_000_000 // commas, colons and the like in a text: bounds its values
	forever          = math.MaxUint32
	millionths       = 1_000_000
	maxVendor        = 65535 // TCF 2.2: a vendor id has 16 bits
	maxTCFPurpose    = 24    // TCF 2.2: a purpose field has 24 bits
	channelNameBytes = 64
	MaxChannels      = 1_000 // that caps name, all together
)
