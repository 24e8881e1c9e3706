package suppress

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// Disk is where a Store keeps its files. Its methods may be called concurrently.
type Disk interface {
	// OpenFile is os.OpenFile with mode 0600. An error that wraps ErrDamaged says that
	// nothing of the file can be read.
	OpenFile(name string, flag int) (File, error)
	// CreateTemp is os.CreateTemp.
	CreateTemp(dir, pattern string) (File, error)
}

// File is a file of a Disk. Offsets and sizes are those of its content, whatever stands on
// the disk. WriteAt adds at the end, or writes the first bytes that were written anew, all
// of them. Where ReadAt gives all bytes that it is asked for and an error as well, some of
// them could not be read, and are zero.
type File interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
	// Unfinished is how many bytes at the end stand for what a process died in while it
	// wrote them, and are zero; 0 where there are none, or nobody knows.
	Unfinished() int64
	// Place syncs the file and gives it another name, by which it is read from then on.
	Place(name string) error
}

// asIs is the disk that the operating system has.
type asIs struct{}

func (asIs) OpenFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	return &plainFile{f}, err
}

func (asIs) CreateTemp(dir, pattern string) (File, error) {
	f, err := os.CreateTemp(dir, pattern)
	return &plainFile{f}, err
}

type plainFile struct{ *os.File }

// Unfinished is File.Unfinished: what is there of such bytes is there.
func (f *plainFile) Unfinished() int64 { return 0 }

// Place is File.Place.
func (f *plainFile) Place(name string) error {
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// lenient reads a file of which checksums are looked at: what could not be read is zero.
type lenient struct{ of io.ReaderAt }

func (l lenient) ReadAt(b []byte, at int64) (int, error) {
	n, err := l.of.ReadAt(b, at)
	if n == len(b) {
		err = nil
	}
	return n, err
}

// readFile is os.ReadFile of a file that is read leniently: of one that the Disk says is
// damaged altogether there is nothing. It also says how many of the bytes are unfinished.
func readFile(disk Disk, name string) (b []byte, unfinished int, err error) {
	f, err := disk.OpenFile(name, os.O_RDONLY)
	if errors.Is(err, ErrDamaged) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	b, err = io.ReadAll(io.NewSectionReader(lenient{f}, 0, st.Size()))
	return b, min(len(b), int(f.Unfinished())), err
}
