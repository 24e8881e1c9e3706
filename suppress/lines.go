package suppress

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that a zstd stream can ask for (chosen; the
// default of the zstd program needs 8 MiB).
const maxWindow = 128 << 20

// lines gives the lines of an upload, decompressed, within the limits.
type lines struct {
	b     *bufio.Reader
	raw   *limited // as received
	plain *limited // decompressed; raw itself without compression
	close func()
	row   int    // longest line allowed
	line  uint64 // number of the line given last, from 1
}

// limited counts what is read and fails when it is more than limit.
type limited struct {
	r     io.Reader
	left  int64
	limit int64
	what  string
	err   error // what r failed with, other than io.EOF
}

func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	if err != nil && err != io.EOF {
		l.err = err
	}
	if l.left < 0 {
		return 0, fmt.Errorf("%w: more than %d bytes %s", ErrTooLarge, l.limit, l.what)
	}
	return n, err
}

func newLines(r io.Reader, compression string, limits Limits) (*lines, error) {
	in := &lines{close: func() {}, row: limits.RowBytes}
	in.raw = &limited{r: r, left: limits.CompressedBytes, limit: limits.CompressedBytes, what: "as received"}
	var plain io.Reader = in.raw
	switch compression {
	case "", None:
	case Gzip:
		z, err := gzip.NewReader(bufio.NewReaderSize(in.raw, 64<<10))
		if err != nil {
			return nil, in.fault(err)
		}
		plain = z
	case Zstd:
		z, err := zstd.NewReader(in.raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow),
			zstd.WithDecoderMaxMemory(uint64(limits.Bytes)))
		if err != nil {
			return nil, in.fault(err)
		}
		plain, in.close = &nonEmpty{r: z}, z.Close
	default:
		return nil, fmt.Errorf("%w: compression %q is none of %q, %q, %q", ErrImport, compression, None, Gzip, Zstd)
	}
	if compression != "" && compression != None {
		ahead, end := newReadAhead(plain), in.close
		plain, in.close = ahead, func() { ahead.close(); end() }
	}
	in.plain = &limited{r: plain, left: limits.Bytes, limit: limits.Bytes, what: "after decompression"}
	in.b = bufio.NewReaderSize(in.plain, max(in.row+2, 256<<10))
	if err := in.skipBOM(); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
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

func (in *lines) skipBOM() error {
	b, _ := in.b.Peek(3)
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		in.b.Discard(3)
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		return fmt.Errorf("%w: the file is UTF-16; export it as UTF-8", ErrImport)
	case bytes.HasPrefix(b, []byte("\x1f\x8b")):
		return fmt.Errorf("%w: the file is compressed with gzip and was not announced so; say Content-Encoding: gzip", ErrImport)
	case bytes.HasPrefix(b, []byte("PK\x03")):
		return fmt.Errorf("%w: the file is a zip archive or a spreadsheet; send the CSV in it", ErrImport)
	}
	return nil
}

// next gives the next line without its end. It is good until the call after.
// io.EOF stands alone; every other error names the line.
func (in *lines) next() ([]byte, error) {
	b, err := in.b.ReadSlice('\n')
	if err == io.EOF && len(b) == 0 {
		return nil, io.EOF
	}
	in.line++
	if err == bufio.ErrBufferFull {
		return nil, in.tooLong(in.line)
	}
	if err != nil && err != io.EOF {
		return nil, in.fault(err)
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\r"))
	if len(b) > in.row {
		return nil, in.tooLong(in.line)
	}
	return b, nil
}

func (in *lines) tooLong(line uint64) error {
	return fmt.Errorf("line %d: %w: it has more than %d bytes; is a quote left open?", line, ErrRowTooLong, in.row)
}

// fault names the line and sorts the errors of readers and decompressors into
// those that a caller can tell apart.
func (in *lines) fault(err error) error {
	line := max(in.line, 1)
	switch {
	case errors.Is(err, ErrTooLarge):
		return fmt.Errorf("line %d: %w; split the file or raise the limit", line, err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("line %d: %w: nothing of it was used; send it again whole", line, ErrTruncated)
	case in.raw.err != nil:
		// The connection, not the file.
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("line %d: %w: zstd asks for more memory than is allowed; compress it again with a smaller window", line, ErrTooLarge)
	default:
		return fmt.Errorf("line %d: %w: %v; compress and send it again", line, ErrCorrupt, err)
	}
	return fmt.Errorf("line %d: read upload: %w", line, err)
}
