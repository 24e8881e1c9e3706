package consent

import (
	"bytes"

	"github.com/prebid/go-gdpr/consentconstants"
	"github.com/prebid/go-gdpr/vendorconsent"
	decoder "github.com/prebid/go-gdpr/vendorconsent/tcf2"
)

// confirmed asks the field's own decoder, which shares no code with this package,
// for all that a verdict rests on, and says whether the two agree. It is asked only
// of strings that this package could walk to the end, since it reads out of bounds
// in some that end early. It cannot list restrictions, keeps the last of two for
// one purpose and type, and does not look at segments after the core.
func confirmed(text []byte, vendor uint16, c *core) bool {
	first, _, _ := bytes.Cut(text, dot)
	parsed, err := vendorconsent.ParseString(string(first))
	if err != nil {
		return false
	}
	theirs, ok := parsed.(decoder.ConsentMetadata)
	if !ok {
		panic("BUG: go-gdpr returns another type than its own")
	}
	if vendor != 0 && (theirs.VendorConsent(vendor) != c.consented || theirs.VendorLegitInterest(vendor) != c.interested) {
		return false
	}
	r := &c.restrictions
	for n := range 24 {
		p := consentconstants.Purpose(n + 1)
		if theirs.PurposeAllowed(p) != has(c.consent, n) || theirs.PurposeLITransparency(p) != has(c.interest, n) {
			return false
		}
		if vendor == 0 {
			continue
		}
		restricted := func(kind uint8) bool { return theirs.CheckPubRestriction(uint8(p), kind, vendor) }
		if (restricted(0) || restricted(3)) != has(r.never, n) ||
			restricted(1) != has(r.byConsent, n) || restricted(2) != has(r.byInterest, n) {
			return false
		}
	}
	return true
}

func has(set uint32, bit int) bool { return set>>bit&1 == 1 }
