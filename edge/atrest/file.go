package atrest

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// File is the content of a file. Reading may go on beside writing; one writes at a time.
// A file that another one appends to shows what was added at the time of each read.
type File struct {
	file *os.File
	disk *Disk
	key  *key        // nil: it is not encrypted
	aead cipher.AEAD // of its frames; nil too: it is read, and was empty

	mu    sync.RWMutex // guards what follows
	index []indexed    // of frames, so many that a read begins near its place
	end   int64        // of the content in whole frames
	next  int64        // place in the file after the last whole frame
	torn  int64        // bytes of content that what stands there counts as
	begun bool         // that is the begin of a frame, as it was written
	last  frame        // the last whole one
	dirty bool         // a write failed and what it left could not be removed
	buf   []byte
}

// indexed is where a frame is.
type indexed struct{ place, at int64 }

// indexEvery is the content between two frames of the index. Chosen: each frame of a file
// that was written in large pieces, few of one that grows by small ones.
const indexEvery = frameMost

// Name is the name that the file was opened by.
func (f *File) Name() string { return f.file.Name() }

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// Sync makes what was written outlive a loss of power.
func (f *File) Sync() error { return f.file.Sync() }

// Stat describes the file, with the size of its content.
func (f *File) Stat() (fs.FileInfo, error) {
	info, err := f.file.Stat()
	if err != nil || f.key == nil {
		return info, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return sized{info, f.end + f.torn}, nil
}

// Unfinished is how many bytes at the end of the content stand for a frame that a process
// died in while it wrote it: the file ends within that frame, and its head is as it was
// written, as far as it is there. Whatever else cannot be read was damaged since; 0.
func (f *File) Unfinished() int64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.begun {
		return 0
	}
	return f.torn
}

type sized struct {
	fs.FileInfo
	size int64
}

func (s sized) Size() int64 { return s.size }

// Write appends b, all of it or nothing.
func (f *File) Write(b []byte) (int, error) {
	if f.key == nil {
		return f.file.Write(b)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.append(b, false)
}

// WriteAt writes b at the end of the content, or in the place of what was written there by
// one WriteAt or Write of the same length, at most 4096 bytes.
func (f *File) WriteAt(b []byte, at int64) (int, error) {
	if f.key == nil {
		return f.file.WriteAt(b, at)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if at == f.end {
		return f.append(b, false)
	}
	old, stands, err := f.find(at)
	if err != nil {
		return 0, err
	}
	if old.place != at || old.bytes != len(b) {
		return 0, fmt.Errorf("write %d bytes at %d of %q: it can only grow", len(b), at, f.Name())
	}
	f.buf = appendFrames(f.buf[:0], f.aead, at, b, old.last)
	if _, err := f.file.WriteAt(f.buf, stands); err != nil {
		return 0, err
	}
	return len(b), nil
}

// append adds frames; f.mu is held.
func (f *File) append(b []byte, last bool) (int, error) {
	if f.dirty || f.torn > 0 {
		if err := f.cut(); err != nil {
			return 0, err
		}
	}
	f.buf = appendFrames(f.buf[:0], f.aead, f.end, b, last)
	if f.end > mostMissing*f.next {
		return 0, fmt.Errorf("add to %q: %w: most of it is missing", f.Name(), ErrDamaged)
	}
	if _, err := f.file.WriteAt(f.buf, f.next); err != nil {
		f.dirty = f.file.Truncate(f.next) != nil
		return 0, err
	}
	for pos := 0; pos < len(f.buf); {
		of, _ := parseFrame(f.buf[pos:])
		f.add(of, f.next)
		pos += int(of.size())
	}
	if cap(f.buf) > maxBuffer {
		f.buf = nil
	}
	return len(b), nil
}

// maxBuffer is the size of the largest buffer that is kept. Chosen.
const maxBuffer = 1 << 20

// add counts a whole frame that stands at a place of the file.
func (f *File) add(of frame, at int64) {
	if n := len(f.index); n == 0 || of.place >= f.index[n-1].place+indexEvery {
		f.index = append(f.index, indexed{of.place, at})
	}
	f.end, f.next, f.last = of.place+int64(of.bytes), at+of.size(), of
}

// cut removes what follows the last whole frame.
func (f *File) cut() error {
	if err := f.file.Truncate(f.next); err != nil {
		return err
	}
	f.torn, f.begun, f.dirty = 0, false, false
	return nil
}

// Truncate cuts the content to a size that it has, or more.
func (f *File) Truncate(size int64) error {
	if f.key == nil {
		return f.file.Truncate(size)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case size > f.end:
		return fmt.Errorf("cut %q to %d bytes: %d of it can be read", f.Name(), size, f.end)
	case size == f.end:
		return f.cut()
	}
	within, at, err := f.find(size)
	if err != nil {
		return err
	}
	for len(f.index) > 0 && f.index[len(f.index)-1].at >= at {
		f.index = f.index[:len(f.index)-1]
	}
	if within.place >= size {
		f.end, f.next = size, at
		return f.cut()
	}
	// Its first part is written over it: nothing that is to stay is gone at any time.
	content := make([]byte, within.size())
	if _, err := f.file.ReadAt(content, at); err != nil {
		return err
	}
	part, err := within.open(nil, f.aead, content)
	if err != nil {
		return fmt.Errorf("cut %q: %w", f.Name(), ErrDamaged)
	}
	f.end, f.next = within.place, at
	part = part[:size-within.place]
	if _, err := f.file.WriteAt(appendFrames(nil, f.aead, f.end, part, false), at); err != nil {
		return err
	}
	f.add(frame{place: f.end, bytes: len(part)}, at)
	return f.cut()
}

// Place syncs the file and gives it the name that it is to be read by from now on.
func (f *File) Place(name string) error {
	if f.key != nil {
		path, err := f.disk.path(name)
		if err != nil {
			return err
		}
		head := make([]byte, headSize)
		if _, err := f.file.ReadAt(head, 0); err != nil {
			return err
		}
		copy(head[headSize-sumSize:], f.key.sum(head[:headSize-sumSize], path))
		if _, err := f.file.WriteAt(head, 0); err != nil {
			return err
		}
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	return os.Rename(f.file.Name(), name)
}

// begin writes the head of a new file.
func (f *File) begin(k *key, path string) error {
	head, aead := appendHead(nil, k, path)
	if _, err := f.file.WriteAt(head, 0); err != nil {
		return errors.Join(err, f.file.Truncate(0))
	}
	f.key, f.aead, f.next = k, aead, headSize
	return nil
}
