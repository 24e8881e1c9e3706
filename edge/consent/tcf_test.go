package consent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"restraint/edge/policy"
)

// tcfVerdict is what a TCF string permits to a campaign that needs the purposes.
func tcfVerdict(r *Reader, s fmt.Stringer, vendor int, purposes ...int) Answer {
	c := policy.Consent{Vendor: uint16(vendor)}
	for _, n := range purposes {
		c.Purposes[policy.Retargeting] |= 1 << (n - 1)
	}
	in := absent()
	in.Consent = []byte(s.String())
	return r.Judge(&in, &c, policy.RequireTCF).Purposes[policy.Retargeting]
}

// TestEachPurposeAndVendor takes consent from one purpose, and then from one
// vendor, at a time, so that a bit read in the wrong place shows.
func TestEachPurposeAndVendor(t *testing.T) {
	r := newReader(t)
	for n := 1; n <= 24; n++ {
		s := granting()
		s.consents = without(s.consents, n)
		for asked := 1; asked <= 24; asked++ {
			want := Answer{}
			if asked == n {
				want = Answer{Reason: NoConsent, Why: PurposeRefused, Purpose: uint8(n)}
			}
			if got := tcfVerdict(r, s, 0, asked); got != want {
				t.Errorf("purpose %d refused, %d asked: %+v", n, asked, got)
			}
		}
	}
	for _, asRanges := range []bool{false, true} {
		for id := 1; id <= 20; id++ {
			s := granting()
			s.asRanges = asRanges
			s.vendors = append(without(s.vendors, id), 1000)
			for _, asked := range append(upTo(25), 0, 999, 1000, 1001, 65535) {
				got := tcfVerdict(r, s, asked, 2)
				if want := asked == 0 || slices.Contains(s.vendors, asked); got.Permitted() != want || !want && got.Why != VendorRefused {
					t.Fatalf("ranges %v, vendor %d dropped, %d asked: %+v", asRanges, id, asked, got)
				}
			}
		}
	}
}

// TestLegitimateInterest: it counts for the policy's vendor, for purposes 2 and 7
// to 11, and beside a vendor's consent only.
func TestLegitimateInterest(t *testing.T) {
	r := newReader(t)
	for n := 1; n <= 24; n++ {
		s := granting()
		s.policyVersion, s.consents, s.interests = 2, nil, []int{n}
		may := n == 2 || n >= 7 && n <= 11
		if got := tcfVerdict(r, s, 5, n); got.Permitted() != may {
			t.Errorf("purpose %d: %+v", n, got)
		}
		if got := tcfVerdict(r, s, 0, n); got.Permitted() {
			t.Errorf("purpose %d is permitted to no vendor in particular", n)
		}
		s.claimants = without(s.claimants, 5)
		if got := tcfVerdict(r, s, 5, n); got.Permitted() {
			t.Errorf("purpose %d is permitted to a vendor without legitimate interest", n)
		}
		s = granting()
		s.consents, s.interests, s.vendors = nil, []int{n}, without(s.vendors, 5)
		if got := tcfVerdict(r, s, 5, n); got.Permitted() {
			t.Errorf("purpose %d is permitted to a vendor without consent", n)
		}
		s = granting()
		s.interests = []int{n}
		bad := n >= 3 && n <= 6
		for version := 2; version <= 6; version++ {
			s.policyVersion = version
			if got := tcfVerdict(r, s, 0, 1); (got.Why == TCFBadInterest) != (bad && version >= 4) {
				t.Errorf("policy version %d, interest in %d: %+v", version, n, got)
			}
		}
	}
}

