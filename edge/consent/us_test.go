package consent

import (
	"maps"
	"strings"
	"testing"

	"restraint/edge/policy"
)

// meaning is what a value of a field of a US section refuses, by the meanings of
// the specifications: opt-outs 1, notices 2, children 1 and 2, MSPA service
// provider mode 1 (in MspaMode 2), consents 1. 3 has no meaning, and refuses.
func meaning(field string, value int) (Why, bool) {
	switch field {
	case "SharingNotice", "ProcessingNotice", "SaleOptOutNotice", "SharingOptOutNotice", "TargetedAdvertisingOptOutNotice":
		return NoNotice, value >= 2
	case "SaleOptOut":
		return SaleOptOut, value == 1 || value == 3
	case "SharingOptOut":
		return SharingOptOut, value == 1 || value == 3
	case "TargetedAdvertisingOptOut":
		return TargetedOptOut, value == 1 || value == 3
	case "KnownChildSensitiveDataConsents":
		return KnownChild, value != 0
	case "PersonalDataConsents", "AdditionalDataProcessingConsent":
		return OtherUse, value == 1 || value == 3
	case "MspaServiceProviderMode":
		return ServiceProvider, value == 1 || value == 3
	case "MspaMode":
		return ServiceProvider, value >= 2
	}
	return Nothing, false
}

func judgeGPPString(r *Reader, text string, sids ...uint16) Verdict {
	in := absent()
	in.GPP, in.GPPSID = []byte(text), sids
	return r.Judge(&in, &usual, policy.RequireOptOut)
}

// TestEachFieldOfEachUSSection sets each number of each section to each value, so
// that a number read in the wrong place shows.
func TestEachFieldOfEachUSSection(t *testing.T) {
	r, tried := newReader(t), 0
	for id, spec := range sectionSpecs {
		if got := judgeGPPString(r, gppString(map[int]string{id: usString(id, latest(id), nil)})); got != (Verdict{}) {
			t.Errorf("section %d that permits everything: %+v", id, got)
		}
		for _, e := range elements(spec) {
			for value := range 4 {
				text := usString(id, latest(id), map[element]int{e: value})
				got := judgeGPPString(r, gppString(map[int]string{id: text}))
				why, refused := meaning(e.field, value)
				want := Answer{}
				if refused {
					want = Answer{Reason: why.Reason(), Why: why, Section: uint8(id)}
				}
				if got.Purposes[policy.Retargeting] != want || got.Purposes[policy.Acquisition] != want {
					t.Errorf("section %d, %v = %d: %+v, want %+v", id, e, value, got, want)
				}
				if got.Storage.Permitted() != (want.Reason != Child) || !got.Purposes[policy.Contextual].Permitted() {
					t.Errorf("section %d, %v = %d: %+v", id, e, value, got)
				}
				tried++
			}
		}
		if SectionName(uint8(id)) == "" || len(sectionSpecs) != len(usSections)-usNational {
			t.Errorf("section %d has no name, or a section no test", id)
		}
	}
	t.Logf("%d values", tried)
}

// nationalV1Spec is the core of version 1 of the US National section.
const nationalV1Spec = "Version:6 SharingNotice SaleOptOutNotice SharingOptOutNotice TargetedAdvertisingOptOutNotice SensitiveDataProcessingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut SharingOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*12 KnownChildSensitiveDataConsents*2 PersonalDataConsents MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode"

// TestUSNationalVersion1: its layout is told by its length. One whose version and
// length differ is read both ways, and what either refuses binds.
func TestUSNationalVersion1(t *testing.T) {
	r := newReader(t)
	for _, e := range elements(nationalV1Spec) {
		for value := range 4 {
			for _, padding := range []string{"", "A", "AA"} { // 60, 66 and 72 bits
				var b bitString
				b.number(6, 1)
				for _, other := range elements(nationalV1Spec) {
					v := mildest(other.field)
					if other.field == "SensitiveDataProcessing" {
						v = 0 // else a longer one says "child" where it is read as version 2
					}
					if other == e {
						v = value
					}
					b.number(2, v)
				}
				got := judgeGPPString(r, gppString(map[int]string{7: b.text(6) + padding})).Purposes[0]
				why, refused := meaning(e.field, value)
				if refused && got.Permitted() || refused && padding != "AA" && got.Why != why {
					t.Errorf("%v = %d, padded with %q: %+v", e, value, padding, got)
				}
				if !refused && padding != "AA" && !got.Permitted() {
					t.Errorf("%v = %d, padded with %q: %+v", e, value, padding, got)
				}
			}
		}
	}
}

