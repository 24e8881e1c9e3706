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
	// MaxTokenBytes is the longest token that Append makes and Open looks at.
	MaxTokenBytes = 1024
	// MaxTokenChannel is the longest channel that a token carries.
	MaxTokenChannel = 64
	// MaxTokenRetention is the largest code of a retention that a token carries.
	MaxTokenRetention = 63
	// MaxTokenMarket is the largest number of a market that a token carries.
	MaxTokenMarket = 1<<16 - 1
	// TokenSeconds is how long a token is good for.
	TokenSeconds = 24 * 60 * 60
	// TokenSkewSeconds is how far ahead of the opening node's clock a token may have been issued.
	TokenSkewSeconds = 5 * 60
)

// Errors of Tokens.Open.
var (
	// ErrTokenMalformed: not a token at all: its length, alphabet or version.
	ErrTokenMalformed = errors.New("the token is malformed")
	// ErrTokenForged: not sealed under this cluster's secret, in an epoch that
	// this node has not, or changed since.
	ErrTokenForged = errors.New("the token is forged or of another cluster")
	// ErrTokenExpired: sealed by this cluster, but over TokenSeconds ago, or
	// more than TokenSkewSeconds from now.
	ErrTokenExpired = errors.New("the token has expired")
)

// Shown is a candidate that was answered "show".
type Shown struct {
	Campaign  uint32 // the upper half of the campaign's tag; see ShownCampaign
	Candidate uint32 // what tells the candidates of one campaign apart: Tags.Candidate
	// Names are the tags under which the candidate is counted. A token of more
	// than a dozen candidates may have no room for those of the last.
	Names
}

// Names are tags of what a candidate names; 0: nothing that is counted.
type Names struct {
	Creative, Item, Category uint64 // the advertiser's own
	Run                      uint64 // the creative within the campaign
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
	// Channel is that of the request; at most MaxTokenChannel bytes.
	Channel []byte
	// HeldSeconds is how long after Issued the last place is held; 0: none is.
	HeldSeconds uint16
	// Store says whether the person permitted that showings are remembered.
	Store bool
	// Retention is the code of how long they are, at most MaxTokenRetention; 0: as long as the policy says.
	Retention uint8
	// Market is a number made of the name of the market in which it was decided; 0: it is not told.
	Market uint16
	// Uncounted says that the person is made up, by a load test: nothing of theirs counts in what is
	// said about campaigns.
	Uncounted bool

	count   uint64 // of the tokens of this start
	epoch   int    // in which it is sealed
	begun   bool   // count and Nonce are those of the token to be sealed
	scratch []byte
}

