package consent

import "strconv"

// Why is what an answer rests on.
type Why uint8

// Whys, by reason. Where Section is not 0 it is the GPP section that says so.
const (
	Nothing Why = iota // nothing refuses

	COPPA      // regs.coppa is 1
	KnownChild // a US section has knowledge that the person is a child

	TCFRequired       // no TCF string, although the market requires one
	TCFRequiredByGDPR // no TCF string, although regs.gdpr is 1
	OptOutRequired    // no signal at all, although the market requires an opt-out signal
	PlacesDiffer      // two places of the request hold two strings, and one may refuse
	SectionMissing    // gpp_sid names a section that nothing in the request holds
	TCFUnreadable     // the TCF string cannot be parsed, or decoders differ on it
	TCFVersion        // a string of another version of the TCF than 2 (Canada: 1)
	TCFUnregistered   // the TCF string was made by no registered consent platform (id 0 or 1)
	TCFBadInterest    // policy version 4 or later with legitimate interest for purposes 3 to 6
	GPPUnreadable     // the GPP string cannot be parsed
	SectionUnreadable // a section in force cannot be parsed
	SectionUnknown    // a section in force is none that this package can read
	SectionVersion    // a section in force is of a version that this package cannot read
	USPUnreadable     // the US Privacy string cannot be parsed
	PurposeRefused    // a TCF purpose has no consent
	PurposeRestricted // the publisher restricts a TCF purpose
	VendorRefused     // the policy's vendor has no consent
	VendorUndisclosed // the policy's vendor was not disclosed to the person
	NoNotice          // the person was not told that they may opt out

	GPC             // the browser's Global Privacy Control
	LMT             // device.lmt is 1
	DNT             // device.dnt is 1
	SaleOptOut      // opted out of the sale of personal data
	SharingOptOut   // opted out of sharing for cross-context advertising
	TargetedOptOut  // opted out of targeted advertising
	ServiceProvider // MSPA service provider mode: data may serve the publisher alone
	OtherUse        // no consent to use beyond what the data was collected for

	whyCount
)

// whys gives each Why its reason, its name in a check, and what it says of the
// request: the rest of a sentence that begins with where it stands.
var whys = [whyCount]struct {
	reason     Reason
	name, says string
}{
	Nothing:           {Permitted, "nothing", "nothing refuses"},
	COPPA:             {Child, "coppa", "the request is marked as a child's"},
	KnownChild:        {Child, "known_child", "the person is known to be a child"},
	TCFRequired:       {NoConsent, "tcf_required", "no TCF string although the market requires one"},
	TCFRequiredByGDPR: {NoConsent, "tcf_required_by_gdpr", "no TCF string although the GDPR applies"},
	OptOutRequired:    {NoConsent, "opt_out_required", "no opt-out signal although the market requires one"},
	PlacesDiffer:      {NoConsent, "places_differ", "two places of the request say two things"},
	SectionMissing:    {NoConsent, "section_missing", "the section is in force and missing"},
	TCFUnreadable:     {NoConsent, "tcf_unreadable", "the string cannot be parsed"},
	TCFVersion:        {NoConsent, "tcf_version", "the string is of another version"},
	TCFUnregistered:   {NoConsent, "tcf_unregistered", "the string was made by no registered consent platform"},
	TCFBadInterest:    {NoConsent, "tcf_bad_interest", "the string claims legitimate interest where consent alone counts"},
	GPPUnreadable:     {NoConsent, "gpp_unreadable", "the string cannot be parsed"},
	SectionUnreadable: {NoConsent, "section_unreadable", "the section cannot be parsed"},
	SectionUnknown:    {NoConsent, "section_unknown", "the section is not known"},
	SectionVersion:    {NoConsent, "section_version", "the section is of another version"},
	USPUnreadable:     {NoConsent, "us_privacy_unreadable", "the string cannot be parsed"},
	PurposeRefused:    {NoConsent, "purpose_refused", "not consented"},
	PurposeRestricted: {NoConsent, "purpose_restricted", "restricted by the publisher"},
	VendorRefused:     {NoConsent, "vendor_refused", "the vendor is not consented"},
	VendorUndisclosed: {NoConsent, "vendor_undisclosed", "the vendor was not disclosed"},
	NoNotice:          {NoConsent, "no_notice", "no notice of the right to opt out was given"},
	GPC:               {OptedOut, "gpc", "Global Privacy Control is on"},
	LMT:               {OptedOut, "lmt", "the device limits ad tracking"},
	DNT:               {OptedOut, "dnt", "the browser asks not to be tracked"},
	SaleOptOut:        {OptedOut, "sale_opt_out", "sale opted out"},
	SharingOptOut:     {OptedOut, "sharing_opt_out", "sharing opted out"},
	TargetedOptOut:    {OptedOut, "targeted_opt_out", "targeted advertising opted out"},
	ServiceProvider:   {OptedOut, "service_provider", "the data may serve the publisher alone"},
	OtherUse:          {OptedOut, "other_use", "no consent to use beyond the stated purpose"},
}

// String is the name of w in a check: lower case with underscores.
func (w Why) String() string { return whys[w].name }

// Reason is the reason that w is a case of.
func (w Why) Reason() Reason { return whys[w].reason }

// AppendText appends what a says, for a sentence of an explanation, such as
//
//	TCF: purpose 3 not consented
//	GPP usca: sale opted out
//	no TCF string although the market requires one
func (a Answer) AppendText(dst []byte) []byte {
	switch {
	case a.Section != 0:
		dst = append(dst, "GPP "...)
		if name := SectionName(a.Section); name != "" {
			dst = append(dst, name...)
		} else {
			dst = append(dst, "section "...)
			dst = strconv.AppendUint(dst, uint64(a.Section), 10)
		}
		dst = append(dst, ": "...)
	case a.Why == GPPUnreadable:
		dst = append(dst, "GPP: "...)
	case a.Why == USPUnreadable || a.Why == SaleOptOut || a.Why == NoNotice:
		dst = append(dst, "US Privacy: "...)
	case a.Why >= TCFUnreadable && a.Why <= TCFBadInterest || a.Why >= PurposeRefused && a.Why <= VendorUndisclosed:
		dst = append(dst, "TCF: "...)
	}
	if a.Purpose != 0 {
		dst = append(dst, "purpose "...)
		dst = strconv.AppendUint(dst, uint64(a.Purpose), 10)
		dst = append(dst, ' ')
	}
	return append(dst, whys[a.Why].says...)
}
