package openrtb

import (
	"bytes"
	"slices"
)

// resolve decides between the places a field can stand in.
func (p *personReader) resolve(to *Person) {
	to.IdentifiersDropped = p.eids.dropped + p.extEids.dropped
	to.Identifiers = to.Identifiers[:0]
	to.identify(sourceUserID, p.user.id)
	to.identify(sourceBuyerUID, p.user.buyerUID)
	if !allZero(p.device.ifa) {
		to.identify(sourceIFA, p.device.ifa)
	}
	for _, id := range p.eids.identifiers {
		to.identify(id.Source, id.ID)
	}
	for _, id := range p.extEids.identifiers {
		to.identify(id.Source, id.ID)
	}

	p.resolveSignals(&to.Signals)

	device, user := &p.device.geo, &p.user.geo
	switch {
	case len(device.country) > 0:
		to.Country, to.Region = device.country, device.region
	case len(user.country) > 0:
		to.Country, to.Region = user.country, user.region
	default:
		to.Country, to.Region = nil, either(device.region, user.region)
	}
	offset := device
	if !offset.hasUTCOffset {
		offset = user
	}
	to.UTCOffset, to.HasUTCOffset = offset.utcOffset, offset.hasUTCOffset

	switch {
	case len(p.channel) > 0:
		to.Channel = p.channel
	case p.device.kind == 3 || p.device.kind == 7: // connected TV, set-top box
		to.Channel = channelCTV
	case p.site:
		to.Channel = channelWeb
	case p.app:
		to.Channel = channelApp
	default:
		to.Channel = nil
	}
}

func (p *personReader) resolveSignals(to *Signals) {
	regs, ext := &p.regs[0], &p.regs[1]
	*to = Signals{
		Consent:   either(p.user.consent, p.user.extConsent),
		GPP:       either(regs.gpp, ext.gpp),
		USPrivacy: either(regs.usPrivacy, ext.usPrivacy),
		GPPSID:    regs.sections,
		GDPR:      max(regs.gdpr, ext.gdpr),
		COPPA:     max(regs.coppa, ext.coppa),
		LMT:       p.device.lmt,
		DNT:       p.device.dnt,
		GPC:       regs.gpc || ext.gpc,
	}
	if len(regs.sections) == 0 {
		to.GPPSID = ext.sections
	}
	to.Differ = differ(p.user.consent, p.user.extConsent) || differ(regs.gpp, ext.gpp) ||
		len(regs.sections) > 0 && len(ext.sections) > 0 && !slices.Equal(regs.sections, ext.sections)
	if optedOut(ext.usPrivacy) && !optedOut(regs.usPrivacy) {
		to.USPrivacy = ext.usPrivacy
	}
}

// identify adds an identifier unless it is empty, known or one too many.
func (to *Person) identify(source, id []byte) {
	if len(id) == 0 {
		return
	}
	for i := range to.Identifiers {
		if known := &to.Identifiers[i]; bytes.Equal(known.ID, id) && bytes.Equal(known.Source, source) {
			return
		}
	}
	if len(to.Identifiers) == MaxIdentifiers {
		to.IdentifiersDropped++
		return
	}
	to.Identifiers = append(to.Identifiers, Identifier{Source: source, ID: id})
}

// either returns the new place's string unless it is empty.
func either(place, old []byte) []byte {
	if len(place) > 0 {
		return place
	}
	return old
}

// differ reports whether both places have a string, and not the same.
func differ(place, old []byte) bool {
	return len(place) > 0 && len(old) > 0 && !bytes.Equal(place, old)
}

// optedOut reports whether a US Privacy string says that the user opted out of sale: its
// third letter (IAB CCPA Compliance Framework, U.S. Privacy String 1.0).
func optedOut(s []byte) bool {
	return len(s) > 2 && s[2]|0x20 == 'y'
}

// allZero reports whether an advertising identifier is the one that devices give when the
// user withholds it: zeros, with or without dashes.
func allZero(id []byte) bool {
	for _, c := range id {
		if c != '0' && c != '-' {
			return false
		}
	}
	return true
}
