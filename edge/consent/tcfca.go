package consent

import "bytes"

// The core segment of a TCF Canada string up to the vendors (IAB Canada TCF
// Technical Specification, "Core sub-section"). Consent is express, interest is
// implied consent.
const (
	caVersion = iota
	caCreated
	caLastUpdated
	caCMP
	caCMPVersion
	caScreen
	caLanguage
	caListVersion
	caPolicyVersion
	caNonStandard
	caFeatures
	caConsents
	caInterests
)

var caCore = []field{
	caVersion:       one("Version", 6),
	caCreated:       one("Created", 36),
	caLastUpdated:   one("LastUpdated", 36),
	caCMP:           one("CmpId", 12),
	caCMPVersion:    one("CmpVersion", 12),
	caScreen:        one("ConsentScreen", 6),
	caLanguage:      {"ConsentLanguage", 6, 2},
	caListVersion:   one("VendorListVersion", 12),
	caPolicyVersion: one("TcfPolicyVersion", 6),
	caNonStandard:   one("UseNonStandardStacks", 1),
	caFeatures:      {"SpecialFeatureExpressConsent", 1, 12},
	caConsents:      {"PurposesExpressConsent", 1, 24},
	caInterests:     {"PurposesImpliedConsent", 1, 24},
}

// parseCanada reads a TCF Canada string, version 1, as it concerns the vendor.
//
// The specification writes ids in Fibonacci coding; encoders wrote them in 16 bits
// until 2025, and nothing in the string says which. The first is tried first, and
// taken where it fits to the last bit, as the IAB's own decoder does. Where neither
// fits, the string is read as the first and not believed.
func parseCanada(text []byte, vendor uint16) (c core, problem Why, reads int) {
	if len(text) == 0 {
		return c, SectionUnreadable, 0
	}
	if text[0] != 'B' && sextets[text[0]] != 255 {
		return c, SectionVersion, 1
	}
	first, rest, more := bytes.Cut(text, dot)
	b, ok := newBits(first)
	if !ok {
		return c, SectionUnreadable, 0
	}
	b.read(caCore, &c.fields)
	c.consent = purposeBits(c.fields[caConsents])
	c.interest = purposeBits(c.fields[caInterests])
	vendors := b
	ok = b.canadaVendors(&c, vendor, fibonacciIDs)
	reads = b.reads
	if !ok || !b.padded() {
		old, oldBits := c, vendors
		if oldBits.canadaVendors(&old, vendor, fixedIDs) && oldBits.padded() {
			c, ok = old, true
		} else {
			c.misfit = true
		}
		reads += oldBits.reads
	}
	if !ok {
		return c, SectionUnreadable, reads
	}
	c.disclosed = true
	for seen := 0; more; {
		first, rest, more = bytes.Cut(rest, dot)
		kind, disclosed, ok, work := parseSegment(first, vendor, fibonacciIDs)
		reads += work
		if !ok && kind == segmentDisclosed {
			kind, disclosed, ok, work = parseSegment(first, vendor, fixedIDs)
			reads += work
		}
		if !ok || kind == segmentAllowed || seen>>kind&1 == 1 {
			return c, SectionUnreadable, reads
		}
		if seen |= 1 << kind; kind == segmentDisclosed {
			c.disclosed = disclosed
		}
	}
	return c, Nothing, reads
}

// canadaVendors reads what follows the fixed fields. Strings without publisher
// restrictions are older.
func (b *bitReader) canadaVendors(c *core, vendor uint16, ids coding) bool {
	var fine [2]bool
	c.consented, fine[0] = b.vendors(vendor, ids)
	c.interested, fine[1] = b.vendors(vendor, ids)
	c.restrictions = restrictions{}
	if fine != [2]bool{true, true} {
		return false
	}
	if b.left() < 12 {
		return b.padded()
	}
	var ok bool
	c.restrictions, ok = b.restrictions(vendor, ids)
	return ok
}

// readCanada judges a TCF Canada string as it concerns the vendor.
func readCanada(text []byte, vendor uint16) tcf {
	c, problem, _ := parseCanada(text, vendor)
	switch {
	case problem != Nothing:
	case c.misfit:
		problem = SectionUnreadable
	case c.fields[caCMP] <= 1:
		problem = TCFUnregistered
	default:
		return c.judge(vendor, true)
	}
	return tcf{problem: problem}
}
