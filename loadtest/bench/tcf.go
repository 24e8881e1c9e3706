package main

import "encoding/base64"

// tcfBits writes the fields of a TCF string, most significant bit first.
type tcfBits struct {
	bytes []byte
	used  int
}

func (b *tcfBits) number(bits int, v uint64) {
	for i := bits - 1; i >= 0; i-- {
		if b.used%8 == 0 {
			b.bytes = append(b.bytes, 0)
		}
		b.bytes[b.used/8] |= byte(v>>i&1) << (7 - b.used%8)
		b.used++
	}
}

// consentString is a TCF v2 core string that permits every purpose to some of 400
// vendors, about 200 characters, another one for each n (IAB Tech Lab, "Consent string
// and vendor list formats v2", the core string).
func consentString(n int) string {
	const vendors, created = 400, 17_900_000_000 // deciseconds
	var b tcfBits
	b.number(6, 2)            // version
	b.number(36, created)     // created
	b.number(36, created)     // last updated
	b.number(12, 10)          // consent management platform
	b.number(12, 1)           // its version
	b.number(6, 1)            // screen
	b.number(12, 4<<6|13)     // language EN
	b.number(12, 300)         // vendor list version
	b.number(6, 5)            // policy version
	b.number(2, 2)            // service specific, standard texts
	b.number(12, 0)           // special features
	b.number(24, 0xFFE000)    // purposes 1 to 11, consent
	b.number(24, 0x43C000)    // purposes 2 and 7 to 10, legitimate interest: the others need consent
	b.number(1, 0)            // purpose one treatment
	b.number(12, 3<<6|4)      // publisher's country DE
	b.number(16, vendors)     // vendors, consent: a bit each
	b.number(1, 0)            //
	for id := range vendors { // all but one of three, which one depends on n
		b.number(1, uint64(btoi((id*2654435761+n)>>3&3 != 0)))
	}
	b.number(16, vendors) // vendors, legitimate interest
	b.number(1, 0)
	for id := range vendors {
		b.number(1, uint64(btoi(id < 20 && n>>id&1 == 1 || (id+n)%7 == 0)))
	}
	b.number(12, 0) // publisher restrictions
	return base64.RawURLEncoding.EncodeToString(b.bytes)
}

func btoi(v bool) int {
	if v {
		return 1
	}
	return 0
}
