package atrest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"restraint/edge/durable"
)

// Disk opens the files below a folder. A nil *Disk opens them as they are. Its methods may
// be called concurrently.
type Disk struct {
	dir    string
	keys   Keys
	strict bool // files that are not encrypted are refused
}

// Fingerprint is that of the key in use; "" of a nil Disk.
func (d *Disk) Fingerprint() string {
	if d == nil {
		return ""
	}
	return d.keys.Fingerprint()
}

// path is the name of a file in its head. One that ends in .tmp is of the file that it is
// going to be.
func (d *Disk) path(name string) (string, error) {
	rel, err := filepath.Rel(d.dir, strings.TrimSuffix(name, ".tmp"))
	if err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("%q is not below %q", name, d.dir)
	}
	return filepath.ToSlash(rel), nil
}

// OpenFile is os.OpenFile with mode 0600. A new or empty file that is opened for writing
// begins to be encrypted under the key in use. Writes go to the end. Errors wrap ErrKey,
// ErrPath, ErrPlain or ErrVersion, or are the disk's.
func (d *Disk) OpenFile(name string, flag int) (*File, error) {
	if d == nil {
		file, err := os.OpenFile(name, flag, 0o600)
		if err != nil {
			return nil, err
		}
		return &File{file: file}, nil
	}
	writes := flag&(os.O_WRONLY|os.O_RDWR) != 0
	if writes { // frames are placed by their number of bytes, and heads are read
		flag = flag&^(os.O_WRONLY|os.O_APPEND) | os.O_RDWR
	}
	file, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return d.opened(file, name, writes)
}

// CreateTemp is os.CreateTemp. The file is to be given its name by File.Place.
func (d *Disk) CreateTemp(dir, pattern string) (*File, error) {
	file, err := os.CreateTemp(dir, pattern)
	if err != nil || d == nil {
		return &File{file: file}, err
	}
	return d.opened(file, file.Name(), true)
}

func (d *Disk) opened(file *os.File, name string, writes bool) (*File, error) {
	f := &File{file: file, disk: d}
	if err := f.open(name, writes); err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

func (f *File) open(name string, writes bool) error {
	path, err := f.disk.path(name)
	if err != nil {
		return err
	}
	head := make([]byte, headSize)
	n, err := f.file.ReadAt(head, 0)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case n < headSize && begins(head[:n]): // a process died before its first frame
		return f.empty(path, writes)
	case !isSealed(head) && f.disk.strict:
		return fmt.Errorf("open %q: %w", name, ErrPlain)
	case !isSealed(head):
		return nil
	}
	if f.key, f.aead, err = f.disk.keys.openHead(head, path); err != nil {
		return fmt.Errorf("open %q: %w", name, err)
	}
	f.next = headSize
	return f.walk()
}

// empty begins an empty file; one that is only read is left as it is.
func (f *File) empty(path string, writes bool) error {
	if !writes {
		f.key, f.next = &f.disk.keys.all[0], headSize
		return nil
	}
	if err := f.file.Truncate(0); err != nil {
		return err
	}
	return f.begin(&f.disk.keys.all[0], path)
}

// ReadWhole is os.ReadFile of a file that Stage or WriteFile wrote. Damage, also a missing
// end, is an error that wraps ErrDamaged, without content.
func (d *Disk) ReadWhole(name string) ([]byte, error) {
	content, whole, err := d.readFile(name)
	if err == nil && !whole {
		err = fmt.Errorf("read %q: %w: it lacks its end", name, ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	return content, nil
}

// readFile reads a file. Where some of the content is damaged, it is returned with zero bytes
// in its place, beside an error that wraps ErrDamaged. It also says whether the content ends
// with a frame that was meant to be the last.
func (d *Disk) readFile(name string) (content []byte, whole bool, err error) {
	f, err := d.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	content = make([]byte, info.Size())
	n, err := f.ReadAt(content, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return content[:n], f.key == nil || f.ended(), err
}

// ended says that the last frame was meant to be the last, and nothing follows it. It is
// opened: one without content is read by nobody else.
func (f *File) ended() bool {
	if !f.last.last || f.torn > 0 {
		return false
	}
	b := make([]byte, f.last.size())
	if _, err := f.file.ReadAt(b, f.next-f.last.size()); err != nil {
		return false
	}
	_, err := f.last.open(nil, f.aead, b)
	return err == nil
}

// seal is the file with this name and content as it is to be written; the content itself
// of a nil Disk.
func (d *Disk) seal(name string, content []byte) ([]byte, error) {
	if d == nil {
		return content, nil
	}
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	sealed, aead := appendHead(nil, &d.keys.all[0], path)
	return appendFrames(sealed, aead, 0, content, true), nil
}

// Stage writes a file for ReadWhole under a temporary name, to disk.
func (d *Disk) Stage(name string, content []byte) (durable.Staged, error) {
	sealed, err := d.seal(name, content)
	if err != nil {
		return durable.Staged{}, err
	}
	return durable.Stage(name, sealed)
}

// WriteFile writes a file for ReadWhole, whole or not at all, to disk.
func (d *Disk) WriteFile(name string, content []byte) error {
	staged, err := d.Stage(name, content)
	if err != nil {
		return err
	}
	return staged.Commit()
}