// The bytes of a token, before base64url without padding (RFC 4648, section 5).
// The head is readable and names no person; it is authenticated with the rest.
//
//	 0   1  version, 1, and the epoch in which it is sealed: 1 is epoch 0
//	 1   8  start: random, of the node's process
//	 9   2  day: Unix day of issue, big endian (good to 2149)
//	11   6  count: of the tokens of this start, big endian
//	17   …  AES-256-GCM of the body, tag of 16 bytes at the end
//
// The body:
//
//	 0    4  issued, Unix seconds, big endian
//	 4    1  bit 0 store, bits 1 to 6 retention, bit 7 uncounted
//	 5    2  held: seconds after issue, big endian
//	 7    1  number of keys k
//	 8    1  number of shown s
//	 9    1  length of channel c; bit 7: a market follows
//	10 0, 2  market, big endian, not 0
//	      c  channel
//	    16k  keys
//	      …  shown, each: 4 campaign, 4 candidate, big endian,
//	         1 which names follow (bit 0 creative, 1 item, 2 category, 3 run),
//	         8 each of them, big endian
//
// Key: HKDF of the epoch's secret over (start, day). Nonce: four zero bytes and the
// count as 64 bits. So a nonce repeats under one key only if two processes draw
// the same start on one day (2^-64 for a pair), and a key seals the tokens of
// one process in one day: far under the 2^32 or so at which GCM wants a new one.
const (
	tokenVersion  = 1
	headSize      = 1 + 8 + 2 + 6
	bodyFixed     = 4 + 1 + 2 + 1 + 1 + 1
	shownSize     = 4 + 4 + 1 // without names
	gcmNonceSize  = 12
	gcmTagSize    = 16
	secondsPerDay = 24 * 60 * 60
	maxSealed     = MaxTokenBytes * 3 / 4
	maxBody       = maxSealed - headSize - gcmTagSize
	minSealed     = headSize + bodyFixed + gcmTagSize
	flagStore     = 1
	// A token of before there were retentions has none; a node of then refuses a token with one.
	retentionShift = 1
	flagUncounted  = 0x80
	flagMarket     = 0x80 // likewise of before there were counts
	countBits      = 48
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

// NewTokens returns the tokens of the secret's cluster, under a new random start. They
// are sealed in the active epoch, and opened in every one. Their Nonce is
// of the first secret, so that a showing keeps its identity through all epochs.
func NewTokens(s Secret) *Tokens {
	var start [8]byte
	_, _ = rand.Read(start[:]) // never fails; it ends the process instead
	return newTokens(s, binary.BigEndian.Uint64(start[:]))
}

func newTokens(s Secret, start uint64) *Tokens {
	return &Tokens{
		keys:  &subkeys{epochs: s.epochs},
		start: start,
		seed:  binary.LittleEndian.Uint64(s.derive("token nonce", 8)),
	}
}

// Begin sets Issued and Nonce of the token that the next Append seals, so that the
// places of an answer can be named before all of them are known. Append begins by
// itself where Begin was not called.
func (t *Tokens) Begin(g *Grant, issued uint32) {
	g.Issued, g.begun = issued, true
	g.epoch = t.keys.epochs.now.Load().active
	g.count = t.count.Add(1) & (1<<countBits - 1)
	_, b := g.buffers()
	g.Nonce = xxh3.HashSeed(t.appendHead(b, g), t.seed)
}

// appendHead appends the readable part of g's token.
func (t *Tokens) appendHead(b []byte, g *Grant) []byte {
	b = append(b, tokenVersion+byte(g.epoch))
	b = binary.BigEndian.AppendUint64(b, t.start)
	b = binary.BigEndian.AppendUint16(b, uint16(g.Issued/secondsPerDay))
	return append(b, byte(g.count>>40), byte(g.count>>32), byte(g.count>>24), byte(g.count>>16), byte(g.count>>8), byte(g.count))
}

// Append seals g and appends the token to dst; a token is sealed once, so a
// second Append is another token with another Nonce. It does not allocate once g
// has been used and dst is large enough, except for the first token of a day.
// It panics when g holds more than MaxTokenKeys or MaxTokenShown, or a larger code than MaxTokenRetention.
func (t *Tokens) Append(dst []byte, g *Grant) []byte {
	if len(g.Keys) > MaxTokenKeys || len(g.Shown) > MaxTokenShown || len(g.Channel) > MaxTokenChannel || g.Retention > MaxTokenRetention {
		panic("BUG: a token for more keys or candidates, a longer channel or a larger code, than it can carry")
	}
	if !g.begun {
		t.Begin(g, g.Issued)
	}
	g.begun = false
	nonce, b := g.buffers()
	b = t.appendHead(b, g)
	head := b[:headSize]

	b = binary.BigEndian.AppendUint32(b, g.Issued)
	var said byte
	if g.Store {
		said |= flagStore
	}
	if g.Uncounted {
		said |= flagUncounted
	}
	b = append(b, said|g.Retention<<retentionShift)
	b = binary.BigEndian.AppendUint16(b, g.HeldSeconds)
	b = append(b, byte(len(g.Keys)), byte(len(g.Shown)), byte(len(g.Channel)))
	if g.Market != 0 {
		b[len(b)-1] |= flagMarket
		b = binary.BigEndian.AppendUint16(b, g.Market)
	}
	b = append(b, g.Channel...)
	for i := range g.Keys {
		b = append(b, g.Keys[i][:]...)
	}
	for i := range g.Shown {
		s := &g.Shown[i]
		b = binary.BigEndian.AppendUint32(b, s.Campaign)
		b = binary.BigEndian.AppendUint32(b, s.Candidate)
		further := (len(g.Shown) - i) * shownSize
		b = s.appendNames(b, headSize+maxBody-len(b)-further+shownSize-1)
	}

	binary.BigEndian.PutUint64(nonce[4:], g.count)
	key := t.keys.get(g.epoch, t.start, uint16(g.Issued/secondsPerDay))
	if key == nil {
		panic("BUG: the epoch in use has no secret")
	}
	t.keys.put(key)
	b = key.aead.Seal(head, nonce, b[headSize:], head)
	return encoding.AppendEncode(dst, b)
}

// appendNames appends which names there are, and the names; none where they do
// not fit into room bytes.
func (n *Names) appendNames(b []byte, room int) []byte {
	mark := len(b)
	b = append(b, 0)
	for bit, name := range [...]uint64{n.Creative, n.Item, n.Category, n.Run} {
		if name == 0 {
			continue
		}
		if len(b)+8-mark > room {
			b[mark] = 0
			return b[:mark+1]
		}
		b[mark] |= 1 << bit
		b = binary.BigEndian.AppendUint64(b, name)
	}
	return b
}

// Open opens a token of any node of the cluster into g, whose slices it reuses;
// now is in Unix seconds. The token is not kept and not changed. On an error
// (ErrTokenMalformed, ErrTokenForged or ErrTokenExpired) g holds nothing.
// It does not allocate once g has been used, except for the first token of each
// (process, day).
func (t *Tokens) Open(g *Grant, token []byte, now uint32) error {
	g.empty()
	if len(token) > MaxTokenBytes {
		return ErrTokenMalformed
	}
	nonce, b := g.buffers()
	n, err := encoding.Decode(b[:cap(b)], token)
	// Decode skips line breaks, so the length tells whether there were any.
	if err != nil || n < minSealed || n > maxSealed || encoding.EncodedLen(n) != len(token) || b[:1][0] < tokenVersion || b[:1][0] >= tokenVersion+MaxEpochs {
		return ErrTokenMalformed
	}
	head, sealed := b[:headSize], b[headSize:n]

	key := t.keys.get(int(head[0]-tokenVersion), binary.BigEndian.Uint64(head[1:]), binary.BigEndian.Uint16(head[9:]))
	if key == nil {
		return ErrTokenForged
	}
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
		g.empty()
		return ErrTokenMalformed
	}
	g.Nonce = xxh3.HashSeed(head, t.seed)
	return nil
}

