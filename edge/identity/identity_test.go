package identity

import (
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// testSecret is the secret with bytes first, first+1, ...
func testSecret(t testing.TB, first byte) Secret {
	t.Helper()
	var b [SecretSize]byte
	for i := range b {
		b[i] = first + byte(i)
	}
	s, err := ParseSecret(b[:])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Keys, tags and exposure identities are on disk and on the wire: a change of
// any of these values is a change of format and needs a new version.
func TestPinnedVectors(t *testing.T) {
	s := testSecret(t, 0)
	h, tags := NewHasher(s), NewTags(s)
	key := func(source, id string) string {
		k := h.Key(source, []byte(id))
		return hex.EncodeToString(k[:])
	}
	tag := func(k Kind, ns uint64, name string) string { return fmt.Sprintf("%016x", tags.Tag(k, ns, name)) }
	for _, c := range []struct{ name, got, want string }{
		{"fingerprint", s.Fingerprint(), "5d181ac882634bdf"},
		{"key user.id", key("user.id", "u-123"), "cb5d3d12394c92142be89ab4079dc939"},
		{"key empty", key("", ""), "a93056706ee74398bc719b122a7513ce"},
		{"key 1 KiB", key("uidapi.com", strings.Repeat("x", 1024)), "deab42902d96d4e6323c581eb0d0eed3"},
		{"key 2 KiB", key("uidapi.com", strings.Repeat("x", 2048)), "282c82aa269dc86b6f19ee46cc936893"},
		{"tag campaign", tag(KindCampaign, 0, "spring-shoes"), "cd05b61dc89f2c10"},
		{"tag item", tag(KindItem, 7, "sku-9"), "c961863a089fc485"},
		{"tag all", tag(KindAll, 0, ""), "03a8e38ef66bc01c"},
		{"tag channel", tag(KindChannel, 1, "email"), "ad00494fe8282ac2"},
		{"exposure id", fmt.Sprintf("%08x", tags.Exposure("impression", []byte("imp-77"), []byte("c"), []byte("c-1"), []byte("i"))), "e21d12bc"},
		{"candidate", fmt.Sprintf("%08x", tags.Candidate([]byte("c"), []byte("c-1"), []byte("i"))), "785ea291"},
		{"place", fmt.Sprintf("%08x %08x", Place(77, 5, 0), Place(77, 5, 1)), "fb5d03ea bcc4ad52"},
	} {
		if c.got != c.want {
			t.Errorf("%s = %s, want %s", c.name, c.got, c.want)
		}
	}
}

func TestKeyIsUnambiguous(t *testing.T) {
	h := NewHasher(testSecret(t, 0))
	seen := map[Key]string{}
	// Every way to cut these strings into source and id, and what the length prefix itself looks like.
	for _, whole := range []string{"", "a", "abc", "user.id\x00u-1", "\x01\x00\x00\x00ab", strings.Repeat("y", 200), strings.Repeat("y", 1200)} {
		for cut := 0; cut <= len(whole); cut++ {
			k := h.Key(whole[:cut], []byte(whole[cut:]))
			name := fmt.Sprintf("%q+%q", whole[:cut], whole[cut:])
			if other, ok := seen[k]; ok {
				t.Fatalf("%s and %s have one key", name, other)
			}
			seen[k] = name
		}
	}
}

func TestKeyDependsOnSecret(t *testing.T) {
	a, b := testSecret(t, 0), testSecret(t, 1)
	if NewHasher(a).Key("ifa", []byte("x")) == NewHasher(b).Key("ifa", []byte("x")) {
		t.Error("one key under two secrets")
	}
	if NewTags(a).Tag(KindItem, 0, "x") == NewTags(b).Tag(KindItem, 0, "x") {
		t.Error("one tag under two secrets")
	}
	if a.Fingerprint() == b.Fingerprint() {
		t.Error("one fingerprint for two secrets")
	}
}

func TestTagsAreUnambiguous(t *testing.T) {
	tags := NewTags(testSecret(t, 0))
	seen := map[uint64]string{}
	for kind := KindCampaign; kind <= KindTopic; kind++ {
		for _, ns := range []uint64{0, 1, 1 << 8, 1 << 63} {
			for _, name := range []string{"", "\x00", "a", "aa", "\x01", strings.Repeat("n", 128)} {
				id := fmt.Sprintf("%d/%d/%q", kind, ns, name)
				got := tags.Tag(kind, ns, name)
				if got == 0 {
					t.Errorf("%s: tag is 0", id)
				}
				if other, ok := seen[got]; ok {
					t.Errorf("%s and %s have one tag", id, other)
				}
				seen[got] = id
				if b := tags.TagBytes(kind, ns, []byte(name)); b != got {
					t.Errorf("%s: TagBytes = %x, Tag = %x", id, b, got)
				}
			}
		}
	}
}

func TestExposureIsUnambiguous(t *testing.T) {
	tags := NewTags(testSecret(t, 0))
	seen := map[uint32]string{}
	add := func(id string, got uint32) {
		t.Helper()
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s are one exposure", id, other)
		}
		seen[got] = id
	}
	const whole = "abcd"
	for i := 0; i <= len(whole); i++ {
		for j := i; j <= len(whole); j++ {
			for k := j; k <= len(whole); k++ {
				a, b, c, d := []byte(whole[:i]), []byte(whole[i:j]), []byte(whole[j:k]), []byte(whole[k:])
				add(fmt.Sprintf("%q", [][]byte{a, b, c, d}), tags.Exposure("impression", a, b, c, d))
			}
		}
	}
	add("click", tags.Exposure("click", nil, nil, nil, []byte(whole)))
	add("id of 8 bytes", tags.Exposure("impression", []byte{1, 0, 0, 0, 0, 0, 0, 0}, nil, nil, nil))
	add("candidate", tags.Candidate(nil, nil, []byte(whole)))
	add("candidate split elsewhere", tags.Candidate(nil, []byte(whole), nil))
	for ordinal := range 32 {
		for candidate := range uint32(32) {
			add(fmt.Sprintf("place %d %d", candidate, ordinal), Place(1, candidate, ordinal))
		}
	}
}

func TestHashingDoesNotAllocate(t *testing.T) {
	s := testSecret(t, 0)
	h, tags := NewHasher(s), NewTags(s)
	source := strings.Repeat("s", 128)
	for _, size := range []int{0, 5, 36, 64, 150, 1024} {
		id := []byte(strings.Repeat("i", size))
		if n := testing.AllocsPerRun(100, func() { h.Key(source, id) }); n != 0 {
			t.Errorf("Key of %d bytes: %v allocations", size, n)
		}
		name := string(id)
		if n := testing.AllocsPerRun(100, func() {
			tags.Tag(KindItem, 1, name)
			tags.TagBytes(KindItem, 1, id)
			tags.Exposure("impression", id, id, id, id)
			_ = Place(1, tags.Candidate(id, id, id), 0)
		}); n != 0 {
			t.Errorf("tags of %d bytes: %v allocations", size, n)
		}
	}
}

// A kept slice would show here: the buffer is overwritten before the key is compared.
func TestKeyKeepsNothing(t *testing.T) {
	s := testSecret(t, 0)
	h, tags := NewHasher(s), NewTags(s)
	buf := []byte("u-123")
	key, tag := h.Key("user.id", buf), tags.TagBytes(KindItem, 0, buf)
	copy(buf, "XXXXX")
	if key != h.Key("user.id", []byte("u-123")) || tag != tags.Tag(KindItem, 0, "u-123") {
		t.Error("a result changed with the caller's buffer")
	}
}

func TestConcurrentUse(t *testing.T) {
	s := testSecret(t, 0)
	h, tags, tokens := NewHasher(s), NewTags(s), NewTokens(s)
	key, tag := h.Key("user.id", []byte("u")), tags.Tag(KindList, 0, "l")
	nonces := make([][]uint64, 8)
	var wg sync.WaitGroup
	for w := range nonces {
		wg.Go(func() {
			var g, back Grant
			var buf []byte
			for i := range 500 {
				g.Issued, g.Keys = uint32(1_800_000_000+i%3*secondsPerDay), append(g.Keys[:0], key)
				buf = tokens.Append(buf[:0], &g)
				if err := tokens.Open(&back, buf, g.Issued); err != nil || back.Nonce != g.Nonce || back.Keys[0] != key {
					t.Errorf("open: %v, %+v", err, back)
					return
				}
				nonces[w] = append(nonces[w], g.Nonce)
				if h.Key("user.id", []byte("u")) != key || tags.Tag(KindList, 0, "l") != tag {
					t.Error("a hash changed")
					return
				}
			}
		})
	}
	wg.Wait()
	seen := map[uint64]bool{}
	for _, ns := range nonces {
		for _, n := range ns {
			if seen[n] {
				t.Fatalf("nonce %x given twice", n)
			}
			seen[n] = true
		}
	}
}
