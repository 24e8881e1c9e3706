package policy

import "time"

// Settings are the parts of a policy that are the same as written and as
// compiled. Nothing in them may be changed.
type Settings struct {
	Zone      *time.Location // of calendar caps, dates and, where a market names none, quiet hours
	NoIDShow  bool           // contextual campaigns are shown to users without an identifier, uncapped
	Sources   []string       // identifier sources in order of preference; those not named follow
	Retention Retention
	Consent   Consent
	// ThirdPartyLists: lists whose source is third_party may be declared.
	ThirdPartyLists bool
	Markets         []Market // in the order written; the first that matches a country applies
	Unknown         int      // index of the market of a missing country, and of one that no market names
	Sensitive       []string // topics, or content categories as cat:286
	Lists           []List   // in the order written
	DialBack        DialBack
	// HoldoutPercent is the share of people, by lot, who are shown no retargeting and no
	// acquisition campaign, so that what those do can be told. Contextual campaigns use
	// nothing that is known of a person, and are shown to them as to anybody.
	HoldoutPercent uint8
	// DSADomain is the domain that the transparency fragment names as of whoever
	// applied what is known of the person; "": not stated.
	DSADomain string
}

// Retention is how long state is kept, in seconds.
type Retention struct {
	Exposures, Purchases uint32
}

// Consent says what has to be consented to under the TCF.
type Consent struct {
	Vendor   uint16                  // TCF vendor id that must hold consent; 0: none is asked for
	Purposes [numPurposes]PurposeSet // TCF purposes by campaign purpose
	Storage  PurposeSet              // TCF purposes without which impressions and clicks are not kept
}

// PurposeSet is a set of TCF purposes: bit n-1 stands for purpose n.
type PurposeSet uint32

// Has reports whether TCF purpose n, from 1, is in the set.
func (p PurposeSet) Has(n int) bool { return n >= 1 && n <= 32 && p&(1<<(n-1)) != 0 }

// Purpose is what a campaign does with what is known of a person.
type Purpose uint8

// Purposes, the strictest first. A campaign that names none is Retargeting.
const (
	Retargeting Purpose = iota
	Acquisition
	Contextual
	numPurposes
)

var purposeNames = []string{"retargeting", "acquisition", "contextual"}

func (p Purpose) String() string { return purposeNames[p] }

// Require is what must be present in a market before anything personal is done.
type Require uint8

// Requirements, the strictest first.
const (
	RequireTCF Require = iota
	RequireOptOut
	RequireNone
)

var requireNames = []string{"tcf", "opt_out", "none"}

func (r Require) String() string { return requireNames[r] }

// Precision is the most specific candidate that is shown in a market.
type Precision uint8

// Precisions, the strictest first.
const (
	PrecisionCampaign Precision = iota // candidates may name neither item nor category
	PrecisionCategory                  // candidates may name no item
	PrecisionItem
)

var precisionNames = []string{"campaign", "category", "item"}

func (p Precision) String() string { return precisionNames[p] }

// Market is what holds in some countries.
type Market struct {
	Name      string
	Countries []string // ISO 3166-1 alpha-3; none: every country
	Regions   []string // ISO 3166-2 without the country; none: the whole country
	Require   Require
	CapFactor uint32 // millionths; 1,000,000 leaves limits as written
	Precision Precision
	// Quiet hours in Zone, as minutes after midnight. They run over midnight
	// where QuietFrom > QuietTo; QuietFrom == QuietTo: none.
	QuietFrom, QuietTo uint16
	Zone               *time.Location
	// Sensitive are topics and content categories that are sensitive here beside
	// those of the whole policy.
	Sensitive []string
	// Retention is how long what is shown here is kept, in seconds, which
	// are such that CanKeep; 0: as long as Settings.Retention says. What was
	// recorded here before it was changed keeps the one of then.
	Retention uint32
}

// QuietUntil is how many seconds are left of the quiet hours at a second of the
// local day; 0: it is not quiet.
func (m *Market) QuietUntil(second uint32) uint32 {
	from, to := uint32(m.QuietFrom)*60, uint32(m.QuietTo)*60
	switch {
	case from <= second && second < to:
		return to - second
	case from > to && second >= from:
		return to + day - second
	case from > to && second < to:
		return to - second
	}
	return 0
}

// QuietLeft is QuietUntil by the clock of the market's zone, also where that changes
// before the quiet hours are over. It does not allocate.
func (m *Market) QuietLeft(now uint32) uint32 {
	for at := int64(now); ; {
		offset, until := steady(m.Zone, at)
		left := m.QuietUntil(uint32(((at+offset)%day + day) % day))
		if left == 0 {
			return uint32(at - int64(now))
		}
		at = min(at+int64(left), until)
	}
}

// Limit scales a limit by the market's factor: rounded down, at least 1.
func (m *Market) Limit(limit uint8) uint8 {
	return max(1, uint8(uint64(limit)*uint64(m.CapFactor)/millionths))
}

// WhenStale is what happens while a list is older than its MaxAge.
type WhenStale uint8

// StaleSkip skips everybody, StaleShow goes on with the old list.
const (
	StaleSkip WhenStale = iota
	StaleShow
)

// Filters of a list.
const (
	FilterBloom = "bloom"
	FilterFuse  = "fuse"
)

// ListKind is what being on a list means.
type ListKind uint8

const (
	// Suppression: the campaigns that name the list leave its members alone.
	Suppression ListKind = iota
	// OptOut: no retargeting or acquisition campaign is shown to its members, whether it
	// names the list or not.
	OptOut
)

var listKindNames = []string{"suppression", "opt_out"}

func (k ListKind) String() string { return listKindNames[k] }

// List declares a list of people.
type List struct {
	Name      string
	Kind      ListKind
	IDs       []string // identifier sources its members come with
	Items     bool     // members are identifier and item (a purchase history)
	Exact     bool     // a filter hit is settled in the key file
	Filter    string   // FilterBloom or FilterFuse
	MaxAge    uint32   // seconds; 0: never stale
	WhenStale WhenStale
	Source    string // first_party or third_party
	Basis     string // the legal basis, in the words of the policy
}

// DialBack lowers and pauses campaigns that people complain about.
type DialBack struct {
	On          bool
	Window      uint32 // seconds over which showings and hides are counted
	MinShown    int    // below so many showings nothing is judged
	MinPeople   int    // below so many different people hiding nothing is judged
	HidesPer10K int    // from so many hides and complaints in 10,000 showings caps are lowered
	Factor      uint32 // millionths that caps are lowered by
	PauseAt     int    // from so many hides and complaints in 10,000 showings the campaign is paused
}

// Limit scales a limit by Factor: rounded down, at least 1.
func (d *DialBack) Limit(limit uint8) uint8 {
	return max(1, uint8(uint64(limit)*uint64(d.Factor)/millionths))
}

// Rank is the place of an identifier source in the order of preference; sources
// that the policy does not name share the place after the last. It does not
// allocate and keeps nothing.
func (s *Settings) Rank(source []byte) int {
	for i, name := range s.Sources {
		if name == string(source) {
			return i
		}
	}
	return len(s.Sources)
}
