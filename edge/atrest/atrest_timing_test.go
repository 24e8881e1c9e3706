package atrest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// disks are a Disk that encrypts and one that does not.
func disks(b *testing.B, run func(b *testing.B, d *Disk, dir string)) {
	for _, encrypted := range []bool{false, true} {
		b.Run(fmt.Sprintf("encrypted=%t", encrypted), func(b *testing.B) {
			dir := b.TempDir()
			var d *Disk
			if encrypted {
				d = openDisk(b, dir, keys(b, 1))
			}
			run(b, d, dir)
		})
	}
}

// BenchmarkAppend is one write to the end of a log.
func BenchmarkAppend(b *testing.B) {
	for _, bytes := range []int{250, 64 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", bytes), func(b *testing.B) {
			disks(b, func(b *testing.B, d *Disk, dir string) {
				f := openFile(b, d, filepath.Join(dir, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND)
				part := make([]byte, bytes)
				b.SetBytes(int64(bytes))
				b.ReportAllocs()
				for n := 0; b.Loop(); n += bytes {
					if n > 256<<20 {
						if err := f.Truncate(0); err != nil {
							b.Fatal(err)
						}
						n = 0
					}
					if _, err := f.Write(part); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkReadAt reads one block of a large file that was written in large pieces.
func BenchmarkReadAt(b *testing.B) {
	const blocks = 16 << 10
	disks(b, func(b *testing.B, d *Disk, dir string) {
		f := openFile(b, d, filepath.Join(dir, "keys"), os.O_RDWR|os.O_CREATE)
		for range blocks / 64 {
			if _, err := f.Write(make([]byte, 64*frameMost)); err != nil {
				b.Fatal(err)
			}
		}
		block, r := make([]byte, frameMost), rand.New(rand.NewPCG(1, 1))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.ReadAt(block, r.Int64N(blocks)*frameMost); err != nil {
				b.Fatal(err)
			}
		}
	})
}
