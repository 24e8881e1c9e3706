package identity

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"restraint/edge/durable"
)

// Rotate adds an epoch to the secret file at path, which is there, and returns what it
// holds then. The epoch is prepared: a node reads what is sealed in it once it has read
// the file, and writes in it once all nodes of the cluster can read it.
func Rotate(path string, now time.Time) (Secret, error) {
	return changeSecret(path, func(s Secret) (Secret, error) {
		var b [SecretSize]byte
		_, _ = rand.Read(b[:]) // never fails; it ends the process instead
		return s.withEpoch(b[:], now)
	})
}

// changeSecret replaces the file by what change makes of it, whole or not at all, with
// its owner and mode. What is written was read back before it takes the place of the
// file before. It waits for another change of a file in the same folder. The file is
// on disk (fsync of file and folder) when it returns.
func changeSecret(path string, change func(Secret) (Secret, error)) (s Secret, err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // renaming over a link would leave the file that it names as it was
	}
	lock, err := os.Open(filepath.Dir(path))
	if err != nil {
		return Secret{}, fmt.Errorf("change secret file: %w", err)
	}
	defer func() { _ = lock.Close() }() // which lets go of the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return Secret{}, fmt.Errorf("change secret file: lock %q: %w", filepath.Dir(path), err)
	}
	was, err := os.Stat(path)
	if err == nil {
		s, err = ReadSecret(path)
	}
	if err != nil {
		return Secret{}, err
	}
	if s, err = change(s); err != nil {
		return Secret{}, fmt.Errorf("change secret file %q: %w", path, err)
	}
	if err := replaceSecret(path, s, was); err != nil {
		return Secret{}, fmt.Errorf("change secret file %q: %w", path, err)
	}
	return s, nil
}

func replaceSecret(path string, s Secret, was fs.FileInfo) error {
	staged, err := durable.StageLike(path, s.appendFile(nil), was)
	if err != nil {
		return err
	}
	if _, err := ReadSecret(staged.Temporary()); err != nil {
		staged.Discard()
		return fmt.Errorf("read back what was written: %w; the file stays as it was", err)
	}
	return staged.Commit()
}
