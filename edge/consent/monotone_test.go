package consent

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

var (
	seed  = flag.Uint64("seed", 1, "seed of the random tests")
	steps = flag.Int("steps", 4000, "steps of the random tests")
)

func random(t *testing.T) *rand.Rand {
	t.Logf("-seed=%d -steps=%d", *seed, *steps)
	return rand.New(rand.NewPCG(*seed, 0))
}

// situation is a request in parts, from which its signals are made.
type situation struct {
	openrtb.Signals
	tcf      *tcString   // in user.consent
	sections map[int]any // of the GPP string: tcString, canadaString, element values of a US section, or a string as it is
	policy   policy.Consent
	require  policy.Require
}

func (s *situation) signals() *openrtb.Signals {
	out := s.Signals
	if s.tcf != nil {
		out.Consent = []byte(s.tcf.String())
	}
	if len(s.sections) > 0 {
		sections := map[int]string{}
		for id, v := range s.sections {
			if set, ok := v.(map[element]int); ok {
				v = usString(id, latest(id), set)
			}
			sections[id] = fmt.Sprint(v)
		}
		out.GPP = []byte(gppString(sections))
	}
	return &out
}

func randomPurposes(r *rand.Rand) (ids []int) {
	for n := 1; n <= 24; n++ {
		if r.IntN(8) != 0 {
			ids = append(ids, n)
		}
	}
	return ids
}

func randomTCF(r *rand.Rand) tcString {
	s := granting()
	s.consents, s.interests = randomPurposes(r), []int{2, 7}
	s.vendors = without(s.vendors, r.IntN(8))
	s.asRanges = r.IntN(2) == 0
	if r.IntN(4) == 0 {
		s.restrictions = []restriction{{1 + r.IntN(10), r.IntN(4), []int{1 + r.IntN(8)}}}
	}
	if r.IntN(4) == 0 {
		s.disclosed = without(upTo(20), 1+r.IntN(8))
	}
	return s
}

func randomSections(r *rand.Rand) map[int]any {
	all := map[int]any{}
	for range r.IntN(4) {
		switch id := r.IntN(30); {
		case id == sectionTCF:
			all[id] = randomTCF(r)
		case id == sectionCanada:
			all[id] = canadaString{cmp: 50, express: randomPurposes(r), vendors: upTo(9), fixed: r.IntN(2) == 0}
		case id == sectionUSP:
			all[id] = []string{"1YNN", "1YYN", "1---", "1NNN"}[r.IntN(4)]
		case id >= 7 && id < len(usSections):
			set := map[element]int{}
			for _, e := range elements(sectionSpecs[id]) {
				if r.IntN(40) == 0 {
					set[e] = r.IntN(4)
				}
			}
			all[id] = set
		}
	}
	return all
}

func randomSituation(r *rand.Rand) situation {
	maybe := func() int8 { return int8(r.IntN(5)/2 - 1) }
	s := situation{
		Signals:  openrtb.Signals{GDPR: maybe(), COPPA: min(maybe(), 0), LMT: min(maybe(), 0), DNT: min(maybe(), 0), GPC: r.IntN(10) == 0},
		sections: randomSections(r),
		policy:   policy.Consent{Vendor: uint16(r.IntN(2) * r.IntN(8)), Storage: policy.PurposeSet(1 + r.IntN(3))},
		require:  policy.Require(r.IntN(3)),
	}
	s.policy.Purposes = [3]policy.PurposeSet{policy.PurposeSet(1 + r.IntN(1<<10)), policy.PurposeSet(1 + r.IntN(3)), policy.PurposeSet(r.IntN(2) * r.IntN(1<<8))}
	if r.IntN(3) == 0 {
		tcf := randomTCF(r)
		s.tcf = &tcf
	}
	if r.IntN(3) == 0 {
		s.USPrivacy = []byte([]string{"1YNN", "1---", "1YYN", "junk"}[r.IntN(4)])
	}
	for range r.IntN(3) * r.IntN(2) {
		s.GPPSID = append(s.GPPSID, uint16(r.IntN(30)))
	}
	if len(s.sections) > 1 && r.IntN(2) == 0 {
		s.GPPSID = nil
		for _, id := range slices.Sorted(maps.Keys(s.sections)) {
			if r.IntN(2) == 0 {
				s.GPPSID = append(s.GPPSID, uint16(id))
			}
		}
	}
	return s
}

