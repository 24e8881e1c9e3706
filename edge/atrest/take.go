package atrest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"restraint/edge/durable"
)

// Options are what Open needs.
type Options struct {
	// Dir is the folder of which the files are encrypted.
	Dir string
	// Keys are those of the key file; none: nothing is to be encrypted.
	Keys Keys
	// Lock is a file that whoever uses the folder has locked (flock), below Dir.
	Lock string
	// Leave says which files and folders are none of this package's, by their path below
	// Dir with / between its parts.
	Leave func(path string) bool
	// Aside says which files were set aside, for people to look at: they are encrypted
	// where they are not, and otherwise stay as they are, their key there or gone. Nil: none.
	Aside func(path string) bool
	// Log receives what was done.
	Log *slog.Logger
}

const (
	// Mark is a file below Dir that is there once all others are encrypted.
	Mark = "encrypted"
	// takeName begins the names of files that are being encrypted.
	takeName = ".encrypting-"
)

// Open makes sure that every file of a folder is encrypted under the key in use. At the
// first start with a key, files are encrypted that were not, and at the first with another
// key in front, those under the one before: each is written anew beside its place and
// moved there, so that a process that dies leaves each as it was or as it will be. After
// that a file that is not encrypted is refused (ErrPlain), since whoever has no key can
// write one. The blocks of the disk that held it are not overwritten.
//
// A file under a key that is not there is refused with ErrKey before anything is changed,
// also without any key. Without keys the Disk is nil.
func Open(o Options) (*Disk, error) {
	found, err := o.look()
	if err != nil {
		return nil, fmt.Errorf("look for encrypted files: %w", err)
	}
	if err := o.Keys.openAll(found.sealed); err != nil || len(o.Keys.all) == 0 {
		return nil, err
	}
	if found.marked && len(found.plain) > 0 {
		return nil, fmt.Errorf("%w: %q (and %d more): all files here were encrypted once; remove it, or, if you put it there, remove %q to have such files encrypted too",
			ErrPlain, found.plain[0], len(found.plain)-1, filepath.Join(o.Dir, Mark))
	}
	d := &Disk{dir: o.Dir, keys: o.Keys}
	take := found.plain
	for _, of := range found.sealed {
		if of.fingerprint != o.Keys.all[0].fingerprint {
			take = append(take, of.name)
		}
	}
	if len(take)+len(found.left) > 0 {
		if err := o.takeAll(d, take, found.left); err != nil {
			return nil, fmt.Errorf("encrypt files: %w", err)
		}
	}
	if !found.marked {
		if err := d.WriteFile(filepath.Join(o.Dir, Mark), []byte("all files are encrypted\n")); err != nil {
			return nil, fmt.Errorf("note that all files are encrypted: %w", err)
		}
	}
	d.strict = true
	return d, nil
}

// Look returns a Disk for programs that only read what a node left in folders below dir,
// be it encrypted or not; nil without keys. It refuses with ErrKey what cannot be read.
func Look(dir string, keys Keys, folders ...string) (*Disk, error) {
	o := Options{Dir: dir, Leave: func(path string) bool {
		first, _, _ := strings.Cut(path, "/")
		return path != "." && !slices.Contains(folders, first)
	}}
	found, err := o.look()
	if err != nil {
		return nil, fmt.Errorf("look for encrypted files: %w", err)
	}
	if err := keys.openAll(found.sealed); err != nil || len(keys.all) == 0 {
		return nil, err
	}
	return &Disk{dir: dir, keys: keys}, nil
}

// openAll refuses files of which the key is missing, and names it.
func (k Keys) openAll(files []sealedFile) error {
	i := slices.IndexFunc(files, func(of sealedFile) bool { return k.find(of.fingerprint) == nil })
	if i < 0 {
		return nil
	}
	of, have := files[i], "there is no key file: give the one that has it as encrypt.key_file"
	if len(k.all) > 0 {
		have = "the key file has " + strings.Join(k.fingerprints(), ", ") + ": add that key after the first, or give the file that has it"
	}
	return fmt.Errorf("%w: %q is encrypted under the key with fingerprint %s, and %s", ErrKey, of.name, hex.EncodeToString(of.fingerprint[:]), have)
}

func (k Keys) fingerprints() (all []string) {
	for i := range k.all {
		all = append(all, hex.EncodeToString(k.all[i].fingerprint[:]))
	}
	return all
}

// found are the files of a folder.
type found struct {
	plain  []string
	sealed []sealedFile
	marked bool
	left   []string // by a process that died while it encrypted a file
}

type sealedFile struct {
	name        string
	fingerprint [8]byte
}

// look reads the begin of every file.
func (o *Options) look() (all found, err error) {
	err = filepath.WalkDir(o.Dir, func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(o.Dir, name)
		if err != nil {
			return err
		}
		switch {
		case o.Leave != nil && o.Leave(filepath.ToSlash(rel)) && e.IsDir():
			return fs.SkipDir
		case o.Leave != nil && o.Leave(filepath.ToSlash(rel)), !e.Type().IsRegular():
			return nil
		case strings.HasPrefix(e.Name(), takeName):
			all.left = append(all.left, name)
			return nil
		}
		return all.add(name, rel, o.Aside != nil && o.Aside(filepath.ToSlash(rel)))
	})
	return all, err
}

func (all *found) add(name, rel string, aside bool) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	head := make([]byte, headSize)
	n, err := io.ReadFull(f, head)
	switch {
	case n == headSize && isSealed(head) && aside:
	case n == headSize && isSealed(head):
		all.sealed = append(all.sealed, sealedFile{name, [8]byte(head[16:24])})
		all.marked = all.marked || rel == Mark
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case !begins(head[:n]):
		all.plain = append(all.plain, name)
	}
	return nil
}

// takeAll encrypts files under the key in use, while nobody else has the folder, and
// removes what an earlier start left.
func (o *Options) takeAll(d *Disk, names, left []string) error {
	if err := os.MkdirAll(filepath.Dir(o.Lock), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(o.Lock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }() // it is only locked
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another process uses %q: stop it first: %w", o.Dir, err)
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	bytes, damaged := int64(0), 0
	for _, name := range names {
		n, err := d.take(name)
		if errors.Is(err, ErrDamaged) || errors.Is(err, ErrPath) {
			damaged++
			o.Log.Error("a damaged file stays encrypted under the key before; remove it, or put it back from a backup, before that key goes", "file", name, "error", err.Error())
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		bytes += n
	}
	o.Log.Info("encrypted the files under the key in use", "fingerprint", d.Fingerprint(), "files", len(names)-damaged, "bytes", bytes, "damaged", damaged)
	return nil
}

// take writes a file anew under the key in use, with the times that it had.
func (d *Disk) take(name string) (int64, error) {
	from, err := d.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer func() { _ = from.Close() }() // nothing was written
	info, err := from.Stat()
	if err != nil {
		return 0, err
	}
	to, err := d.CreateTemp(filepath.Dir(name), takeName)
	if err != nil {
		return 0, err
	}
	// A writer of large pieces, and none that knows a way round Write.
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, io.NewSectionReader(from, 0, info.Size()), make([]byte, maxBuffer))
	if err == nil && (from.key == nil || from.ended()) { // what has lost its end is not to be given one
		_, err = to.append(nil, true)
	}
	if err == nil {
		err = to.Place(name)
	}
	if err == nil {
		err = os.Chtimes(name, info.ModTime(), info.ModTime())
	} else {
		err = errors.Join(err, os.Remove(to.Name()))
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return 0, err
	}
	return n, durable.SyncDir(filepath.Dir(name))
}
