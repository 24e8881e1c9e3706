package replica

import (
	"encoding/binary"
	"fmt"
	"os"
)

// tail reads the outbox while it is appended to, for who sends on what is in it. It belongs to one goroutine.
type tail struct {
	outbox *outbox
	at     Position // of the next batch
	file   File     // the segment that is read; nil: none
	number uint32   // its number
	buffer []byte
}

// next returns the next whole batches, about most bytes of them, and moves past them; nothing where all has been read. The bytes are valid
// until the next call. What is damaged is passed over.
func (t *tail) next(most int) ([]byte, error) {
	for {
		number, end, last := t.outbox.segmentAt(t.at)
		if number == 0 {
			return nil, nil
		}
		if number != t.at.segment() {
			t.at = positionOf(number, 0)
		}
		if t.at.offset() < end {
			batches, err := t.read(number, end, most)
			if err != nil || len(batches) > 0 {
				return batches, err
			}
		}
		if last {
			return nil, nil
		}
		t.at = positionOf(number+1, 0)
	}
}

// segmentAt returns the first segment that the position is in or before: its number (0: there is none), its length, and whether it is the
// last.
func (o *outbox) segmentAt(p Position) (number uint32, end int64, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, s := range o.segments {
		if s.number >= p.segment() {
			return s.number, s.bytes, i == len(o.segments)-1
		}
	}
	return 0, 0, false
}

// read returns whole batches of the segment from t.at on; none where there are none up to its end.
func (t *tail) read(number uint32, end int64, most int) ([]byte, error) {
	if err := t.open(number); err != nil {
		return nil, err
	}
	left := int(end - t.at.offset())
	batches, err := t.readAt(min(left, most))
	if err != nil {
		return nil, err
	}
	n := wholeBatches(batches)
	if n == 0 && left > most { // a larger batch, or something damaged
		if batches, err = t.readAt(left); err != nil {
			return nil, err
		}
		if length, ok := batchLength(batches); ok && length <= left {
			n = wholeBatches(batches[:length])
		}
	}
	if n == 0 {
		from, to, ok := nextBatch(batches)
		t.outbox.notices.add("a damaged part of the outbox is not sent to other nodes", "segment", t.outbox.path(number), "offset", t.at.offset())
		if !ok {
			t.at = positionOf(number, end)
			return nil, nil
		}
		t.at = positionOf(number, t.at.offset()+int64(to))
		return batches[from:to], nil
	}
	t.at = positionOf(number, t.at.offset()+int64(n))
	return batches[:n], nil
}

// wholeBatches is the length of the whole batches that b begins with.
func wholeBatches(b []byte) (n int) {
	for {
		length, ok := batchLength(b[n:])
		if !ok || length > len(b)-n || binary.LittleEndian.Uint32(b[n+24:]) != batchChecksum(b[n:n+length]) {
			return n
		}
		n += length
	}
}

func (t *tail) open(number uint32) error {
	if t.file != nil && t.number == number {
		return nil
	}
	if err := t.close(); err != nil {
		return err
	}
	f, err := t.outbox.files.open(t.outbox.path(number), os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("read outbox: %w", err)
	}
	t.file, t.number = f, number
	return nil
}

func (t *tail) readAt(n int) ([]byte, error) {
	t.buffer = growBy(t.buffer[:0], n)
	if err := readAt(t.file, t.buffer, t.at.offset()); err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	return t.buffer, nil
}

func (t *tail) close() error {
	if t.file == nil {
		return nil
	}
	f := t.file
	t.file = nil
	return f.Close()
}
