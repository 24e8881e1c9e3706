package suppress

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that a zstd stream can ask for (chosen; the
// default of the zstd program needs 8 MiB).
const maxWindow = 128 << 20

// ratioFrom is how much may come out of a decompressor before Limits.Ratio
// counts: so much does no harm, and a short file of one word is no bomb (chosen).
const ratioFrom = 64 << 20

// The first bytes of files: RFC 1952, RFC 8878, APPNOTE.TXT.
const (
	gzipMagic = "\x1f\x8b"
	zstdMagic = "\x28\xb5\x2f\xfd"
	zipMagic  = "PK\x03\x04"
)

// received counts what is received, and fails when it is too much or takes too long.
type received struct {
	r     io.Reader
	bytes int64
	limit int64
	now   func() time.Time
	until time.Time
	err   error // what r failed with, other than io.EOF
}

func (c *received) Read(p []byte) (int, error) {
	n, err := c.r.Read(p[:min(int64(len(p)), c.limit-c.bytes+1)])
	c.bytes += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	switch {
	case c.bytes > c.limit:
		return 0, fmt.Errorf("%w: more than %d bytes as received; split the file, or raise the limit", ErrTooLarge, c.limit)
	case c.now().After(c.until):
		return 0, fmt.Errorf("%w: it is not here whole after the time that an upload has; compress it, or raise the limit", ErrTooSlow)
	}
	return n, err
}

// expanded counts what comes out of a decompressor.
type expanded struct {
	r     io.Reader
	from  *received
	bytes int64
	limit int64
	ratio int64
}

func (c *expanded) Read(p []byte) (int, error) {
	n, err := c.r.Read(p[:min(int64(len(p)), c.limit-c.bytes+1)])
	c.bytes += int64(n)
	switch {
	case c.bytes > c.limit:
		return 0, fmt.Errorf("%w: more than %d bytes after decompression; split the file", ErrExpanded, c.limit)
	case c.bytes > ratioFrom && c.bytes/c.ratio > c.from.bytes:
		return 0, fmt.Errorf("%w: %d bytes became more than %d times as many; if the file is meant so, send it uncompressed", ErrRatio, c.from.bytes, c.ratio)
	}
	return n, err
}

// unpack gives the upload decompressed, within the limits.
func unpack(r io.Reader, compression string, o *Options) (*lines, error) {
	limits := &o.Limits
	in := &lines{row: limits.RowBytes, packed: compression}
	in.raw = &received{r: r, limit: limits.CompressedBytes, now: o.Now, until: o.Now().Add(limits.Time)}
	if compression == "" || compression == None {
		in.packed = None
		in.from = &straight{r: &expanded{r: in.raw, from: in.raw, limit: limits.Bytes, ratio: 2}}
		return in, nil
	}
	buffered := bufio.NewReaderSize(in.raw, 64<<10)
	if err := in.sniff(buffered); err != nil {
		return nil, err
	}
	var plain io.Reader
	end := func() {}
	switch compression {
	case Gzip:
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, in.fault(err)
		}
		plain = z
	case Zstd:
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow),
			zstd.WithDecoderMaxMemory(uint64(limits.Bytes)))
		if err != nil {
			return nil, in.fault(err)
		}
		plain, end = &nonEmpty{r: z}, z.Close
	}
	in.from = &unpacking{newReadAhead(&expanded{r: plain, from: in.raw, limit: limits.Bytes, ratio: limits.Ratio}), end}
	return in, nil
}

// unpacking ends the decompressor after the goroutine that reads from it.
type unpacking struct {
	*readAhead
	end func()
}

func (u *unpacking) close() {
	u.readAhead.close()
	u.end()
}

// sniff looks whether an upload is compressed as it is announced to be.
func (in *lines) sniff(b *bufio.Reader) error {
	magic := map[string]string{Gzip: gzipMagic, Zstd: zstdMagic}[in.packed]
	if magic == "" {
		return fmt.Errorf("%w: compression %q is none of %q, %q, %q", ErrImport, in.packed, None, Gzip, Zstd)
	}
	start, err := b.Peek(len(zstdMagic))
	switch {
	case bytes.HasPrefix(start, []byte(magic)) || in.packed == Zstd && skippable(start):
		return nil
	case err != nil && err != io.EOF:
		return in.fault(err)
	case len(start) < len(magic) && bytes.HasPrefix([]byte(magic), start):
		return in.fault(io.ErrUnexpectedEOF)
	}
	is := "is not compressed: send it again without Content-Encoding"
	if as := packedAs(start); as != "" {
		is = fmt.Sprintf("begins as %s does: send it again with what it is", as)
	}
	return fmt.Errorf("%w: it is announced as %s and %s", ErrCorrupt, in.packed, is)
}

// skippable says that a zstd frame of other people's data begins (RFC 8878, 3.1.2).
func skippable(start []byte) bool {
	return len(start) == 4 && start[0]&0xf0 == 0x50 && string(start[1:]) == "\x2a\x4d\x18"
}

// packedAs says what a file is that begins so, "" for a text.
func packedAs(start []byte) string {
	switch {
	case bytes.HasPrefix(start, []byte(gzipMagic)):
		return Gzip
	case bytes.HasPrefix(start, []byte(zstdMagic)):
		return Zstd
	case bytes.HasPrefix(start, []byte(zipMagic)):
		return "a zip archive or a spreadsheet"
	}
	return ""
}

// nonEmpty takes a zstd stream without a byte for one that ended early.
type nonEmpty struct {
	r    io.Reader
	some bool
}

func (n *nonEmpty) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	n.some = n.some || k > 0
	if err == io.EOF && !n.some {
		err = io.ErrUnexpectedEOF
	}
	return k, err
}

// fault names the line and sorts the errors of readers and decompressors into
// those that a caller can tell apart.
func (in *lines) fault(err error) error {
	line := max(in.line, 1)
	for _, limit := range []error{ErrTooLarge, ErrExpanded, ErrRatio, ErrTooSlow} {
		if errors.Is(err, limit) {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
	switch {
	case errors.Is(in.raw.err, os.ErrDeadlineExceeded):
		return fmt.Errorf("line %d: %w: nothing came any more; nothing of it was used, send it again", line, ErrTooSlow)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("line %d: %w: nothing of it was used; send it again whole", line, ErrTruncated)
	case in.raw.err != nil: // the connection, not the file
		return fmt.Errorf("line %d: read upload: %w", line, err)
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("line %d: %w: zstd asks for more memory than is allowed; compress it again with a smaller window", line, ErrExpanded)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrMagicMismatch):
		return fmt.Errorf("line %d: %w: something that is no %s follows the end of it; compress and send it again", line, ErrCorrupt, in.packed)
	}
	return fmt.Errorf("line %d: %w: %v; compress and send it again", line, ErrCorrupt, err)
}