// TestRestrictions tries each purpose with each type of restriction, for a vendor
// and beside it.
func TestRestrictions(t *testing.T) {
	r := newReader(t)
	for n := 1; n <= 24; n++ {
		for kind := range 4 {
			s := granting()
			s.restrictions = []restriction{{n, kind, []int{3, 4, 5, 9}}}
			for vendor := range 12 {
				ours := vendor == 0 || vendor >= 3 && vendor <= 5 || vendor == 9
				for _, asked := range []int{n, n%24 + 1} {
					got := tcfVerdict(r, s, vendor, asked)
					want := Answer{}
					if asked == n && ours && (vendor == 0 || kind != 1) {
						want = Answer{Reason: NoConsent, Why: PurposeRestricted, Purpose: uint8(n)}
					}
					if got != want {
						t.Errorf("type %d of purpose %d, vendor %d asks %d: %+v", kind, n, vendor, asked, got)
					}
				}
			}
		}
	}
	// Required consent takes legitimate interest away, required legitimate interest
	// takes consent away, and leaves the interest.
	s := granting()
	s.consents, s.interests, s.restrictions = nil, []int{7}, []restriction{{7, 1, []int{5}}}
	if got := tcfVerdict(r, s, 5, 7); got.Why != PurposeRestricted {
		t.Errorf("consent required of an interest: %+v", got)
	}
	s.restrictions[0].kind = 2
	if got := tcfVerdict(r, s, 5, 7); !got.Permitted() {
		t.Errorf("an interest required and present: %+v", got)
	}
	// A restriction without vendors is some restriction.
	s = granting()
	s.restrictions = []restriction{{2, 0, nil}}
	if got := tcfVerdict(r, s, 0, 2); got.Why != PurposeRestricted {
		t.Errorf("no vendor named: %+v", got)
	}
	// Of two for the same purpose and type, both bind: go-gdpr forgets the first, so
	// the decoders differ and nothing is believed.
	s.restrictions = []restriction{{2, 0, []int{5}}, {2, 0, []int{6}}}
	if got := tcfVerdict(r, s, 5, 2); got.Permitted() {
		t.Errorf("the first of two restrictions: %+v", got)
	}
}

func TestDisclosedVendors(t *testing.T) {
	r := newReader(t)
	for _, asRanges := range []bool{false, true} {
		s := granting()
		s.asRanges, s.disclosed = asRanges, []int{2, 4, 5, 6}
		for vendor := range 10 {
			want := Answer{}
			if vendor != 0 && !slices.Contains(s.disclosed, vendor) {
				want = Answer{Reason: NoConsent, Why: VendorUndisclosed}
			}
			if got := tcfVerdict(r, s, vendor, 2); got != want {
				t.Errorf("vendor %d: %+v", vendor, got)
			}
		}
	}
}

// TestSegmentOrder: segments after the core may stand in any order, each once.
func TestSegmentOrder(t *testing.T) {
	var d, a, p bitString
	disclosed := "." + d.number(3, 1).vendorList([]int{5}, false).text(24)
	allowed := "." + a.number(3, 2).vendorList([]int{7}, true).text(24)
	publisher := "." + p.number(3, 3).set(24, nil).set(24, nil).number(6, 3).number(6, 0).text(24)
	r := newReader(t)
	for _, order := range []string{disclosed + allowed + publisher, publisher + disclosed + allowed, allowed + publisher + disclosed} {
		s := granting()
		s.after = order
		if got := tcfVerdict(r, s, 5, 2); !got.Permitted() {
			t.Errorf("%s: %+v", order, got)
		}
		if got := tcfVerdict(r, s, 6, 2); got.Why != VendorUndisclosed {
			t.Errorf("%s: %+v", order, got)
		}
	}
	for _, after := range []string{disclosed + disclosed, publisher + publisher, ".", disclosed + ".", ".A", ".AAAA", ".gAAA", disclosed[:4], publisher[:5], ".I=AA"} {
		s := granting()
		s.after = after
		if got := tcfVerdict(r, s, 0, 2); got.Why != TCFUnreadable {
			t.Errorf("%s: %+v", after, got)
		}
	}
}

