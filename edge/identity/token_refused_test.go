package identity

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTokenEveryBitCounts(t *testing.T) {
	s := testSecret(t, 0)
	tokens := NewTokens(s)
	var back Grant
	// Three lengths: base64 ends with no, two or four spare bits.
	for _, shown := range []int{0, 1, 2} {
		for keys := range 3 {
			token := tokens.Append(nil, testGrant(NewHasher(s), keys, shown))
			for bit := range len(token) * 8 {
				forged := bytes.Clone(token)
				forged[bit/8] ^= 1 << (bit % 8)
				refused(t, tokens, &back, forged, ErrTokenForged, ErrTokenMalformed)
			}
			raw, err := encoding.AppendDecode(nil, token)
			if err != nil {
				t.Fatal(err)
			}
			for bit := range len(raw) * 8 {
				forged := bytes.Clone(raw)
				forged[bit/8] ^= 1 << (bit % 8)
				wants := []error{ErrTokenForged}
				if bit < 8 { // the version and the epoch
					wants = append(wants, ErrTokenMalformed)
				}
				refused(t, tokens, &back, encoding.AppendEncode(nil, forged), wants...)
			}
		}
	}
}

// refused fails unless the token is refused with one of these errors and gives nothing away.
func refused(t *testing.T, tokens *Tokens, g *Grant, token []byte, wants ...error) {
	t.Helper()
	err := tokens.Open(g, token, testNow)
	if !slices.ContainsFunc(wants, func(want error) bool { return errors.Is(err, want) }) {
		t.Fatalf("open %q: %v, want one of %v", token, err, wants)
	}
	if g.Issued != 0 || g.Nonce != 0 || g.Store || len(g.Keys) != 0 || len(g.Shown) != 0 {
		t.Fatalf("a refused token left %+v", g)
	}
}

func TestTokenEveryLengthCounts(t *testing.T) {
	s := testSecret(t, 0)
	tokens := NewTokens(s)
	token := tokens.Append(nil, testGrant(NewHasher(s), MaxTokenKeys, MaxTokenShown))
	var back Grant
	for n := range token {
		refused(t, tokens, &back, token[:n], ErrTokenForged, ErrTokenMalformed)
	}
	for _, longer := range []string{"A", "AA", "=", "==", "\n", "\r\n", strings.Repeat("A", MaxTokenBytes)} {
		refused(t, tokens, &back, append(bytes.Clone(token), longer...), ErrTokenForged, ErrTokenMalformed)
	}
	for _, at := range []int{0, 1, 17, len(token) - 1} {
		refused(t, tokens, &back, slices.Insert(bytes.Clone(token), at, '\n'), ErrTokenMalformed)
	}
}

func TestTokenOfAnotherCluster(t *testing.T) {
	a, b := testSecret(t, 0), testSecret(t, 1)
	var back Grant
	// The same start in both, so that only the secret differs.
	token := newTokens(a, 42).Append(nil, testGrant(NewHasher(a), 2, 1))
	refused(t, newTokens(b, 42), &back, token, ErrTokenForged)
}

func TestTokenTime(t *testing.T) {
	s := testSecret(t, 0)
	tokens := NewTokens(s)
	var back Grant
	for _, c := range []struct {
		name        string
		issued, now uint32
		want        error
	}{
		{"at once", testNow, testNow, nil},
		{"a day", testNow, testNow + TokenSeconds, nil},
		{"over a day", testNow, testNow + TokenSeconds + 1, ErrTokenExpired},
		{"a year", testNow, testNow + 365*secondsPerDay, ErrTokenExpired},
		{"a little ahead", testNow + TokenSkewSeconds, testNow, nil},
		{"from the future", testNow + TokenSkewSeconds + 1, testNow, ErrTokenExpired},
		{"beginning of time", 0, 0, nil},
		{"end of time", 1<<32 - 1, 1<<32 - 1, nil},
		{"no wrap", 1<<32 - 1, 0, ErrTokenExpired},
		{"no wrap back", 0, 1<<32 - 1, ErrTokenExpired},
	} {
		g := testGrant(NewHasher(s), 1, 1)
		g.Issued = c.issued
		token := tokens.Append(nil, g)
		if err := tokens.Open(&back, token, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		} else if c.want == nil && !sameGrant(&back, g) {
			t.Errorf("%s: %+v", c.name, back)
		}
	}
}

// A body that this version did not write is refused even though it is sealed well.
func TestTokenStrangeBody(t *testing.T) {
	s := testSecret(t, 0)
	tokens := newTokens(s, 42)
	seal := func(body []byte) []byte {
		head := make([]byte, headSize)
		head[0] = tokenVersion
		binary.BigEndian.PutUint64(head[1:], 42)
		binary.BigEndian.PutUint16(head[9:], testNow/secondsPerDay)
		head[headSize-1] = 9
		nonce := make([]byte, gcmNonceSize)
		nonce[gcmNonceSize-1] = 9
		aead := tokens.keys.get(0, 42, testNow/secondsPerDay).aead
		return encoding.AppendEncode(nil, aead.Seal(bytes.Clone(head), nonce, body, head))
	}
	body := func(flags, keys, shown, channel byte, rest ...byte) []byte {
		b := binary.BigEndian.AppendUint32(nil, testNow)
		return append(append(b, flags, 0, 60, keys, shown, channel), rest...)
	}
	zeros := func(n int) []byte { return make([]byte, n) }
	named := func(which byte, names ...byte) []byte { return append(append(zeros(8), which), names...) }
	var back Grant
	good := body(1, 1, 1, 3, append(append([]byte("web"), zeros(16)...), named(2, 0, 0, 0, 0, 0, 0, 0, 9)...)...)
	if err := tokens.Open(&back, seal(good), testNow); err != nil || !back.Store || string(back.Channel) != "web" || back.Shown[0].Item != 9 {
		t.Fatalf("a good body is refused: %v, %+v", err, back)
	}
	for _, said := range []byte{0, 1, 2, 30 << 1, 63<<1 | 1, 128, 128 | 5<<1, 255} { // of a token from before there were retentions bit 0 only
		if err := tokens.Open(&back, seal(body(said, 0, 0, 0)), testNow); err != nil || back.Store != (said&1 == 1) || back.Retention != said>>1&63 || back.Uncounted != (said >= 128) {
			t.Errorf("%08b: %v, %+v", said, err, back)
		}
	}
	if err := tokens.Open(&back, seal(body(1, 0, 0, 0x81, 0x81, 2, 'x')), testNow); err != nil || back.Market != 0x8102 || !back.Store || string(back.Channel) != "x" {
		t.Errorf("with a market: %v, %+v", err, back)
	}
	for _, bad := range [][]byte{
		good[:len(good)-1], append(bytes.Clone(good), 0), body(0, 2, 0, 0, zeros(16)...), body(0, 0, 0, 0x80), body(0, 0, 0, 0x80, 0, 0), body(0, 0, 0, 0x80, 0, 1, 2), body(0, 0, 0, 0x81, 0, 1), body(0, 0, 0, 0, 0, 1),
		body(0, 17, 0, 0, zeros(17*16)...), body(0, 0, 33, 0, zeros(33*9)...), body(0, 255, 255, 255),
		body(0, 0, 0, 65, zeros(65)...), body(0, 0, 1, 0, named(16)...), body(0, 0, 1, 0, named(1, zeros(8)...)...),
		body(0, 0, 1, 0, named(1)...), body(0, 0, 2, 0, named(15, bytes.Repeat([]byte{1}, 8)...)...),
	} {
		refused(t, tokens, &back, seal(bad), ErrTokenMalformed)
	}
}
