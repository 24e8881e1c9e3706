package consent

import (
	"bytes"

	"restraint/edge/policy"
)

// tcf is what a TCF string says to the policy's vendor, or to nobody in
// particular where the policy names none. Sets have bit n-1 for purpose n.
type tcf struct {
	granted    uint32 // purposes that have a legal basis
	restricted uint32 // purposes that lack one because the publisher restricts them
	// problem is why the whole string counts for nothing: a refusal of everything.
	problem Why
	vendor  Why // VendorRefused, VendorUndisclosed or Nothing
}

// The core segment of a TCF v2 string up to the vendors (IAB Europe, "Transparency
// and Consent String with Global Vendor & CMP List Formats", version 2, "The core
// string").
const (
	tcfVersion = iota
	tcfCreated
	tcfLastUpdated
	tcfCMP
	tcfCMPVersion
	tcfScreen
	tcfLanguage
	tcfListVersion
	tcfPolicyVersion
	tcfServiceSpecific
	tcfNonStandard
	tcfFeatures
	tcfConsents
	tcfInterests
	tcfOneTreatment
	tcfCountry
)

var tcfCore = []field{
	tcfVersion:         one("Version", 6),
	tcfCreated:         one("Created", 36),
	tcfLastUpdated:     one("LastUpdated", 36),
	tcfCMP:             one("CmpId", 12),
	tcfCMPVersion:      one("CmpVersion", 12),
	tcfScreen:          one("ConsentScreen", 6),
	tcfLanguage:        {"ConsentLanguage", 6, 2},
	tcfListVersion:     one("VendorListVersion", 12),
	tcfPolicyVersion:   one("PolicyVersion", 6),
	tcfServiceSpecific: one("IsServiceSpecific", 1),
	tcfNonStandard:     one("UseNonStandardStacks", 1),
	tcfFeatures:        {"SpecialFeatureOptins", 1, 12},
	tcfConsents:        {"PurposeConsents", 1, 24},
	tcfInterests:       {"PurposeLegitimateInterests", 1, 24},
	tcfOneTreatment:    one("PurposeOneTreatment", 1),
	tcfCountry:         {"PublisherCountryCode", 6, 2},
}

// Segments of a TCF string after the core begin with three bits that say which
// they are.
const (
	segmentDisclosed = 1
	segmentAllowed   = 2
	segmentPublisher = 3
)

// publisherFields are those of the publisher's own segment after its kind. Two
// bits for each custom purpose follow. Nothing of it bears on a verdict.
var publisherFields = []field{
	{"PublisherConsents", 1, 24},
	{"PublisherLegitimateInterests", 1, 24},
	one("NumCustomPurposes", 6),
}

// interestPurposes are those for which a vendor may claim legitimate interest: 2
// and 7 to 11. 1 is consent alone, 3 to 6 are since policy version 4, and always
// here. (TCF Policies, Appendix A.) TCF Canada's implied consent is taken for the
// same ones.
const interestPurposes = 1<<1 | 0b11111<<6

// core is what a TCF string holds, as it concerns a vendor. Canada has express
// consent for consent, and implied consent for legitimate interest.
type core struct {
	fields       values
	consent      uint32 // purposes with consent
	interest     uint32 // purposes with legitimate interest
	consented    bool   // the vendor has consent
	interested   bool   // the vendor has legitimate interest
	disclosed    bool   // the vendor was disclosed, or nothing says who was
	restrictions restrictions
	misfit       bool // Canada: the string fits neither way of writing ids
}

