package suppress

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
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
// run files that have no name and so leave nothing behind. A full chunk is sorted
// and written in a goroutine of its own while the next one is filled.
type sorter struct {
	disk    Disk
	tmp     string
	chunk   []pair // being filled
	spare   []pair // of a chunk that was written, and its scratch
	scratch []pair
	limit   int
	keys    uint64 // added, with duplicates
	runs    []File
	writing chan written // what comes of the chunk that is being written; nil: none is
}

// written is a chunk that has become a run.
type written struct {
	run            File
	chunk, scratch []pair
	err            error
}

func newSorter(disk Disk, tmp string) *sorter { return &sorter{disk: disk, tmp: tmp, limit: chunkKeys} }

func (s *sorter) add(k Key) error {
	s.keys++
	s.chunk = append(s.chunk, pairOf(&k))
	if len(s.chunk) == s.limit {
		return s.spill()
	}
	return nil
}

// spill starts to write the chunk, once the one before is written.
func (s *sorter) spill() error {
	if err := s.settle(); err != nil {
		return err
	}
	chunk, scratch, done := s.chunk, s.scratch, make(chan written, 1)
	s.chunk, s.spare, s.scratch, s.writing = s.spare[:0], nil, nil, done
	go func() {
		chunk, scratch := sortPairs(chunk, scratch)
		sorted := sliceStream(chunk)
		run, err := writeRun(s.disk, s.tmp, &sorted)
		done <- written{run, chunk, scratch, err}
	}()
	return nil
}

// settle waits for the chunk that is being written.
func (s *sorter) settle() error {
	if s.writing == nil {
		return nil
	}
	w := <-s.writing
	s.writing = nil
	if w.err != nil {
		return w.err
	}
	s.spare, s.scratch = w.chunk, w.scratch
	s.runs = append(s.runs, w.run)
	if len(s.runs) < maxRuns {
		return nil
	}
	m, err := newMerger(s.streams())
	if err != nil {
		return err
	}
	// Duplicates stay counted: keys counts what was added, the merge drops some.
	one, err := writeRun(s.disk, s.tmp, m)
	if err != nil {
		return err
	}
	s.close()
	s.runs = append(s.runs[:0], one)
	return nil
}

func writeRun(disk Disk, tmp string, keys keyStream) (File, error) {
	f, err := disk.CreateTemp(tmp, "run-")
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

func writeKeys(f File, keys keyStream) error {
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
		streams = append(streams, newKeyReader(io.NewSectionReader(f, 0, math.MaxInt64)))
	}
	return streams
}

// sorted gives every key once, ascending. The sorter takes no more keys.
func (s *sorter) sorted() (keyStream, error) {
	if err := s.settle(); err != nil {
		return nil, err
	}
	s.chunk, _ = sortPairs(s.chunk, s.scratch)
	rest := sliceStream(s.chunk)
	s.spare, s.scratch = nil, nil
	return newMerger(append(s.streams(), &rest))
}

// close waits for the chunk that is being written and gives the disk space back.
// It may be called again.
func (s *sorter) close() {
	if s.writing != nil {
		if w := <-s.writing; w.err == nil {
			w.run.Close()
		}
		s.writing = nil
	}
	for _, f := range s.runs {
		f.Close()
	}
	s.runs = s.runs[:0]
}

// sortPairs spreads the keys over buckets by their leading bits, about eight to
// a bucket since keys are uniform, and sorts each bucket. Keys that are not
// uniform cost more time, no more memory. The keys come back in scratch, or in an
// array as large as theirs where it has no room for them, and theirs as scratch.
func sortPairs(chunk, scratch []pair) (sorted, rest []pair) {
	n := len(chunk)
	if n < 64 {
		slices.SortFunc(chunk, comparePairs)
		return chunk, scratch
	}
	shift := 64 - max(1, bits.Len(uint(n))-4)
	ends := make([]uint32, 1<<(64-shift))
	for i := range chunk {
		ends[chunk[i].hi>>shift]++
	}
	sum := uint32(0)
	for i, c := range ends {
		ends[i] = sum
		sum += c
	}
	if cap(scratch) < n {
		scratch = make([]pair, cap(chunk))
	}
	out := scratch[:n]
	for _, p := range chunk {
		at := &ends[p.hi>>shift]
		out[*at] = p
		*at++
	}
	from := uint32(0)
	for _, end := range ends {
		sortBucket(out[from:end])
		from = end
	}
	return out, chunk
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
