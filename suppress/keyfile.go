package suppress

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sort"
	"sync"
)

// blockKeys keys are one block of 4 KiB. The first key of every block is held in
// memory (16 bytes for 256 keys), so that a look-up is one read of one block.
const blockKeys = 256

// keyFile is an open, verified, immutable file of sorted keys. Look-ups may run
// beside one another. The descriptor is closed when nothing refers to it any
// more (that of os.File itself), since a reader may still hold an old View.
type keyFile struct {
	manifest
	path  string
	file  File
	index []pair
	// leaving has the keys that leave at another second than manifest.until.
	leaving *leaving
	// seal is the key that its keys are sealed under; nil: they are not.
	seal cipher.Block
}

// openKeyFile opens the file and verifies all of it: head, checksum, order, count.
func openKeyFile(disk Disk, path, list string, v vault) (*keyFile, error) {
	f, err := disk.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	k := &keyFile{path: path, file: f}
	if err := k.verify(list, v); err != nil {
		f.Close()
		return nil, fmt.Errorf("open key file %q: %w", filepath.Base(path), err)
	}
	return k, nil
}

func (k *keyFile) verify(list string, v vault) error {
	head := make([]byte, manifestSize)
	if _, err := io.ReadFull(io.NewSectionReader(lenient{k.file}, 0, manifestSize), head); err != nil {
		return fmt.Errorf("%w: it is shorter than its head", ErrDamaged)
	}
	m, err := parseManifest(head)
	if err != nil {
		return err
	}
	k.manifest = m
	if k.seal, err = v.open(m.sealing, sealsKeys); err != nil {
		return err
	}
	if m.list != nameTag(list) {
		return fmt.Errorf("%w: it belongs to another list than %q", ErrDamaged, list)
	}
	st, err := k.file.Stat()
	if err != nil {
		return err
	}
	want := m.bytes()
	if m.leaving && st.Size() > want {
		if k.leaving, err = readLeaving(io.NewSectionReader(lenient{k.file}, want, st.Size()-want), head, m.keys, k.seal); err != nil {
			return err
		}
		want += leavingSize(uint64(k.leaving.len()))
	}
	if st.Size() != want || m.leaving && k.leaving == nil {
		return fmt.Errorf("%w: it has %d bytes, its head says %d", ErrDamaged, st.Size(), want)
	}
	sum := sha256.New()
	rd := newKeyReader(unsealed(io.TeeReader(k.section(), sum), k.seal, allKeys))
	var last pair
	k.index = make([]pair, 0, (m.keys+blockKeys-1)/blockKeys)
	for n := uint64(0); ; n++ {
		p, ok, err := rd.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if n > 0 && !last.less(p) {
			return fmt.Errorf("%w: key %d is out of order", ErrDamaged, n)
		}
		if n%blockKeys == 0 {
			k.index = append(k.index, p)
		}
		last = p
	}
	if !bytes.Equal(sum.Sum(nil), m.sum[:]) {
		return fmt.Errorf("%w: the checksum of its keys differs", ErrDamaged)
	}
	return nil
}

func (k *keyFile) section() *io.SectionReader {
	return io.NewSectionReader(lenient{k.file}, manifestSize, int64(k.keys)*keySize)
}

// members are all keys, as stream reads them, with the seconds at which they leave.
func (k *keyFile) members() memberStream {
	return &leavingKeys{keys: k.stream(), all: leavesAt(k.until), l: k.leaving}
}

// size is that of the file, in bytes.
func (k *keyFile) size() int64 { return k.bytes() + leavingSize(uint64(k.leaving.len())) }

// leaves is the second at which the key leaves, if it is in the file.
func (k *keyFile) leaves(key *Key) uint32 { return k.leaving.of(pairOf(key), leavesAt(k.until)) }

// stream reads all keys in order, and fails at their end when they are not those
// that were verified: a generation or a filter made of them would lack members,
// under a good checksum of its own.
func (k *keyFile) stream() keyStream {
	sum := sha256.New()
	return &verifiedKeys{keyReader: newKeyReader(unsealed(io.TeeReader(k.section(), sum), k.seal, allKeys)), sum: sum, of: k}
}

