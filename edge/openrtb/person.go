package openrtb

// personReader reads user, device and regs into a slot for each place a field can stand
// in; resolve then decides between the places. An object that comes again empties its
// slots first.
type personReader struct {
	reader
	user    userPlaces
	device  devicePlaces
	regs    [2]regsPlaces // regs, regs.ext
	eids    eidsPlace     // user.eids
	extEids eidsPlace     // user.ext.eids
	channel []byte
	site    bool
	app     bool
}

type userPlaces struct {
	id, buyerUID, consent, extConsent []byte
	geo                               geoPlaces
	present                           bool
}

type devicePlaces struct {
	ifa      []byte
	geo      geoPlaces
	kind     int32 // devicetype; 0 for absent
	lmt, dnt int8
	present  bool
}

type geoPlaces struct {
	country, region []byte
	utcOffset       int16
	hasUTCOffset    bool
}

type regsPlaces struct {
	gpp, usPrivacy []byte
	sections       []uint16
	gdpr, coppa    int8
	gpc            bool
}

type eidsPlace struct {
	identifiers []Identifier
	dropped     int
}

var (
	sourceUserID   = []byte(SourceUserID)
	sourceBuyerUID = []byte(SourceBuyerUID)
	sourceIFA      = []byte(SourceIFA)
	channelCTV     = []byte("ctv")
	channelWeb     = []byte("web")
	channelApp     = []byte("app")
)

func (p *personReader) reset(body []byte) {
	p.reader.reset(body)
	p.user = userPlaces{}
	p.device = devicePlaces{lmt: -1, dnt: -1}
	p.regs[0].reset()
	p.regs[1].reset()
	p.eids.reset()
	p.extEids.reset()
	p.channel, p.site, p.app = nil, false, false
}

func (r *regsPlaces) reset() {
	*r = regsPlaces{sections: r.sections[:0], gdpr: -1, coppa: -1}
}

func (e *eidsPlace) reset() {
	e.identifiers, e.dropped = e.identifiers[:0], 0
}

func (p *Person) reset() {
	*p = Person{Identifiers: p.Identifiers[:0], Signals: Signals{GDPR: -1, COPPA: -1, LMT: -1, DNT: -1}}
}

// readUser reads the user object at i.
func (p *personReader) readUser(i int) int {
	if p.user.present {
		p.user = userPlaces{}
		p.eids.reset()
		p.extEids.reset()
	}
	p.at.hush = true
	ok, i := p.is(i, '{', "user", "an object")
	p.at.hush = false
	if !ok {
		return i
	}
	user := &p.user
	user.present = true
	at := in("user", true)
	p.at = at
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key == nil {
				p.at = top
				return i
			}
			i = p.skip(i)
		case "id":
			user.id, i = p.text(i, "id", MaxIdentifier)
		case "buyeruid":
			user.buyerUID, i = p.text(i, "buyeruid", MaxIdentifier)
		case "consent":
			user.consent, i = p.text(i, "consent", MaxConsent)
		case "eids":
			i = p.readEIDs(i, "user", &p.eids)
			p.at = at
		case "geo":
			i = p.readGeo(i, "user.geo", &user.geo)
			p.at = at
		case "ext":
			i = p.readUserExt(i)
			p.at = at
		default:
			i = p.skip(i)
		}
	}
}

// readUserExt reads the places of older requests. What is no object is someone else's.
func (p *personReader) readUserExt(i int) int {
	p.user.extConsent = nil
	p.extEids.reset()
	if i >= len(p.buf) || p.buf[i] != '{' {
		return p.skip(i)
	}
	at := in("user.ext", true)
	p.at = at
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key == nil {
				return i
			}
			i = p.skip(i)
		case "consent":
			p.user.extConsent, i = p.text(i, "consent", MaxConsent)
		case "eids":
			i = p.readEIDs(i, "user.ext", &p.extEids)
			p.at = at
		default:
			i = p.skip(i)
		}
	}
}

// readGeo reads a geo object.
func (p *personReader) readGeo(i int, name string, geo *geoPlaces) int {
	*geo = geoPlaces{}
	ok, i := p.is(i, '{', "geo", "an object")
	if !ok {
		return i
	}
	p.at = in(name, false)
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key == nil {
				return i
			}
			i = p.skip(i)
		case "country":
			geo.country, i = p.text(i, "country", MaxName)
		case "region":
			geo.region, i = p.text(i, "region", MaxName)
		case "utcoffset":
			var minutes int64
			minutes, geo.hasUTCOffset, i = p.integer(i, "utcoffset", -24*60, 24*60)
			geo.utcOffset = int16(minutes)
		default:
			i = p.skip(i)
		}
	}
}

// readDevice reads the device object at i.
func (p *personReader) readDevice(i int) int {
	if p.device.present {
		p.device = devicePlaces{lmt: -1, dnt: -1}
	}
	p.at.hush = true
	ok, i := p.is(i, '{', "device", "an object")
	p.at.hush = false
	if !ok {
		return i
	}
	device := &p.device
	device.present = true
	at := in("device", true)
	p.at = at
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key == nil {
				p.at = top
				return i
			}
			i = p.skip(i)
		case "ifa":
			device.ifa, i = p.text(i, "ifa", MaxIdentifier)
		case "lmt":
			device.lmt, i = p.flag(i, "lmt")
		case "dnt":
			device.dnt, i = p.flag(i, "dnt")
		case "devicetype":
			var kind int64
			kind, _, i = p.integer(i, "devicetype", 0, 1<<31-1)
			device.kind = int32(kind)
		case "geo":
			i = p.readGeo(i, "device.geo", &device.geo)
			p.at = at
		default:
			i = p.skip(i)
		}
	}
}
