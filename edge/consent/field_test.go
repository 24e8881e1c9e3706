package consent

import (
	"strings"
	"testing"

	"github.com/prebid/go-gdpr/vendorconsent"
	"github.com/prebid/go-gpp/sections/uspca"
	"github.com/prebid/go-gpp/sections/uspco"
	"github.com/prebid/go-gpp/sections/uspct"
	"github.com/prebid/go-gpp/sections/uspnat"
	"github.com/prebid/go-gpp/sections/usput"
	"github.com/prebid/go-gpp/sections/uspva"
)

// TestAgainstGoGPP holds the sections that go-gpp knows to it, on random contents.
func TestAgainstGoGPP(t *testing.T) {
	r := random(t)
	for range *steps {
		id := 7 + r.IntN(6)
		spec := sectionSpecs[id]
		if id == usNational {
			spec = nationalV1Spec
		}
		set := map[element]int{}
		for _, e := range elements(spec) {
			set[e] = r.IntN(4)
		}
		gpc := r.IntN(2) == 0
		text := specString(spec, 1, set)
		if gpc && usSections[id].parts == partsGPC {
			text += ".YA"
		}
		ours := readUS(id, []byte(text))
		if ours.problem != Nothing {
			t.Fatalf("section %d, %s: %v", id, text, ours.problem)
		}
		if ours.gpc != strings.Contains(text, ".") {
			t.Fatalf("section %d, %s: gpc %v", id, text, ours.gpc)
		}
		view := fieldsView(ours.layout.fields, &ours.fields)
		for name, theirs := range goGPP(t, id, text) {
			if !sameNumbers(view[name], theirs) {
				t.Fatalf("section %d, %s: %s is %v, go-gpp says %v", id, text, name, view[name], theirs)
			}
		}
	}
}

// sameNumbers compares a field of ours to one of go-gpp, which has bytes.
func sameNumbers(ours any, theirs []byte) bool {
	list, ok := ours.([]int)
	if !ok {
		list = []int{int(ours.(uint64))}
	}
	if len(list) != len(theirs) {
		return false
	}
	for i, v := range list {
		if int(theirs[i]) != v {
			return false
		}
	}
	return true
}

// goGPP reads a section with go-gpp. Fields that a section has not are left out.
func goGPP(t *testing.T, id int, text string) map[string][]byte {
	t.Helper()
	var err error
	view := map[string][]byte{}
	switch id {
	case 7:
		var s uspnat.USPNAT
		s, err = uspnat.NewUSPNAT(text)
		c := s.CoreSegment
		view = map[string][]byte{
			"SharingNotice": {c.SharingNotice}, "SharingOptOutNotice": {c.SharingOptOutNotice}, "SaleOptOutNotice": {c.SaleOptOutNotice},
			"TargetedAdvertisingOptOutNotice": {c.TargetedAdvertisingOptOutNotice}, "SaleOptOut": {c.SaleOptOut}, "SharingOptOut": {c.SharingOptOut},
			"TargetedAdvertisingOptOut": {c.TargetedAdvertisingOptOut}, "KnownChildSensitiveDataConsents": c.KnownChildSensitiveDataConsents,
			"PersonalDataConsents": {c.PersonalDataConsents}, "MspaServiceProviderMode": {c.MspaServiceProviderMode},
		}
	case 8:
		var s uspca.USPCA
		s, err = uspca.NewUSPCA(text)
		c := s.CoreSegment
		view = map[string][]byte{
			"SaleOptOutNotice": {c.SaleOptOutNotice}, "SharingOptOutNotice": {c.SharingOptOutNotice}, "SaleOptOut": {c.SaleOptOut},
			"SharingOptOut": {c.SharingOptOut}, "KnownChildSensitiveDataConsents": c.KnownChildSensitiveDataConsents,
			"PersonalDataConsents": {c.PersonalDataConsents}, "MspaServiceProviderMode": {c.MspaServiceProviderMode},
		}
	case 9:
		s, e := uspva.NewUSPVA(text)
		c := s.CoreSegment
		err, view = e, stateView(c.SharingNotice, c.SaleOptOutNotice, c.TargetedAdvertisingOptOutNotice, c.SaleOptOut, c.TargetedAdvertisingOptOut, c.MspaServiceProviderMode, c.KnownChildSensitiveDataConsents)
	case 10:
		s, e := uspco.NewUSPCO(text)
		c := s.CoreSegment
		err, view = e, stateView(c.SharingNotice, c.SaleOptOutNotice, c.TargetedAdvertisingOptOutNotice, c.SaleOptOut, c.TargetedAdvertisingOptOut, c.MspaServiceProviderMode, c.KnownChildSensitiveDataConsents)
	case 11:
		s, e := usput.NewUSPUT(text)
		c := s.CoreSegment
		err, view = e, stateView(c.SharingNotice, c.SaleOptOutNotice, c.TargetedAdvertisingOptOutNotice, c.SaleOptOut, c.TargetedAdvertisingOptOut, c.MspaServiceProviderMode, []byte{c.KnownChildSensitiveDataConsents})
	case 12:
		s, e := uspct.NewUSPCT(text)
		c := s.CoreSegment
		err, view = e, stateView(c.SharingNotice, c.SaleOptOutNotice, c.TargetedAdvertisingOptOutNotice, c.SaleOptOut, c.TargetedAdvertisingOptOut, c.MspaServiceProviderMode, c.KnownChildSensitiveDataConsents)
	}
	if err != nil {
		t.Fatalf("go-gpp: section %d, %s: %v", id, text, err)
	}
	return view
}

