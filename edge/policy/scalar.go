package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// isScalar reports whether a single value is written at s, and notes a fault if
// not.
func (s *spot) isScalar(wanted string) bool {
	if s.n.Kind == yaml.ScalarNode {
		return true
	}
	s.wrong(wanted)
	return false
}

// text reads a name or other text of 1 to most bytes.
func (s *spot) text(most int) string {
	if !s.isScalar("a text") {
		return ""
	}
	if tag := s.n.ShortTag(); tag != "!!str" {
		s.fault("put it in quotes", "%s is %s, not a text", s.shown(), s.typeName())
		return ""
	}
	if what, mend := badName(s.n.Value, most); what != "" {
		s.fault(mend, "%s %s", s.shown(), what)
		return ""
	}
	return s.n.Value
}

// badName says what is wrong with a name, or "".
func badName(name string, most int) (what, mend string) {
	switch {
	case name == "":
		return "is empty", "give it a name"
	case len(name) > most:
		return fmt.Sprintf("is %d bytes long", len(name)), fmt.Sprintf("use at most %d bytes", most)
	case !utf8.ValidString(name):
		return "is not UTF-8", "save the file as UTF-8"
	case strings.IndexFunc(name, unicode.IsControl) >= 0:
		return "has a control character", "remove it"
	case strings.TrimSpace(name) != name:
		return "begins or ends with white space", "remove it"
	}
	return "", ""
}

// texts reads a list of different texts.
func (s *spot) texts(most, bytes int) []string {
	var all []string
	seen := map[string]bool{}
	for _, c := range s.items(most) {
		t := c.text(bytes)
		if t == "" {
			continue
		}
		if seen[t] {
			c.fault("keep one", "%s is written twice", quote(t))
			continue
		}
		seen[t] = true
		all = append(all, t)
	}
	return all
}

// number reads a whole number from lo to hi.
func (s *spot) number(lo, hi int) (n int, ok bool) {
	wanted := fmt.Sprintf("a whole number from %d to %d", lo, hi)
	if !s.isScalar(wanted) {
		return lo, false
	}
	n, err := strconv.Atoi(s.n.Value)
	switch tag := s.n.ShortTag(); {
	case tag == "!!str" && err == nil:
		s.fault("remove the quotes", "%s is a text", s.shown())
	case tag != "!!int" && tag != "!!float":
		s.fault("write "+wanted, "%s is not a number", s.shown())
	case err != nil && tag == "!!int" && len(s.n.Value) > 18:
		s.fault("write "+wanted, "%s is out of bounds", s.shown())
	case err != nil || len(s.n.Value) > 1 && s.n.Value[0] == '0':
		s.fault("write "+wanted, "%s is not a whole number in digits", s.shown())
	case n < lo || n > hi:
		s.fault("write "+wanted, "%s is out of bounds", s.shown())
	default:
		return n, true
	}
	return lo, false
}

// million reads a share above 0 and at most 1, in millionths.
func (s *spot) million() uint32 {
	const wanted = "a number above 0 and at most 1, as 0.5"
	if !s.isScalar(wanted) {
		return millionths
	}
	if tag := s.n.ShortTag(); tag != "!!int" && tag != "!!float" {
		s.fault("write "+wanted, "%s is not a number", s.shown())
		return millionths
	}
	whole, part, _ := strings.Cut(s.n.Value, ".")
	if len(part) > 6 || len(whole) > 1 || !digits(whole) || !digits(part) || whole+part == "" {
		s.fault("write "+wanted+", with at most six decimals", "%s is out of bounds", s.shown())
		return millionths
	}
	n, err := strconv.Atoi(whole + part + strings.Repeat("0", 6-len(part)))
	if err != nil || n < 1 || n > millionths {
		s.fault("write "+wanted, "%s is out of bounds", s.shown())
		return millionths
	}
	return uint32(n)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// flag reads true or false.
func (s *spot) flag() bool {
	if !s.isScalar("true or false") {
		return false
	}
	if s.n.ShortTag() != "!!bool" {
		s.fault("write true or false", "%s is neither true nor false", s.shown())
		return false
	}
	return strings.EqualFold(s.n.Value, "true")
}

// choice reads one of the given words and returns its index, 0 after a fault.
func (s *spot) choice(words ...string) int {
	wanted := "one of " + strings.Join(words, ", ")
	if !s.isScalar(wanted) {
		return 0
	}
	i := slices.Index(words, s.n.Value)
	if i < 0 {
		s.fault("write "+wanted, "%s is unknown", s.shown())
		return 0
	}
	return i
}

// off reports whether the word off is written at s.
func (s *spot) off() bool {
	return s.n.Kind == yaml.ScalarNode && (s.n.Value == "off" || s.n.Value == "false" && s.n.ShortTag() == "!!bool")
}

// span reads a duration from lo to hi seconds; 0 after a fault.
func (s *spot) span(lo, hi uint32) uint32 {
	const wanted = "a number and s, m, h or d, as 30m"
	if !s.isScalar(wanted) {
		return 0
	}
	n, ok := parseSpan(s.n.Value)
	switch {
	case !ok:
		s.fault("write "+wanted, "%s is not a duration", s.shown())
	case n < lo:
		s.fault("write at least "+Span(lo), "%s is too short", s.shown())
	case n > hi:
		s.fault("write at most "+Span(hi), "%s is too long", s.shown())
	default:
		return n
	}
	return 0
}

// spanOrOff is span, with off for 0.
func (s *spot) spanOrOff(lo, hi uint32) uint32 {
	if s.off() {
		return 0
	}
	return s.span(lo, hi)
}

// location reads the name of a time zone.
func (s *spot) location() *time.Location {
	name := s.text(128)
	if name == "" {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		s.fault("write an IANA name, as Europe/Berlin or UTC", "%s is not a time zone", quote(name))
		return time.UTC
	}
	return zone
}
