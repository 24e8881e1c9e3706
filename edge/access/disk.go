package access

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"restraint/edge/durable"
)

// Errors that Read and Change wrap.
var (
	// ErrMode: others than the owner may write the file, or anybody may read it.
	ErrMode = errors.New("the file of keys is open to others")
	// ErrNotFile: a folder, a device or a pipe.
	ErrNotFile = errors.New("the file of keys is not a regular file")
)

// openToOthers are the rights that nobody but the owner may have; the group may read.
const openToOthers = 0o027

// Read reads the keys file at path. It wraps fs.ErrNotExist, ErrMode and ErrNotFile; the
// text's faults are *Faults.
func Read(path string) (*File, error) {
	text, _, err := readText(path)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return Parse(text, path)
}

// readText reads at most one byte more than a keys file has.
func readText(path string) (text []byte, info fs.FileInfo, err error) {
	// Looked at before opening: opening a pipe would wait for a writer.
	if info, err = os.Stat(path); err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%q: %w", path, ErrNotFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	if info, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	if mode := info.Mode().Perm(); mode&openToOthers != 0 {
		return nil, nil, fmt.Errorf("%q: %w (mode %#o): chmod 600 %q", path, ErrMode, mode, path)
	}
	text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	return text, info, err
}

// Change replaces the keys file at path with what change makes of it, whole or not at
// all; with create one that is not there is made, in a folder of mode 0700 if that is
// missing too. It waits for another Change of a file in the same folder. A new file has
// mode 0600; an old one keeps its mode and its owner, so that a node under a user of
// its own can still read what root changed. The file is on disk when Change returns.
func Change(path string, create bool, change func(*File) (*File, error)) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // renaming over a link would leave the file that it names as it was
	}
	dir := filepath.Dir(path)
	if create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make folder of keys: %w", err)
		}
	}
	lock, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("change keys: %w", err)
	}
	defer func() { _ = lock.Close() }() // which lets go of the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("change keys: lock %q: %w", dir, err)
	}
	text, info, err := readText(path)
	file := New()
	switch {
	case err == nil:
		file, err = Parse(text, path)
	case create && errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return fmt.Errorf("change keys: %w", err)
	}
	if file, err = change(file); err != nil {
		return err
	}
	staged, err := durable.StageLike(path, file.text, info)
	if err == nil {
		err = staged.Commit()
	}
	if err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	return nil
}
