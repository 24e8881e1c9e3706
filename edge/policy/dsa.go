package policy

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// DSA is what a policy says of a campaign for the transparency of the Digital
// Services Act, as OpenRTB's extension has it (IAB Tech Lab, "DSA Transparency",
// community extension of 26 January 2024: bid.ext.dsa). Nothing of it is guessed
// where it is not written.
type DSA struct {
	Behalf   string // whose advertisement it is, as people know them; "": not stated
	Paid     string // who pays for it
	AdRender AdRender
}

// AdRender is whether the creative itself shows the transparency information.
type AdRender uint8

// The specification has 0 and 1 for the last two.
const (
	AdRenderUnstated AdRender = iota
	AdRenderNot
	AdRenderDoes
)

// maxDSARunes bounds behalf and paid, by the specification.
const maxDSARunes = 100

// maxDomain bounds a domain (RFC 1035, section 2.3.4, without the root's dot).
const maxDomain = 253

func (src *Source) readDSA(s *spot) {
	for _, e := range s.entries("domain") {
		src.DSADomain = e.text(maxDomain)
		if src.DSADomain != "" && !isDomain(src.DSADomain) {
			e.fault("write the domain alone, in lower case, as example.com", "%s is not a domain", e.shown())
		}
	}
}

// readPayer reads the dsa of a campaign. The specification wants paid always, also
// where it is the same as behalf, so neither is made from the other.
func (s *spot) readPayer() (d DSA) {
	for _, e := range s.entries("behalf", "paid", "adrender") {
		switch e.key {
		case "behalf":
			d.Behalf = e.payer()
		case "paid":
			d.Paid = e.payer()
		case "adrender":
			if n, ok := e.number(0, 1); ok {
				d.AdRender = AdRenderNot + AdRender(n)
			}
		}
	}
	s.require("behalf", "say whose advertisement it is, as behalf: Acme Shoes GmbH")
	s.require("paid", "say who pays for it, as paid: Acme Shoes GmbH, also where that is the same")
	return d
}

func (s *spot) payer() string {
	name := s.text(utf8.UTFMax * maxDSARunes)
	if n := utf8.RuneCountInString(name); n > maxDSARunes {
		s.fault(fmt.Sprintf("use at most %d", maxDSARunes), "%s has %d characters", s.shown(), n)
		return ""
	}
	return name
}

// isDomain recognises a name of at least two labels of letters, digits and hyphens
// (RFC 1123, section 2.1), in lower case; an international one as xn--.
func isDomain(name string) bool {
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	return len(labels) > 1 && (last[0] < '0' || last[0] > '9') // an address is no domain
}

// String writes it as a policy does; "not stated" where nothing is written.
func (d *DSA) String() string {
	if *d == (DSA{}) {
		return stated("")
	}
	text := "{behalf: " + quote(d.Behalf) + ", paid: " + quote(d.Paid)
	if d.AdRender != AdRenderUnstated {
		text += ", adrender: " + strconv.Itoa(int(d.AdRender-AdRenderNot))
	}
	return text + "}"
}

func stated(text string) string {
	if text == "" {
		return "not stated"
	}
	return text
}
