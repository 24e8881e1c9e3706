package suppress

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"os"
	"slices"
)

// chunkKeys keys are gathered in memory before they are sorted and written out
// as a run: 16 MiB, and as much again while they are sorted.
const chunkKeys = 1 << 20

// maxRuns are merged at once; at so many they become one run (64 KiB of buffer
// and one descriptor each).
const maxRuns = 128

// sorter brings any number of keys into ascending order in bounded memory, with
// run files that have no name and so leave nothing behind.
type sorter struct {
	tmp     string
	chunk   []pair
	scratch []pair
	limit   int
	keys    uint64 // added, with duplicates
	runs    []*os.File
}

func newSorter(tmp string) *sorter { return &sorter{tmp: tmp, limit: chunkKeys} }

func (s *sorter) add(k Key) error {
	s.keys++
	s.chunk = append(s.chunk, pairOf(&k))
	if len(s.chunk) == s.limit {
		return s.spill()
	}
	return nil
}

func (s *sorter) spill() error {
	s.sortChunk()
	chunk := sliceStream(s.chunk)
	run, err := s.writeRun(&chunk)
	if err != nil {
		return err
	}
	s.runs = append(s.runs, run)
	s.chunk = s.chunk[:0]
	if len(s.runs) < maxRuns {
		return nil
	}
	m, err := newMerger(s.streams())
	if err != nil {
		return err
	}
	// Duplicates stay counted: keys counts what was added, the merge drops some.
	one, err := s.writeRun(m)
	if err != nil {
		return err
	}
	s.close()
	s.runs = append(s.runs[:0], one)
	return nil
}

func (s *sorter) writeRun(keys keyStream) (*os.File, error) {
	f, err := os.CreateTemp(s.tmp, "run-")
	if err != nil {
		return nil, fmt.Errorf("write sorted run: %w", err)
	}
	if err = os.Remove(f.Name()); err == nil {
		err = writeKeys(f, keys)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("write sorted run: %w", err)
	}
	return f, nil
}

func writeKeys(f *os.File, keys keyStream) error {
	buf := make([]byte, 0, 256<<10)
	for {
		p, ok, err := keys.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		buf = binary.BigEndian.AppendUint64(buf, p.hi)
		buf = binary.BigEndian.AppendUint64(buf, p.lo)
		if len(buf) == cap(buf) {
			if _, err := f.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	_, err := f.Write(buf)
	return err
}

func (s *sorter) streams() []keyStream {
	streams := make([]keyStream, 0, len(s.runs)+1)
	for _, f := range s.runs {
		f.Seek(0, 0) // a plain file; an error shows in the read
		streams = append(streams, newKeyReader(f))
	}
	return streams
}

// sorted gives every key once, ascending. The sorter takes no more keys.
func (s *sorter) sorted() (keyStream, error) {
	s.sortChunk()
	rest := sliceStream(s.chunk)
	s.scratch = nil
	return newMerger(append(s.streams(), &rest))
}

func (s *sorter) close() {
	for _, f := range s.runs {
		f.Close()
	}
	s.runs = s.runs[:0]
}

// sortChunk spreads the keys over buckets by their leading bits, about eight to
// a bucket since keys are uniform, and sorts each bucket. Keys that are not
// uniform cost more time, no more memory.
func (s *sorter) sortChunk() {
	n := len(s.chunk)
	if n < 64 {
		slices.SortFunc(s.chunk, comparePairs)
		return
	}
	shift := 64 - max(1, bits.Len(uint(n))-4)
	ends := make([]uint32, 1<<(64-shift))
	for i := range s.chunk {
		ends[s.chunk[i].hi>>shift]++
	}
	sum := uint32(0)
	for i, c := range ends {
		ends[i] = sum
		sum += c
	}
	if cap(s.scratch) < n {
		s.scratch = make([]pair, max(n, min(s.limit, cap(s.chunk))))
	}
	out := s.scratch[:n]
	for _, p := range s.chunk {
		at := &ends[p.hi>>shift]
		out[*at] = p
		*at++
	}
	from := uint32(0)
	for _, end := range ends {
		sortBucket(out[from:end])
		from = end
	}
	s.chunk, s.scratch = out, s.chunk[:cap(s.chunk)]
}

func sortBucket(b []pair) {
	if len(b) > 24 {
		slices.SortFunc(b, comparePairs)
		return
	}
	for i := 1; i < len(b); i++ {
		p := b[i]
		j := i
		for ; j > 0 && p.less(b[j-1]); j-- {
			b[j] = b[j-1]
		}
		b[j] = p
	}
}