// TestUSNationalOfTwoMinds: version 1 in the length of version 2, where each layout
// alone would miss a child that the other sees.
func TestUSNationalOfTwoMinds(t *testing.T) {
	quiet := map[element]int{}
	for _, spec := range []string{nationalV1Spec, sectionSpecs[7]} {
		for _, e := range elements(spec) {
			quiet[e] = 0
		}
	}
	r := newReader(t)
	for child, text := range map[element]string{
		{"none", 0}:                            specString(nationalV1Spec, 1, quiet) + "AA",
		{"KnownChildSensitiveDataConsents", 1}: specString(nationalV1Spec, 1, with(quiet, element{"KnownChildSensitiveDataConsents", 1})) + "AA",
		{"KnownChildSensitiveDataConsents", 2}: specString(sectionSpecs[7], 1, with(quiet, element{"KnownChildSensitiveDataConsents", 2})),
	} {
		got := judgeGPPString(r, gppString(map[int]string{7: text})).Purposes[0]
		if got.Permitted() != (child.field == "none") || !got.Permitted() && got.Why != KnownChild {
			t.Errorf("%v: %+v", child, got)
		}
	}
}

// with returns set with e set to 1.
func with(set map[element]int, e element) map[element]int {
	set = maps.Clone(set)
	set[e] = 1
	return set
}

func TestGPCOfUSSections(t *testing.T) {
	r := newReader(t)
	for id := range sectionSpecs {
		core := usString(id, latest(id), nil)
		for part, on := range map[string]bool{"YA": true, "Y": true, "QA": false, "AA": false, "IA": false} {
			got := judgeGPPString(r, gppString(map[int]string{id: core + "." + part})).Purposes[0]
			if on != (got == Answer{OptedOut, GPC, uint8(id), 0}) || on == got.Permitted() {
				t.Errorf("section %d with %s: %+v", id, part, got)
			}
		}
		// A second part is read too.
		if got := judgeGPPString(r, gppString(map[int]string{id: core + ".QA.YA"})).Purposes[0]; got.Why != GPC {
			t.Errorf("section %d with two parts: %+v", id, got)
		}
		for _, part := range []string{"oA", "4A", "!", "Y=", strings.Repeat("QA.", maxParts) + "YA"} {
			got := judgeGPPString(r, gppString(map[int]string{id: core + "." + part}))
			if a := got.Purposes[0]; a.Why != SectionUnreadable || got.Storage.Permitted() {
				t.Errorf("section %d with %s: %+v", id, part, got)
			}
		}
		got := judgeGPPString(r, gppString(map[int]string{id: core + "."})).Purposes[0]
		if got.Permitted() != (usSections[id].parts == partsNone) {
			t.Errorf("section %d with an empty part: %+v", id, got)
		}
	}
	// A list of sensitive data is no Gpc, whatever it begins with.
	for _, id := range []int{25, 26, 27} {
		if got := judgeGPPString(r, gppString(map[int]string{id: usString(id, 1, nil) + ".YAA"})).Purposes[0]; !got.Permitted() {
			t.Errorf("section %d with sensitive data: %+v", id, got)
		}
	}
}

func TestUSSectionsThatAreNotBelieved(t *testing.T) {
	r := newReader(t)
	for id := range sectionSpecs {
		core := usString(id, latest(id), nil)
		for text, why := range map[string]Why{
			"":                              SectionUnreadable,
			"z":                             SectionUnreadable,
			core[:len(core)-3]:              SectionUnreadable,
			core + "=":                      SectionUnreadable,
			usString(id, 0, nil):            SectionVersion,
			usString(id, latest(id)+1, nil): SectionVersion,
			usString(id, 63, nil):           SectionVersion,
		} {
			got := judgeGPPString(r, gppString(map[int]string{id: text}))
			mustRefuse(t, text, got)
			if a := got.Purposes[0]; a.Why != why || a.Section != uint8(id) {
				t.Errorf("section %d, %q: %+v", id, text, a)
			}
		}
	}
}

func TestUSPrivacyStrings(t *testing.T) {
	r := newReader(t)
	in := absent()
	for _, version := range "012-" {
		for _, notice := range "YN-yX" {
			for _, sale := range "YN-yX" {
				for _, lspa := range "YN-yX" {
					text := string([]rune{version, notice, sale, lspa})
					want := Answer{}
					switch {
					case version != '1' || strings.ContainsAny(text, "yX"):
						want = Answer{Reason: NoConsent, Why: USPUnreadable}
					case notice == 'N':
						want = Answer{Reason: NoConsent, Why: NoNotice}
					case sale == 'Y':
						want = Answer{Reason: OptedOut, Why: SaleOptOut}
					}
					in.USPrivacy = []byte(text)
					got := r.Judge(&in, &usual, policy.RequireOptOut)
					if got.Purposes[0] != want || got.Storage.Permitted() != (want.Why != USPUnreadable) {
						t.Errorf("%s: %+v, want %+v", text, got, want)
					}
				}
			}
		}
	}
}
