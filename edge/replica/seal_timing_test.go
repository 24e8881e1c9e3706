package replica

import (
	"math/rand/v2"
	"testing"

	"restraint/caps"
)

// What sealing costs a batch, written and read: the ratio of the two is what counts.
func BenchmarkSealedBatch(b *testing.B) {
	changes := randomChanges(rand.New(rand.NewPCG(1, 1)), testKeys(100), 200)
	for name, codec := range map[string]*Codec{"clear": &testCodec, "sealed": sealedCodec(1, 1)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var enc []byte
			batch := codec.Batch()
			var c caps.Change
			for b.Loop() {
				var err error
				if enc, err = codec.AppendBatch(enc[:0], changes); err != nil {
					b.Fatal(err)
				}
				if _, err := batch.ParseNext(enc); err != nil {
					b.Fatal(err)
				}
				for batch.Next(&c) {
				}
			}
			b.SetBytes(int64(len(enc)))
		})
	}
}
