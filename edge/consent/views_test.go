package consent

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// tcfView is what the package reads of a TCF v2 string, under the names that the
// file of real strings uses.
func tcfView(t *testing.T, text string) map[string]any {
	t.Helper()
	c, problem, _ := parseTCF([]byte(text), 0)
	if problem != Nothing {
		t.Errorf("%s: %v", text, problem)
		return nil
	}
	f := &c.fields
	vendors, claimants, _ := tcfLists(text)
	view := map[string]any{
		"version": f[tcfVersion], "created": decisecond(f[tcfCreated]), "lastUpdated": decisecond(f[tcfLastUpdated]),
		"cmpId": f[tcfCMP], "cmpVersion": f[tcfCMPVersion], "consentScreen": f[tcfScreen],
		"consentLanguage": letters(f[tcfLanguage]), "vendorListVersion": f[tcfListVersion], "policyVersion": f[tcfPolicyVersion],
		"isServiceSpecific": f[tcfServiceSpecific] == 1, "useNonStandardStacks": f[tcfNonStandard] == 1,
		"specialFeatureOptIns": members(purposeBits(f[tcfFeatures] << 12)), "purposeConsents": members(c.consent),
		"purposeLegitimateInterests": members(c.interest), "purposeOneTreatment": f[tcfOneTreatment] == 1,
		"publisherCC": letters(f[tcfCountry]), "vendorConsents": vendors, "vendorLegitimateInterests": claimants,
	}
	for i, segment := range strings.Split(text, ".") {
		if i == 0 {
			continue
		}
		switch kind, ids, publisher := segmentView(t, segment, fixedIDs); kind {
		case segmentDisclosed:
			view["disclosedVendors"] = ids
		case segmentAllowed:
			view["allowedVendors"] = ids
		case segmentPublisher:
			view["publisherTC"] = map[string]any{
				"purposesConsent": members(purposeBits(publisher.fields[0])), "purposesLITransparency": members(purposeBits(publisher.fields[1])),
				"numCustomPurposes": publisher.fields[2], "customPurposesConsent": publisher.custom[0], "customPurposesLITransparency": publisher.custom[1],
			}
		}
	}
	return view
}

func tcfLists(text string) (vendors, claimants []int, restricted map[string][]int) {
	return lists(func(vendor uint16) core {
		c, _, _ := parseTCF([]byte(text), vendor)
		return c
	})
}

// publisherView is a publisher's own segment.
type publisherView struct {
	fields values
	custom [2][]int
	flags  [2][]bool
}

// segmentView lists the vendors of a segment, or reads a publisher's own.
func segmentView(t *testing.T, text string, coded coding) (kind int, ids []int, p publisherView) {
	t.Helper()
	ids = []int{}
	for id := range uint16(highestVendor) {
		k, has, ok, _ := parseSegment([]byte(text), id, coded)
		if !ok && coded == fibonacciIDs {
			k, has, ok, _ = parseSegment([]byte(text), id, fixedIDs)
		}
		if !ok {
			t.Errorf("segment %s cannot be parsed", text)
			return
		}
		if kind = k; has {
			ids = append(ids, int(id))
		}
	}
	if kind != segmentPublisher {
		return kind, ids, p
	}
	b, _ := newBits([]byte(text))
	b.skip(3)
	b.read(publisherFields, &p.fields)
	for i := range p.custom {
		p.custom[i], p.flags[i] = []int{}, []bool{}
		for n := range int(p.fields[2]) {
			on := b.flag()
			if p.flags[i] = append(p.flags[i], on); on {
				p.custom[i] = append(p.custom[i], n+1)
			}
		}
	}
	return kind, ids, p
}

// fieldsView is the fields of a layout by name: numbers, lists of numbers, flags.
func fieldsView(fields []field, v *values) map[string]any {
	view := map[string]any{}
	for i, f := range fields {
		switch {
		case f.name == "Created" || f.name == "LastUpdated":
			view[f.name] = decisecond(v[i])
		case f.each == 6 && f.n == 2:
			view[f.name] = letters(v[i])
		case f.each == 1:
			flags := []bool{}
			for n := f.n - 1; n >= 0; n-- {
				flags = append(flags, v[i]>>n&1 == 1)
			}
			if view[f.name] = flags; f.n == 1 {
				view[f.name] = flags[0]
			}
		case f.n > 1:
			list := []int{}
			for n := f.n - 1; n >= 0; n-- {
				list = append(list, int(v[i]>>(f.each*n)&(1<<f.each-1)))
			}
			view[f.name] = list
		default:
			view[f.name] = v[i]
		}
	}
	return view
}

// sectionView is what the package reads of a section of a GPP string.
func sectionView(t *testing.T, id int, text string) map[string]any {
	t.Helper()
	switch id {
	case sectionTCF, sectionCanada:
		return tcfSectionView(t, id, text)
	case sectionUSP:
		version := 0
		if _, problem := readUSPrivacy([]byte("1" + text[1:])); problem == Nothing {
			version = int(text[0] - '0')
		}
		return map[string]any{"Version": version, "Notice": text[1:2], "OptOutSale": text[2:3], "LspaCovered": text[3:4]}
	}
	r := readUS(id, []byte(text))
	if r.problem != Nothing && r.problem != SectionVersion {
		t.Errorf("section %d, %s: %v", id, text, r.problem)
		return nil
	}
	view := fieldsView(r.layout.fields, &r.fields)
	view["Gpc"], view["GpcSegmentType"] = r.gpc, 1
	view["GpcSegmentIncluded"] = strings.Contains(text, ".")
	if id == usNational {
		padUSNational(view)
	}
	for name, v := range view {
		if list, ok := v.([]int); ok && len(list) == 1 {
			view[name] = list[0]
		}
	}
	if _, list, ok := strings.Cut(text, "."); ok && usSections[id].parts == partsSensitive {
		b, _ := newBits([]byte(list))
		var v values
		kinds := []field{pairs("SensitiveDataProcessing", 8)}
		b.read(kinds, &v)
		view["SensitiveDataProcessing"] = fieldsView(kinds, &v)["SensitiveDataProcessing"]
	} else if usSections[id].parts == partsSensitive {
		view["SensitiveDataProcessing"] = make([]int, 8)
	}
	return view
}

