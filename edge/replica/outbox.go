package replica

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Position is a place in the outbox: the number of a segment in the high 32 bits, an offset in it in the low ones. Later is larger.
type Position uint64

func positionOf(segment uint32, offset int64) Position {
	return Position(segment)<<32 | Position(uint32(offset))
}

func (p Position) segment() uint32 { return uint32(p >> 32) }
func (p Position) offset() int64   { return int64(uint32(p)) }

func (p Position) String() string { return fmt.Sprintf("%d+%d", p.segment(), p.offset()) }

// ErrOutboxFull says that the outbox has reached its size. Nothing was written or applied.
var ErrOutboxFull = errors.New("outbox full: events wait in it until a snapshot covers them and NATS has them: look whether nats.urls can be reached")

// ErrOutboxBroken says that a failed write could not be undone, so that nothing may follow it. It stays until the process starts again.
var ErrOutboxBroken = errors.New("outbox broken: a failed write could not be undone; mend the disk and restart")

// segmentBytes is where a segment ends. Chosen: small against the outbox, so that what is covered goes soon, and large against a batch.
const segmentBytes = 64 << 20

// outbox is an append-only log of batches in segments. Its methods may be called concurrently.
type outbox struct {
	dir     string
	files   files
	limit   int64
	rollAt  int64
	notices *notices

	mu       sync.Mutex
	segments []segment // ascending; the last is appended to when active is open
	active   File      // nil: the next append begins segment next
	next     uint32
	bytes    int64 // of all segments
	reserved int64
	turned   bool   // the next batch begins another segment
	unread   int    // segments that were set aside whole
	unsynced []File // closed to appends, not yet synced
	broken   error
}

type segment struct {
	number uint32
	bytes  int64
	since  time.Time // when its first batch was accepted, or when the file was found
}

func (o *outbox) path(number uint32) string {
	return filepath.Join(o.dir, fmt.Sprintf("%08x.seg", number))
}

// openOutbox finds the segments. Nothing is read of them.
func openOutbox(dir string, f files, limit int64, n *notices) (*outbox, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make outbox: %w", err)
	}
	infos, err := f.list(dir)
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	o := &outbox{dir: dir, files: f, limit: limit, rollAt: min(segmentBytes, max(limit/16, 64<<10)), notices: n, next: 1}
	for _, info := range infos {
		var number uint32
		if _, err := fmt.Sscanf(info.Name(), "%08x.seg", &number); err != nil || !strings.HasSuffix(info.Name(), ".seg") {
			continue
		}
		bytes, err := o.sizeOf(number)
		if errors.Is(err, ErrUnreadable) {
			err = o.setFileAside(number, err)
			o.next = number + 1
			if err == nil {
				continue
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read outbox: %w", err)
		}
		o.segments = append(o.segments, segment{number: number, bytes: bytes, since: info.ModTime()})
		o.bytes += bytes
		o.next = number + 1
	}
	return o, nil
}