// refusals each add a refusal to a situation, or take a permission from it. One
// that cannot be added to this situation leaves it as it is.
var refusals = map[string]func(r *rand.Rand, s *situation){
	"coppa": func(_ *rand.Rand, s *situation) { s.COPPA = 1 },
	"gpc":   func(_ *rand.Rand, s *situation) { s.GPC = true },
	"lmt":   func(_ *rand.Rand, s *situation) { s.LMT = 1 },
	"dnt":   func(_ *rand.Rand, s *situation) { s.DNT = 1 },
	"gdpr":  func(_ *rand.Rand, s *situation) { s.GDPR = 1 },
	"us_privacy opt-out": func(_ *rand.Rand, s *situation) {
		if string(s.USPrivacy) != "junk" { // to mend what is broken is no refusal
			s.USPrivacy = []byte("1YYN")
		}
	},
	"us_privacy junk": func(_ *rand.Rand, s *situation) { s.USPrivacy = []byte("1YXN") },
	"a purpose less": func(r *rand.Rand, s *situation) {
		n := 1 + r.IntN(11)
		s.eachTCF(func(t *tcString) { t.consents, t.interests = without(t.consents, n), without(t.interests, n) })
	},
	"a vendor less": func(r *rand.Rand, s *situation) {
		n := s.vendorOr(r.IntN(9))
		s.eachTCF(func(t *tcString) { t.vendors = without(t.vendors, n) })
	},
	"a restriction more": func(r *rand.Rand, s *situation) {
		more := restriction{1 + r.IntN(11), r.IntN(4), []int{s.vendorOr(r.IntN(9) + 1)}}
		s.eachTCF(func(t *tcString) { t.restrictions = append(slices.Clone(t.restrictions), more) })
	},
	"a vendor not disclosed": func(r *rand.Rand, s *situation) {
		n := s.vendorOr(r.IntN(9))
		s.eachTCF(func(t *tcString) {
			if t.disclosed == nil {
				t.disclosed = upTo(20)
			}
			t.disclosed = without(t.disclosed, n)
		})
	},
	"a TCF string that refuses": func(_ *rand.Rand, s *situation) {
		if s.tcf == nil {
			s.tcf = &tcString{cmp: 300, policyVersion: 5}
		}
	},
	"a broken TCF string": func(_ *rand.Rand, s *situation) {
		s.tcf = nil
		s.Consent = []byte("CPXxRf")
	},
	"a broken GPP string": func(_ *rand.Rand, s *situation) {
		s.sections = nil
		s.GPP = []byte("DBAB~BAA")
	},
	"a section that opts out": func(r *rand.Rand, s *situation) {
		id := 8 + r.IntN(20)
		if _, ok := s.sections[id]; !ok && (len(s.sections) > 0 || len(s.GPPSID) == 0) && len(s.GPP) == 0 {
			s.sections[id] = map[element]int{{"SaleOptOut", 0}: 1}
		}
	},
	"an unknown section": func(_ *rand.Rand, s *situation) {
		if len(s.GPP) == 0 && (len(s.sections) > 0 || len(s.GPPSID) == 0) {
			s.sections[40] = "AAAA"
		}
	},
	"a section opts out": func(r *rand.Rand, s *situation) {
		for _, id := range slices.Sorted(maps.Keys(s.sections)) {
			set, ok := s.sections[id].(map[element]int)
			if !ok {
				continue
			}
			for _, e := range elements(sectionSpecs[id]) {
				switch e.field {
				case "SaleOptOut", "TargetedAdvertisingOptOut", "SharingOptOut", "KnownChildSensitiveDataConsents", "MspaServiceProviderMode":
					if r.IntN(4) == 0 {
						set[e] = 1
					}
				}
			}
		}
	},
	// Where something is required, a section that comes into force may be it.
	"one more section in force": func(r *rand.Rand, s *situation) {
		if len(s.GPPSID) > 0 && s.GDPR != 1 && s.require == policy.RequireNone {
			s.GPPSID = append(slices.Clone(s.GPPSID), uint16(r.IntN(30)))
		}
	},
	"all sections in force": func(_ *rand.Rand, s *situation) {
		if len(s.sections) > 0 && s.held(s.GPPSID) && s.GDPR != 1 && s.require == policy.RequireNone {
			s.GPPSID = nil
		}
	},
	"the TCF is required":   func(_ *rand.Rand, s *situation) { s.require = policy.RequireTCF },
	"something is required": func(_ *rand.Rand, s *situation) { s.require = min(s.require, policy.RequireOptOut) },
}

// vendorOr is the policy's vendor, or another where it has none.
func (s *situation) vendorOr(other int) int {
	if s.policy.Vendor != 0 {
		return int(s.policy.Vendor)
	}
	return other
}

// held reports whether every section named is in the GPP string.
func (s *situation) held(sids []uint16) bool {
	for _, id := range sids {
		if _, ok := s.sections[int(id)]; !ok {
			return false
		}
	}
	return true
}

