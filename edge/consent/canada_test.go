package consent

import (
	"slices"
	"testing"

	"restraint/edge/policy"
)

func canadaVerdict(r *Reader, s canadaString, c policy.Consent) Verdict {
	in := absent()
	in.GPP = []byte(gppString(map[int]string{sectionCanada: s.String()}))
	return r.Judge(&in, &c, policy.RequireTCF)
}

func asking(vendor int, purposes ...int) (c policy.Consent) {
	c.Vendor = uint16(vendor)
	for _, n := range purposes {
		c.Purposes[policy.Retargeting] |= 1 << (n - 1)
	}
	return c
}

// TestCanadaPurposes: express consent counts for every purpose, implied for those
// that legitimate interest counts for in Europe, and purpose 1 is asked as 2.
func TestCanadaPurposes(t *testing.T) {
	r := newReader(t)
	for n := 2; n <= 24; n++ {
		for _, fixed := range []bool{false, true} {
			s := canadaString{cmp: 50, express: without(upTo(24), n), vendors: []int{3, 4, 5, 80}, impliers: []int{5, 9}, fixed: fixed}
			for asked := 1; asked <= 24; asked++ {
				got := canadaVerdict(r, s, asking(0, asked)).Purposes[0]
				refused := asked == n || asked == 1 && n == 2
				if got.Permitted() == refused || refused && got != (Answer{NoConsent, PurposeRefused, sectionCanada, uint8(n)}) {
					t.Errorf("fixed %v, purpose %d refused, %d asked: %+v", fixed, n, asked, got)
				}
			}
			s.implied = []int{n}
			implied := n == 2 || n >= 7 && n <= 11
			for vendor, may := range map[int]bool{0: implied, 4: false, 5: implied, 9: implied, 10: false} {
				if got := canadaVerdict(r, s, asking(vendor, n)).Purposes[0]; got.Permitted() != may {
					t.Errorf("fixed %v, purpose %d implied, vendor %d: %+v", fixed, n, vendor, got)
				}
			}
		}
	}
}

func TestCanadaVendorsAndRestrictions(t *testing.T) {
	r := newReader(t)
	for _, fixed := range []bool{false, true} {
		s := canadaString{cmp: 50, express: upTo(24), vendors: []int{1, 2, 3, 17, 19, 400, 401}, fixed: fixed}
		for vendor := 1; vendor < 410; vendor++ {
			got := canadaVerdict(r, s, asking(vendor, 3)).Purposes[0]
			if want := slices.Contains(s.vendors, vendor); got.Permitted() != want || !want && got.Why != VendorRefused {
				t.Errorf("fixed %v, vendor %d: %+v", fixed, vendor, got)
			}
		}
		for kind := range 4 {
			s.restrictions = []restriction{{3, kind, []int{2, 17, 18, 19}}}
			for vendor, ours := range map[int]bool{0: true, 1: false, 2: true, 3: false, 17: true, 19: true} {
				got := canadaVerdict(r, s, asking(vendor, 3)).Purposes[0]
				if refused := ours && (vendor == 0 || kind != 1); got.Permitted() == refused {
					t.Errorf("fixed %v, type %d, vendor %d: %+v", fixed, kind, vendor, got)
				}
			}
		}
	}
}

// TestCanadaStorage: where the policy keeps by purpose 1, a Canadian is asked for
// purpose 2, so that who refuses everything is not written down.
func TestCanadaStorage(t *testing.T) {
	r := newReader(t)
	for n := range 24 {
		s := canadaString{cmp: 50, express: []int{n + 1}}
		if got := canadaVerdict(r, s, usual).Storage; got.Permitted() != (n+1 == 2) {
			t.Errorf("only purpose %d: %+v", n+1, got)
		}
	}
}

// TestCanadaIsNotEurope: it serves a market that requires the TCF, and not the GDPR.
func TestCanadaIsNotEurope(t *testing.T) {
	r := newReader(t)
	in := absent()
	in.GPP = []byte(gppString(map[int]string{sectionCanada: canadaString{cmp: 50, express: upTo(24)}.String()}))
	for _, require := range []policy.Require{policy.RequireTCF, policy.RequireOptOut, policy.RequireNone} {
		in.GDPR = 0
		if got := r.Judge(&in, &usual, require); got != (Verdict{}) {
			t.Errorf("%v: %+v", require, got)
		}
		in.GDPR = 1
		got := r.Judge(&in, &usual, require)
		mustRefuse(t, require.String(), got)
		if got.Storage.Why != TCFRequiredByGDPR {
			t.Errorf("%v: %+v", require, got)
		}
	}
	for text, why := range map[string]Why{"z": SectionVersion, "C" + canadaString{cmp: 50}.String()[1:]: SectionVersion, "BAA": SectionUnreadable, "B!": SectionUnreadable} {
		if got := readCanada([]byte(text), 0); got.problem != why {
			t.Errorf("%s: %v", text, got.problem)
		}
	}
}

// TestCanadaMustFit: a string that fits neither way of writing ids to the last bit
// is read by its fixed fields and not believed.
func TestCanadaMustFit(t *testing.T) {
	s := canadaString{cmp: 50, express: upTo(24), vendors: []int{1, 5}}
	for _, fixed := range []bool{false, true} {
		s.fixed = fixed
		if got := readCanada([]byte(s.String()), 0); got.problem != Nothing {
			t.Errorf("fixed %v: %v", fixed, got.problem)
		}
		for _, more := range []string{"AAAA", "_"} {
			if got := readCanada([]byte(s.String()+more), 0); got.problem != SectionUnreadable {
				t.Errorf("fixed %v, with %s: %v", fixed, more, got.problem)
			}
		}
	}
}
