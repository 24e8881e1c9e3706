// Package openrtb reads what callers send to a node: decide requests (OpenRTB 2.6
// objects with candidates added) and events. One pass over the bytes, straight into
// structs that the caller reuses; no tree, no maps, no reflection.
//
// # What is kept, and for how long
//
// Every []byte in Request and Event is a slice of the body that was given to Parse (or of
// a value given to Set), or one of this package's constants. It is good for as long as
// that buffer is left alone. Escapes are undone in place, so Parse writes into the body.
// After warm-up of the struct's own slices, valid input costs no allocation.
// A Request or Event serves one goroutine at a time.
//
// # What is accepted
//
// RFC 8259 to the letter, and valid UTF-8 in every string, also in those skipped. Unknown
// fields are skipped, as OpenRTB asks. null is the same as absent. A key that comes twice
// in one object: the last one binds, and an object replaces the earlier object whole.
// The signals gdpr, coppa, lmt and dnt are 0 or 1; any other whole number counts as 1.
// Whole numbers may be written with a fraction or an exponent (1.0, 1e3).
// A number where a string belongs, or the reverse, is a fault: reading an identifier as
// 1e3, "1000" or "1e3" would make three people of one, and a signal that cannot be read
// must not pass for an absent one. Two exceptions, both for fields that are commonly sent
// in either form: gpc may be a string, a number or a boolean, and an ext that is no object
// is skipped.
//
// # New and old places
//
// OpenRTB moved fields from ext into the object proper. Where both are present the new
// place binds, except that:
//   - gdpr, coppa and gpc: 1 in either place binds,
//   - us_privacy: the one that says the user opted out of sale binds,
//   - eids: both places are read, duplicates removed, for each identifier can hold a cap.
//
// An empty string or list counts as absent.
package openrtb

// Bounds of what is read. Beyond each of them is a fault, unless said otherwise.
// All are chosen; lengths are in bytes after escapes are undone.
const (
	MaxCandidates = 500     // candidates of a request
	MaxWant       = 32      // want
	MaxName       = 128     // campaign, creative, item, category, channel, source, country, ...
	MaxIdentifier = 1024    // one identifier
	MaxID         = 256     // id of a request or an event
	MaxToken      = 1024    // token of an event
	MaxConsent    = 8 << 10 // consent and gpp
	MaxSections   = 32      // values of gpp_sid
	MaxCategories = 64      // categories of site, app and their content together
	MaxDepth      = 1000    // nesting of values that are skipped

	// MaxIdentifiers is how many identifiers are collected; further ones are counted in
	// IdentifiersDropped and are no fault.
	MaxIdentifiers = 256
	// MaxFaults is how many faults are listed; the last one says how many more there are.
	MaxFaults = 100
)

// Sources of the identifiers that have a place of their own in OpenRTB. Those of eids are
// named by the eid's source.
const (
	SourceUserID   = "user.id"
	SourceBuyerUID = "buyeruid"
	SourceIFA      = "ifa"
)

// Identifier is one name a person is known by, raw as it was sent.
type Identifier struct {
	Source []byte // who gave the identifier: one of the constants above, or an eid's source
	ID     []byte // never empty
}

// Signals are what the user, the law or the browser said, undecoded.
type Signals struct {
	Consent   []byte   // TCF string: user.consent, user.ext.consent
	GPP       []byte   // GPP string: regs.gpp, regs.ext.gpp
	USPrivacy []byte   // us_privacy string: regs.us_privacy, regs.ext.us_privacy
	GPPSID    []uint16 // GPP sections in force: regs.gpp_sid, regs.ext.gpp_sid; -1 (none known) is left out
	GDPR      int8     // regs.gdpr, regs.ext.gdpr: 0, 1, or -1 for absent
	COPPA     int8     // regs.coppa, regs.ext.coppa: 0, 1, or -1 for absent
	LMT       int8     // device.lmt: 0, 1, or -1 for absent
	DNT       int8     // device.dnt: 0, 1, or -1 for absent
	GPC       bool     // regs.gpc, regs.ext.gpc
	// Differ: the new and the old place of a TCF string, of a GPP string or of its
	// sections do not say the same. The fields have what the new place says.
	Differ bool
}

// Person is what a request or an event says about whom it concerns and where.
type Person struct {
	// Identifiers without duplicates: user.id, buyeruid, ifa, then eids in their order.
	// An empty identifier and an all-zero ifa are no identifiers.
	Identifiers []Identifier
	// IdentifiersDropped counts identifiers beyond MaxIdentifiers and those of eids
	// without a source.
	IdentifiersDropped int
	Signals            Signals
	// Country is device.geo.country, else user.geo.country, as sent (alpha-3 or alpha-2).
	Country []byte
	// Region is that of the geo which gave the country; without a country, device.geo's
	// first.
	Region []byte
	// UTCOffset is local time minus UTC in minutes, when HasUTCOffset.
	UTCOffset    int16
	HasUTCOffset bool
	// Channel is as given; else ctv for device.devicetype 3 or 7, else web for a site, app
	// for an app; else empty.
	Channel []byte
}

// Candidate is one ad that could be shown.
type Candidate struct {
	Campaign []byte // never empty after a Parse without faults
	Creative []byte
	Item     []byte
	Category []byte
	// InterestFrom says where interest in the item was shown.
	InterestFrom []byte
	// InterestAt is when interest was last shown, in Unix seconds, when HasInterestAt.
	InterestAt uint32
	// InterestCount is how often interest was shown, when HasInterestCount.
	InterestCount    uint32
	HasInterestAt    bool
	HasInterestCount bool
}

// Request is one decide request.
type Request struct {
	Person
	ID         []byte      // the caller's, echoed in the answer
	Candidates []Candidate // in the caller's order of preference
	// Categories the ad would stand beside: cat, sectioncat, pagecat and content.cat of
	// site and app, as sent.
	Categories [][]byte
	Want       int  // 1 to MaxWant; 0 for absent
	Hold       bool // needs Want
	Token      bool // needs Want; true as well when Hold is
	Brief      bool
	// At is the time the caller says it is, in Unix seconds, when HasAt; only for nodes
	// that take the time from requests. OpenRTB's own at is the auction type: a number
	// below 100,000,000 (March 1973) is taken for that and is no time.
	At    uint32
	HasAt bool

	read       personReader
	categoryOf []uint8  // the place each of Categories came from
	catTax     [4]int32 // of site, app and their content; 0 when absent
	candidates candidatesPlace
	wantGiven  bool
	query      queryFields
}
