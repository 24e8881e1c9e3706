package shared

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"restraint/edge/durable"
)

// asidePrefix begins the names of files that could not be read; they are not read again.
const asidePrefix = "aside."

// read reads the files. One that is broken is set aside under another name, and what
// was being written when the process died is removed.
func (j *Joined) read() error {
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."+j.kind.Prefix):
			if err := os.Remove(j.file(name)); err != nil {
				return err
			}
		case strings.HasPrefix(name, j.kind.Prefix):
			if err := j.readOne(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *Joined) readOne(name string) error {
	var form []byte
	err := j.CheckName(name)
	if err == nil {
		form, err = j.readFile(name)
		if err != nil {
			return err
		}
		form, err = j.joinLocked(name, nil, form)
	}
	if err != nil {
		j.stats.Refused++
		j.log.Error("a joined document on disk cannot be read and is set aside", "file", j.file(name), "aside", j.file(asidePrefix+name), "error", err.Error())
		return os.Rename(j.file(name), j.file(asidePrefix+name))
	}
	j.documents[name] = &document{form: form, send: j.store != nil}
	j.kind.Changed(name, form)
	return nil
}

// readFile reads a file of at most one byte more than a document has.
func (j *Joined) readFile(name string) ([]byte, error) {
	f, err := os.Open(j.file(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxBytes+1))
}

func (j *Joined) file(name string) string { return filepath.Join(j.dir, name) }

// writeFile makes doc the file's content, whole or not at all.
func (j *Joined) writeFile(name string, doc []byte) error {
	if err := durable.Write(j.file(name), doc); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

// removeFile removes the file of what was dropped. Where that fails it is read at the
// next start, and dropped again.
func (j *Joined) removeFile(name string) {
	if err := os.Remove(j.file(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		j.failedLocked(notRemoved, err)
	}
}

// writeAll writes what came from the cluster and is not on disk.
func (j *Joined) writeAll() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for name, d := range j.documents {
		if !d.write {
			continue
		}
		if err := j.writeFile(name, d.form); err != nil {
			j.failedLocked(notWritten, err)
			return
		}
		d.write = false
	}
	delete(j.failing, notWritten)
}
