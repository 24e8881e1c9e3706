package suppress

import (
	"encoding/base32"
	"fmt"
	"strings"
)

const plainNameBytes = "abcdefghijklmnopqrstuvwxyz0123456789_-"

// maxDirBytes keeps directory names well within what file systems take (255).
// Longer ones are written longMark and the name in base32: at most 207 bytes.
const (
	maxDirBytes = 200
	longMark    = "%~" // which is not %XX
)

var longNames = base32.HexEncoding.WithPadding(base32.NoPadding)

func dirOfName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if strings.IndexByte(plainNameBytes, name[i]) >= 0 {
			b.WriteByte(name[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", name[i])
		}
	}
	if b.Len() > maxDirBytes {
		return longMark + longNames.EncodeToString([]byte(name))
	}
	return b.String()
}

func nameOfDir(dir string) (string, bool) {
	var b []byte
	if long, ok := strings.CutPrefix(dir, longMark); ok {
		b, err := longNames.DecodeString(long)
		return string(b), err == nil && len(b) <= maxNameBytes && dirOfName(string(b)) == dir
	}
	for i := 0; i < len(dir); i++ {
		if dir[i] != '%' {
			b = append(b, dir[i])
			continue
		}
		var c byte
		if i+3 > len(dir) {
			return "", false
		}
		if _, err := fmt.Sscanf(dir[i+1:i+3], "%02X", &c); err != nil {
			return "", false
		}
		b = append(b, c)
		i += 2
	}
	name := string(b)
	return name, name != "" && len(name) <= maxNameBytes && dirOfName(name) == dir
}