func (g *Grant) empty() {
	g.Issued, g.Nonce, g.Store, g.Retention, g.Uncounted, g.begun, g.HeldSeconds, g.Market = 0, 0, false, 0, false, false, 0, 0
	g.Keys, g.Shown, g.Channel = g.Keys[:0], g.Shown[:0], g.Channel[:0]
}

// parse reads an authenticated body.
func (g *Grant) parse(b []byte) bool {
	keys, shown, channel, market := int(b[7]), int(b[8]), int(b[9]&^flagMarket), int(b[9]/flagMarket*2)
	if keys > MaxTokenKeys || shown > MaxTokenShown || channel > MaxTokenChannel ||
		len(b) < bodyFixed+market+channel+keys*len(Key{})+shown*shownSize {
		return false
	}
	g.Issued = binary.BigEndian.Uint32(b)
	g.Store, g.Retention, g.Uncounted = b[4]&flagStore != 0, b[4]>>retentionShift&MaxTokenRetention, b[4]&flagUncounted != 0
	g.HeldSeconds = binary.BigEndian.Uint16(b[5:])
	b = b[bodyFixed:]
	if market != 0 {
		if g.Market = binary.BigEndian.Uint16(b); g.Market == 0 {
			return false
		}
		b = b[market:]
	}
	g.Channel = append(g.Channel, b[:channel]...)
	b = b[channel:]
	for ; keys > 0; keys-- {
		g.Keys = append(g.Keys, Key(b[:16]))
		b = b[16:]
	}
	for ; shown > 0; shown-- {
		if len(b) < shownSize {
			return false
		}
		s := Shown{Campaign: binary.BigEndian.Uint32(b), Candidate: binary.BigEndian.Uint32(b[4:])}
		ok := false
		if b, ok = s.parseNames(b[shownSize-1:]); !ok {
			return false
		}
		g.Shown = append(g.Shown, s)
	}
	return len(b) == 0
}

// parseNames reads what appendNames wrote and returns what follows.
func (n *Names) parseNames(b []byte) (rest []byte, ok bool) {
	which := b[0]
	if which > 15 {
		return nil, false
	}
	b = b[1:]
	for bit, name := range [...]*uint64{&n.Creative, &n.Item, &n.Category, &n.Run} {
		if which>>bit&1 == 0 {
			continue
		}
		if len(b) < 8 {
			return nil, false
		}
		if *name = binary.BigEndian.Uint64(b); *name == 0 {
			return nil, false
		}
		b = b[8:]
	}
	return b, true
}

// buffers returns a zeroed GCM nonce and an empty buffer for a decoded token.
// They live on the heap with g, as what is passed to a cipher.AEAD does anyway.
func (g *Grant) buffers() (nonce, b []byte) {
	if g.scratch == nil {
		g.scratch = make([]byte, gcmNonceSize+maxSealed)
	}
	nonce = g.scratch[:gcmNonceSize:gcmNonceSize]
	clear(nonce)
	return nonce, g.scratch[gcmNonceSize:gcmNonceSize]
}
