package openrtb

// readRegs reads the regs object at i.
func (p *personReader) readRegs(i int) int {
	p.regs[0].reset()
	p.regs[1].reset()
	ok, i := p.is(i, '{', "regs", "an object")
	if !ok {
		return i
	}
	i = p.readRegsFields(i, "regs", 0)
	p.at = top
	return i
}

// readRegsFields reads the fields of regs (place 0) or of regs.ext (place 1), which are
// the same. Of ext, what is no object is someone else's.
func (p *personReader) readRegsFields(i int, name string, slot int) int {
	r := &p.regs[slot]
	at := in(name, false)
	p.at = at
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key == nil {
				return i
			}
			i = p.skip(i)
		case "gdpr":
			r.gdpr, i = p.flag(i, "gdpr")
		case "coppa":
			r.coppa, i = p.flag(i, "coppa")
		case "gpp":
			r.gpp, i = p.consent(i, "gpp")
		case "gpp_sid":
			i = p.readSections(i, r)
		case "us_privacy":
			r.usPrivacy, i = p.text(i, "us_privacy", MaxName)
		case "gpc":
			r.gpc, i = p.gpc(i)
		case "ext":
			if slot != 0 {
				i = p.skip(i)
				continue
			}
			p.regs[1].reset()
			if i >= len(p.buf) || p.buf[i] != '{' {
				i = p.skip(i)
				continue
			}
			i = p.readRegsFields(i, "regs.ext", 1)
			p.at = at
		default:
			i = p.skip(i)
		}
	}
}

// consent reads a string that says what a person agreed to, and so is not repeated in a
// fault.
func (p *personReader) consent(i int, name string) ([]byte, int) {
	hush := p.at.hush
	p.at.hush = true
	s, i := p.text(i, name, MaxConsent)
	p.at.hush = hush
	return s, i
}

// flag reads 0 or 1; null is -1. Any other whole number is 1: real requests carry lmt 44
// and dnt 2, and what cannot be understood of a signal must not loosen it.
func (p *personReader) flag(i int, name string) (int8, int) {
	n, ok, i := p.integer(i, name, -1<<31, 1<<31-1)
	switch {
	case !ok:
		return -1, i
	case n == 0:
		return 0, i
	}
	return 1, i
}

// gpc reads the browser's Global Privacy Control, which is sent as a string ("1", as in
// the Sec-GPC header), a number or a boolean.
func (p *personReader) gpc(i int) (bool, int) {
	if i < len(p.buf) {
		switch c := p.buf[i]; {
		case c == '"':
			s, i := p.text(i, "gpc", MaxName)
			if len(s) > 0 && string(s) != "0" && string(s) != "1" {
				p.fault("gpc", `must be "0" or "1"`)
			}
			return string(s) == "1", i
		case c == 't' || c == 'f':
			return p.boolean(i, "gpc")
		}
	}
	on, i := p.flag(i, "gpc")
	return on == 1, i
}

// readSections reads the GPP sections in force.
func (p *personReader) readSections(i int, r *regsPlaces) int {
	r.sections = r.sections[:0]
	ok, i := p.is(i, '[', "gpp_sid", "a list of numbers")
	if !ok {
		return i
	}
	n := 0
	for i, more := p.element(i, true); ; i, more = p.element(i, false) {
		if !more {
			if n > MaxSections {
				p.tooMany("gpp_sid", n, MaxSections)
			}
			return i
		}
		if n++; n > MaxSections {
			i = p.skip(i)
			continue
		}
		var section int64
		if section, ok, i = p.integer(i, "gpp_sid", -1, 1<<16-1); ok && section >= 0 {
			r.sections = append(r.sections, uint16(section))
		}
	}
}
