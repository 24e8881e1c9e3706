package openrtb

// readEIDs reads the list of extended identifiers at i, of the object named (user or
// user.ext). It leaves p.at to the caller to restore.
func (p *personReader) readEIDs(i int, object string, to *eidsPlace) int {
	to.reset()
	ok, i := p.is(i, '[', "eids", "a list")
	if !ok {
		return i
	}
	list := "user.eids"
	if object != "user" {
		list = "user.ext.eids"
	}
	n := 0
	for i, more := p.element(i, true); ; i, more = p.element(i, false) {
		if !more {
			return i
		}
		p.at = place{object: list, index: n, sub: -1, hush: true}
		i = p.readEID(i, to)
		n++
	}
}

// readEID reads one eid. Its source may stand behind its uids.
func (p *personReader) readEID(i int, to *eidsPlace) int {
	ok, i := p.is(i, '{', "", "an object")
	if !ok {
		return i
	}
	at := p.at
	begin, dropped := len(to.identifiers), to.dropped
	var source []byte
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key == nil {
				p.name(to, begin, source)
				return i
			}
			i = p.skip(i)
		case "source":
			source, i = p.text(i, "source", MaxName)
		case "uids":
			to.identifiers, to.dropped = to.identifiers[:begin], dropped
			i = p.readUIDs(i, to)
			p.at = at
		default:
			i = p.skip(i)
		}
	}
}

// name gives the identifiers from begin their source. Without one they identify nobody.
func (p *personReader) name(to *eidsPlace, begin int, source []byte) {
	if len(source) == 0 {
		to.dropped += len(to.identifiers) - begin
		to.identifiers = to.identifiers[:begin]
	}
	for k := begin; k < len(to.identifiers); k++ {
		to.identifiers[k].Source = source
	}
}

// readUIDs reads the identifiers of one eid, so far without a source.
func (p *personReader) readUIDs(i int, to *eidsPlace) int {
	ok, i := p.is(i, '[', "uids", "a list")
	if !ok {
		return i
	}
	p.at.list = "uids"
	n := 0
	for i, more := p.element(i, true); ; i, more = p.element(i, false) {
		if !more {
			return i
		}
		p.at.sub = n
		i = p.readUID(i, to)
		n++
	}
}

func (p *personReader) readUID(i int, to *eidsPlace) int {
	ok, i := p.is(i, '{', "", "an object")
	if !ok {
		return i
	}
	var id []byte
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key != nil {
				i = p.skip(i)
				continue
			}
			if len(id) > 0 {
				to.add(id)
			}
			return i
		case "id":
			id, i = p.text(i, "id", MaxIdentifier)
		default:
			i = p.skip(i)
		}
	}
}

func (e *eidsPlace) add(id []byte) {
	if len(e.identifiers) == MaxIdentifiers {
		e.dropped++
		return
	}
	e.identifiers = append(e.identifiers, Identifier{ID: id})
}