// padUSNational gives lists the length that the IAB's decoder gives them: that of
// the version, whatever the layout.
func padUSNational(view map[string]any) {
	sensitive, child := view["SensitiveDataProcessing"].([]int), view["KnownChildSensitiveDataConsents"].([]int)
	if view["Version"] == uint64(1) {
		view["SensitiveDataProcessing"], view["KnownChildSensitiveDataConsents"] = sensitive[:12], child[:2]
		return
	}
	view["SensitiveDataProcessing"] = append(sensitive, make([]int, 16-len(sensitive))...)
	view["KnownChildSensitiveDataConsents"] = append(child, make([]int, 3-len(child))...)
}

func tcfSectionView(t *testing.T, id int, text string) map[string]any {
	t.Helper()
	parse, fields, coded := parseTCF, tcfCore, fixedIDs
	names := [...]string{"VendorConsents", "VendorLegitimateInterests", "PublisherRestrictions", "VendorsDisclosed", "VendorsAllowed"}
	publisher := [...]string{"PublisherConsents", "PublisherLegitimateInterests", "PublisherCustomConsents", "PublisherCustomLegitimateInterests"}
	kinds := map[string]int{"PublisherPurposesSegmentType": 3, "VendorsAllowedSegmentType": 2, "VendorsDisclosedSegmentType": 1}
	if id == sectionCanada {
		parse, fields, coded = parseCanada, caCore, fibonacciIDs
		names = [...]string{"VendorExpressConsent", "VendorImpliedConsent", "PubRestrictions", "DisclosedVendors", ""}
		publisher = [...]string{"PubPurposesExpressConsent", "PubPurposesImpliedConsent", "CustomPurposesExpressConsent", "CustomPurposesImpliedConsent"}
		kinds = map[string]int{"PubPurposesSegmentType": 3, "DisclosedVendorsSegmentType": 1}
	}
	c, problem, _ := parse([]byte(text), 0)
	if problem != Nothing {
		t.Errorf("section %d, %s: %v", id, text, problem)
		return nil
	}
	view := fieldsView(fields, &c.fields)
	view[names[0]], view[names[1]], view[names[2]] = listsOf(parse, text)
	for name, kind := range kinds {
		view[name] = kind
	}
	// What a segment that is not there would hold.
	view[names[3]], view[names[4]] = []int{}, []int{}
	view[publisher[0]], view[publisher[1]] = make([]bool, 24), make([]bool, 24)
	view["NumCustomPurposes"], view[publisher[2]], view[publisher[3]] = 0, []bool{}, []bool{}
	for _, segment := range strings.Split(text, ".")[1:] {
		switch kind, ids, p := segmentView(t, segment, coded); kind {
		case segmentDisclosed:
			view[names[3]] = ids
		case segmentAllowed:
			view[names[4]] = ids
		case segmentPublisher:
			own := fieldsView(publisherFields, &p.fields)
			view[publisher[0]], view[publisher[1]] = own["PublisherConsents"], own["PublisherLegitimateInterests"]
			view["NumCustomPurposes"], view[publisher[2]], view[publisher[3]] = own["NumCustomPurposes"], p.flags[0], p.flags[1]
		}
	}
	return view
}

func listsOf(parse func([]byte, uint16) (core, Why, int), text string) (vendors, claimants []int, restricted map[string][]int) {
	return lists(func(vendor uint16) core {
		c, _, _ := parse([]byte(text), vendor)
		return c
	})
}

// compareSection holds every field of a section to what was read.
func compareSection(t *testing.T, id string, want, got map[string]any) {
	t.Helper()
	if got == nil {
		return // said already
	}
	for _, name := range []string{"PublisherRestrictions", "PubRestrictions"} {
		if list, ok := want[name].([]any); ok {
			if w := restrictedView(list, "key", "type", "ids"); !reflect.DeepEqual(w, got[name]) {
				t.Errorf("%s: restrictions %v, want %v", id, got[name], w)
			}
			delete(want, name)
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s: field %s is not read", id, name)
		}
	}
	compare(t, id, want, got)
}

// sectionsOf splits a GPP string into sections by id.
func sectionsOf(t *testing.T, text string) (ids []int, sections map[int]string) {
	t.Helper()
	var all [maxSections]int
	parts := bytes.Split([]byte(text), tilde)
	n, ok, _ := parseHeader(parts[0], &all)
	if !ok || n != len(parts)-1 {
		t.Errorf("%s: %d sections, header ok %v with %d", text, len(parts)-1, ok, n)
		return nil, nil
	}
	sections = map[int]string{}
	for i, id := range all[:n] {
		sections[id] = string(parts[i+1])
	}
	return all[:n], sections
}
