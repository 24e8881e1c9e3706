package consent

import "bytes"

// finding is something a US section can say that refuses.
type finding uint8

// Findings, in the order in which they are given as the reason.
const (
	findChild finding = iota
	findNoNotice
	findGPC
	findSale
	findSharing
	findTargeted
	findServiceProvider
	findOtherUse

	findings
)

var findingWhy = [findings]Why{
	findChild:           KnownChild,
	findNoNotice:        NoNotice,
	findGPC:             GPC,
	findSale:            SaleOptOut,
	findSharing:         SharingOptOut,
	findTargeted:        TargetedOptOut,
	findServiceProvider: ServiceProvider,
	findOtherUse:        OtherUse,
}

// found is a set of findings: bit 1<<finding.
type found uint8

func (f found) has(what finding) bool { return f>>what&1 == 1 }

func (f *found) add(what finding, yes bool) {
	if yes {
		*f |= 1 << what
	}
}

// rule says what values of a field refuse. Only values that the specification
// gives the meaning of a permission, and "not applicable", do not.
type rule struct {
	what  finding
	bears bool // the field bears on a verdict at all
	// harmless are the values that refuse nothing: bit 1<<value.
	harmless uint8
}

// rules are the fields of the US sections that bear on a verdict, by name. A
// notice that was not given makes the opt-out that was not made worth nothing. Of
// KnownChildSensitiveDataConsents every value but 0 says that this is a child; a
// parent's consent (2) does not change that.
var rules = map[string]rule{
	"SharingNotice":                   {findNoNotice, true, 1<<0 | 1<<1},
	"ProcessingNotice":                {findNoNotice, true, 1<<0 | 1<<1},
	"SaleOptOutNotice":                {findNoNotice, true, 1<<0 | 1<<1},
	"SharingOptOutNotice":             {findNoNotice, true, 1<<0 | 1<<1},
	"TargetedAdvertisingOptOutNotice": {findNoNotice, true, 1<<0 | 1<<1},
	"SaleOptOut":                      {findSale, true, 1<<0 | 1<<2},
	"SharingOptOut":                   {findSharing, true, 1<<0 | 1<<2},
	"TargetedAdvertisingOptOut":       {findTargeted, true, 1<<0 | 1<<2},
	"KnownChildSensitiveDataConsents": {findChild, true, 1 << 0},
	"PersonalDataConsents":            {findOtherUse, true, 1<<0 | 1<<2},
	"AdditionalDataProcessingConsent": {findOtherUse, true, 1<<0 | 1<<2},
	"MspaServiceProviderMode":         {findServiceProvider, true, 1<<0 | 1<<2},
	"MspaMode":                        {findServiceProvider, true, 1<<0 | 1<<1},
}

// layout is the core of a US section with the rule of each field.
type layout struct {
	fields []field
	rules  []rule
	bits   int // of all fields
}

func newLayout(fields ...field) *layout {
	if len(fields) > maxFields {
		panic("BUG: a layout has more fields than values has room for")
	}
	l := &layout{fields: fields, rules: make([]rule, len(fields))}
	for i, f := range fields {
		l.rules[i] = rules[f.name]
		l.bits += f.each * f.n
	}
	return l
}

// find says what the values refuse.
func (l *layout) find(v *values) found {
	var f found
	for i := range l.fields {
		r := &l.rules[i]
		if !r.bears {
			continue
		}
		for n := range l.fields[i].n {
			value := v[i] >> (2 * n) & 3
			f.add(r.what, r.harmless>>value&1 == 0)
		}
	}
	return f
}

// parts says what a US section has after its core.
type parts uint8

const (
	partsNone      parts = iota // nothing; an empty part is passed over
	partsGPC                    // a Gpc sub-section
	partsSensitive              // a list of sensitive data of 16 bits
)

// usSection is a US section of the GPP. (IAB Tech Lab, Global Privacy Platform,
// "Sections/US-National" and "Sections/US-States".)
type usSection struct {
	name    string
	core    *layout
	parts   parts
	version uint64 // the highest that is known
}

// maxParts is how many parts a US section can have.
const maxParts = 4

// usRead is what a US section says.
type usRead struct {
	found   found
	problem Why
	// For tests: the fields as they were read.
	layout *layout
	fields values
	gpc    bool
	reads  int
}

// readUS reads a US section.
func readUS(id int, text []byte) usRead {
	s := &usSections[id]
	first, rest, more := bytes.Cut(text, dot)
	b, ok := newBits(first)
	if !ok {
		return usRead{problem: SectionUnreadable}
	}
	r := usRead{layout: s.core}
	if id == usNational && b.end <= usNationalV1Bits {
		r.layout = usNationalV1
	}
	whole := b
	b.read(r.layout.fields, &r.fields)
	if b.short {
		return usRead{problem: SectionUnreadable, reads: b.reads}
	}
	r.found = r.layout.find(&r.fields)
	r.reads = b.reads
	version := r.fields[0]
	if version == 0 || version > s.version {
		r.problem = SectionVersion
	}
	if id == usNational && version == 1 && r.layout != usNationalV1 {
		// The version says one layout and the length another. The values are those of
		// the length, as the IAB's own decoder reads it; what either refuses binds.
		var v values
		whole.read(usNationalV1.fields, &v)
		r.found |= usNationalV1.find(&v)
		r.reads += whole.reads
	}
	for n := 1; more; n++ {
		first, rest, more = bytes.Cut(rest, dot)
		gpc, ok := readPart(first, s.parts)
		r.reads++
		if !ok || n == maxParts {
			r.problem = SectionUnreadable
			return r
		}
		r.gpc = r.gpc || gpc
	}
	r.found.add(findGPC, r.gpc)
	return r
}

// readPart reads what follows the core of a US section. Its Gpc sub-section is two
// bits of type (1) and one of Gpc. Where the section has a list of sensitive data
// in its place, that has no type, and is told from Gpc by its length. Where it has
// nothing there, a Gpc that is sent all the same binds.
func readPart(text []byte, p parts) (gpc, ok bool) {
	b, ok := newBits(text)
	switch {
	case !ok:
		return false, false
	case len(text) == 0:
		return false, p == partsNone
	case p == partsSensitive && b.end >= 16:
		return false, true
	}
	kind, on := b.take(2), b.flag()
	return kind == 1 && on, kind <= 1
}