func stateView(sharing, saleNotice, targetedNotice, sale, targeted, mode byte, child []byte) map[string][]byte {
	return map[string][]byte{
		"SharingNotice": {sharing}, "SaleOptOutNotice": {saleNotice}, "TargetedAdvertisingOptOutNotice": {targetedNotice},
		"SaleOptOut": {sale}, "TargetedAdvertisingOptOut": {targeted}, "MspaServiceProviderMode": {mode}, "KnownChildSensitiveDataConsents": child,
	}
}

// TestWhatGoGPPMisses: a child in the US National section of version 2, which is
// why that decoder does not read here.
func TestWhatGoGPPMisses(t *testing.T) {
	set := map[element]int{{"KnownChildSensitiveDataConsents", 2}: 1}
	for _, e := range elements(sectionSpecs[7]) {
		if e.field == "SensitiveDataProcessing" {
			set[e] = 0
		}
	}
	text := usString(7, 2, set)
	theirs, err := uspnat.NewUSPNAT(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range theirs.CoreSegment.KnownChildSensitiveDataConsents {
		if v != 0 {
			t.Error("go-gpp sees the child: say so in the package documentation")
		}
	}
	if ours := readUS(7, []byte(text)); !ours.found.has(findChild) {
		t.Error("the child is missed here as well")
	}
}

// TestWhatGoGDPRDoesNotSurvive: a string that ends early ends it, which is why it is
// asked only of strings that were walked to the end.
func TestWhatGoGDPRDoesNotSurvive(t *testing.T) {
	var b bitString
	whole := granting()
	whole.vendors, whole.claimants = nil, nil
	b.WriteString(bitsOfText(whole.String())[:213])
	b.number(16, 2).number(1, 0).number(2, 0).number(16, 0) // and no more: 31 bytes
	text := b.text(6)
	survived := func() (ok bool) {
		defer func() { ok = recover() == nil }()
		_, _ = vendorconsent.ParseString(text)
		return
	}()
	if survived {
		t.Error("go-gdpr survives: say so in the package documentation")
	}
	r, in := newReader(t), absent()
	in.Consent = []byte(text)
	if got := r.Judge(&in, &usual, 0); got.Storage.Why != TCFUnreadable {
		t.Errorf("%+v", got)
	}
}

// bitsOfText is the bits of base64url text.
func bitsOfText(text string) string {
	b, _ := newBits([]byte(text))
	var out bitString
	for b.left() > 0 {
		out.number(1, int(b.take(1)))
	}
	return out.String()
}
