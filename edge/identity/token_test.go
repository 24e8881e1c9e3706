package identity

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

const testNow = 1_800_000_000

func testGrant(h *Hasher, keys, shown int) *Grant {
	g := &Grant{Issued: testNow, Store: true, HeldSeconds: 7200, Channel: []byte("web")}
	for i := range keys {
		g.Keys = append(g.Keys, h.Key("user.id", []byte{byte(i)}))
	}
	for i := range shown {
		s := Shown{Campaign: uint32(i) * 0x01010101, Candidate: ^uint32(i)}
		if i < 3 { // one has all names, the others some or none
			s.Names = Names{Creative: uint64(3 - i), Item: uint64(2-i) << 40, Category: 7 * uint64(1-i%2), Run: uint64(2 - i)}
		}
		g.Shown = append(g.Shown, s)
	}
	return g
}

func sameGrant(a, b *Grant) bool {
	return a.Issued == b.Issued && a.Nonce == b.Nonce && a.Store == b.Store && a.Retention == b.Retention && a.Uncounted == b.Uncounted && a.HeldSeconds == b.HeldSeconds && a.Market == b.Market &&
		bytes.Equal(a.Channel, b.Channel) &&
		slices.Equal(a.Keys, b.Keys) && slices.Equal(a.Shown, b.Shown)
}

func TestTokenRoundTrip(t *testing.T) {
	s := testSecret(t, 0)
	h, tokens, peer := NewHasher(s), NewTokens(s), NewTokens(s)
	var back Grant
	for _, c := range []struct{ keys, shown, longest int }{
		{0, 0, 70}, {1, 1, 145}, {3, 1, 200}, {3, 5, 320}, {MaxTokenKeys, MaxTokenShown, MaxTokenBytes},
	} {
		g := testGrant(h, c.keys, c.shown)
		g.Store, g.Retention, g.Uncounted = c.keys%2 == 1, uint8(c.keys*4%64), c.keys%3 == 1
		g.Market = uint16(c.keys * c.shown * 127) // 0, 127, up to 65,024
		token := tokens.Append([]byte("t="), g)
		if !bytes.HasPrefix(token, []byte("t=")) {
			t.Fatal("Append does not append")
		}
		token = token[2:]
		if len(token) > c.longest || len(token) > MaxTokenBytes {
			t.Errorf("%d keys, %d shown: %d bytes", c.keys, c.shown, len(token))
		}
		for _, b := range token {
			if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", rune(b)) {
				t.Fatalf("token is not safe in a URL: %q", token)
			}
		}
		kept := bytes.Clone(token)
		for _, node := range []*Tokens{tokens, peer} { // peer: another process, the same secret
			if err := node.Open(&back, token, testNow); err != nil || !sameGrant(&back, g) {
				t.Fatalf("open: %v\n got %+v\nwant %+v", err, back, g)
			}
		}
		if !bytes.Equal(token, kept) {
			t.Fatal("Open changed the token")
		}
		for i := range token {
			token[i] = 'A' // the buffer goes back to the server
		}
		if !sameGrant(&back, g) {
			t.Fatal("the grant aliases the token")
		}
	}
}

func TestTokenHidesItsKeys(t *testing.T) {
	s := testSecret(t, 0)
	g := testGrant(NewHasher(s), 2, 2)
	tokens := NewTokens(s)
	raw, err := encoding.AppendDecode(nil, tokens.Append(nil, g))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range g.Keys {
		if bytes.Contains(raw, k[:4]) {
			t.Error("a key is readable")
		}
	}
	if a, b := tokens.Append(nil, g), tokens.Append(nil, g); bytes.Equal(a[24:], b[24:]) {
		t.Error("two tokens of one grant are alike beyond their head")
	}
}

// The nonce is known before the token is sealed, and no two tokens share one,
// however Begin and Append are called.
func TestTokenBegin(t *testing.T) {
	s := testSecret(t, 0)
	tokens := NewTokens(s)
	g, back := testGrant(NewHasher(s), 1, 1), &Grant{}
	tokens.Begin(g, testNow+60)
	begun := g.Nonce
	seen := map[uint64]bool{}
	for range 3 {
		token := tokens.Append(nil, g)
		if err := tokens.Open(back, token, testNow); err != nil || !sameGrant(g, back) || back.Issued != testNow+60 {
			t.Fatalf("open: %v, %+v, want %+v", err, back, g)
		}
		seen[back.Nonce] = true
	}
	if !seen[begun] || len(seen) != 3 {
		t.Errorf("3 tokens have %d nonces, begun one among them: %v", len(seen), seen[begun])
	}
}

// However many candidates there are, the token keeps to its length, every candidate
// is in it, and the first ones with all their names.
func TestTokenRoomForNames(t *testing.T) {
	s := testSecret(t, 0)
	tokens := NewTokens(s)
	for keys := range MaxTokenKeys + 1 {
		g := testGrant(NewHasher(s), keys, MaxTokenShown)
		g.Channel = bytes.Repeat([]byte("c"), MaxTokenChannel)
		for i := range g.Shown {
			g.Shown[i].Names = Names{Creative: uint64(i + 1), Item: 2, Category: 3, Run: 4}
		}
		token := tokens.Append(nil, g)
		var back Grant
		if err := tokens.Open(&back, token, testNow); err != nil || len(token) > MaxTokenBytes || len(back.Shown) != MaxTokenShown {
			t.Fatalf("%d keys: %d bytes, %d shown, %v", keys, len(token), len(back.Shown), err)
		}
		named := 0
		for i := range back.Shown {
			if back.Shown[i].Names == g.Shown[i].Names {
				named++
			} else if back.Shown[i].Names != (Names{}) {
				t.Fatalf("half the names of a candidate: %+v", back.Shown[i])
			}
		}
		if named < 3 || back.Shown[0].Names != g.Shown[0].Names {
			t.Errorf("%d keys: only %d candidates with their names", keys, named)
		}
	}
}

