package suppress

import (
	"bytes"
	"fmt"
	"io"
)

// lines gives the lines of an upload.
type lines struct {
	raw    *received
	packed string // None, Gzip or Zstd
	from   pieces
	row    int    // longest line allowed
	line   uint64 // number of the line given last, from 1

	rest  []byte // of the block at hand
	part  []byte // of a line in several blocks
	whole bool   // part is the line given last
}

// newLines reads the first block and passes over a byte order mark.
func newLines(r io.Reader, compression string, o *Options) (*lines, error) {
	in, err := unpack(r, compression, o)
	if err != nil {
		return nil, err
	}
	var first []byte
	for len(first) < 4 {
		b, err := in.from.next()
		if err != nil {
			break // next gives it again
		}
		first = append(first, b...)
	}
	switch as := packedAs(first); {
	case bytes.HasPrefix(first, []byte("\xef\xbb\xbf")):
		first = first[3:]
	case bytes.HasPrefix(first, []byte("\xff\xfe")), bytes.HasPrefix(first, []byte("\xfe\xff")),
		bytes.IndexByte(first[:min(2, len(first))], 0) >= 0: // without a mark, one of the first two bytes is 0
		err = fmt.Errorf("%w: the file is UTF-16; export it as UTF-8", ErrImport)
	case (as == Gzip || as == Zstd) && in.packed == None:
		err = fmt.Errorf("%w: the file is compressed with %s and was not announced so; say Content-Encoding: %s", ErrImport, as, as)
	case as == Gzip || as == Zstd:
		err = fmt.Errorf("%w: the file is compressed twice, %s in %s; compress it once", ErrImport, as, in.packed)
	case as != "":
		err = fmt.Errorf("%w: the file is %s; send the CSV in it", ErrImport, as)
	}
	if err != nil {
		in.from.close()
		return nil, err
	}
	in.rest = first
	return in, nil
}

func (in *lines) close() { in.from.close() }

// next gives the next line without its end. It is good until the call after, and
// the caller's to overwrite. io.EOF stands alone; every other error names the line.
func (in *lines) next() ([]byte, error) {
	if in.whole {
		in.part, in.whole = in.part[:0], false
	}
	for {
		if n := bytes.IndexByte(in.rest, '\n'); n >= 0 {
			line := in.rest[:n]
			in.rest = in.rest[n+1:]
			return in.take(line)
		}
		// One more for the \r of a line that is as long as allowed.
		if len(in.part)+len(in.rest) > in.row+1 {
			in.line++
			return nil, in.tooLong(in.line)
		}
		in.part = append(in.part, in.rest...)
		var err error
		if in.rest, err = in.from.next(); err == nil {
			continue
		}
		if err == io.EOF && len(in.part) == 0 {
			return nil, io.EOF
		}
		if err == io.EOF {
			return in.take(nil)
		}
		in.line++
		return nil, in.fault(err)
	}
}

// take gives the line that ends with end.
func (in *lines) take(end []byte) ([]byte, error) {
	in.line++
	if len(in.part) > 0 {
		in.part, in.whole = append(in.part, end...), true
		end = in.part
	}
	if n := len(end); n > 0 && end[n-1] == '\r' {
		end = end[:n-1]
	}
	if len(end) > in.row {
		return nil, in.tooLong(in.line)
	}
	return end, nil
}

func (in *lines) tooLong(line uint64) error {
	return fmt.Errorf("line %d: %w: it has more than %d bytes; is a quote left open, or do lines end with CR alone?", line, ErrRowTooLong, in.row)
}
