package audit

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"restraint/edge/durable"
)

// Opener opens a file of a log as os.OpenFile does with mode 0600. A name that ends in .tmp
// is of a file that is given the name without that once it is whole. Nil is os.OpenFile;
// another one may encrypt.
type Opener func(name string, flag int) (File, error)

// File is a file of a log. Offsets and sizes are those of its content, whatever stands on
// the disk. WriteAt adds at the end. Where ReadAt gives all bytes that it is asked for and
// an error as well, some of them could not be read, and are zero.
type File interface {
	io.ReaderAt
	Stat() (fs.FileInfo, error)
	file
}

func (o Opener) open(name string, flag int) (File, error) {
	if o != nil {
		return o(name, flag)
	}
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err // and no File that is a nil *os.File
	}
	return f, nil
}

// lenient reads what could not be read as zeros, which are no entry.
type lenient struct{ of io.ReaderAt }

func (l lenient) ReadAt(b []byte, at int64) (int, error) {
	n, err := l.of.ReadAt(b, at)
	if n == len(b) {
		err = nil
	}
	return n, err
}

// openToRead opens a file and gives what is in it.
func (o Opener) openToRead(name string) (File, *io.SectionReader, error) {
	f, err := o.open(name, os.O_RDONLY)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, io.NewSectionReader(lenient{f}, 0, info.Size()), nil
}

func (o Opener) readFile(name string) ([]byte, error) {
	f, content, err := o.openToRead(name)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(content)
	return text, errors.Join(err, f.Close())
}

// readWhole is readFile of a file of which nothing can be missing: where some of it could
// not be read there is an error and no content.
func (o Opener) readWhole(name string) ([]byte, error) {
	f, err := o.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	text := []byte(nil)
	if err == nil {
		text, err = io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return text, nil
}

// writeFile writes a file whole or not at all, to disk, readable by its owner only.
func (o Opener) writeFile(name string, text []byte) error {
	f, err := o.open(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(name+".tmp", name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(name+".tmp"))
	}
	return durable.SyncDir(filepath.Dir(name))
}