func TestStringsThatAreNotBelieved(t *testing.T) {
	r := newReader(t)
	whole := granting().String()
	for text, why := range map[string]Why{
		"":                                     TCFRequired,
		"B" + whole[1:]:                        TCFVersion, // version 1
		"D" + whole[1:]:                        TCFVersion,
		"BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA":  TCFVersion,
		"+" + whole[1:]:                        TCFUnreadable,
		whole + "=":                            TCFUnreadable,
		whole[:40]:                             TCFUnreadable,
		whole[:len(whole)-8]:                   TCFUnreadable,
		whole + strings.Repeat("A", MaxString): TCFUnreadable,
		"C":                                    TCFUnreadable,
		" ":                                    TCFUnreadable,
	} {
		in := absent()
		in.Consent = []byte(text)
		got := r.Judge(&in, &usual, policy.RequireTCF)
		mustRefuse(t, text, got)
		if a := got.Storage; a.Why != why {
			t.Errorf("%.50q: %v, want %v", text, a.Why, why)
		}
	}
	for version, believed := range map[int]bool{0: false, 1: false, 2: true, 5: true, 63: true} {
		s := granting()
		s.policyVersion = version
		if got := tcfVerdict(r, s, 0, 2); got.Permitted() != believed || !believed && got.Why != TCFVersion {
			t.Errorf("policy version %d: %+v", version, got)
		}
	}
	for cmp, believed := range map[int]bool{0: false, 1: false, 2: true, 4095: true} {
		s := granting()
		s.cmp = cmp
		if got := tcfVerdict(r, s, 0, 2); got.Permitted() != believed || !believed && got.Why != TCFUnregistered {
			t.Errorf("consent platform %d: %+v", cmp, got)
		}
	}
}

// TestDecodersMustAgree: what go-gdpr refuses and this package could read is not
// believed.
func TestDecodersMustAgree(t *testing.T) {
	r := newReader(t)
	s := granting()
	s.listVersion = -200 // the encoder's 200 less 200: go-gdpr refuses list version 0
	if _, problem, _ := parseTCF([]byte(s.String()), 0); problem != Nothing {
		t.Errorf("not parsed: %v", problem)
	}
	if got := tcfVerdict(r, s, 0, 2); got.Why != TCFUnreadable {
		t.Errorf("%+v", got)
	}
}

// TestListsThatNoEncoderWrites: ranges that run backwards, begin at 0 or pass the
// highest id make the string unreadable here, whatever another decoder says.
func TestListsThatNoEncoderWrites(t *testing.T) {
	head := bitsOfText(tcString{cmp: 300, policyVersion: 5}.String())[:213]
	none, nothing := "0000000000000000"+"0", "000000000000"
	for name, list := range map[string]struct {
		entry string
		ok    bool
	}{
		"forwards":         {"1" + fmt.Sprintf("%016b%016b", 3, 5), true},
		"one":              {"0" + fmt.Sprintf("%016b", 5), true},
		"backwards":        {"1" + fmt.Sprintf("%016b%016b", 5, 3), false},
		"from 0":           {"1" + fmt.Sprintf("%016b%016b", 0, 3), false},
		"0":                {"0" + fmt.Sprintf("%016b", 0), false},
		"past the highest": {"0" + fmt.Sprintf("%016b", 6), false},
	} {
		ranges := "000000000001" + list.entry
		vendors := fmt.Sprintf("%016b", 5) + "1" + ranges
		restricted := "000000000001" + "000010" + "00" + ranges
		for place, tail := range map[string]string{"vendors": vendors + none + nothing, "claimants": none + vendors + nothing, "restriction": none + none + restricted} {
			var b bitString
			b.WriteString(head + tail)
			_, problem, _ := parseTCF([]byte(b.text(24)), 0)
			ok := list.ok || place == "restriction" && name == "past the highest" // which restrictions have not
			if (problem == Nothing) != ok {
				t.Errorf("%s in %s: %v", name, place, problem)
			}
		}
	}
	// Bits after the last whole byte are padding, and no part of a list.
	s := tcString{cmp: 300, policyVersion: 5, vendors: []int{15}}
	var b bitString
	b.WriteString(bitsOfText(s.String())[:213+17+15+17+12])
	if _, problem, _ := parseTCF([]byte(b.text(6)), 0); problem != TCFUnreadable {
		t.Errorf("%d bits in %d characters: %v", b.Len(), len(b.text(6)), problem)
	}
	if _, problem, _ := parseTCF([]byte(b.text(24)), 0); problem != Nothing {
		t.Errorf("%d bits in whole bytes: %v", b.Len(), problem)
	}
}
