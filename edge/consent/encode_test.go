package consent

import (
	"fmt"
	"slices"
	"strings"
)

// bitString is a string of '0' and '1', and encodes to base64url.
type bitString struct{ strings.Builder }

func (b *bitString) number(bits int, v int) *bitString {
	for i := bits - 1; i >= 0; i-- {
		b.WriteByte('0' + byte(v>>i&1))
	}
	return b
}

func (b *bitString) set(bits int, members []int) *bitString {
	for n := 1; n <= bits; n++ {
		b.number(1, btoi(slices.Contains(members, n)))
	}
	return b
}

func btoi(v bool) int {
	if v {
		return 1
	}
	return 0
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// text encodes with zeros filled up to a multiple of so many bits.
func (b *bitString) text(multiple int) string {
	s := []byte(b.String())
	for len(s)%multiple != 0 || len(s)%6 != 0 {
		s = append(s, '0')
	}
	var out strings.Builder
	for i := 0; i < len(s); i += 6 {
		v := 0
		for _, c := range s[i : i+6] {
			v = 2*v + int(c-'0')
		}
		out.WriteByte(alphabet[v])
	}
	return out.String()
}

func fibonacciText(v int) string {
	fib := []int{1, 2}
	for fib[len(fib)-1] <= v {
		fib = append(fib, fib[len(fib)-1]+fib[len(fib)-2])
	}
	out, begun := "", false
	for i := len(fib) - 1; i >= 0; i-- {
		if fib[i] <= v {
			v -= fib[i]
			out, begun = "1"+out, true
		} else if begun {
			out = "0" + out
		}
	}
	return out + "1"
}

// vendorList writes a list of vendors: as ranges when asked, else a bit for each.
func (b *bitString) vendorList(ids []int, asRanges bool) *bitString {
	highest := 0
	if len(ids) > 0 {
		highest = slices.Max(ids)
	}
	b.number(16, highest).number(1, btoi(asRanges))
	if asRanges {
		return b.rangeList(ids)
	}
	return b.set(highest, ids)
}

// rangeList writes ids as ranges of 16-bit ids.
func (b *bitString) rangeList(ids []int) *bitString {
	groups := grouped(ids)
	b.number(12, len(groups))
	for _, g := range groups {
		if g[0] == g[1] {
			b.number(1, 0).number(16, g[0])
		} else {
			b.number(1, 1).number(16, g[0]).number(16, g[1])
		}
	}
	return b
}

// gapList writes ids as a list of Fibonacci-coded ranges, as GPP headers and TCF
// Canada have them.
func (b *bitString) gapList(ids []int) *bitString {
	groups := grouped(ids)
	b.number(12, len(groups))
	last := 0
	for _, g := range groups {
		b.number(1, btoi(g[0] != g[1]))
		b.WriteString(fibonacciText(g[0] - last))
		if g[0] != g[1] {
			b.WriteString(fibonacciText(g[1] - g[0]))
		}
		last = g[1]
	}
	return b
}

func grouped(ids []int) (groups [][2]int) {
	ids = slices.Sorted(slices.Values(ids))
	for _, id := range ids {
		if n := len(groups); n > 0 && groups[n-1][1]+1 == id {
			groups[n-1][1] = id
		} else {
			groups = append(groups, [2]int{id, id})
		}
	}
	return groups
}

// restriction is a publisher restriction.
type restriction struct {
	purpose, kind int
	vendors       []int
}

// tcString is a TCF v2 string to be encoded.
type tcString struct {
	cmp, policyVersion  int
	listVersion         int // added to 200
	consents, interests []int
	vendors, claimants  []int // with consent, with legitimate interest
	asRanges            bool
	restrictions        []restriction
	disclosed           []int // a segment of its own, when not nil
	after               string
}

// granting is a string that consents to everything, for vendors 1 to 20.
func granting() tcString {
	return tcString{cmp: 300, policyVersion: 5, consents: upTo(24), vendors: upTo(20), claimants: upTo(20)}
}

func upTo(n int) (ids []int) {
	for id := 1; id <= n; id++ {
		ids = append(ids, id)
	}
	return ids
}

func without(ids []int, drop ...int) []int {
	return slices.DeleteFunc(slices.Clone(ids), func(id int) bool { return slices.Contains(drop, id) })
}

func (s tcString) String() string {
	var b bitString
	b.number(6, 2).number(36, 16_000_000_000).number(36, 16_100_000_000)
	b.number(12, s.cmp).number(12, 7).number(6, 1).number(6, 4).number(6, 13).number(12, 200+s.listVersion)
	b.number(6, s.policyVersion).number(1, 1).number(1, 0).set(12, []int{1})
	b.set(24, s.consents).set(24, s.interests).number(1, 0).number(6, 3).number(6, 4)
	b.vendorList(s.vendors, s.asRanges).vendorList(s.claimants, s.asRanges)
	b.number(12, len(s.restrictions))
	for _, r := range s.restrictions {
		b.number(6, r.purpose).number(2, r.kind).rangeList(r.vendors)
	}
	out := b.text(24)
	if s.disclosed != nil {
		var d bitString
		out += "." + d.number(3, 1).vendorList(s.disclosed, s.asRanges).text(24)
	}
	return out + s.after
}

// canadaString is a TCF Canada string.
type canadaString struct {
	cmp               int
	express, implied  []int
	vendors, impliers []int
	restrictions      []restriction
	fixed             bool // ids in 16 bits
}

func (s canadaString) String() string {
	var b bitString
	b.number(6, 1).number(36, 16_000_000_000).number(36, 16_100_000_000)
	b.number(12, s.cmp).number(12, 7).number(6, 1).number(6, 4).number(6, 13).number(12, 200)
	b.number(6, 2).number(1, 0).set(12, nil).set(24, s.express).set(24, s.implied)
	list := func(ids []int) {
		if s.fixed || len(ids) == 0 {
			b.vendorList(ids, len(ids) > 0)
			return
		}
		b.number(16, slices.Max(ids)).number(1, 1).gapList(ids)
	}
	list(s.vendors)
	list(s.impliers)
	b.number(12, len(s.restrictions))
	for _, r := range s.restrictions {
		b.number(6, r.purpose).number(2, r.kind)
		if s.fixed {
			b.rangeList(r.vendors)
		} else {
			list(r.vendors)
		}
	}
	return b.text(24)
}

// gppString joins sections, by id in ascending order.
func gppString(sections map[int]string) string {
	var ids []int
	for id := range sections {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var b bitString
	b.number(6, 3).number(6, 1).gapList(ids)
	out := b.text(6)
	for _, id := range ids {
		out += "~" + sections[id]
	}
	return out
}

// sectionSpecs are the cores of the US sections as their specifications list them,
// written out once more so that the tables of the package are held to something.
var sectionSpecs = map[int]string{
	7:  "Version:6 SharingNotice SaleOptOutNotice SharingOptOutNotice TargetedAdvertisingOptOutNotice SensitiveDataProcessingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut SharingOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*16 KnownChildSensitiveDataConsents*3 PersonalDataConsents MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	8:  "Version:6 SaleOptOutNotice SharingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut SharingOptOut SensitiveDataProcessing*9 KnownChildSensitiveDataConsents*2 PersonalDataConsents MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	9:  "Version:6 SharingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents*1 MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	10: "Version:6 SharingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*7 KnownChildSensitiveDataConsents*1 MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	11: "Version:6 SharingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SensitiveDataProcessingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents*1 MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	12: "Version:6 SharingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents*3 MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	13: "Version:6 ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents*3 AdditionalDataProcessingConsent MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	14: "Version:6 SharingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents*3 AdditionalDataProcessingConsent MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	15: "Version:6 ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*11 KnownChildSensitiveDataConsents*3 AdditionalDataProcessingConsent MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	16: "Version:6 ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents*1 AdditionalDataProcessingConsent MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	17: "Version:6 ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*9 KnownChildSensitiveDataConsents*5 AdditionalDataProcessingConsent MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	18: "Version:6 ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SensitiveDataOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents*1 MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	19: "Version:6 ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents*1 AdditionalDataProcessingConsent MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	20: "Version:6 ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents*3 AdditionalDataProcessingConsent MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	21: "Version:6 ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*10 KnownChildSensitiveDataConsents*5 AdditionalDataProcessingConsent MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	22: "Version:6 ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents*1 AdditionalDataProcessingConsent MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	23: "Version:6 ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents*1 AdditionalDataProcessingConsent MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode",
	24: "Version:6 MspaCoveredTransaction MspaMode ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut AdditionalDataProcessingConsent",
	25: "Version:6 MspaCoveredTransaction MspaMode ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut KnownChildSensitiveDataConsents*1 AdditionalDataProcessingConsent",
	26: "Version:6 MspaCoveredTransaction MspaMode ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut KnownChildSensitiveDataConsents*1 AdditionalDataProcessingConsent",
	27: "Version:6 MspaCoveredTransaction MspaMode ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut KnownChildSensitiveDataConsents*1 AdditionalDataProcessingConsent",
}

// element is one number of a US section: field[i].
type element struct {
	field string
	i     int
}

// elements lists the numbers of a specification after the version.
func elements(spec string) (out []element) {
	for _, f := range strings.Fields(spec)[1:] {
		name, times, listed := strings.Cut(f, "*")
		n := 1
		if listed {
			fmt.Sscan(times, &n)
		}
		for i := range n {
			out = append(out, element{name, i})
		}
	}
	return out
}

// usString encodes a US section. Elements not set are what permits most.
func usString(id, version int, set map[element]int) string {
	return specString(sectionSpecs[id], version, set)
}

func specString(spec string, version int, set map[element]int) string {
	var b bitString
	b.number(6, version)
	for _, e := range elements(spec) {
		v, ok := set[e]
		if !ok {
			v = mildest(e.field)
		}
		b.number(2, v)
	}
	return b.text(6)
}

func mildest(field string) int {
	switch {
	case strings.HasSuffix(field, "Notice"), field == "MspaCoveredTransaction", field == "MspaMode":
		return 1
	case field == "KnownChildSensitiveDataConsents":
		return 0
	}
	return 2
}

// optedOut is a US section in which one field is 1.
func optedOut(id int, field string) string {
	return usString(id, latest(id), map[element]int{{field, 0}: 1})
}

// latest is the latest version of a US section.
func latest(id int) int { return 1 + btoi(id == 7) }
