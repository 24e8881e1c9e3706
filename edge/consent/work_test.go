package consent

import (
	"strings"
	"testing"
)

// TestWorkOfHostileStrings: the longest strings of each shape cost no more than
// their length explains, in numbers read, and never as much as what they claim to
// hold.
func TestWorkOfHostileStrings(t *testing.T) {
	var head bitString
	head.number(6, 2).number(36, 1).number(36, 1).number(12, 300).number(12, 0).number(6, 0).number(12, 0).number(12, 9)
	head.number(6, 5).number(2, 0).number(12, 0).number(24, 0).number(24, 0).number(1, 0).number(12, 0)
	tcf := func(tail string) []byte {
		var b bitString
		b.WriteString(head.String())
		b.WriteString(tail)
		text := b.text(24)
		return []byte(text[:min(len(text), MaxString)])
	}
	bitsOf := func(n, v int) string {
		var b bitString
		return b.number(n, v).String()
	}
	one := "0" + bitsOf(16, 65535)
	vendors := bitsOf(16, 65535) + "1" + bitsOf(12, 4095)
	none := bitsOf(16, 0) + "0"
	for name, text := range map[string][]byte{
		"the most ranges":              tcf(vendors + strings.Repeat(one, 4095)),
		"ranges that overlap":          tcf(vendors + strings.Repeat("1"+bitsOf(16, 1)+bitsOf(16, 65535), 4095)),
		"a bit for each vendor":        tcf(bitsOf(16, 65535) + "0" + strings.Repeat("1", 65535)),
		"restrictions without vendors": tcf(none + none + bitsOf(12, 4095) + strings.Repeat(bitsOf(6, 2)+"00"+bitsOf(12, 0), 4095)),
		"one restriction of everybody": tcf(none + none + bitsOf(12, 4095) + bitsOf(6, 2) + "00" + bitsOf(12, 4095) + strings.Repeat(one, 4095)),
		"parts without end":            []byte((granting().String() + strings.Repeat(".", MaxString))[:MaxString]),
		"parts that are short":         []byte((granting().String() + strings.Repeat(".I", MaxString))[:MaxString]),
		"GPC without end":              []byte((permits(8) + strings.Repeat(".QA", MaxString))[:MaxString]),
		"ones":                         []byte("B" + strings.Repeat("_", MaxString-1)),
		"zeros":                        []byte("B" + strings.Repeat("A", MaxString-1)),
	} {
		if len(text) > MaxString || len(text) < MaxString/2 {
			t.Errorf("%s: %d bytes", name, len(text))
		}
		checkWork(t, text)
		_, _, reads := parseTCF(text, 7)
		_, _, canada := parseCanada(text, 7)
		t.Logf("%s: %d bytes, %d numbers, %d as Canada", name, len(text), reads, canada)
	}
}

// TestWorkOfHostileHeaders: what a header claims costs nothing until it is there.
func TestWorkOfHostileHeaders(t *testing.T) {
	header := func(entries int, ids string) string {
		var b bitString
		b.number(6, 3).number(6, 1).number(12, entries)
		b.WriteString(ids)
		return b.text(6)
	}
	span := func(first, length int) string { return "1" + fibonacciText(first) + fibonacciText(length) }
	for name, text := range map[string]string{
		"all ids":                   header(1, span(1, 65000)),
		"a span that ends at 65535": header(1, span(65000, 535)),
		"more than there can be":    header(1, span(1, maxSections)),
		"many spans":                header(4095, strings.Repeat(span(1, 1), 500)),
		"no end of a number":        header(1, "0"+strings.Repeat("0", 6*MaxString-200)),
		"alternating":               header(1, "0"+strings.Repeat("10", 3*MaxString-200)),
		"a number past all ids":     header(1, "0"+strings.Repeat("0", 80)+"11"),
	} {
		var ids [maxSections]int
		n, ok, reads := parseHeader([]byte(text), &ids)
		if ok || reads > 20*maxSections {
			t.Errorf("%s: %d sections, %v, %d numbers read", name, n, ok, reads)
		}
		if g := parseGPP([]byte(text+strings.Repeat("~BAAA", n)), 0, 0); g.problem != GPPUnreadable {
			t.Errorf("%s: %v", name, g.problem)
		}
	}
	// A header alone says nothing, and nothing is wrong with it.
	for text, why := range map[string]Why{"DBAA": Nothing, "DBAA~": GPPUnreadable, "DBAA~1YNN": GPPUnreadable, "DBA": GPPUnreadable} {
		if g := parseGPP([]byte(text), 0, 0); g != (gpp{problem: why}) {
			t.Errorf("%s: %+v", text, g)
		}
	}
	// The most that a header may name is read.
	sections := map[int]string{}
	for id := 100; id < 100+maxSections; id++ {
		sections[id] = "A"
	}
	if g := parseGPP([]byte(gppString(sections)), 0, 0); g.problem != SectionUnknown {
		t.Errorf("%d sections: %v", maxSections, g.problem)
	}
	sections[99] = "A"
	if g := parseGPP([]byte(gppString(sections)), 0, 0); g.problem != GPPUnreadable {
		t.Errorf("%d sections: %v", maxSections+1, g.problem)
	}
}