type verifiedKeys struct {
	*keyReader
	sum hash.Hash
	of  *keyFile
}

func (v *verifiedKeys) next() (pair, bool, error) {
	p, ok, err := v.keyReader.next()
	if ok || err != nil {
		return p, ok, err
	}
	if !bytes.Equal(v.sum.Sum(nil), v.of.manifest.sum[:]) {
		return p, false, fmt.Errorf("read key file %q: %w: its keys have changed on the disk; upload the list again", filepath.Base(v.of.path), ErrDamaged)
	}
	return p, false, nil
}

// keyBlock is a block that is looked through.
type keyBlock struct {
	bytes     [blockKeys * keySize]byte
	place, by [keySize]byte // of a sealed key: its counter, and what it is sealed by
}

var blocks = sync.Pool{New: func() any { return new(keyBlock) }}

// at is the i-th key of the block, which is key place of the file.
func (b *keyBlock) at(i int, place uint64, seal cipher.Block) pair {
	q := pair{binary.BigEndian.Uint64(b.bytes[i*keySize:]), binary.BigEndian.Uint64(b.bytes[i*keySize+8:])}
	if seal == nil {
		return q
	}
	binary.BigEndian.PutUint64(b.place[8:], place)
	seal.Encrypt(b.by[:], b.place[:])
	return pair{q.hi ^ binary.BigEndian.Uint64(b.by[:]), q.lo ^ binary.BigEndian.Uint64(b.by[8:])}
}

// contains settles membership exactly, with one pread of at most 4 KiB.
func (k *keyFile) contains(key *Key) (bool, error) {
	p := pairOf(key)
	block := sort.Search(len(k.index), func(i int) bool { return p.less(k.index[i]) }) - 1
	if block < 0 {
		return false, nil
	}
	b := blocks.Get().(*keyBlock)
	defer blocks.Put(b)
	n := min(blockKeys, int(k.keys)-block*blockKeys)
	if _, err := k.file.ReadAt(b.bytes[:n*keySize], manifestSize+int64(block)*blockKeys*keySize); err != nil {
		return false, fmt.Errorf("look up key in %q: %w", filepath.Base(k.path), err)
	}
	lo, hi := 0, n
	for lo < hi {
		mid := (lo + hi) / 2
		if b.at(mid, uint64(block*blockKeys+mid), k.seal).less(p) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < n && b.at(lo, uint64(block*blockKeys+lo), k.seal) == p, nil
}

// keyStream gives keys in ascending order, then false.
type keyStream interface {
	next() (pair, bool, error)
}

// keyReader decodes keys from a file by large reads.
type keyReader struct {
	r   io.Reader
	buf []byte
	b   []byte // what is left of buf
	err error
	cut bool // err says that it ended within a key
}

const readerBytes = 64 << 10

func newKeyReader(r io.Reader) *keyReader {
	return &keyReader{r: r, buf: make([]byte, readerBytes)}
}

func (k *keyReader) next() (pair, bool, error) {
	if len(k.b) == 0 {
		if !k.fill() {
			return pair{}, false, k.err
		}
	}
	p := pair{binary.BigEndian.Uint64(k.b), binary.BigEndian.Uint64(k.b[8:])}
	k.b = k.b[keySize:]
	return p, true, nil
}

func (k *keyReader) fill() bool {
	if k.err != nil {
		return false
	}
	n, err := io.ReadFull(k.r, k.buf)
	if err == io.ErrUnexpectedEOF && n%keySize == 0 {
		err = nil
	}
	if err == io.EOF {
		return false
	}
	if err != nil {
		k.cut = err == io.ErrUnexpectedEOF
		k.err = fmt.Errorf("read keys: %w", err)
		return false
	}
	k.b = k.buf[:n]
	return true
}

// sliceStream gives the keys of a sorted slice.
type sliceStream []pair

func (s *sliceStream) next() (pair, bool, error) {
	if len(*s) == 0 {
		return pair{}, false, nil
	}
	p := (*s)[0]
	*s = (*s)[1:]
	return p, true, nil
}
