package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A folder is filled from a backup whole or not at all: everything is written into DIR/import.tmp and synced, then renamed to DIR/import, which is the moment
// from which on it counts, and then moved to its places. A process that dies before that moment leaves what nobody looks at; one that dies after it
// leaves what Finish moves on.
const (
	stageName  = "import.tmp"
	commitName = "import"
)

// Stage makes the empty folder that Commit is to be called for, in place of what an earlier try left.
func Stage(dir string) (stage string, err error) {
	stage = filepath.Join(dir, stageName)
	if err := os.RemoveAll(stage); err != nil {
		return "", fmt.Errorf("remove what an earlier import left: %w", err)
	}
	if err := os.Mkdir(stage, 0o700); err != nil {
		return "", fmt.Errorf("make folder for the import: %w", err)
	}
	return stage, nil
}

// Discard removes what Stage made and Commit did not take.
func Discard(dir string) error { return os.RemoveAll(filepath.Join(dir, stageName)) }

// Commit makes what is in the folder of Stage that of dir. After an error Finish may have something to move on; Pending says so.
func Commit(dir string) error {
	stage := filepath.Join(dir, stageName)
	if err := syncAll(stage); err != nil {
		return fmt.Errorf("sync what was imported: %w", err)
	}
	if err := os.Rename(stage, filepath.Join(dir, commitName)); err != nil {
		return fmt.Errorf("take what was imported: %w", err)
	}
	if err := syncOne(dir); err != nil {
		return fmt.Errorf("take what was imported: %w", err)
	}
	return Finish(dir)
}

// Pending says that a Commit of dir began and did not come to its end.
func Pending(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, commitName))
	return err == nil
}

// Left says that an import of dir began and did not come to its end: there is something to Discard or to Finish.
func Left(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, stageName))
	return err == nil || Pending(dir)
}

// Finish moves what a Commit did not. Where there is nothing it does nothing. Nobody else may use the folder.
func Finish(dir string) error {
	from := filepath.Join(dir, commitName)
	switch _, err := os.Lstat(from); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("finish import: %w", err)
	}
	if err := moveInto(dir, from); err != nil {
		return fmt.Errorf("finish import: %w", err)
	}
	return nil
}

// moveInto moves what is in a folder into another, and removes the folder.
func moveInto(dir, from string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(dir, e.Name())
		there, err := os.Lstat(target)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = os.Rename(source, target)
		case err == nil && there.IsDir() && e.IsDir():
			err = moveInto(target, source)
		case err == nil:
			err = fmt.Errorf("%q is there already: move it away", target)
		}
		if err != nil {
			return err
		}
	}
	// Before the folder that says that there is something to move goes.
	if err := syncOne(dir); err != nil {
		return err
	}
	if err := os.Remove(from); err != nil {
		return err
	}
	return syncOne(filepath.Dir(from))
}

// syncAll makes a folder and all that is in it outlive a loss of power.
func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncOne(path)
	})
}

func syncOne(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
