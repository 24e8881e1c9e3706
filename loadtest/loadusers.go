package loadtest

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
)

// LoadSource is the source of a load test's identifiers. A node keeps it outside trust
// counts, and it can be erased at once.
const LoadSource = "restraint.load"

// people are the users of a load test: a function of the run's name and a user's rank.
// For concurrent use.
type people struct {
	run         uint64 // a hash of its name
	identifiers int    // at most, 1 to 3
	ifaPercent  float64
}

func newPeople(c *LoadConfig) people {
	h := fnv.New64a()
	h.Write([]byte(c.Run))
	return people{h.Sum64(), c.Identifiers, c.IFAPercent}
}

// mix is a bijection of 64 bits (the finaliser of splitmix64, S. Vigna).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// count is how many identifiers a user has: of at most three, 60 % have one, 30 % two and
// 10 % three (chosen).
func (p *people) count(user int) int {
	draw, n := mix(p.run+uint64(user)*4)%10, 1
	if draw >= 6 {
		n = 2
	}
	if draw == 9 {
		n = 3
	}
	return min(n, p.identifiers)
}

// appendEIDs appends `"eids":[...]`: a first-party key, then one in the shape of a UID2,
// then a UUID.
func (p *people) appendEIDs(dst []byte, user int) []byte {
	seed := mix(p.run + uint64(user)*4 + 1)
	dst = append(dst, `"eids":[{"source":"`+LoadSource+`","uids":[{"id":"u`...)
	dst = appendHex(dst, seed)
	dst = append(dst, `","atype":1}`...)
	n := p.count(user)
	if n > 1 {
		var raw [32]byte
		for i := range 4 {
			binary.LittleEndian.PutUint64(raw[8*i:], mix(seed+uint64(i)+1))
		}
		dst = append(dst, `,{"id":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, raw[:])
		dst = append(dst, `","atype":3}`...)
	}
	if n > 2 {
		dst = append(dst, `,{"id":"`...)
		dst = appendUUID(dst, mix(seed+5), mix(seed+6))
		dst = append(dst, `","atype":1}`...)
	}
	return append(dst, `]}]`...)
}

// hasIFA says whether a user has a device identifier.
func (p *people) hasIFA(user int) bool {
	return p.ifaPercent > 0 && float64(mix(p.run+uint64(user)*4+2)%10_000) < p.ifaPercent*100
}

// appendIFA appends `"ifa":"..."`.
func (p *people) appendIFA(dst []byte, user int) []byte {
	seed := mix(p.run + uint64(user)*4 + 3)
	dst = append(dst, `"ifa":"`...)
	dst = appendUUID(dst, seed, mix(seed))
	return append(dst, '"')
}

func appendHex(dst []byte, v uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[v>>shift&15])
	}
	return dst
}

// appendUUID appends a random UUID (version 4).
func appendUUID(dst []byte, high, low uint64) []byte {
	var hex [32]byte
	text := appendHex(appendHex(hex[:0], high), low)
	text[12], text[16] = '4', "89ab"[low>>60&3]
	for i, end := range [...]int{8, 12, 16, 20, 32} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = append(dst, text[[...]int{0, 8, 12, 16, 20}[i]:end]...)
	}
	return dst
}
