package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader gathers the faults of one text.
type reader struct {
	file    string
	faults  Faults
	aliased int // nodes read through aliases so far
}

// spot is one node of the text and the way to it. The way is kept as links, so
// that a path is only written out for a fault.
type spot struct {
	r     *reader
	n     *yaml.Node
	up    *spot
	key   string // key in up, "" in a list
	index int    // index in up where key is ""
	alias bool   // reached through an alias
	depth int
}

// path returns the key path of the spot.
func (s *spot) path() string {
	if s.up == nil {
		return ""
	}
	parent := s.up.path()
	switch {
	case s.key == "":
		return parent + "[" + strconv.Itoa(s.index) + "]"
	case parent == "":
		return pathKey(s.key)
	}
	return parent + "." + pathKey(s.key)
}

// pathKey quotes a key that would make a path ambiguous or unprintable.
func pathKey(key string) string {
	plain := key != "" && len(key) <= 128
	for i := 0; i < len(key) && plain; i++ {
		c := key[i]
		plain = c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
	}
	if plain {
		return key
	}
	return quote(key)
}

// quote is %q of at most 80 bytes of s.
func quote(s string) string {
	if len(s) > 80 {
		return strconv.Quote(strings.ToValidUTF8(s[:80], "")) + "..."
	}
	return strconv.Quote(s)
}

// fault notes a fault at the spot.
func (s *spot) fault(mend, what string, args ...any) {
	s.r.note(s.n.Line, s.path(), mend, fmt.Sprintf(what, args...))
}

func (r *reader) note(line int, key, mend, what string) {
	switch {
	case len(r.faults) < maxFaults:
		r.faults = append(r.faults, Fault{r.file, max(line, 1), key, what + ": " + mend})
	case len(r.faults) == maxFaults:
		r.faults = append(r.faults, Fault{
			r.file, max(line, 1), "",
			"there are more than 1000 faults: mend those above first",
		})
	}
}

// shown is the value at the spot as a fault shows it.
func (s *spot) shown() string {
	switch s.n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return quote(s.n.Value)
}

// child goes down to n, through an alias if it is one.
func (s *spot) child(n *yaml.Node, key string, index int) (c spot, ok bool) {
	c = spot{r: s.r, n: n, up: s, key: key, index: index, alias: s.alias, depth: s.depth + 1}
	for n.Kind == yaml.AliasNode {
		c.alias = true
		n = n.Alias
	}
	// The line stays that of the alias: it is where the reader of the fault looks.
	if n != c.n {
		at := *n
		at.Line = c.n.Line
		c.n = &at
	}
	if c.alias {
		s.r.aliased++
	}
	switch {
	case c.depth > maxDepth:
		c.fault("write it flatter", "values are nested more than %d deep", maxDepth)
	case s.r.aliased > maxAliased:
		if s.r.aliased == maxAliased+1 {
			c.fault("write the values out", "aliases repeat more than %d values", maxAliased)
		}
	default:
		return c, true
	}
	return c, false
}

// entries returns the values of the mapping at s by key, in the order of the
// text. With known keys given, any other key is a fault. Faulty entries are left
// out.
func (s *spot) entries(known ...string) []spot {
	if s.n.Kind != yaml.MappingNode {
		s.wrong("a mapping of keys to values")
		return nil
	}
	all := make([]spot, 0, len(s.n.Content)/2)
	lines := make(map[string]int, len(s.n.Content)/2)
	for i := 0; i+1 < len(s.n.Content); i += 2 {
		k := s.n.Content[i]
		for k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		at := spot{r: s.r, n: s.n.Content[i], up: s, key: k.Value}
		if k.Kind != yaml.ScalarNode || k.ShortTag() == "!!null" || k.Value == "" {
			s.r.note(k.Line, s.path(), "write a name before the colon", "a key is not a name")
			continue
		}
		if k.ShortTag() == "!!merge" {
			at.fault("write the keys out, or use an alias for a whole value", "merge keys are not read")
			continue
		}
		if line, twice := lines[k.Value]; twice {
			at.fault("keep one of the two", "the key is written twice, first in line %d", line)
			continue
		}
		lines[k.Value] = k.Line
		if len(known) > 0 && !slices.Contains(known, k.Value) {
			at.fault(unknownMend(k.Value, known), "unknown key %s", quote(k.Value))
			continue
		}
		if c, ok := s.child(s.n.Content[i+1], k.Value, 0); ok && c.present() {
			all = append(all, c)
		}
	}
	return all
}

// items returns the values of the list at s, at most most of them.
func (s *spot) items(most int) []spot {
	if s.n.Kind != yaml.SequenceNode {
		s.wrong("a list, as [a, b]")
		return nil
	}
	if len(s.n.Content) > most {
		s.fault(fmt.Sprintf("write at most %d", most), "%d values in one list", len(s.n.Content))
		return nil
	}
	all := make([]spot, 0, len(s.n.Content))
	for i, n := range s.n.Content {
		if c, ok := s.child(n, "", i); ok && c.present() {
			all = append(all, c)
		}
	}
	return all
}

// present refuses a key with nothing after it: it could mean the default, none
// or a forgotten value.
func (s *spot) present() bool {
	if s.n.Kind == yaml.ScalarNode && s.n.ShortTag() == "!!null" {
		s.fault("remove the key or give it a value", "nothing is written here")
		return false
	}
	return true
}

// wrong notes that the value has another type than wanted.
func (s *spot) wrong(wanted string) {
	s.fault("write "+wanted, "%s is %s", s.shown(), s.typeName())
}

func (s *spot) typeName() string {
	switch s.n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		return "not what belongs here"
	}
	switch tag := s.n.ShortTag(); tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!str":
		return "a text"
	case "!!timestamp":
		return "a date"
	default:
		return "of the unknown type " + quote(tag)
	}
}

// unknownMend names the known key that the writer most likely meant.
func unknownMend(key string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := EditDistance(key, k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "the keys here are " + strings.Join(known, ", ")
}
