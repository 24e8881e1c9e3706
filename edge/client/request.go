package client

import "time"

// Request asks whether candidates may be shown to a user. The words are those of OpenRTB
// 2.6, and what is empty is not sent.
type Request struct {
	ID     string // the caller's own, at most 256 bytes; the answer must repeat it
	User   User
	Device Device
	Regs   Regs
	// Site or App is where the ad would stand; it tells the channel where Channel is
	// empty. Nil: not known.
	Site, App *Inventory
	Channel   string // web, app, ctv, dooh, audio, email, ...
	// Candidates are 1 to 500, in the caller's order of preference.
	Candidates []Candidate
	// Want is how many are to be shown together, 1 to 32: the decisions end with the last
	// of them. 0: every candidate is judged by itself.
	Want int
	// Hold keeps the places of what may be shown until the impression, a Release, or the
	// campaign's hold time. It needs Want.
	Hold bool
	// Token asks for a token; Hold implies it. It needs Want.
	Token bool
}

// User is who would see it.
type User struct {
	ID       string // of the site or app
	BuyerUID string // of the buyer
	Consent  string // TCF
	EIDs     []EID
}

// EID are a user's identifiers of one source, such as uidapi.com.
type EID struct {
	Source string
	UIDs   []string
}

// Flag is a yes or no that may be missing.
type Flag uint8

// The values of a Flag.
const (
	Unknown Flag = iota
	No
	Yes
)

// Device is what it would be seen on.
type Device struct {
	IFA      string // advertising id; all zeros is none
	LMT, DNT Flag   // limit ad tracking, do not track
	Type     int    // devicetype; 3 and 7 are ctv
	Geo      Geo
}

// Geo is where the user is.
type Geo struct {
	Country   string // ISO 3166-1, alpha-3 or alpha-2
	Region    string // ISO 3166-2, without the country
	UTCOffset *int   // minutes; nil: not known
}

// Regs are the legal signals.
type Regs struct {
	GDPR, COPPA Flag
	GPP         string
	GPPSections []int // gpp_sid
	USPrivacy   string
	GPC         Flag // Global Privacy Control
}

// Inventory are the categories of a site or app and of what is on it, each with its
// taxonomy (cattax).
type Inventory struct {
	Cat, SectionCat, PageCat []string
	CatTax                   int
	ContentCat               []string
	ContentCatTax            int
}

// Candidate is an ad that could be shown. Campaign is required.
type Candidate struct {
	Campaign, Creative, Item, Category string
	// InterestAt, InterestCount and InterestFrom say when, how often and where the user
	// showed interest in the item; a count of 0 is not known, and taken for one.
	InterestAt    time.Time
	InterestCount int
	InterestFrom  string
}

// appendRequest appends r as the body of POST /v1/decide.
func appendRequest(dst []byte, r *Request) []byte {
	e := encoder{append(dst, '{')}
	e.text("id", r.ID)
	e.person(&r.User, &r.Device, &r.Regs)
	e.inventory("site", r.Site)
	e.inventory("app", r.App)
	e.asked(r.Channel, r.Candidates)
	e.number("want", int64(r.Want))
	e.yes("hold", r.Hold)
	e.yes("token", r.Token)
	return append(e.b, '}')
}

// asked appends the candidates, always: a list that is missing is for the node to name.
func (e *encoder) asked(channel string, candidates []Candidate) {
	e.text("channel", channel)
	e.open("candidates", '[')
	for i := range candidates {
		c := &candidates[i]
		e.element()
		e.text("campaign", c.Campaign)
		e.text("creative", c.Creative)
		e.text("item", c.Item)
		e.text("category", c.Category)
		e.time("interest_at", c.InterestAt)
		e.number("interest_count", int64(c.InterestCount))
		e.text("interest_from", c.InterestFrom)
		e.b = append(e.b, '}')
	}
	e.b = append(e.b, ']')
}

func (e *encoder) person(u *User, d *Device, r *Regs) {
	from := len(e.b)
	e.open("user", '{')
	e.text("id", u.ID)
	e.text("buyeruid", u.BuyerUID)
	e.text("consent", u.Consent)
	e.eids(u.EIDs)
	e.shut(from, '}')

	from = len(e.b)
	e.open("device", '{')
	e.text("ifa", d.IFA)
	e.flag("lmt", d.LMT)
	e.flag("dnt", d.DNT)
	e.number("devicetype", int64(d.Type))
	inner := len(e.b)
	e.open("geo", '{')
	e.text("country", d.Geo.Country)
	e.text("region", d.Geo.Region)
	if d.Geo.UTCOffset != nil {
		e.whole("utcoffset", int64(*d.Geo.UTCOffset))
	}
	e.shut(inner, '}')
	e.shut(from, '}')

	from = len(e.b)
	e.open("regs", '{')
	e.flag("gdpr", r.GDPR)
	e.flag("coppa", r.COPPA)
	e.text("gpp", r.GPP)
	e.sections(r.GPPSections)
	e.text("us_privacy", r.USPrivacy)
	e.flag("gpc", r.GPC)
	e.shut(from, '}')
}

func (e *encoder) eids(eids []EID) {
	from := len(e.b)
	e.open("eids", '[')
	for i := range eids {
		e.element()
		e.text("source", eids[i].Source)
		e.open("uids", '[')
		for _, id := range eids[i].UIDs {
			e.element()
			e.text("id", id)
			e.b = append(e.b, '}')
		}
		e.b = append(e.b, ']', '}')
	}
	e.shut(from, ']')
}

func (e *encoder) sections(sections []int) {
	if len(sections) == 0 {
		return
	}
	e.open("gpp_sid", '[')
	for i, s := range sections {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.b = appendInt(e.b, int64(s))
	}
	e.b = append(e.b, ']')
}

// inventory appends a site or app; one that is there is sent even when empty, since that
// it is there tells the channel.
func (e *encoder) inventory(name string, v *Inventory) {
	if v == nil {
		return
	}
	e.open(name, '{')
	e.texts("cat", v.Cat)
	e.texts("sectioncat", v.SectionCat)
	e.texts("pagecat", v.PageCat)
	e.number("cattax", int64(v.CatTax))
	from := len(e.b)
	e.open("content", '{')
	e.texts("cat", v.ContentCat)
	e.number("cattax", int64(v.ContentCatTax))
	e.shut(from, '}')
	e.b = append(e.b, '}')
}
