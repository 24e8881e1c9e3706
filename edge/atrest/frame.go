package atrest

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	magic     = "restseal"
	version   = 1
	headSize  = 56
	sumSize   = 16
	frameHead = 28
	nonceSize = 12
	boundSize = 12 // bytes of a frame that are authenticated beside its content
	tagSize   = 16
	overhead  = frameHead + tagSize
	// frameMost is the content of the longest frame. Chosen: what an exact look-up in a
	// list's key file reads.
	frameMost = 4 << 10
	lastBit   = 1 << 31
)

// Errors of files.
var (
	// ErrDamaged: some of the content could not be read and is given as zero bytes.
	ErrDamaged = errors.New("encrypted content is damaged")
	// ErrPath: the file was made for another path, or its head was changed.
	ErrPath = errors.New("the head of an encrypted file is damaged, or it is another file's: put the right one back from a backup, or move it out of the folder")
	// ErrKey: it is sealed under a key that is not in the key file.
	ErrKey = errors.New("encrypted under a key that is not in the key file")
	// ErrPlain: it is not encrypted and should be.
	ErrPlain = errors.New("a file that should be encrypted is not")
	// ErrVersion: it is of a later program.
	ErrVersion = errors.New("encrypted by a later version of this program")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendHead appends the head of a new file, and returns what its frames are sealed by.
func appendHead(dst []byte, k *key, path string) ([]byte, cipher.AEAD) {
	from := len(dst)
	dst = append(dst, magic...)
	dst = binary.BigEndian.AppendUint32(dst, version)
	dst = append(dst, 0, 0, 0, 0)
	dst = append(dst, k.fingerprint[:]...)
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails; it ends the process instead
	dst = append(dst, salt[:]...)
	return append(dst, k.sum(dst[from:], path)...), k.file(salt[:])
}

// isSealed says that a file that begins so is sealed.
func isSealed(b []byte) bool { return len(b) >= len(magic) && string(b[:len(magic)]) == magic }

// begins says that b is a sealed file, or what is there of one that was just begun.
func begins(b []byte) bool {
	return string(b[:min(len(b), len(magic))]) == magic[:min(len(b), len(magic))]
}

// keyOf is the key that the file with the head is sealed under.
func (k Keys) keyOf(head []byte) (*key, error) {
	if v := binary.BigEndian.Uint32(head[8:]); v != version {
		return nil, fmt.Errorf("%w: version %d, this one reads %d", ErrVersion, v, version)
	}
	found := k.find([8]byte(head[16:24]))
	if found == nil {
		return nil, fmt.Errorf("%w: its key has the fingerprint %s, the one in use %s", ErrKey, hex.EncodeToString(head[16:24]), k.Fingerprint())
	}
	return found, nil
}

// openHead checks the head of the file at a path.
func (k Keys) openHead(head []byte, path string) (*key, cipher.AEAD, error) {
	found, err := k.keyOf(head)
	if err != nil {
		return nil, nil, err
	}
	if !hmac.Equal(found.sum(head[:headSize-sumSize], path), head[headSize-sumSize:]) {
		return nil, nil, ErrPath
	}
	return found, found.file(head[24:40]), nil
}

// frame is what the head of one says.
type frame struct {
	place int64
	bytes int
	last  bool
}

func (f *frame) size() int64 { return overhead + int64(f.bytes) }

// appendFrames appends content, which has its place in the file, as frames. The last of
// them is marked where last says so; then no content is a frame too.
func appendFrames(dst []byte, aead cipher.AEAD, place int64, content []byte, last bool) []byte {
	count := (len(content) + frameMost - 1) / frameMost
	if last {
		count = max(count, 1)
	}
	for i := range count {
		n := min(len(content), frameMost)
		from, length := len(dst), uint32(n)
		if last && i == count-1 {
			length |= lastBit
		}
		dst = binary.BigEndian.AppendUint64(dst, uint64(place))
		dst = binary.BigEndian.AppendUint32(dst, length)
		dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
		dst = append(dst, make([]byte, nonceSize)...)
		nonce := dst[len(dst)-nonceSize:]
		_, _ = rand.Read(nonce) // never fails; it ends the process instead
		dst = aead.Seal(dst, nonce, content[:n], dst[from:from+boundSize])
		place, content = place+int64(n), content[n:]
	}
	return dst
}

// parseFrame reads the head of a frame at the start of b; false where there is none.
func parseFrame(b []byte) (f frame, ok bool) {
	if len(b) < frameHead || crc32.Checksum(b[:boundSize], castagnoli) != binary.BigEndian.Uint32(b[boundSize:]) {
		return f, false
	}
	length := binary.BigEndian.Uint32(b[8:])
	f = frame{place: int64(binary.BigEndian.Uint64(b)), bytes: int(length &^ lastBit), last: length&lastBit != 0}
	return f, f.place >= 0 && f.place < maxPlace && f.bytes <= frameMost && (f.bytes > 0 || f.last)
}

// beginsFrame says that b, what there is of the head of a frame in the last bytes of a file,
// is that of the frame for a place, and the frame has more bytes than the file has left.
func beginsFrame(b []byte, place, bytes int64) bool {
	var want [8]byte
	binary.BigEndian.PutUint64(want[:], uint64(place))
	if n := min(len(b), len(want)); string(b[:n]) != string(want[:n]) {
		return false
	}
	if len(b) < boundSize+4 {
		return true
	}
	var whole [frameHead]byte
	copy(whole[:], b)
	of, ok := parseFrame(whole[:])
	return ok && of.size() > bytes
}

// maxPlace keeps sums of places well inside an int64 (chosen).
const maxPlace = 1 << 60

// open appends the content of the frame at the start of b, which is whole.
func (f *frame) open(dst []byte, aead cipher.AEAD, b []byte) ([]byte, error) {
	return aead.Open(dst, b[boundSize+4:frameHead], b[frameHead:f.size()], b[:boundSize])
}

// nextFrame finds the first frame in b that begins at pos or later and whose content is
// not before least. Between frames there is nothing, unless somebody changed the file.
func nextFrame(b []byte, pos int, least int64) (int, frame, bool) {
	for ; pos+frameHead <= len(b); pos++ {
		f, ok := parseFrame(b[pos:])
		if ok && f.place >= least {
			return pos, f, true
		}
	}
	return pos, frame{}, false
}
