package policy

import "sync/atomic"

// Policy is one compiled policy version. It is immutable, except for Version,
// which whoever publishes it sets before, and may be read by any number of
// goroutines.
type Policy struct {
	Version int
	Settings
	Campaigns []Campaign // in the order written
	// Held are the keeps of earlier versions that are larger than this version's
	// own and have still to be honoured. Stored beside the text, they make every
	// node compile the same Scope.Keep (Options.Held).
	Held Keeps

	own    []namedScope // scopes that this version's caps read, without Held
	index  index
	places places
	moment atomic.Pointer[Moment]
}

// Campaign is one campaign as the decision reads it. Durations are in seconds,
// times in Unix seconds.
type Campaign struct {
	ID            string
	Index         int // in Policy.Campaigns
	Tag           uint64
	Advertiser    string
	AdvertiserTag uint64
	Purpose       Purpose
	From, To      uint32 // runs while From <= now < To; 0 and the largest uint32 where not written

	// Scopes are everything that a showing is counted under; the campaign's own
	// scope comes first.
	Scopes        []Scope
	CampaignScope int // index into Scopes, always 0
	// CreativeScope is the index of the scope that diversity is judged by, or -1:
	// the creative within this campaign (PerRun), not the advertiser's creative,
	// because showings of the same creative in other campaigns would push those
	// of this campaign out of a set of n.
	CreativeScope int
	Caps          []Cap // in the order written

	Spacing   uint32 // least time between two showings; 0: none
	Suppress  []int  // indexes into Policy.Lists
	Purchased Purchased
	Interest  Interest
	Diversity int    // a creative at most so many times in a row; 0: any
	Hold      uint32 // how long a place is kept for a shown candidate

	Groups    []string
	Topics    []string
	NotBeside []string // content categories, as cat:386
	DSA       DSA
}

// Purchased says how long after a purchase a campaign is not shown, in seconds;
// 0 is off.
type Purchased struct {
	Item, Category, Advertiser uint32
	Lists                      []int // indexes into Policy.Lists, all with Items
}

// Interest is the interest in an item without which it is not shown.
type Interest struct {
	Set   bool
	Least uint32 // so many times at least; 1 or more
	After uint32 // not sooner after the interest; 0: at once
	Fresh uint32 // caps in full until so long after the interest; Until where not written
	Until uint32 // nothing from so long after the interest on; 0: no end
	From  []string
}

// Per is what a scope or cap counts by.
type Per uint8

// Scopes by what they count. Creative, item and category are the advertiser's
// own: PerRun is the creative within one campaign, made for diversity alone.
const (
	PerCampaign Per = iota
	PerAdvertiser
	PerCreative
	PerItem
	PerCategory
	PerGroup
	PerAll
	PerRun
)

var perNames = []string{"campaign", "advertiser", "creative", "item", "category", "group:", "all", "run"}

// String is the word of the policy; of a group without its name.
func (p Per) String() string { return perNames[p] }

// Scope is something that showings are counted under.
type Scope struct {
	Per     Per
	Name    string // of the group; "" for others
	Channel string // "": all channels; else only showings in that channel count
	// Tag is final for PerCampaign, PerAdvertiser, PerGroup and PerAll. For
	// PerCreative, PerItem, PerCategory and PerRun it is 0: it is that of the candidate's name in Base.
	Tag  uint64
	Base uint64 // namespace of the candidate's name: the advertiser's tag, or the campaign's for PerRun
	Keep uint8  // how many exposures to keep: L of the rules of merge; at least 1
}

// Cap is one cap: at most Limit showings under a scope within a window.
type Cap struct {
	Scope  int    // index into Campaign.Scopes
	Per    string // as written, with the name of a group
	Within string // as written
	Limit  uint8
	Window Window
}

// Campaign returns the campaign with that id, or nil. It does not allocate and
// keeps nothing.
func (p *Policy) Campaign(id []byte) *Campaign {
	if i, ok := p.index[string(id)]; ok {
		return &p.Campaigns[i]
	}
	return nil
}

// OptOuts are the indexes in Lists of the lists of opt-outs. It allocates.
func (p *Policy) OptOuts() []int {
	var all []int
	for i := range p.Lists {
		if p.Lists[i].Kind == OptOut {
			all = append(all, i)
		}
	}
	return all
}

// index finds campaigns by id. A Go map is as fast as open addressing over
// XXH3 hashes at 10 and 1,000 campaigns and faster at 100,000 (BenchmarkCampaign).
type index map[string]uint32

func newIndex(n int) index { return make(index, n) }
