package identity

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/zeebo/xxh3"
)

// Bounds of a token.
const (
	// MaxTokenKeys is how many user keys a token carries at most.
	MaxTokenKeys = 16
	// MaxTokenShown is how many candidates a token carries at most.
	MaxTokenShown = 32
	// MaxTokenBytes is the longest token that Open looks at. The longest that
	// Append makes has 736 bytes.
	MaxTokenBytes = 1024
	// TokenSeconds is how long a token is good for.
	TokenSeconds = 24 * 60 * 60
	// TokenSkewSeconds is how far ahead of the opening node's clock a token may have been issued.
	TokenSkewSeconds = 5 * 60
)

// Errors of Tokens.Open.
var (
	// ErrTokenMalformed: not a token at all: its length, alphabet or version.
	ErrTokenMalformed = errors.New("the token is malformed")
	// ErrTokenForged: not sealed under this cluster's secret, or changed since.
	ErrTokenForged = errors.New("the token is forged or of another cluster")
	// ErrTokenExpired: sealed by this cluster, but over TokenSeconds ago, or
	// more than TokenSkewSeconds from now.
	ErrTokenExpired = errors.New("the token has expired")
)

// Shown is a candidate that was answered "show".
type Shown struct {
	Campaign  uint32 // the upper half of the campaign's tag; see ShownCampaign
	Candidate uint32 // what tells the candidates of one campaign apart, chosen by the caller
}

// ShownCampaign is how a campaign's tag stands in a Shown.
func ShownCampaign(tag uint64) uint32 { return uint32(tag >> 32) }

// Grant is what a token stands for: one person and what one answer showed.
// It is for one goroutine at a time. Append and Open use memory that belongs to
// it, so keep Grants and reuse them. Never copy one: a copy shares that memory, and
// one copied between Begin and Append would seal two tokens under one GCM nonce.
type Grant struct {
	// Issued is the Unix second of the answer.
	Issued uint32
	// Nonce is unique to the token (but for 64-bit chance) in the cluster.
	// Begin and Open set it; exposures reported with the token derive from it
	// (Place).
	Nonce uint64
	// Keys are the person's user keys, at most MaxTokenKeys.
	Keys []Key
	// Shown are the candidates, at most MaxTokenShown.
	Shown []Shown
	// Store says whether the person permitted that showings are remembered.
	Store bool

	count   uint64 // of the tokens of this start
	begun   bool   // count and Nonce are those of the token to be sealed
	scratch []byte
}

// The bytes of a token, before base64url without padding (RFC 4648, section 5).
// The head is readable and names no person; it is authenticated with the rest.
//
//	 0   1  version, 1
//	 1   8  start: random, of the node's process
//	 9   2  day: Unix day of issue, big endian (good to 2149)
//	11   6  count: of the tokens of this start, big endian
//	17   …  AES-256-GCM of the body, tag of 16 bytes at the end
//
// The body:
//
//	0   4  issued, Unix seconds, big endian
//	4   1  flags: bit 0 store
//	5   1  number of keys k
//	6   1  number of shown s
//	7  16k keys
//	    8s shown: campaign, candidate, big endian
//
// Key: HKDF of the secret over (start, day). Nonce: four zero bytes and the
// count as 64 bits. So a nonce repeats under one key only if two processes draw
// the same start on one day (2^-64 for a pair), and a key seals the tokens of
// one process in one day: far under the 2^32 or so at which GCM wants a new one.
const (
	tokenVersion   = 1
	headSize       = 1 + 8 + 2 + 6
	bodyFixed      = 4 + 1 + 1 + 1
	shownSize      = 8
	gcmNonceSize   = 12
	gcmTagSize     = 16
	secondsPerDay  = 24 * 60 * 60
	maxBody        = bodyFixed + MaxTokenKeys*len(Key{}) + MaxTokenShown*shownSize
	maxSealed      = headSize + maxBody + gcmTagSize
	minSealed      = headSize + bodyFixed + gcmTagSize
	flagStore      = 1
	countBits      = 48
	maxTokenDecode = MaxTokenBytes * 3 / 4
)

// encoding refuses stray bits at the end, so that one token has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// Tokens seals and opens the tokens of one cluster. It is safe for concurrent
// use. One process needs one: each draws a start of its own.
type Tokens struct {
	keys  *subkeys
	start uint64
	seed  uint64
	count atomic.Uint64
}

// NewTokens returns the tokens of the secret's cluster, under a new random start.
func NewTokens(s Secret) *Tokens {
	var start [8]byte
	_, _ = rand.Read(start[:]) // never fails; it ends the process instead
	return newTokens(s, binary.BigEndian.Uint64(start[:]))
}

func newTokens(s Secret, start uint64) *Tokens {
	return &Tokens{
		keys:  &subkeys{root: hide([32]byte(s.derive("token", 32)))},
		start: start,
		seed:  binary.LittleEndian.Uint64(s.derive("token nonce", 8)),
	}
}

// Begin sets Issued and Nonce of the token that the next Append seals, so that the
// places of an answer can be named before all of them are known. Append begins by
// itself where Begin was not called.
func (t *Tokens) Begin(g *Grant, issued uint32) {
	g.Issued, g.begun = issued, true
	g.count = t.count.Add(1) & (1<<countBits - 1)
	_, b := g.buffers()
	g.Nonce = xxh3.HashSeed(t.appendHead(b, g), t.seed)
}

