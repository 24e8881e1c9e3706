package loadtest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultMaxRows bounds a log: a row costs about 50 bytes in memory, besides
// its distinct names.
const DefaultMaxRows = 10_000_000

// syntheticMark begins the comment line of a log that SyntheticLog wrote.
const syntheticMark = "# synthetic log"

// row is one event of a log, with names as numbers of its eventLog.
type row struct {
	at                                 int64  // nanoseconds since 1970
	seq                                uint32 // place in the log as read: the same files give the same
	user                               uint32
	campaign, creative, item, category uint32
	line                               uint32 // in its file
	file                               uint8  // index of eventLog.files
	kind                               kind
	clicked                            bool
}

// second is what is sent as "at".
func (r *row) second() int64 { return r.at / 1e9 }

// names numbers the distinct strings of a log; 0 is the empty one.
type names struct {
	number map[string]uint32
	text   []string
}

func newNames() names { return names{map[string]uint32{"": 0}, []string{""}} }

func (n *names) of(b []byte) uint32 {
	if i, ok := n.number[string(b)]; ok {
		return i
	}
	i, s := uint32(len(n.text)), string(b)
	n.number[s], n.text = i, append(n.text, s)
	return i
}

// FileRows is how many rows, without the header, one file held.
type FileRows struct {
	File string `json:"file"`
	Rows int    `json:"rows"`
}

// eventLog is a whole log in memory, in time order once sorted.
type eventLog struct {
	rows     []row
	users    names
	names    names // campaigns, creatives, items, categories
	files    []FileRows
	rejected Rejected
	label    string // comment of a synthetic log
	maxRows  int
	read     int
	each     func(*event) // what to do with a row; default: add
}

func newEventLog(maxRows int) *eventLog {
	l := &eventLog{users: newNames(), names: newNames(), maxRows: cmp.Or(maxRows, DefaultMaxRows)}
	l.rejected = newRejected()
	l.each = l.add
	return l
}

func (l *eventLog) add(e *event) {
	l.rows = append(l.rows, row{
		at: e.at, seq: uint32(len(l.rows)), kind: e.kind, clicked: e.clicked, line: uint32(e.line), file: uint8(len(l.files) - 1),
		user: l.users.of(e.user), campaign: l.names.of(e.campaign), creative: l.names.of(e.creative), item: l.names.of(e.item), category: l.names.of(e.category),
	})
}

// count counts a row that was read, of whatever use, and bounds the log.
func (l *eventLog) count(file string) error {
	file = filepath.Base(file)
	if n := len(l.files); n == 0 || l.files[n-1].File != file {
		l.files = append(l.files, FileRows{File: file})
	}
	l.files[len(l.files)-1].Rows++
	l.read++
	if l.read > l.maxRows || len(l.rows) > l.maxRows {
		return fmt.Errorf("read log: %w: over %d; cut the log, or raise the bound if the memory allows (about 50 bytes a row)", ErrTooManyRows, l.maxRows)
	}
	return nil
}

func (l *eventLog) readFile(path string, c Columns) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	return l.readFrom(f, path, c)
}

// readFrom reads one log whose rows are mapped by c.
func (l *eventLog) readFrom(from io.Reader, name string, c Columns) error {
	r, err := newLineReader(from)
	if err != nil {
		return err
	}
	line, tooLong, err := r.next()
	for err == nil && bytes.HasPrefix(line, []byte("#")) {
		if bytes.HasPrefix(line, []byte(syntheticMark)) {
			l.label = strings.TrimSpace(clip200(line[1:]))
		}
		line, tooLong, err = r.next()
	}
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("read log %q: %w: it is empty", name, ErrEmptyLog)
	case err != nil:
		return err
	case tooLong:
		return fmt.Errorf("read header of %q: %w: the first line is over %d bytes", name, ErrColumn, maxLineBytes)
	}
	m, err := newMapper(line, c)
	if err != nil {
		return err
	}
	before := l.read
	if err := l.readRows(r, m, name); err != nil {
		return err
	}
	if l.read == before {
		return fmt.Errorf("read log %q: %w: it has a header and no rows", name, ErrEmptyLog)
	}
	if len(l.rows) == 0 {
		return fmt.Errorf("read log %q: %w: all %d rows are rejected, %s", name, ErrEmptyLog, l.read, l.rejected.first())
	}
	return nil
}

func (l *eventLog) readRows(r *lineReader, m *mapper, name string) error {
	var e event
	for {
		line, tooLong, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(line) == 0 && !tooLong {
			continue
		}
		if err := l.count(name); err != nil {
			return err
		}
		fault := &rowFault{"line too long", fmt.Sprintf("over %d bytes", maxLineBytes)}
		if !tooLong {
			fault = m.mapRow(line, &e)
		}
		if fault != nil {
			l.rejected.add(filepath.Base(name), r.line, *fault)
			continue
		}
		e.line = r.line
		l.each(&e)
	}
}

// sort brings the rows into time order; rows of the same time keep their order.
func (l *eventLog) sort() {
	slices.SortStableFunc(l.rows, func(a, b row) int { return cmp.Compare(a.at, b.at) })
}

// clip200 is the text of a comment line, bounded.
func clip200(b []byte) string {
	return strings.ToValidUTF8(string(b[:min(len(b), 200)]), "")
}
