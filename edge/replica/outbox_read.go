package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// replayed says what a replay of the outbox found.
type replayed struct {
	batches int
	bytes   int64 // of the batches
	damaged int   // spans set aside
}

// replay calls visit for each batch from the position on. The end of a segment that was being written when its process died is cut off;
// what is damaged elsewhere is set aside, and what follows it is read. Call it before the first append. An error of visit ends it.
func (o *outbox) replay(from Position, visit func(batch []byte) error) (r replayed, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.damaged = o.unread
	var buffer []byte
	for i := range o.segments {
		s := &o.segments[i]
		if s.number < from.segment() {
			continue
		}
		if buffer, err = o.read(buffer, s); err != nil {
			return r, err
		}
		at := 0
		if s.number == from.segment() {
			at = int(min(from.offset(), s.bytes))
		}
		if err := o.replaySegment(s, buffer, at, visit, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (o *outbox) replaySegment(s *segment, b []byte, at int, visit func(batch []byte) error, r *replayed) error {
	for at < len(b) {
		start, end, ok := nextBatch(b[at:])
		if !ok {
			o.cut(s, b, at, r)
			return nil
		}
		if start > 0 {
			o.setAside(s, b, at, at+start)
			r.damaged++
		}
		if err := visit(b[at+start : at+end]); err != nil {
			return fmt.Errorf("replay %s at %d: %w", o.path(s.number), at+start, err)
		}
		r.batches++
		r.bytes += int64(end - start)
		at += end
	}
	return nil
}

// nextBatch finds the first whole batch in b, by its checksum.
func nextBatch(b []byte) (start, end int, ok bool) {
	for {
		i := bytes.Index(b[start:], []byte(batchMagic))
		if i < 0 {
			return 0, 0, false
		}
		start += i
		if n, ok := batchLength(b[start:]); ok && n <= len(b)-start {
			if batch := b[start : start+n]; binary.LittleEndian.Uint32(batch[24:]) == batchChecksum(batch) {
				return start, start + n, true
			}
		}
		start++
	}
}

// cut cuts the segment at a place after which there is no whole batch. What is there is the begin of a batch that was never acknowledged;
// but where it is as long as its head says, it was damaged since, and is set aside first.
func (o *outbox) cut(s *segment, b []byte, at int, r *replayed) {
	if n, ok := batchLength(b[at:]); ok && n <= len(b)-at {
		o.setAside(s, b, at, len(b))
		r.damaged++
	} else {
		o.notices.log.Info("cut the torn end of a segment", "file", o.path(s.number), "offset", at, "bytes", len(b)-at)
	}
	f, err := o.files.open(o.path(s.number), os.O_WRONLY)
	if err == nil {
		err = errors.Join(f.Truncate(int64(at)), f.Close())
	}
	if err != nil { // it will be skipped again at the next start
		o.notices.add("cannot cut the torn end of a segment", "file", o.path(s.number), "error", err.Error())
		return
	}
	o.bytes -= s.bytes - int64(at)
	s.bytes = int64(at)
}

// setAside copies what cannot be read out of a segment, for people to look at.
func (o *outbox) setAside(s *segment, b []byte, from, to int) {
	name := filepath.Join(o.dir, fmt.Sprintf("%08x-%d.damaged", s.number, from))
	f, err := o.files.open(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err == nil {
		_, err = f.Write(b[from:to])
		err = errors.Join(err, f.Close())
	}
	if errors.Is(err, fs.ErrExist) { // by an earlier start
		err = nil
	}
	args := []any{"segment", o.path(s.number), "offset", from, "bytes", to - from, "copy", name}
	if err != nil {
		args = append(args, "copy_error", err.Error())
	}
	o.notices.add("set aside a damaged part of the outbox", args...)
}

// read reads the whole segment.
func (o *outbox) read(buffer []byte, s *segment) ([]byte, error) {
	f, err := o.files.open(o.path(s.number), os.O_RDONLY)
	if err != nil {
		return buffer, fmt.Errorf("read outbox: %w", err)
	}
	defer f.Close()
	buffer = growBy(buffer[:0], int(s.bytes))
	if err := readAt(f, buffer, 0); err != nil {
		return buffer, fmt.Errorf("read outbox: %w", err)
	}
	return buffer, nil
}

// reaches reports whether the segment of the position is there. If it is, so is everything after it: segments go from the first on.
func (o *outbox) reaches(from Position) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.segments, func(s segment) bool { return s.number == max(1, from.segment()) })
}
