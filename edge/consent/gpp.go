package consent

import "bytes"

// Sections of the GPP that are not US sections. (IAB Tech Lab, Global Privacy
// Platform, "Section Information".)
const (
	sectionTCF    = 2
	sectionCanada = 5
	sectionUSP    = 6
)

// maxSections is how many sections a GPP string may have: there are 24 to be had.
const maxSections = 32

// SectionName returns the name of a GPP section that this package can read, as in
// "usca"; "" for others.
func SectionName(id uint8) string {
	switch {
	case id == sectionTCF:
		return "tcfeuv2"
	case id == sectionCanada:
		return "tcfcav1"
	case id == sectionUSP:
		return "uspv1"
	case int(id) < len(usSections):
		return usSections[id].name
	}
	return ""
}

// sections is a set of section ids: bit id. All ids from 63 share the last bit; no
// such section is known.
type sections uint64

func (s sections) with(id int) sections { return s | 1<<min(id, 63) }

// usSectionsSet are the sections that US law is about.
var usSectionsSet = func() sections {
	s := sections(0).with(sectionUSP)
	for id := usNational; id < len(usSections); id++ {
		s = s.with(id)
	}
	return s
}()

// gpp is what the sections in force of a GPP string say. It holds no pointer.
type gpp struct {
	present sections // that are in the string, in force or not
	tcf     tcf      // of section 2, when hasTCF
	canada  tcf      // of section 5, when hasCanada
	us      [findings]uint8
	// problem refuses everything: of the string where at is 0, else of section at.
	problem   Why
	at        uint8
	hasTCF    bool
	hasCanada bool
	hasUS     bool // a US section, or section 6, was read
}

// parseHeader reads the header of a GPP string and fills in the ids of its
// sections, in order:
//
//	6 bits   3
//	6 bits   version, 1
//	12 bits  entries
//	each:  1 bit  0: one id, 1: the first and the last of several
//	       ids as Fibonacci-coded gaps
//
// (GPP, Consent String Specification, "Header".)
func parseHeader(text []byte, ids *[maxSections]int) (n int, ok bool, reads int) {
	b, ok := newBits(text)
	if !ok || b.take(6) != 3 || b.take(6) != 1 {
		return 0, false, b.reads
	}
	last := 0
	for range b.take(12) {
		several := b.flag()
		first := last + b.fibonacci()
		last = first
		if several {
			last += b.fibonacci()
		}
		if b.short || n+last-first >= maxSections {
			return 0, false, b.reads
		}
		for ; first <= last; first++ {
			ids[n] = first
			n++
		}
	}
	return n, !b.short, b.reads
}

var tilde = []byte{'~'}

// parseGPP reads the sections of a GPP string that are named, or all where none
// is, as they concern the vendor.
func parseGPP(text []byte, named sections, vendor uint16) gpp {
	var g gpp
	var ids [maxSections]int
	header, rest, _ := bytes.Cut(text, tilde)
	n, ok, _ := parseHeader(header, &ids)
	if there := bytes.Count(text, tilde); !ok || there != n {
		g.problem = GPPUnreadable
		return g
	}
	for _, id := range ids[:n] {
		var section []byte
		section, rest, _ = bytes.Cut(rest, tilde)
		g.present = g.present.with(id)
		if named == 0 || named>>min(id, 63)&1 == 1 {
			g.read(id, section, vendor)
		}
	}
	return g
}

// read reads a section in force.
func (g *gpp) read(id int, text []byte, vendor uint16) {
	problem := Nothing
	switch {
	case id == sectionTCF:
		g.tcf, g.hasTCF = readTCF(text, vendor), true
	case id == sectionCanada:
		g.canada, g.hasCanada = readCanada(text, vendor), true
	case id == sectionUSP:
		var f found
		f, problem = readUSPrivacy(text)
		g.find(id, f)
	case id >= usNational && id < len(usSections):
		r := readUS(id, text)
		problem = r.problem
		g.find(id, r.found)
	default:
		problem = SectionUnknown
	}
	switch problem {
	case Nothing:
		return
	case USPUnreadable:
		problem = SectionUnreadable
	}
	if g.problem == Nothing {
		g.problem, g.at = problem, uint8(min(id, 63))
	}
}

// find notes what a US section says. Of several that say the same, the first is
// named.
func (g *gpp) find(id int, f found) {
	g.hasUS = true
	for what := range findings {
		if f.has(what) && g.us[what] == 0 {
			g.us[what] = uint8(id)
		}
	}
}
