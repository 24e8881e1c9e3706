package openrtb

// auctionTypes is below every time and above every auction type that exchanges use: both
// are called at.
const auctionTypes = 100_000_000

// Reset empties the request, keeping its memory. Parse begins with it; a caller of Set
// does so itself.
func (r *Request) Reset() { r.reset(nil) }

func (r *Request) reset(body []byte) {
	r.read.reset(body)
	r.Person.reset()
	r.ID, r.Candidates, r.Categories = nil, r.Candidates[:0], r.Categories[:0]
	r.wantGiven = false
	r.Want, r.Hold, r.Token, r.Brief, r.At, r.HasAt = 0, false, false, false, 0, false
	r.categoryOf, r.catTax, r.candidates, r.query = r.categoryOf[:0], [4]int32{}, nowhere, queryFields{}
}

// Parse reads a decide request. The fields alias body, which is written to. The error is
// nil or Faults; after one, only ID may be used.
func (r *Request) Parse(body []byte) error {
	r.reset(body)
	i := r.read.begin()
	if i >= 0 {
		i = r.fields(i)
	}
	if r.read.end(i) {
		r.finish()
	}
	return r.read.err()
}

// begin returns the position of the body's object, -1 when it is none.
func (p *reader) begin() int {
	i := space(p.buf, 0)
	if i < len(p.buf) && p.buf[i] == '{' {
		return i
	}
	if i == len(p.buf) {
		return p.syntax(i, "expected an object")
	}
	p.wrong(i, "body", "an object")
	return -1
}

// end reports whether the body ends after the object that ends at i.
func (p *reader) end(i int) bool {
	if i < 0 {
		return false
	}
	if i = space(p.buf, i); i < len(p.buf) {
		p.syntax(i, "expected nothing more after the object")
		return false
	}
	return true
}

// fields reads the object at i.
func (r *Request) fields(i int) int {
	p := &r.read
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key == nil {
				return i
			}
			i = p.skip(i)
		case "id":
			r.ID, i = p.text(i, "id", MaxID)
		case "user":
			i = p.readUser(i)
		case "device":
			i = p.readDevice(i)
		case "regs":
			i = p.readRegs(i)
		case "site":
			i = r.readInventory(i, "site", 0)
		case "app":
			i = r.readInventory(i, "app", 1)
		case "ext":
			i = r.readExt(i)
		case "candidates":
			i = r.readCandidates(i, atTop)
		case "channel":
			p.channel, i = p.text(i, "channel", MaxName)
		case "want":
			i = r.readWant(i)
		case "hold":
			r.Hold, i = p.boolean(i, "hold")
		case "token":
			r.Token, i = p.boolean(i, "token")
		case "brief":
			r.Brief, i = p.boolean(i, "brief")
		case "at":
			i = r.readAt(i)
		default:
			i = p.skip(i)
		}
	}
}

// readExt looks for candidates in ext, where OpenRTB has callers put what is not its own.
func (r *Request) readExt(i int) int {
	if r.candidates == inExt {
		r.candidates, r.Candidates = nowhere, r.Candidates[:0]
	}
	p := &r.read
	if i >= len(p.buf) || p.buf[i] != '{' {
		return p.skip(i)
	}
	at := in("ext", false)
	p.at = at
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key == nil {
				p.at = top
				return i
			}
			i = p.skip(i)
		case "candidates":
			i = r.readCandidates(i, inExt)
			p.at = at
		default:
			i = p.skip(i)
		}
	}
}

// readWant reads want. One that is a fault was given all the same.
func (r *Request) readWant(i int) int {
	p := &r.read
	r.wantGiven = !p.null(i)
	want, _, i := p.integer(i, "want", 1, MaxWant)
	r.Want = int(want)
	return i
}

// readAt reads the time, or passes over OpenRTB's auction type.
func (r *Request) readAt(i int) int {
	p := &r.read
	r.At, r.HasAt = 0, false
	if i < len(p.buf) && p.buf[i] != '-' && p.number(i) < 0 {
		return p.skip(i)
	}
	at, ok, i := p.uint32(i, "at")
	if ok && at >= auctionTypes {
		r.At, r.HasAt = at, true
	}
	return i
}

// uint32 reads a whole number of 32 bits, as times and counts are.
func (p *reader) uint32(i int, name string) (uint32, bool, int) {
	n, ok, i := p.integer(i, name, 0, 1<<32-1)
	return uint32(n), ok, i
}

// finish checks what holds between fields, and decides between places.
func (r *Request) finish() {
	p := &r.read
	p.resolve(&r.Person)
	if r.candidates == nowhere {
		p.fault("candidates", "required")
	}
	if !r.wantGiven {
		if r.Hold {
			p.fault("hold", "needs want")
		}
		if r.Token {
			p.fault("token", "needs want")
		}
	}
	r.Token = r.Token || r.Hold
}