func TestTokenDoesNotAllocate(t *testing.T) {
	s := testSecret(t, 0)
	h, tokens := NewHasher(s), NewTokens(s)
	for _, c := range []struct{ keys, shown int }{{1, 1}, {3, 4}, {MaxTokenKeys, MaxTokenShown}} {
		g, back, buf := testGrant(h, c.keys, c.shown), &Grant{}, make([]byte, 0, MaxTokenBytes)
		if n := testing.AllocsPerRun(200, func() { buf = tokens.Append(buf[:0], g) }); n != 0 {
			t.Errorf("Append of %d keys: %v allocations", c.keys, n)
		}
		if n := testing.AllocsPerRun(200, func() {
			if err := tokens.Open(back, buf, testNow); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("Open of %d keys: %v allocations", c.keys, n)
		}
		buf[30] ^= 1
		if n := testing.AllocsPerRun(200, func() {
			if err := tokens.Open(back, buf, testNow); err == nil {
				t.Fatal("a forged token was opened")
			}
		}); n != 0 {
			t.Errorf("Open of a forged token: %v allocations", n)
		}
	}
}

// Forgers and old tokens must not push the keys in use out of the table.
func TestSubkeysKeepWhatIsUsed(t *testing.T) {
	s := testSecret(t, 0)
	tokens := newTokens(s, 42)
	token := tokens.Append(nil, testGrant(NewHasher(s), 1, 1))
	raw, err := encoding.AppendDecode(nil, token)
	if err != nil {
		t.Fatal(err)
	}
	used := tokens.keys.get(0, 42, testNow/secondsPerDay)
	var back Grant
	for i := range 5000 {
		binary.BigEndian.PutUint64(raw[1:], uint64(i)+1000)
		refused(t, tokens, &back, encoding.AppendEncode(nil, raw), ErrTokenForged)
		if i%50 == 0 {
			old := testGrant(NewHasher(s), 1, 1)
			old.Issued -= 365 * secondsPerDay
			refused(t, tokens, &back, newTokens(s, uint64(i)).Append(nil, old), ErrTokenExpired)
		}
	}
	if tokens.keys.get(0, 42, testNow/secondsPerDay) != used {
		t.Error("the key in use was pushed out")
	}
	// More live processes than slots: every token still opens.
	for i := range 600 {
		g := testGrant(NewHasher(s), 1, 1)
		if err := tokens.Open(&back, newTokens(s, uint64(i)).Append(nil, g), testNow); err != nil || !sameGrant(&back, g) {
			t.Fatalf("process %d: %v", i, err)
		}
	}
}

// A grant that was begun and then used to open another token begins anew: its
// nonce would else be the opened token's.
func TestTokenBegunThenOpened(t *testing.T) {
	s := testSecret(t, 0)
	tokens := NewTokens(s)
	other := tokens.Append(nil, testGrant(NewHasher(s), 1, 1))
	g, back := testGrant(NewHasher(s), 1, 1), &Grant{}
	tokens.Begin(g, testNow)
	if err := tokens.Open(g, other, testNow); err != nil {
		t.Fatal(err)
	}
	opened := g.Nonce
	token := tokens.Append(nil, g)
	if err := tokens.Open(back, token, testNow); err != nil || back.Nonce != g.Nonce || g.Nonce == opened {
		t.Errorf("sealed as %x, opened as %x, the other is %x: %v", g.Nonce, back.Nonce, opened, err)
	}
}

func TestTokenPanicsOverItsBounds(t *testing.T) {
	s := testSecret(t, 0)
	for _, g := range []*Grant{{Keys: make([]Key, MaxTokenKeys+1)}, {Shown: make([]Shown, MaxTokenShown+1)}, {Retention: MaxTokenRetention + 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			NewTokens(s).Append(nil, g)
		}()
	}
}

func FuzzOpen(f *testing.F) {
	s := rotated(f, 0, 2)
	tokens := newTokens(s, 42)
	f.Add(newTokens(testSecret(f, 0), 43).Append(nil, testGrant(NewHasher(s), 2, 2)))
	for _, n := range []int{0, 1, 3, 16} {
		f.Add(newTokens(s, 43).Append(nil, testGrant(NewHasher(s), n, n)))
	}
	f.Add([]byte(""))
	f.Add([]byte("AQ"))
	f.Add(bytes.Repeat([]byte("A"), MaxTokenBytes+1))
	var g Grant
	f.Fuzz(func(t *testing.T, token []byte) {
		kept := bytes.Clone(token)
		err := tokens.Open(&g, token, testNow)
		if !bytes.Equal(kept, token) {
			t.Fatal("Open changed the token")
		}
		switch {
		case err == nil:
			// Only the seeds can be sealed well; whatever opens is spelled in one way.
			if len(g.Keys) > MaxTokenKeys || len(g.Shown) > MaxTokenShown || g.Issued != testNow {
				t.Fatalf("opened %+v", g)
			}
		case !errors.Is(err, ErrTokenMalformed) && !errors.Is(err, ErrTokenForged) && !errors.Is(err, ErrTokenExpired):
			t.Fatalf("strange error %v", err)
		case len(g.Keys) != 0 || len(g.Shown) != 0 || g.Nonce != 0:
			t.Fatalf("a refused token left %+v", g)
		}
	})
}