func (s *situation) eachTCF(change func(*tcString)) {
	if s.tcf != nil {
		tcf := *s.tcf
		change(&tcf)
		s.tcf = &tcf
	}
	if tcf, ok := s.sections[sectionTCF].(tcString); ok {
		change(&tcf)
		s.sections[sectionTCF] = tcf
	}
}

// TestRefusalsNeverPermit: whatever a request says, adding a refusal to it never
// makes anything permitted that was not.
func TestRefusalsNeverPermit(t *testing.T) {
	r, reader := random(t), newReader(t)
	names := make([]string, 0, len(refusals))
	for name := range refusals {
		names = append(names, name)
	}
	slices.Sort(names)
	tightened := map[string]int{}
	for range *steps {
		s := randomSituation(r)
		before := reader.Judge(s.signals(), &s.policy, s.require)
		was := fmt.Sprintf("%+v", s)
		name := names[r.IntN(len(names))]
		refusals[name](r, &s)
		after := reader.Judge(s.signals(), &s.policy, s.require)
		for i, pair := range [][2]Answer{
			{before.Purposes[0], after.Purposes[0]},
			{before.Purposes[1], after.Purposes[1]},
			{before.Purposes[2], after.Purposes[2]},
			{before.Storage, after.Storage},
		} {
			if !pair[0].Permitted() && pair[1].Permitted() {
				t.Fatalf("%s permits %d: before %+v, after %+v\nwas %s\nis %+v", name, i, before, after, was, s)
			}
			if pair[0].Permitted() && !pair[1].Permitted() {
				tightened[name]++
			}
		}
	}
	// A property that no step puts to the test shows nothing; few steps of another seed
	// may miss one.
	for _, name := range names {
		if tightened[name] == 0 && (*steps >= 20_000 || *seed == 1) {
			t.Errorf("%s never took anything away", name)
		}
	}
	t.Log(tightened)
}

// TestGDPR0NeverLoosens: gdpr 0 is the same as gdpr absent.
func TestGDPR0NeverLoosens(t *testing.T) {
	r, reader := random(t), newReader(t)
	for range *steps {
		s := randomSituation(r)
		s.GDPR = -1
		without := reader.Judge(s.signals(), &s.policy, s.require)
		s.GDPR = 0
		if with := reader.Judge(s.signals(), &s.policy, s.require); with != without {
			t.Fatalf("gdpr 0: %+v, without %+v, of %+v", with, without, s)
		}
	}
}

// TestPlacesAreAlike: a TCF string and a US Privacy string say the same in their
// own field, in the GPP string, and in both; and the order of gpp_sid is nothing.
func TestPlacesAreAlike(t *testing.T) {
	r, reader := random(t), newReader(t)
	// Of several that give one reason the first is named, which goes by place.
	unplaced := func(v Verdict) [4]Reason {
		return [4]Reason{v.Purposes[0].Reason, v.Purposes[1].Reason, v.Purposes[2].Reason, v.Storage.Reason}
	}
	for range *steps / 10 { // each is judged 27 times
		s := randomSituation(r)
		delete(s.sections, sectionTCF)
		delete(s.sections, sectionUSP)
		s.GPPSID, s.tcf, s.USPrivacy = nil, nil, nil
		tcf, usp := randomTCF(r), []string{"1YNN", "1YYN", "1---", "1NNN", "1NYY"}[r.IntN(5)]
		var first [4]Reason
		for place := range 9 {
			p := s
			p.sections = map[int]any{}
			for id, v := range s.sections {
				p.sections[id] = v
			}
			if place%3 != 1 {
				p.tcf = &tcf
			}
			if place%3 != 0 {
				p.sections[sectionTCF] = tcf
			}
			if place/3 != 1 {
				p.USPrivacy = []byte(usp)
			}
			if place/3 != 0 {
				p.sections[sectionUSP] = usp
			}
			got := unplaced(reader.Judge(p.signals(), &p.policy, p.require))
			if place == 0 {
				first = got
			}
			if got != first {
				t.Fatalf("place %d: %+v, first %+v, of %+v", place, got, first, p)
			}
			for id := range p.sections {
				p.GPPSID = append(p.GPPSID, uint16(id))
			}
			for range 2 {
				r.Shuffle(len(p.GPPSID), func(i, j int) { p.GPPSID[i], p.GPPSID[j] = p.GPPSID[j], p.GPPSID[i] })
				if got := unplaced(reader.Judge(p.signals(), &p.policy, p.require)); got != first {
					t.Fatalf("all named: %+v, first %+v, of %+v", got, first, p)
				}
			}
		}
	}
}
