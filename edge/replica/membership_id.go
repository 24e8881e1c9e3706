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

	"restraint/edge/durable"
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
	err = os.MkdirAll(dir, 0o700)
	if err == nil {
		err = durable.Write(path, []byte(id+"\n"))
	}
	if err != nil {
		return "", fmt.Errorf("write identity of the data directory: %w", err)
	}
	return id, nil
}
