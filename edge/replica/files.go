package replica

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// files is what this package asks of a file system, so that tests can make each operation fail.
type files interface {
	// open opens as os.OpenFile does.
	open(name string, flag int) (File, error)
	rename(from, to string) error
	remove(name string) error
	// list returns the names in a folder, sorted. Sizes are those on the disk.
	list(dir string) ([]fs.FileInfo, error)
	// syncDir makes the names in a folder outlive a loss of power.
	syncDir(dir string) error
}

// File is a file of an outbox, or a snapshot. Offsets and sizes are those of its content, whatever stands on the disk. Where ReadAt gives all
// bytes that it is asked for and an error as well, some of them could not be read, and are zero.
type File interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

// ErrUnreadable is what an error of Options.OpenFile wraps where the file is there, and damaged so that nothing of it can be read. It is set
// aside.
var ErrUnreadable = errors.New("damaged file")

// readAt fills b, what could not be read with zero bytes: whoever looks at it has checksums.
func readAt(f File, b []byte, at int64) error {
	n, err := f.ReadAt(b, at)
	if n == len(b) || err == io.EOF {
		return nil
	}
	return err
}

// disk is the files of the operating system. Only the node's own account may read them.
type disk struct {
	opens func(name string, flag int) (File, error) // nil: as they are
}

func (d disk) open(name string, flag int) (File, error) {
	if d.opens != nil {
		return d.opens(name, flag)
	}
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err // and no File that is a nil *os.File
	}
	return f, nil
}

func (disk) rename(from, to string) error { return os.Rename(from, to) }
func (disk) remove(name string) error     { return os.Remove(name) }

func (disk) list(dir string) ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	infos := make([]fs.FileInfo, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

func (disk) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
