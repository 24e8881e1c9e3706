package identity

import (
	"fmt"
	"strings"
	"testing"
)

func BenchmarkKey(b *testing.B) {
	h := NewHasher(testSecret(b, 0))
	for _, size := range []int{8, 36, 64, 1024} {
		id := []byte(strings.Repeat("i", size))
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.Key("user.id", id)
			}
		})
	}
}

func BenchmarkTag(b *testing.B) {
	tags := NewTags(testSecret(b, 0))
	b.ReportAllocs()
	for b.Loop() {
		tags.Tag(KindItem, 7, "sku-123456")
	}
}

func BenchmarkExposure(b *testing.B) {
	tags := NewTags(testSecret(b, 0))
	id, campaign, creative, item := []byte("6d92078a-8246-4ba4-ae5b-76104861e7dc"), []byte("spring-shoes"), []byte("c-1"), []byte("sku-9")
	b.ReportAllocs()
	for b.Loop() {
		tags.Exposure("impression", id, campaign, creative, item)
	}
}

func BenchmarkToken(b *testing.B) {
	s := testSecret(b, 0)
	tokens := NewTokens(s)
	for _, keys := range []int{1, 3, 16} {
		g, buf := testGrant(NewHasher(s), keys, keys), make([]byte, 0, MaxTokenBytes)
		b.Run(fmt.Sprintf("append/keys=%d", keys), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = tokens.Append(buf[:0], g)
			}
		})
		buf = tokens.Append(buf[:0], g)
		b.Run(fmt.Sprintf("open/keys=%d", keys), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := tokens.Open(g, buf, testNow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	// The first token of a (process, day): its subkey must be derived.
	b.Run("derive", func(b *testing.B) {
		b.ReportAllocs()
		start := uint64(0)
		for b.Loop() {
			start++
			tokens.keys.get(0, start, 1)
		}
	})
}
