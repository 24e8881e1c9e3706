package atrest

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"
)

// mostMissing bounds the content of a file by its size, whatever the places in it say.
// Chosen: with half of its frames gone the rest can be read.
const mostMissing = 2

// walk finds the frames after those that are known; f.mu is held.
func (f *File) walk() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	size, w, at := info.Size(), window{r: f.file}, f.next
	for at < size {
		b, err := w.at(at, min(size-at, frameHead))
		if err != nil {
			return err
		}
		of, ok := parseFrame(b)
		// One that ends after the file was being written, and nothing follows it. One that is far off would have its reader run out of memory.
		if ok && of.place >= f.end && of.place <= mostMissing*size && at+of.size() <= size {
			f.add(of, at)
			at = f.next
			continue
		}
		if at, err = f.search(&w, at+1, size); err != nil {
			return err
		}
	}
	if f.torn, f.begun = 0, false; f.next < size {
		f.torn = max(1, size-f.next-overhead)
		b, err := w.at(f.next, min(size-f.next, frameHead))
		if err != nil {
			return err
		}
		f.begun = beginsFrame(b, f.end, size-f.next)
	}
	return nil
}

// search finds where the next frame could stand; size where there is none.
func (f *File) search(w *window, at, size int64) (int64, error) {
	for at < size {
		b, err := w.at(at, min(size-at, searchBytes))
		if err != nil {
			return at, err
		}
		pos, of, ok := nextFrame(b, 0, f.end)
		if ok && of.place <= mostMissing*size && at+int64(pos)+of.size() <= size {
			return at + int64(pos), nil
		}
		at += max(1, int64(pos))
		if ok {
			at++
		}
		if size-at < frameHead {
			break
		}
	}
	return size, nil
}

// window reads a file in large pieces from its begin to its end.
type window struct {
	r    io.ReaderAt
	buf  []byte
	from int64
	n    int
}

const (
	windowBytes = 64 << 10
	searchBytes = windowBytes / 2
)

// at is n bytes of the file, at most searchBytes, valid until the next call.
func (w *window) at(at, n int64) ([]byte, error) {
	if w.buf == nil {
		w.buf = make([]byte, windowBytes)
	}
	if at < w.from || at+n > w.from+int64(w.n) {
		got, err := w.r.ReadAt(w.buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		w.from, w.n = at, got
		if int64(got) < n {
			return nil, io.ErrUnexpectedEOF
		}
	}
	return w.buf[at-w.from:][:n], nil
}

// ReadAt reads content as io.ReaderAt has it. Where some of it is damaged, that is zero
// bytes and the error wraps ErrDamaged: n says as always how many bytes of p count.
func (f *File) ReadAt(p []byte, at int64) (n int, err error) {
	if f.key == nil {
		return f.file.ReadAt(p, at)
	}
	if f.aead == nil { // it was empty
		return 0, io.EOF
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	if at+int64(len(p)) > f.end {
		f.mu.RUnlock()
		f.mu.Lock()
		err = f.walk()
		f.mu.Unlock()
		f.mu.RLock()
		if err != nil {
			return 0, err
		}
	}
	n = int(max(0, min(int64(len(p)), f.end+f.torn-at)))
	if n > 0 {
		err = f.fill(p[:n], at)
	}
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// span is where the frames stand that have some of the content of n bytes at a place.
func (f *File) span(place, n int64) (from, to int64) {
	i := sort.Search(len(f.index), func(i int) bool { return f.index[i].place > place }) - 1
	j := i + 1
	if i < 0 {
		i = 0
	}
	for j < len(f.index) && f.index[j].place < place+n {
		j++
	}
	from, to = headSize, f.next
	if i < len(f.index) {
		from = f.index[i].at
	}
	if j < len(f.index) {
		to = f.index[j].at
	}
	return from, to
}

var spans = sync.Pool{New: func() any { return new([]byte) }}

// fill reads all of p, which is within the content.
func (f *File) fill(p []byte, place int64) error {
	buffer := spans.Get().(*[]byte)
	defer spans.Put(buffer)
	from, to := f.span(place, int64(len(p)))
	b := *buffer
	if int64(cap(b)) < to-from {
		b = make([]byte, to-from)
	}
	b = b[:to-from]
	if cap(b) <= maxBuffer {
		*buffer = b
	}
	if _, err := f.file.ReadAt(b, from); err != nil {
		return fmt.Errorf("read %q: %w", f.Name(), err)
	}
	got, least := 0, int64(0)
	clear(p)
	for pos := 0; ; {
		var of frame
		var ok bool
		if pos, of, ok = nextFrame(b, pos, least); !ok || of.place >= place+int64(len(p)) {
			break
		}
		if int64(len(b)-pos) < of.size() {
			pos++
			continue
		}
		if of.place+int64(of.bytes) > place {
			n, err := f.part(p, place, of, b[pos:])
			if err != nil { // it may be forged: another one may stand within it
				pos++
				continue
			}
			got += n
		}
		pos, least = pos+int(of.size()), of.place+int64(of.bytes)
	}
	if got < len(p) {
		return fmt.Errorf("read %d bytes at %d of %q: %w", len(p), place, f.Name(), ErrDamaged)
	}
	return nil
}

// part copies what the frame at the start of b has of p, whose first byte has its place.
func (f *File) part(p []byte, place int64, of frame, b []byte) (int, error) {
	if from := of.place - place; from >= 0 && from+int64(of.bytes) <= int64(len(p)) {
		to := from + int64(of.bytes)
		_, err := of.open(p[from:from:to], f.aead, b)
		return of.bytes, err
	}
	content, err := of.open(make([]byte, 0, frameMost), f.aead, b)
	if err != nil {
		return 0, err
	}
	if of.place < place {
		return copy(p, content[place-of.place:]), nil
	}
	return copy(p[of.place-place:], content), nil
}

// find is the frame that has the byte at a place, or the first after it, and where it
// stands; f.mu is held.
func (f *File) find(place int64) (of frame, at int64, err error) {
	from, to := f.span(place, 1)
	b := make([]byte, to-from)
	if _, err := f.file.ReadAt(b, from); err != nil {
		return of, 0, err
	}
	least := int64(0)
	for pos := 0; ; {
		var ok bool
		if pos, of, ok = nextFrame(b, pos, least); !ok {
			return of, 0, fmt.Errorf("find byte %d of %q: %w", place, f.Name(), ErrDamaged)
		}
		if least = of.place + int64(of.bytes); least > place {
			return of, from + int64(pos), nil
		}
		pos += int(of.size())
	}
}
