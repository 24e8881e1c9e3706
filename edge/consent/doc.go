// Package consent reads what a person, the law or the browser said about
// advertising, and answers what that permits: campaigns of each purpose, and
// keeping impressions and clicks.
//
//	Reader          remembers what strings say; Judge and Explain answer
//	Verdict         an Answer for each campaign purpose, and one for storage
//	Answer          a Reason of the contract and a Why, as constants
//	Check           one thing that was looked at, for an explanation
//
// # What refuses what
//
//	                                      retargeting,   contextual   storage   reason
//	                                      acquisition
//	COPPA; a US section's known child     refused        passes       refused   child
//	no TCF string where one is required   refused        (a)          refused   no_consent
//	a TCF purpose or vendor refused       refused (b)    (a)          (b)       no_consent
//	a string or section that cannot be
//	  read, or is of an unknown kind      refused        (a)          refused   no_consent
//	gpp_sid names what is missing         refused        (a)          (c)       no_consent
//	no opt-out signal where one is
//	  required; no notice was given       refused        passes       -         no_consent
//	GPC, lmt, dnt; opted out of sale,
//	  sharing or targeted advertising;
//	  MSPA service provider mode; no
//	  consent to other use                refused        passes       -         opted_out
//
// (a) passes, unless the policy gives contextual campaigns TCF purposes.
// (b) each by the purposes that the policy gives it.
// (c) refused where the section is none of US law.
//
// What is present binds in every market; what a market requires comes on top. A
// TCF string is required by a market of the TCF, and everywhere by gdpr 1; gdpr 0
// changes nothing. An opt-out signal is a US section, a US Privacy string, or a
// TCF string: who said yes to each purpose was asked more than an opt-out asks. One
// that says "not applicable" throughout is a signal; 0 for lmt, dnt or coppa is none,
// nor is a GPP string without sections. Of several reasons the first in the order of the
// contract is given; adding a refusal never permits anything (a test says so).
//
// An opt-out of sale, sharing or targeted advertising refuses retargeting and
// acquisition alike. It does not refuse the counters that caps need: limiting how
// often an advertisement is shown is none of these, and without it people who opted
// out would be shown more, not less. Nothing is kept of a known child.
//
// # TCF v2 (user.consent; GPP section 2)
//
// Source: IAB Europe and IAB Tech Lab, "Transparency and Consent String with
// Global Vendor & CMP List Formats", version 2; TCF Policies, Appendix A. Layout:
// tcfCore, then vendors with consent, vendors with legitimate interest, publisher
// restrictions; segments for disclosed vendors, allowed vendors and the publisher
// may follow, in any order, each once.
//
//   - Purposes are asked for consent. Legitimate interest counts for purposes 2 and 7
//     to 11 alone, and only for a vendor that the policy names: without one, nobody is
//     there to claim it. 1 and 3 to 6 are consent only, whatever the policy version.
//   - A vendor that the policy names must hold consent, and must be disclosed where
//     the string says who was.
//   - Restrictions override. For a named vendor: types 0 and 3 (undefined) refuse the
//     purpose, 1 leaves consent alone, 2 leaves legitimate interest alone. Where the
//     policy names no vendor, any restriction of a purpose refuses it.
//   - Refused whole, as if it said no to everything: version 1 and any other but 2;
//     policy versions below 2, which are of version 1; consent platform ids 0 and 1, which are nobody's; from policy version 4 on,
//     legitimate interest for purposes 3 to 6; base64 with padding; more than MaxString.
//   - Special features, the publisher's own segment and allowed vendors bear on
//     nothing here. PurposeOneTreatment does not stand in for purpose 1.
//
// A string is believed where prebid/go-gdpr, which shares no code with this
// package, agrees on everything that the verdict rests on. That decoder alone would
// not do: it cannot list restrictions, forgets the first of two of one kind, does
// not read segments, and reads out of bounds in strings that end early, so that this
// package walks a string to its end first.
//
// # TCF Canada (GPP section 5)
//
// Source: IAB Canada TCF Technical Specification (Global Privacy Platform,
// Sections/Canada). As TCF v2, with express consent for consent and implied consent
// for legitimate interest; implied consent counts for purposes 2 and 7 to 11, with
// or without a vendor, since it is consent. Purpose 1 is not used in Canada: where
// the policy asks for it, purpose 2, which names limiting how often an
// advertisement is shown, is asked in its place. Serves a market that requires the
// TCF, and not gdpr 1. Vendor ids are read in both encodings that are about.
//
// # US sections (GPP sections 7 to 27)
//
// Source: IAB Tech Lab, Global Privacy Platform, Sections/US-National and
// Sections/US-States, one specification each; where those of 2025 (24 to 27) are
// drafts, as the IAB's own encoder writes them. Layouts: usSections; versions: 1,
// and 2 of usnat. Other versions are refused. rules has the values that refuse.
//
//   - Opt-outs of sale, sharing, targeted advertising: 1 refuses.
//   - Notices: 2, not given, refuses: who was not told did not choose.
//   - Known children: 1, no consent, and 2, a parent's consent, both say child.
//   - MspaServiceProviderMode 1 (MspaMode 2): the data may serve the publisher alone.
//     MspaCoveredTransaction and MspaOptOutOptionMode refuse nothing.
//   - PersonalDataConsents, AdditionalDataProcessingConsent: 1, no consent, refuses.
//   - Sensitive data bears on nothing: campaigns of a sensitive topic may not
//     retarget at all.
//   - Gpc in a sub-section refuses. usva, usut and usfl have none; one that is sent all
//     the same binds.
//   - A value without a meaning (3) refuses.
//
// prebid/go-gpp is what this is tested against, and not what reads: it knows
// sections 7 to 12, reads usnat of version 2 by the layout of version 1 and so
// misses a child, and does not end on a header that names section 65535.
//
// # GPP string and US Privacy string
//
// Sources: IAB Tech Lab, Global Privacy Platform, "Consent String Specification";
// "U.S. Privacy String", version 1 (also GPP section 6). gpp_sid says which sections
// are in force; without it all are, and every one must be readable. Sections not in
// force are not looked at. A section named and missing refuses; user.consent is as
// good as section 2 and us_privacy as section 6. Sections 1 (TCF v1), 3, 4 and those
// after 27 are not known, and in force refuse.
//
// # What is given up
//
// No date is judged: a string does not grow old, and one of policy version 5 that
// lacks the disclosed vendors, which that version demands, is taken like an older one. No vendor list is consulted: which
// legal basis a vendor may claim is taken from the string. Nothing is verified with
// who made a string. Of what a string says, strings that decoders of the field
// differ on are lost.
//
// What is remembered costs at most what New was given; ristretto may forget any of
// it, and drops new strings that come in bursts. Both cost decoding a string again.
//
// # What counsel must decide
//
// Which TCF purposes a campaign purpose needs, and storage: that is the policy's
// mapping, and no more than a default here. Whether opted-out people may be counted
// for caps; whether children may; whether a parent's consent changes anything;
// whether implied consent in Canada reaches purposes 3 to 6; whether a US service
// provider may show anything personal; and whether MSPA signals bind who has not
// signed the MSPA.
package consent
