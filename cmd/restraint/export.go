package main

import (
	"bufio"
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// export is a CRM export on its way to the node.
type export struct {
	in          *bufio.Reader
	file        io.Closer
	size        int64 // bytes as they are sent; 0: not known
	contentType string
	encoding    string // gzip, zstd, or "" for none

	// failed is what went wrong with reading, as opposed to sending. The
	// transport may still read when the command already reports.
	failed atomic.Pointer[error]
}

// Read reads the file as it is, compressed or not.
func (e *export) Read(b []byte) (int, error) {
	n, err := e.in.Read(b)
	if err != nil && err != io.EOF {
		e.failed.Store(&err)
	}
	return n, err
}

// Close closes the file.
func (e *export) Close() error { return e.file.Close() }

var contentTypes = map[string]string{
	"csv": "text/csv", "ndjson": "application/x-ndjson", "text": "text/plain",
	".csv": "text/csv", ".tsv": "text/csv", ".ndjson": "application/x-ndjson", ".jsonl": "application/x-ndjson", ".txt": "text/plain",
}

// openExport opens the file and finds out what is in it: the format by --format
// or name, the compression by the first bytes.
func (c *pushCmd) openExport(stdin io.Reader) (*export, error) {
	contentType, err := c.contentType()
	if err != nil {
		return nil, err
	}
	f, size, err := openFile(c.File, stdin)
	if err != nil {
		return nil, err
	}
	e := &export{in: bufio.NewReaderSize(f, 64<<10), file: f, size: size, contentType: contentType}
	start, err := e.in.Peek(4)
	if err != nil && err != io.EOF {
		_ = f.Close() // nothing was written
		return nil, err
	}
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}): // RFC 1952
		e.encoding = "gzip"
	case bytes.Equal(start, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878
		e.encoding = "zstd"
	}
	named := map[string]string{".gz": "gzip", ".zst": "zstd"}[strings.ToLower(filepath.Ext(c.File))]
	if named != "" && named != e.encoding {
		_ = f.Close() // nothing was written
		return nil, wrongUse("%s is named as %s and does not begin like it: is the file whole? Otherwise rename it", c.File, named)
	}
	return e, nil
}

func (c *pushCmd) contentType() (string, error) {
	if c.Format != "" {
		if t, ok := contentTypes[c.Format]; ok && !strings.HasPrefix(c.Format, ".") {
			return t, nil
		}
		return "", wrongUse("--format %q: write csv, ndjson or text", c.Format)
	}
	name := strings.ToLower(c.File)
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	if t, ok := contentTypes[filepath.Ext(name)]; ok {
		return t, nil
	}
	if c.ID != "" && c.Column == "" {
		return "text/plain", nil // one identifier a line
	}
	return "", wrongUse("the name of %q does not say its format: give --format csv, ndjson or text", c.File)
}
