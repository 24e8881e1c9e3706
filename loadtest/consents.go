package loadtest

import (
	"encoding/base64"
	"math/rand/v2"
	"time"
)

// bitWriter writes numbers of any width, highest bit first, as consent strings have
// them.
type bitWriter struct {
	bytes []byte
	n     int // bits
}

func (b *bitWriter) put(bits int, v uint64) {
	for i := bits - 1; i >= 0; i-- {
		if b.n%8 == 0 {
			b.bytes = append(b.bytes, 0)
		}
		b.bytes[b.n/8] |= byte(v>>i&1) << (7 - b.n%8)
		b.n++
	}
}

// text is the bits in base64url, filled up with zeros.
func (b *bitWriter) text() string { return base64.RawURLEncoding.EncodeToString(b.bytes) }

// Chosen: the shape of made-up consent strings.
const (
	consentVendors = 900 // highest vendor id, as of a consent to a whole vendor list
	gppEvery       = 4   // each so many-th string is a GPP string
)

// tcfString makes a valid TCF v2 string that consents to every purpose, for the vendor
// given, if any, and for most others: what an "accept all" button writes. (IAB Europe,
// "Transparency and Consent String with Global Vendor & CMP List Formats", v2.)
func tcfString(r *rand.Rand, vendor int, now time.Time) string {
	var b bitWriter
	updated := now.Add(-time.Duration(r.Int64N(int64(180 * 24 * time.Hour))))
	// The times are in tenths of a second, of midnight since policy version 5.
	day := uint64(updated.Truncate(24*time.Hour).Unix()) * 10
	b.put(6, 2)                        // version
	b.put(36, day)                     // created
	b.put(36, day)                     // last updated
	b.put(12, uint64(10+r.IntN(390)))  // CMP
	b.put(12, uint64(1+r.IntN(20)))    // its version
	b.put(6, uint64(r.IntN(4)))        // screen
	b.put(6, uint64(r.IntN(26)))       // language
	b.put(6, uint64(r.IntN(26)))       //
	b.put(12, uint64(60+r.IntN(100)))  // vendor list
	b.put(6, 5)                        // policy version
	b.put(1, 1)                        // service specific
	b.put(1, 0)                        // standard stacks
	b.put(12, 0)                       // special features
	b.put(24, (1<<24-1)&^(1<<13-1))    // consent to purposes 1 to 11
	b.put(24, 1<<22|0b11111<<13)       // legitimate interest: 2, 7 to 11
	b.put(1, 0)                        // purpose one treatment
	b.put(12, uint64(r.IntN(26)<<6|4)) // publisher's country
	for range 2 {                      // vendors with consent, with legitimate interest
		highest := max(consentVendors, vendor) - r.IntN(100)*btoi(vendor == 0)
		b.put(16, uint64(highest))
		b.put(1, 0)
		for id := 1; id <= highest; id++ {
			b.put(1, uint64(btoi(id == vendor || r.IntN(10) > 0)))
		}
	}
	b.put(12, 0) // no publisher restrictions
	return b.text()
}

// gppString makes a valid GPP string with a section for the whole of the US in which
// nothing is opted out of. (IAB Tech Lab, Global Privacy Platform; US National, version
// 1.)
func gppString(r *rand.Rand) string {
	var header, core bitWriter
	header.put(6, 3)       // type
	header.put(6, 1)       // version
	header.put(12, 1)      // one range
	header.put(1, 0)       // of one section
	header.put(5, 0b01011) // 7 = 2 + 5 in Fibonacci coding, and its end
	core.put(6, 1)
	for range 6 { // notices were given
		core.put(2, uint64(1))
	}
	for range 3 { // sale, sharing, targeted advertising: not opted out
		core.put(2, 2)
	}
	for range 12 { // sensitive data: does not apply, or not opted out
		core.put(2, uint64(2*r.IntN(2)))
	}
	core.put(4, 0)                   // no known child
	core.put(2, uint64(2*r.IntN(2))) // personal data consents
	core.put(2, uint64(1+r.IntN(2))) // covered by the MSPA, or not
	core.put(2, 2)                   // opt-out option mode
	core.put(2, 2)                   // service provider mode
	return sextets(&header) + "~" + sextets(&core)
}

// sextets is the bits in base64url with zeros filled up to six only, as GPP has them.
func sextets(b *bitWriter) string {
	for b.n%6 != 0 {
		b.put(1, 0)
	}
	n := b.n / 6
	return b.text()[:n]
}

func btoi(v bool) int {
	if v {
		return 1
	}
	return 0
}

// consent is one made-up signal: what goes into user and into regs. A GPP string is for
// people in the US, a TCF string for everybody else.
type consent struct {
	user, regs []byte
	us         bool
}

// makeConsents makes distinct signals; the vendor is the one that the policy names, or 0.
func makeConsents(n, vendor int, r *rand.Rand, now time.Time) []consent {
	seen := map[string]bool{}
	var made []consent
	for try := 0; len(made) < n && try < 20*n; try++ {
		// GPP strings of nothing but permissions are few; what is missing is made of TCF.
		if try%gppEvery == 0 {
			if text := gppString(r); !seen[text] {
				seen[text] = true
				made = append(made, consent{regs: []byte(`"gpp":"` + text + `","gpp_sid":[7]`), us: true})
			}
			continue
		}
		if text := tcfString(r, vendor, now); !seen[text] {
			seen[text] = true
			made = append(made, consent{user: []byte(`"consent":"` + text + `"`), regs: []byte(`"gdpr":1`)})
		}
	}
	return made
}
