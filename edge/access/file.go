package access

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	header = "restraint-keys 1"
	footer = "end"
	// maxFile bounds the file, in bytes: some 5,000 keys. Chosen.
	maxFile = 1 << 20
	// maxActive is how many active keys a client has, from the contract.
	maxActive = 2
)

// Errors that File.Add and File.Revoke wrap.
var (
	// ErrTwoActive: the client has two active keys already.
	ErrTwoActive = errors.New("has two active keys, which is the most: revoke one first")
	// ErrNoKey: no key has this id.
	ErrNoKey = errors.New("no key has this id: restraint keys list shows them")
	// ErrRevoked: the key is revoked already.
	ErrRevoked = errors.New("the key is revoked already")
)

// Fault is one thing wrong with a keys file.
type Fault struct {
	Line int // from 1
	What string
}

// Faults are all faults of a keys file, in the order of its lines.
type Faults struct {
	Name string // of the file
	All  []Fault
}

// Error has one line for each fault: name:line: what.
func (f *Faults) Error() string {
	lines := make([]string, len(f.All))
	for i, fault := range f.All {
		lines[i] = fmt.Sprintf("%s:%d: %s", f.Name, fault.Line, fault.What)
	}
	return strings.Join(lines, "\n")
}

// File is the text of a keys file and the keys that stand in it. It is not changed
// once it is made; Add and Revoke return another.
type File struct {
	Keys []Key
	text []byte
	at   []int // line of each key, from 0
}

// New returns a file without keys.
func New() *File { return &File{text: []byte(header + "\n" + footer + "\n")} }

// Parse reads a keys file; name is for messages. A file with any fault is refused
// with all of them (*Faults). It keeps nothing of text.
func Parse(text []byte, name string) (*File, error) {
	p := parser{file: &File{text: bytes.Clone(text)}, ids: map[string]int{}, active: map[string]int{}}
	if len(text) > maxFile {
		p.fault(0, "%d bytes are too many for a file of keys: at most %d; take out keys that were revoked long ago", len(text), maxFile)
	} else {
		p.parse(string(text))
	}
	if len(p.faults) > 0 {
		return nil, &Faults{Name: name, All: p.faults}
	}
	return p.file, nil
}

type parser struct {
	file   *File
	ids    map[string]int // line of each id, from 0
	active map[string]int // active keys of each client
	faults []Fault
}

// fault notes a fault of a line, from 0.
func (p *parser) fault(line int, format string, args ...any) {
	p.faults = append(p.faults, Fault{line + 1, fmt.Sprintf(format, args...)})
}

func (p *parser) parse(text string) {
	begun, ended, number := false, false, -1
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case ended:
			p.fault(number, "text after %q, which is the last line: move it above", footer)
			return
		case !begun:
			if line != header {
				p.fault(number, "%q is not how a file of keys begins: the first line is %q; restraint keys new makes one", redact(line), header)
				return
			}
			begun = true
		case line == footer:
			ended = true
		default:
			p.key(number, line)
		}
	}
	switch {
	case !begun:
		p.fault(max(number, 0), "the file is empty: a file of keys begins with %q; restraint keys new makes one", header)
	case !ended:
		p.fault(number, "the file is cut off: its last line is %q, and keys that stood before it may be missing; restore it from a copy", footer)
	}
}

// key reads the line of a key.
func (p *parser) key(number int, line string) {
	k, faults := parseKey(line)
	for _, what := range faults {
		p.fault(number, "%s", what)
	}
	if k.ID != "" {
		if first, twice := p.ids[k.ID]; twice {
			p.fault(number, "id %q: stands on line %d too; each key has its own, also when it is revoked", k.ID, first+1)
		} else {
			p.ids[k.ID] = number
		}
	}
	if k.Client != "" && k.Active() {
		if p.active[k.Client]++; p.active[k.Client] > maxActive {
			p.fault(number, "client %q: this is active key number %d and %d are the most: revoke one", k.Client, p.active[k.Client], maxActive)
		}
	}
	p.file.Keys, p.file.at = append(p.file.Keys, k), append(p.file.at, number)
}

// Active is how many keys are not revoked.
func (f *File) Active() (n int) {
	for i := range f.Keys {
		if f.Keys[i].Active() {
			n++
		}
	}
	return n
}

// Text is the file's text, which must not be changed.
func (f *File) Text() []byte { return f.text }

// Add returns the file with one key more, as its last. What else stands in the file
// stays as it is written. ErrTwoActive when the client has two.
func (f *File) Add(k Key) (*File, error) {
	active := 0
	for i := range f.Keys {
		if f.Keys[i].Client == k.Client && f.Keys[i].Active() {
			active++
		}
	}
	if active >= maxActive {
		return nil, fmt.Errorf("client %q %w", k.Client, ErrTwoActive)
	}
	lines := strings.SplitAfter(string(f.text), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if strings.TrimSpace(lines[i]) == footer {
			lines[i] = k.line() + "\n" + lines[i]
			break
		}
	}
	return f.again(lines)
}

// Revoke returns the file with a key marked as revoked at that time. Its line and all
// others stay as they are written. ErrNoKey, ErrRevoked.
func (f *File) Revoke(id string, at time.Time) (*File, error) {
	for i := range f.Keys {
		k := &f.Keys[i]
		if k.ID != id {
			continue
		}
		if !k.Active() {
			return nil, fmt.Errorf("id %q: %w, since %s", id, ErrRevoked, k.Revoked.Format(time.RFC3339))
		}
		lines := strings.SplitAfter(string(f.text), "\n")
		line := &lines[f.at[i]]
		*line = strings.TrimRight(*line, " \t\r\n") + " revoked=" + at.UTC().Format(time.RFC3339) + "\n"
		return f.again(lines)
	}
	return nil, fmt.Errorf("id %q: %w", redact(id), ErrNoKey)
}

// again is the file of changed lines.
func (f *File) again(lines []string) (*File, error) {
	return Parse([]byte(strings.Join(lines, "")), "keys")
}
