package edge

import (
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"restraint/caps"
	"restraint/edge/identity"
	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

// numbers is a set of small numbers.
type numbers []uint64

func (s numbers) has(n int) bool { return s[n/64]>>(n%64)&1 != 0 }

// put puts n in, growing the set.
func (s *numbers) put(n int) {
	for len(*s) <= n/64 {
		*s = append(*s, 0)
	}
	(*s)[n/64] |= 1 << (n % 64)
}

// surroundings are the content categories that any rule of a policy names,
// numbered, so that a request's categories are looked up once and a campaign's by
// a bit each. Immutable.
type surroundings struct {
	names []string            // as the policy writes them: cat:386
	under map[string][]uint16 // by id of a request: the categories that name it or are above it
	words int                 // of a set of them
}

// number returns the number of a category of the policy, from now on if it is new.
func (s *surroundings) number(category string) uint16 {
	if i := slices.Index(s.names, category); i >= 0 {
		return uint16(i)
	}
	if s.under == nil {
		s.under = make(map[string][]uint16)
	}
	n := uint16(len(s.names))
	s.names = append(s.names, category)
	s.words = len(s.names)/64 + 1
	for _, id := range policy.Below(category) {
		s.under[id] = append(s.under[id], n)
	}
	return n
}

// find sets, in dst, the categories that a request's surroundings are of.
func (s *surroundings) find(dst numbers, r *openrtb.Request) numbers {
	dst = cleared(dst, s.words)
	for i, id := range r.Categories {
		if !policy.CategoriesKnown(r.Taxonomy(i)) {
			continue
		}
		for _, n := range s.under[string(id)] {
			dst.put(int(n))
		}
		if above := policy.Above(id); above != nil {
			for _, n := range s.under[string(above)] {
				dst.put(int(n))
			}
		}
	}
	return dst
}

// market is what the decision needs of a policy's market. Immutable.
type market struct {
	*policy.Market
	number int            // in Policy.Markets
	token  uint16         // the number by which tokens know it
	limits [256]uint8     // a cap's limit here, by the limit written
	own    caps.Retention // of what is shown here; 0: the policy's
	// sensitive are the categories beside which, topics those of which, and words
	// the names of categories of which, nothing personal is shown.
	sensitive []uint16
	words     map[string]bool
	marks     uint64 // the marks of all words, a bit each
	// topics are the campaigns with a topic that is sensitive here, by index; nil:
	// none, as where the market has no list of its own, since the policy would have
	// been refused.
	topics numbers
}

// newMarkets compiles the markets of a policy.
func (r *rules) newMarkets() {
	r.markets = make([]market, len(r.Markets))
	for i := range r.Markets {
		m := &r.markets[i]
		m.Market, m.number = &r.Markets[i], i
		m.token = uint16(xxh3.HashString(m.Name)%identity.MaxTokenMarket) + 1
		m.words = make(map[string]bool)
		m.own, _ = caps.RetentionOf(m.Retention) // the policy has no other
		for limit := range m.limits {
			m.limits[limit] = m.Limit(uint8(limit))
		}
		for _, topic := range slices.Concat(r.Sensitive, m.Sensitive) {
			if strings.HasPrefix(topic, "cat:") {
				m.sensitive = append(m.sensitive, r.surroundings.number(topic))
			} else {
				m.words[topic] = true
				m.marks |= 1 << mark(topic)
			}
		}
		for c := range r.Campaigns {
			if campaign := &r.Campaigns[c]; slices.ContainsFunc(campaign.Topics, func(t string) bool { return slices.Contains(m.Sensitive, t) }) {
				m.topics.put(c)
			}
		}
	}
}

// mark is a number below 64 that tells most names apart from a few words.
func mark[T string | []byte](name T) int {
	if len(name) == 0 {
		return 0
	}
	return (5*len(name) + int(name[0])) % 64
}

// maybeWord is false for most names that are none of the sensitive topics, and is
// small enough to be inlined.
func (m *market) maybeWord(name []byte) bool {
	return len(name) > 0 && m.marks>>mark(name)&1 != 0
}

// isWord reports whether a name is one of the sensitive topics.
func (m *market) isWord(name []byte) bool { return m.maybeWord(name) && m.words[string(name)] }
