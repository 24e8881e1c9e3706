package replica

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// keyOf is the name in letters that a key may have: others are written as = and two hex digits.
func keyOf(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// idFile is where a data directory's identity is kept, in it.
const idFile = "id"

func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// directoryID reads the identity of a directory, or makes it. It is on disk when it is returned. One process at a time may call it.
func directoryID(dir string) (string, error) {
	path := filepath.Join(dir, idFile)
	text, err := os.ReadFile(path)
	if err == nil {
		id := strings.TrimSpace(string(text))
		if b, err := hex.DecodeString(id); err != nil || len(b) != 16 {
			return "", fmt.Errorf("identity of the data directory %q: not 32 hex digits: remove the file and it is made anew", path)
		}
		return id, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read identity of the data directory: %w", err)
	}
	id := randomID()
	if err := writeID(dir, path, id); err != nil {
		return "", fmt.Errorf("write identity of the data directory: %w", err)
	}
	return id, nil
}

func writeID(dir, path, id string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".id-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // its only name is path from the rename on
	if _, err = f.WriteString(id + "\n"); err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = disk{}.syncDir(dir)
	}
	return err
}
