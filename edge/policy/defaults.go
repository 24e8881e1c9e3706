package policy

import "math"

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
// (debts, grief, gambling, alcohol, children).
var defaultSensitive = []string{
	"alcohol", "biometrics", "children", "debt", "ethnicity", "faith", "gambling", "genetics", "grief",
	"health", "politics", "religion", "sexuality", "trade_union",
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
