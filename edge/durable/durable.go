// Package durable writes small files that a crash leaves whole or not at all: with the
// old content or the new one, never with a part, and on disk when the call returns.
//
// A file is written under a temporary name beside its own (a dot, the name, a dot, and
// what makes it the only one), synced, and then given its name. A process that dies in
// between leaves such a file behind; nothing reads it, and its owner may remove it.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Write makes content the file at path, readable by its owner only.
func Write(path string, content []byte) error {
	s, err := Stage(path, content)
	if err != nil {
		return err
	}
	return s.Commit()
}

// Staged is a file that is on disk under its temporary name. It ends with one call of
// Commit, CommitNew or Discard.
type Staged struct{ temporary, path string }

// Stage writes content for path without giving it that name yet: what may fail for want
// of room has then not failed. On an error nothing is left behind.
func Stage(path string, content []byte) (Staged, error) { return StageLike(path, content, nil) }

// StageLike is Stage with the owner and the rights of the file that was there before;
// was may be nil.
func StageLike(path string, content []byte, was fs.FileInfo) (s Staged, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return s, err
	}
	s = Staged{f.Name(), path}
	_, err = f.Write(content)
	if err == nil && was != nil {
		err = likeBefore(f, was)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		s.Discard()
	}
	return s, err
}

// likeBefore gives f the owner and the rights that was has.
func likeBefore(f *os.File, was fs.FileInfo) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	before, known := was.Sys().(*syscall.Stat_t)
	own, alsoKnown := now.Sys().(*syscall.Stat_t)
	if known && alsoKnown && (own.Uid != before.Uid || own.Gid != before.Gid) {
		if err := f.Chown(int(before.Uid), int(before.Gid)); err != nil {
			return fmt.Errorf("%w: run this as the owner of the file", err)
		}
	}
	return f.Chmod(was.Mode().Perm())
}

// Temporary is the name under which the file is until it is committed.
func (s Staged) Temporary() string { return s.temporary }

// Commit gives the file its name, in place of what has it.
func (s Staged) Commit() error {
	if err := os.Rename(s.temporary, s.path); err != nil {
		s.Discard()
		return err
	}
	return SyncDir(filepath.Dir(s.path))
}

// CommitNew gives the file its name unless another has it: then the error is
// fs.ErrExist, and the other is on disk too.
func (s Staged) CommitNew() error {
	defer s.Discard()                   // its only name is path from here on
	err := os.Link(s.temporary, s.path) // a rename would replace what a quicker process wrote
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return errors.Join(err, SyncDir(filepath.Dir(s.path)))
}

// Discard removes what was staged and is not wanted.
func (s Staged) Discard() { _ = os.Remove(s.temporary) }

// SyncDir has the names in a directory on disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
