package loadtest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Bounds of a log of bid requests.
const (
	maxSourceLine  = 256 << 10 // what a node takes
	maxSourceRows  = 100_000
	maxSourceBytes = 256 << 20 // kept
)

// shell is a bid request without what a load test puts in its place: the user's
// identifiers, the candidates, and what asks for an answer in another form.
type shell struct {
	user   []byte // members of the user object, each with a comma before it
	device []byte // members of the device object, likewise
	regs   []byte // the member regs, with a comma before it; empty where there is none
	rest   []byte // the other members at the top, likewise
}

func (s *shell) bytes() int { return len(s.user) + len(s.device) + len(s.regs) + len(s.rest) }

// replaced are the members that a load test writes itself, by object.
var replaced = map[string][]string{
	"":       {"user", "device", "regs", "candidates", "want", "hold", "token", "brief"},
	"user":   {"id", "buyeruid", "eids"},
	"device": {"ifa"},
}

// readSource reads a log of bid requests, one a line, plain or as gzip: bare, or as the
// member request (or Request) of an object.
func readSource(path string) (shells []shell, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read log of bid requests: %w", err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("read log of bid requests %q: %w", path, err)
		}
		r = z
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 2*maxSourceLine)
	kept := 0
	for number := 1; lines.Scan(); number++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		s, err := parseShell(line)
		if err != nil {
			return nil, fmt.Errorf("read log of bid requests %q: line %d: %w", path, number, err)
		}
		shells = append(shells, s)
		if kept += s.bytes(); len(shells) > maxSourceRows || kept > maxSourceBytes {
			return nil, fmt.Errorf("read log of bid requests %q: %w: more than %d rows or %d MiB; give a part of it", path, ErrTooManyRows, maxSourceRows, maxSourceBytes>>20)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("read log of bid requests %q: %w", path, ErrCutShort)
	case err != nil:
		return nil, fmt.Errorf("read log of bid requests %q: %w", path, err)
	case len(shells) == 0:
		return nil, fmt.Errorf("read log of bid requests %q: %w", path, ErrEmptyLog)
	}
	return shells, nil
}

// parseShell reads one line.
func parseShell(line []byte) (s shell, err error) {
	var row map[string]json.RawMessage
	if err := json.Unmarshal(line, &row); err != nil {
		return s, fmt.Errorf("not a JSON object: %w", err)
	}
	for _, name := range []string{"request", "Request"} {
		inner, is := row[name]
		if !is {
			continue
		}
		row = nil // or the members of the two would be mixed
		if err := json.Unmarshal(inner, &row); err != nil {
			return s, fmt.Errorf("member %s is not a JSON object: %w", name, err)
		}
		break
	}
	if len(row) == 0 {
		return s, errors.New("an empty object is no bid request")
	}
	if s.user, err = innerMembers(row, "user"); err != nil {
		return s, err
	}
	if s.device, err = innerMembers(row, "device"); err != nil {
		return s, err
	}
	if regs, has := row["regs"]; has {
		s.regs = append([]byte(`,"regs":`), regs...)
	}
	if s.rest, err = members(row, ""); err != nil {
		return s, err
	}
	if n := s.bytes(); n > maxSourceLine {
		return s, fmt.Errorf("%d bytes; a node takes %d", n, maxSourceLine)
	}
	return s, nil
}

// innerMembers are the members of an object in a request that are kept.
func innerMembers(row map[string]json.RawMessage, name string) ([]byte, error) {
	text, has := row[name]
	if !has {
		return nil, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, nil // no object: real requests have such, and the node would refuse them
	}
	return members(object, name)
}

// members are an object's members that are kept, in order of their names.
func members(object map[string]json.RawMessage, of string) ([]byte, error) {
	var out []byte
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := object[name]
		if slices.Contains(replaced[of], name) {
			continue
		}
		if name == "ext" && of != "device" {
			without, err := withoutMembers(value, "candidates", "eids")
			if err != nil {
				return nil, err
			}
			value = without
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		out = append(append(append(append(out, ','), key...), ':'), value...)
	}
	return out, nil
}

// withoutMembers is an object without some members; what is no object stays.
func withoutMembers(text json.RawMessage, names ...string) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil || object == nil {
		return text, nil
	}
	for _, name := range names {
		delete(object, name)
	}
	return json.Marshal(object)
}