// sizeOf is the length of a segment's content.
func (o *outbox) sizeOf(number uint32) (int64, error) {
	f, err := o.files.open(o.path(number), os.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// setFileAside renames a segment of which nothing can be read.
func (o *outbox) setFileAside(number uint32, why error) error {
	o.unread++
	o.notices.add("set aside a segment of the outbox that cannot be read", "file", o.path(number)+".damaged", "error", why.Error())
	return o.files.rename(o.path(number), o.path(number)+".damaged")
}

// startAfter makes the next segment one after the position, which a snapshot was taken at: places in it must not come to mean other
// changes when the outbox has lost its end.
func (o *outbox) startAfter(p Position) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p.offset() > 0 {
		o.next = max(o.next, p.segment()+1)
	} else {
		o.next = max(o.next, p.segment())
	}
}

// reserve keeps room for so many bytes, or returns ErrOutboxFull or ErrOutboxBroken.
func (o *outbox) reserve(bytes int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken != nil {
		return o.broken
	}
	if o.bytes+o.reserved+int64(bytes) > o.limit {
		return fmt.Errorf("%w: %d of %d bytes", ErrOutboxFull, o.bytes+o.reserved, o.limit)
	}
	o.reserved += int64(bytes)
	return nil
}

func (o *outbox) unreserve(bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reserved -= int64(bytes)
}

// append writes the batch, for which room was reserved, by one write, and returns its place. On an error it is not in the outbox.
func (o *outbox) append(batch []byte, now time.Time) (Position, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reserved -= int64(len(batch))
	if o.broken != nil {
		return 0, o.broken
	}
	if err := o.roll(len(batch), now); err != nil {
		return 0, err
	}
	last := &o.segments[len(o.segments)-1]
	n, err := o.active.Write(batch)
	if err == nil && n == len(batch) {
		p := positionOf(last.number, last.bytes)
		last.bytes += int64(n)
		o.bytes += int64(n)
		return p, nil
	}
	if err == nil {
		err = errors.New("short write")
	}
	if undo := o.active.Truncate(last.bytes); undo != nil {
		o.broken = fmt.Errorf("%w: %w", ErrOutboxBroken, undo)
	}
	return 0, fmt.Errorf("append to outbox: %w", err)
}

// roll begins another segment where there is none or the batch would make it too long.
func (o *outbox) roll(bytes int, now time.Time) error {
	if o.active != nil {
		last := &o.segments[len(o.segments)-1]
		if last.bytes == 0 || last.bytes+int64(bytes) <= o.rollAt && !o.turned {
			return nil
		}
	}
	// O_EXCL: a segment of another start is never appended to.
	f, err := o.files.open(o.path(o.next), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND)
	if err != nil {
		return fmt.Errorf("begin segment of outbox: %w", err)
	}
	if o.active != nil {
		o.unsynced = append(o.unsynced, o.active)
	}
	o.active, o.turned = f, false
	o.segments = append(o.segments, segment{number: o.next, since: now})
	o.next++
	return nil
}

// turn has the next batch begin another segment, so that what was written before can go without it.
func (o *outbox) turn() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.turned = true
}

// end is the place of the next batch.
func (o *outbox) end() Position {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.active == nil {
		return positionOf(o.next, 0)
	}
	last := o.segments[len(o.segments)-1]
	return positionOf(last.number, last.bytes)
}

// sync makes what was appended so far outlive a loss of power.
func (o *outbox) sync() error {
	o.mu.Lock()
	closed, active := o.unsynced, o.active
	o.unsynced = nil
	o.mu.Unlock()
	var faults []error
	for _, f := range closed {
		faults = append(faults, f.Sync(), f.Close())
	}
	if active != nil { // only roll and close replace it, and what they replace stays open until here
		faults = append(faults, active.Sync())
	}
	return errors.Join(append(faults, o.files.syncDir(o.dir))...)
}

// remove drops the segments that lie wholly before the position. What is appended to stays.
func (o *outbox) remove(before Position) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.segments) > 0 {
		first := o.segments[0]
		if first.number >= before.segment() || o.active != nil && len(o.segments) == 1 {
			return nil
		}
		if err := o.files.remove(o.path(first.number)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("drop segment of outbox: %w", err)
		}
		o.bytes -= first.bytes
		o.segments = o.segments[1:]
	}
	return nil
}

// first is the number of the first segment, 0 for none.
func (o *outbox) first() uint32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.segments) == 0 {
		return 0
	}
	return o.segments[0].number
}

func (o *outbox) close() error {
	err := o.sync()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.active != nil {
		err = errors.Join(err, o.active.Close())
		o.active, o.broken = nil, os.ErrClosed
	}
	return err
}

// size returns the bytes of all segments, and since when the oldest of them waits; zero when there is none.
func (o *outbox) size() (bytes int64, oldest time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bytes > 0 {
		oldest = o.segments[0].since
	}
	return o.bytes, oldest
}
