package identity

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// Kind says what a tagged name is the name of. It is a byte, so that packages
// which do not import this one can carry it.
type Kind = byte

// The kinds of names and the namespace each is tagged in. Tags are kept on disk
// and sent between nodes: the numbers never change.
const (
	KindCampaign   Kind = 1  // namespace 0
	KindAdvertiser Kind = 2  // namespace 0
	KindCreative   Kind = 3  // namespace: the advertiser's tag
	KindItem       Kind = 4  // namespace: the advertiser's tag
	KindCategory   Kind = 5  // namespace: the advertiser's tag
	KindGroup      Kind = 6  // namespace 0
	KindAll        Kind = 7  // namespace 0, name ""
	KindChannel    Kind = 8  // namespace: the tag of a scope; gives that scope in the named channel only
	KindList       Kind = 9  // namespace 0
	KindTopic      Kind = 10 // namespace 0
)

// Tags makes tags of names and identities of exposures. It is safe for
// concurrent use and never allocates.
//
// Both are XXH3 under seeds of the secret: fast, but no keyed hash in the
// cryptographic sense, so they are for names, never for identifiers of people.
// Fields are chained, each hashed under the hash of those before it, which
// keeps their borders: ("ab", "c") is not ("a", "bc").
type Tags struct {
	seeds hidden[seeds]
}

type seeds struct{ tag, exposure uint64 }

// NewTags returns the tags of the secret's cluster.
func NewTags(s Secret) *Tags {
	b := s.derive("tags", 16)
	return &Tags{seeds: hide(seeds{
		tag:      binary.LittleEndian.Uint64(b),
		exposure: binary.LittleEndian.Uint64(b[8:]),
	})}
}

// Tag returns the tag of a name: the same for the same kind, namespace and name
// in one cluster. It is never 0, so that 0 can stand for "none".
// Two different names share a tag once in 2^64.
func (t *Tags) Tag(kind Kind, namespace uint64, name string) uint64 {
	return notZero(xxh3.HashStringSeed(name, t.frame(kind, namespace)))
}

// TagBytes is Tag for a name that is still in a buffer; the name is not kept.
func (t *Tags) TagBytes(kind Kind, namespace uint64, name []byte) uint64 {
	return notZero(xxh3.HashSeed(name, t.frame(kind, namespace)))
}

// Namespace is a kind and a namespace made ready, for tagging many names in it.
type Namespace uint64

// Namespace returns the namespace in which Namespace.Tag gives what TagBytes gives
// for the kind and the namespace.
func (t *Tags) Namespace(kind Kind, namespace uint64) Namespace {
	return Namespace(t.frame(kind, namespace))
}

// Tag returns the tag of a name; the name is not kept.
func (n Namespace) Tag(name []byte) uint64 { return notZero(xxh3.HashSeed(name, uint64(n))) }

func (t *Tags) frame(kind Kind, namespace uint64) uint64 {
	var b [9]byte
	b[0] = kind
	binary.LittleEndian.PutUint64(b[1:], namespace)
	return xxh3.HashSeed(b[:], t.seeds.get().tag)
}

func notZero(h uint64) uint64 {
	if h == 0 {
		return 1
	}
	return h
}

// Exposure returns the identity of a reported exposure: the same type, id,
// campaign, creative and item are the same exposure, wherever and however often
// they are reported. No argument is kept.
func (t *Tags) Exposure(eventType string, id, campaign, creative, item []byte) uint32 {
	return t.exposure("id", eventType, id, campaign, creative, item)
}

// Candidate tells the candidates of one answer apart, for Shown: the same names
// give the same value. No argument is kept.
func (t *Tags) Candidate(campaign, creative, item []byte) uint32 {
	return t.exposure("candidate", "", nil, campaign, creative, item)
}

// Place returns the identity of a showing that a token stands for: nonce is
// Grant.Nonce, candidate is Shown.Candidate, ordinal counts from 0 the candidates
// of the answer that have the same names. It mixes with the finaliser of
// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
// 2014); the nonce is a hash already.
func Place(nonce uint64, candidate uint32, ordinal int) uint32 {
	h := nonce ^ uint64(candidate)<<32 ^ uint64(ordinal)
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return uint32((h ^ h>>31) >> 32)
}

func (t *Tags) exposure(from, eventType string, id, campaign, creative, item []byte) uint32 {
	h := xxh3.HashStringSeed(from, t.seeds.get().exposure)
	h = xxh3.HashStringSeed(eventType, h)
	h = xxh3.HashSeed(id, h)
	h = xxh3.HashSeed(campaign, h)
	h = xxh3.HashSeed(creative, h)
	h = xxh3.HashSeed(item, h)
	return uint32(h >> 32)
}
