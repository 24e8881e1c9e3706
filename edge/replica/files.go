package replica

import (
	"io"
	"io/fs"
	"os"
)

// files is what this package asks of a file system, so that tests can make each operation fail.
type files interface {
	// open opens as os.OpenFile does.
	open(name string, flag int) (file, error)
	rename(from, to string) error
	remove(name string) error
	// list returns the names and sizes in a folder, sorted by name.
	list(dir string) ([]fs.FileInfo, error)
	// syncDir makes the names in a folder outlive a loss of power.
	syncDir(dir string) error
}

type file interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error
	Truncate(size int64) error
}

// disk is the files of the operating system. Only the node's own account may read them.
type disk struct{}

func (disk) open(name string, flag int) (file, error) { return os.OpenFile(name, flag, 0o600) }
func (disk) rename(from, to string) error             { return os.Rename(from, to) }
func (disk) remove(name string) error                 { return os.Remove(name) }

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