// parseTCF reads a TCF v2 string as it concerns the vendor; 0 is none. reads is
// the work it took.
func parseTCF(text []byte, vendor uint16) (c core, problem Why, reads int) {
	if len(text) > 0 && text[0] != 'C' && sextets[text[0]] != 255 {
		return c, TCFVersion, 1
	}
	first, rest, more := bytes.Cut(text, dot)
	b, ok := newBytes(first)
	if !ok {
		return c, TCFUnreadable, 0
	}
	b.read(tcfCore, &c.fields)
	c.consent = purposeBits(c.fields[tcfConsents])
	c.interest = purposeBits(c.fields[tcfInterests])
	var fine [3]bool
	c.consented, fine[0] = b.vendors(vendor, fixedIDs)
	if fine[0] {
		c.interested, fine[1] = b.vendors(vendor, fixedIDs)
	}
	if fine[1] {
		c.restrictions, fine[2] = b.restrictions(vendor, fixedIDs)
	}
	if !fine[2] {
		return c, TCFUnreadable, b.reads
	}
	reads = b.reads
	c.disclosed = true
	for seen := 0; more; {
		first, rest, more = bytes.Cut(rest, dot)
		kind, disclosed, ok, work := parseSegment(first, vendor, fixedIDs)
		reads += work
		if !ok || seen>>kind&1 == 1 {
			return c, TCFUnreadable, reads
		}
		if seen |= 1 << kind; kind == segmentDisclosed {
			c.disclosed = disclosed
		}
	}
	return c, Nothing, reads
}

var dot = []byte{'.'}

// parseSegment reads a segment after the core. Those of TCF Canada differ in how
// they write ids, and have none that lists allowed vendors.
func parseSegment(text []byte, vendor uint16, ids coding) (kind int, has, ok bool, reads int) {
	b, ok := newBits(text)
	if !ok {
		return 0, false, false, 0
	}
	kind = int(b.take(3))
	switch kind {
	case segmentDisclosed, segmentAllowed:
		has, ok = b.vendors(vendor, ids)
	case segmentPublisher:
		var v values
		b.read(publisherFields, &v)
		b.skip(2 * int(v[len(publisherFields)-1]))
		ok = !b.short
	default:
		ok = false
	}
	return kind, has, ok, b.reads
}

// readTCF judges a TCF v2 string as it concerns the vendor.
func readTCF(text []byte, vendor uint16) tcf {
	c, problem, _ := parseTCF(text, vendor)
	if problem == Nothing {
		problem = c.doubt()
	}
	if problem == Nothing && !confirmed(text, vendor, &c) {
		problem = TCFUnreadable
	}
	if problem != Nothing {
		return tcf{problem: problem}
	}
	return c.judge(vendor, false)
}

// doubt returns why a string that can be parsed is not to be believed.
func (c *core) doubt() Why {
	switch {
	case c.fields[tcfCMP] <= 1:
		return TCFUnregistered
	case c.fields[tcfPolicyVersion] < 2:
		return TCFVersion
	case c.fields[tcfPolicyVersion] >= 4 && c.interest&(0b1111<<2) != 0:
		return TCFBadInterest
	}
	return Nothing
}

// judge settles for each purpose whether it has a legal basis. Implied consent
// (Canada) is consent, and counts without a vendor; legitimate interest is a
// vendor's own claim, and does not.
func (c *core) judge(vendor uint16, canada bool) tcf {
	var t tcf
	if vendor == 0 {
		t.granted = c.consent
		if canada {
			t.granted |= c.interest & interestPurposes
		}
		t.restricted = c.restrictions.any
		t.granted &^= t.restricted
		return t
	}
	if c.consented {
		t.granted = c.consent &^ c.restrictions.byInterest
	}
	if c.interested {
		t.granted |= c.interest & interestPurposes &^ c.restrictions.byConsent
	}
	t.granted &^= c.restrictions.never
	t.restricted = (c.restrictions.never | c.restrictions.byConsent | c.restrictions.byInterest) &^ t.granted
	switch {
	case !c.disclosed:
		t.vendor = VendorUndisclosed
	case !c.consented && !(canada && c.interested):
		t.vendor = VendorRefused
	}
	return t
}

// refusal returns the first refusal of a set of purposes.
func (t *tcf) refusal(asked policy.PurposeSet, section uint8) (a Answer, refused bool) {
	a = Answer{Reason: NoConsent, Section: section}
	missing := uint32(asked) &^ t.granted
	switch {
	case t.problem != Nothing:
		a.Why = t.problem
	case t.vendor != Nothing:
		a.Why = t.vendor
	case missing != 0:
		n := firstPurpose(missing)
		a.Why, a.Purpose = PurposeRefused, uint8(n)
		if t.restricted>>(n-1)&1 == 1 {
			a.Why = PurposeRestricted
		}
	default:
		return Answer{}, false
	}
	return a, true
}