// appendHead appends the readable part of g's token.
func (t *Tokens) appendHead(b []byte, g *Grant) []byte {
	b = append(b, tokenVersion)
	b = binary.BigEndian.AppendUint64(b, t.start)
	b = binary.BigEndian.AppendUint16(b, uint16(g.Issued/secondsPerDay))
	return append(b, byte(g.count>>40), byte(g.count>>32), byte(g.count>>24), byte(g.count>>16), byte(g.count>>8), byte(g.count))
}

// Append seals g and appends the token to dst; a token is sealed once, so a
// second Append is another token with another Nonce. It does not allocate once g
// has been used and dst is large enough, except for the first token of a day.
// It panics when g holds more than MaxTokenKeys or MaxTokenShown.
func (t *Tokens) Append(dst []byte, g *Grant) []byte {
	if len(g.Keys) > MaxTokenKeys || len(g.Shown) > MaxTokenShown {
		panic("BUG: a token for more keys or candidates than it can carry")
	}
	if !g.begun {
		t.Begin(g, g.Issued)
	}
	g.begun = false
	nonce, b := g.buffers()
	b = t.appendHead(b, g)
	head := b[:headSize]

	b = binary.BigEndian.AppendUint32(b, g.Issued)
	var flags byte
	if g.Store {
		flags |= flagStore
	}
	b = append(b, flags, byte(len(g.Keys)), byte(len(g.Shown)))
	for i := range g.Keys {
		b = append(b, g.Keys[i][:]...)
	}
	for _, s := range g.Shown {
		b = binary.BigEndian.AppendUint32(b, s.Campaign)
		b = binary.BigEndian.AppendUint32(b, s.Candidate)
	}

	binary.BigEndian.PutUint64(nonce[4:], g.count)
	key := t.keys.get(t.start, uint16(g.Issued/secondsPerDay))
	t.keys.put(key)
	b = key.aead.Seal(head, nonce, b[headSize:], head)
	return encoding.AppendEncode(dst, b)
}

// Open opens a token of any node of the cluster into g, whose slices it reuses;
// now is in Unix seconds. The token is not kept and not changed. On an error
// (ErrTokenMalformed, ErrTokenForged or ErrTokenExpired) g holds nothing.
// It does not allocate once g has been used, except for the first token of each
// (process, day).
func (t *Tokens) Open(g *Grant, token []byte, now uint32) error {
	g.Issued, g.Nonce, g.Store, g.begun = 0, 0, false, false
	g.Keys, g.Shown = g.Keys[:0], g.Shown[:0]
	if len(token) > MaxTokenBytes {
		return ErrTokenMalformed
	}
	nonce, b := g.buffers()
	n, err := encoding.Decode(b[:cap(b)], token)
	// Decode skips line breaks, so the length tells whether there were any.
	if err != nil || n < minSealed || n > maxSealed || encoding.EncodedLen(n) != len(token) || b[:1][0] != tokenVersion {
		return ErrTokenMalformed
	}
	head, sealed := b[:headSize], b[headSize:n]

	key := t.keys.get(binary.BigEndian.Uint64(head[1:]), binary.BigEndian.Uint16(head[9:]))
	copy(nonce[6:], head[11:headSize])
	body, err := key.aead.Open(sealed[:0], nonce, sealed, head)
	if err != nil {
		return ErrTokenForged
	}
	issued := binary.BigEndian.Uint32(body)
	if int64(now)-int64(issued) > TokenSeconds || int64(issued)-int64(now) > TokenSkewSeconds {
		return ErrTokenExpired
	}
	// Kept from here only: neither forgers nor old tokens push out the keys in use.
	t.keys.put(key)
	if !g.parse(body) {
		return ErrTokenMalformed
	}
	g.Nonce = xxh3.HashSeed(head, t.seed)
	return nil
}

// parse reads an authenticated body.
func (g *Grant) parse(b []byte) bool {
	keys, shown := int(b[5]), int(b[6])
	if keys > MaxTokenKeys || shown > MaxTokenShown || b[4]&^flagStore != 0 ||
		len(b) != bodyFixed+keys*len(Key{})+shown*shownSize {
		return false
	}
	g.Issued = binary.BigEndian.Uint32(b)
	g.Store = b[4]&flagStore != 0
	b = b[bodyFixed:]
	for ; keys > 0; keys-- {
		g.Keys = append(g.Keys, Key(b[:16]))
		b = b[16:]
	}
	for ; shown > 0; shown-- {
		g.Shown = append(g.Shown, Shown{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])})
		b = b[shownSize:]
	}
	return true
}

// buffers returns a zeroed GCM nonce and an empty buffer for a decoded token.
// They live on the heap with g, as what is passed to a cipher.AEAD does anyway.
func (g *Grant) buffers() (nonce, b []byte) {
	if g.scratch == nil {
		g.scratch = make([]byte, gcmNonceSize+maxTokenDecode)
	}
	nonce = g.scratch[:gcmNonceSize:gcmNonceSize]
	clear(nonce)
	return nonce, g.scratch[gcmNonceSize:gcmNonceSize]
}
