package suppress

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// replaceFile puts content at path, whole or not at all, and gives the file open
// for more. With ErrNotDurable the file is given too: the content is in its place,
// and a power cut may bring back what was there before.
func (s *Store) replaceFile(path string, content []byte) (File, error) {
	f, err := s.o.Disk.CreateTemp(filepath.Dir(path), ".tmp-")
	if err != nil {
		return nil, err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Place(path)
	}
	if err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, err
	}
	if err := s.syncDir(filepath.Dir(path)); err != nil {
		return f, fmt.Errorf("%w: %w", ErrNotDurable, err)
	}
	return f, nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// outward is an error as callers get it: without the paths of this node, and
// with ErrNoSpace where the disk is full. errors.Is finds in it what it found
// before.
func outward(err error) error {
	if err == nil {
		return nil
	}
	text := withoutPaths(err, err.Error())
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		text += "; free some space, or give the node a larger disk"
		err = errors.Join(ErrNoSpace, err)
	}
	return &outwardError{text, err}
}

type outwardError struct {
	text string
	err  error
}

func (e *outwardError) Error() string { return e.text }
func (e *outwardError) Unwrap() error { return e.err }

// withoutPaths takes the paths in every error under err out of a text.
func withoutPaths(err error, text string) string {
	switch e := err.(type) {
	case *fs.PathError:
		return strings.ReplaceAll(text, e.Error(), e.Op+": "+e.Err.Error())
	case *os.LinkError:
		return strings.ReplaceAll(text, e.Error(), e.Op+": "+e.Err.Error())
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return withoutPaths(inner, text)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			text = withoutPaths(inner, text)
		}
	}
	return text
}
