package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// From says where reading begins: at the entry Seq, or where that is 0 at the first of
// the time At or later.
type From struct {
	Seq uint64
	At  time.Time
}

// Lines are entries as they stand in the files.
type Lines struct {
	// Text has one entry a line.
	Text []byte
	// Next is the number of the entry that follows; 0: there is none yet.
	Next uint64
	// Count is how many entries Text has.
	Count int
}

// Read reads at most limit entries and, but for the first, at most so many bytes.
func (l *Log) Read(from From, limit, most int) (lines Lines, err error) {
	l.mu.Lock()
	newest, size := l.path, l.tip.size
	l.mu.Unlock()
	return readFiles(l.o.Open, l.o.Dir, newest, size, from, limit, most)
}

// ReadDir is Read of the log in a folder, which a node may have open.
func ReadDir(open Opener, dir string, from From, limit, most int) (Lines, error) {
	return readFiles(open, dir, "", 0, from, limit, most)
}

// readFiles reads up to the size of the newest file, where that is named.
func readFiles(open Opener, dir, newest string, end int64, from From, limit, most int) (lines Lines, err error) {
	files, err := logFiles(dir)
	if err != nil {
		return lines, err
	}
	for i := range files {
		if i+1 < len(files) && from.At.IsZero() && files[i+1].first <= from.Seq {
			continue // all of it is before
		}
		size := int64(-1)
		if files[i].path == newest {
			size = end
		}
		done, err := lines.read(open, &files[i], size, from, limit, most)
		if err != nil || done {
			return lines, err
		}
		if files[i].path == newest {
			break // what came since is for the next time
		}
	}
	return lines, nil
}

// read reads one file, of which size bytes count; below 0: all of it.
func (lines *Lines) read(open Opener, f *logFile, size int64, from From, limit, most int) (done bool, err error) {
	r, content, err := open.openToRead(f.path)
	if err != nil {
		return false, fmt.Errorf("read the audit record: %w", err)
	}
	defer func() { _ = r.Close() }() // nothing was written
	var whole io.Reader = content
	if size >= 0 {
		whole = io.LimitReader(content, size)
	}
	scanner := bufio.NewScanner(whole)
	scanner.Buffer(make([]byte, 0, MaxLine+1), MaxLine+1)
	for scanner.Scan() {
		line := scanner.Bytes()
		seq := lineSeq(line) // 0 of a damaged line, which belongs to what is before and after it
		if seq != 0 && seq < from.Seq || lines.Count == 0 && !from.At.IsZero() && lineAt(line).Before(from.At) {
			continue
		}
		if lines.Count == limit || lines.Count > 0 && len(lines.Text)+len(line) >= most {
			lines.Next = seq
			return true, nil
		}
		lines.Text = append(append(lines.Text, line...), '\n')
		lines.Count++
	}
	if err := scanner.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return false, fmt.Errorf("read the audit record: %w", err)
	}
	return false, nil
}

// lineSeq is the number in a line; 0 where there is none.
func lineSeq(line []byte) (seq uint64) {
	digits, found := bytes.CutPrefix(line, []byte(`{"seq":`))
	if !found {
		return 0
	}
	digits, _, _ = bytes.Cut(digits, []byte(","))
	seq, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0
	}
	return seq
}

// lineAt is the time in a line; the zero one where there is none.
func lineAt(line []byte) time.Time {
	var e struct {
		At time.Time `json:"at"`
	}
	if json.Unmarshal(line, &e) != nil {
		return time.Time{}
	}
	return e.At
}

// Has says whether the entry that a head was signed over is in the log as it was. It
// reads one file.
func (l *Log) Has(h *Head) (bool, error) {
	lines, err := l.Read(From{Seq: h.Seq}, 1, 1)
	if err != nil || lines.Count == 0 {
		return false, err
	}
	p, err := parseLine(bytes.TrimSuffix(lines.Text, []byte("\n")), &l.o.Key)
	return err == nil && p.fits && p.Seq == h.Seq && p.mac == h.MAC, nil
}

// ReadEntry reads an entry from its line, whose mac it does not look at.
func ReadEntry(line []byte) (Entry, error) {
	var none [32]byte
	p, err := parseLine(bytes.TrimRight(line, "\r\n"), &none)
	return p.Entry, err
}
