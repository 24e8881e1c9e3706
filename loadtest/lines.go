package loadtest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// maxLineBytes bounds one line of a log. A longer one is counted as a rejected
// row and skipped without being held in memory. Chosen: the widest log we know
// has lines under 300 bytes.
const maxLineBytes = 64 << 10

// lineReader reads a log line by line in bounded memory, unpacking gzip where
// the first two bytes say so.
type lineReader struct {
	r    *bufio.Reader
	line int // number of the line last returned, from 1
}

func newLineReader(r io.Reader) (*lineReader, error) {
	b := bufio.NewReaderSize(r, maxLineBytes)
	magic, err := b.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read log: %w", err)
	}
	if len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("read log: gzip header: %w", err)
		}
		b = bufio.NewReaderSize(z, maxLineBytes)
	}
	if bom, _ := b.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3)
	}
	return &lineReader{r: b}, nil
}

// next returns the next line without its line end; tooLong says that it was
// over maxLineBytes and skipped. The line aliases the reader's buffer until the
// following call. It returns io.EOF at the end, ErrCutShort where a gzip stream
// ends early.
func (l *lineReader) next() (line []byte, tooLong bool, err error) {
	line, err = l.r.ReadSlice('\n')
	l.line++
	for errors.Is(err, bufio.ErrBufferFull) {
		tooLong = true
		_, err = l.r.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, false, fmt.Errorf("read log: line %d: %w", l.line, ErrCutShort)
		}
		return nil, false, fmt.Errorf("read log: line %d: %w", l.line, err)
	}
	if tooLong {
		return nil, true, nil
	}
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return nil, false, io.EOF
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), false, nil
}

// appendFields appends the fields of one line to dst. Fields alias line, and
// doubled quotes are undone in place. A quoted field cannot span lines.
func appendFields(dst [][]byte, line []byte, separator byte) ([][]byte, error) {
	for {
		if len(line) == 0 || line[0] != '"' {
			i := bytes.IndexByte(line, separator)
			if i < 0 {
				return append(dst, line), nil
			}
			dst, line = append(dst, line[:i]), line[i+1:]
			continue
		}
		field, rest, err := unquote(line)
		if err != nil {
			return dst, err
		}
		dst = append(dst, field)
		if len(rest) == 0 {
			return dst, nil
		}
		if rest[0] != separator {
			return dst, errors.New("text after a closing quote")
		}
		line = rest[1:]
	}
}

// unquote reads the quoted field that line begins with, in place.
func unquote(line []byte) (field, rest []byte, err error) {
	field = line[1:1]
	for i := 1; i < len(line); i++ {
		if line[i] == '"' {
			if i+1 >= len(line) || line[i+1] != '"' {
				return field, line[i+1:], nil
			}
			i++
		}
		field = append(field, line[i])
	}
	return nil, nil, errors.New("a quote is not closed in its line")
}

// detectSeparator returns the one of comma, tab and semicolon that the header
// line holds most of; comma where it holds none.
func detectSeparator(header []byte) byte {
	best, most := byte(','), 0
	for _, s := range []byte{',', '\t', ';'} {
		if n := bytes.Count(header, []byte{s}); n > most {
			best, most = s, n
		}
	}
	return best
}
