package consent

import (
	"bytes"
	"testing"

	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

// work is the most numbers that reading a string may take: every one takes a bit or
// more, and no part of a string is read more than a few times. 200 is for what is
// read before a short string turns out to be short.
func work(text []byte) int { return 200 + 3*6*len(text) }

// checkWork fails where a string causes more work than its length explains.
func checkWork(t *testing.T, text []byte) {
	t.Helper()
	_, _, tcf := parseTCF(text, 7)
	_, _, canada := parseCanada(text, 7)
	var ids [maxSections]int
	_, _, header := parseHeader(text, &ids)
	for name, reads := range map[string]int{"TCF": tcf, "Canada": canada, "header": header, "US": readUS(7, text).reads} {
		if reads > work(text) {
			t.Errorf("%s: %d numbers read of %d bytes: %.80q", name, reads, len(text), text)
		}
	}
}

// judgeFuzzed judges what a fuzzer made up, twice, and holds the two and the
// arguments to each other.
func judgeFuzzed(t *testing.T, r *Reader, s *openrtb.Signals, vendor uint16) Verdict {
	t.Helper()
	lent := *s
	lent.Consent, lent.GPP, lent.USPrivacy = bytes.Clone(s.Consent), bytes.Clone(s.GPP), bytes.Clone(s.USPrivacy)
	c := usual
	c.Vendor = vendor
	first := r.Judge(&lent, &c, policy.RequireTCF)
	for _, b := range [][]byte{lent.Consent, lent.GPP, lent.USPrivacy} {
		for i := range b {
			b[i] = '?' // as the next request does to the buffer
		}
	}
	if again := r.Judge(s, &c, policy.RequireTCF); again != first {
		t.Fatalf("judged %+v, then %+v", first, again)
	}
	if _, explained := r.Explain(nil, s, &c, policy.RequireTCF); explained != first {
		t.Fatalf("judged %+v, explained %+v", first, explained)
	}
	if !first.Purposes[policy.Contextual].Permitted() {
		t.Fatalf("contextual campaigns are refused: %+v", first)
	}
	return first
}

func FuzzTCF(f *testing.F) {
	s := granting()
	f.Add(s.String(), uint16(5))
	s.asRanges, s.disclosed, s.restrictions = true, []int{3, 5}, []restriction{{2, 1, []int{5, 6, 7}}, {3, 0, []int{1}}}
	f.Add(s.String(), uint16(0))
	f.Add("COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBA", uint16(2))
	f.Add("CAAAAAAAAAAAAAAAAAENAACAAAAAAAAAAAAAAAAAAAAA.QAAA.IAAA", uint16(1))
	for _, text := range []string{"", "C", "C.", ".", "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", canadaString{cmp: 9, express: []int{2}, vendors: []int{1, 5}}.String()} {
		f.Add(text, uint16(9))
	}
	r := newReader(f)
	f.Fuzz(func(t *testing.T, text string, vendor uint16) {
		checkWork(t, []byte(text))
		in := absent()
		in.Consent = []byte(text)
		got := judgeFuzzed(t, r, &in, vendor)
		c, problem, _ := parseTCF([]byte(text), vendor)
		if got.Purposes[policy.Retargeting].Permitted() && (problem != Nothing || c.consent&0b1101 != 0b1101) {
			t.Fatalf("permitted with %v, consents %b", problem, c.consent)
		}
		if canada := readCanada([]byte(text), vendor); canada.problem == Nothing && canada.granted&^(1<<24-1) != 0 {
			t.Fatalf("Canada grants %b", canada.granted)
		}
		// A vendor's answer is in keeping with that of a decoder that is asked for it.
		if problem == Nothing && c.doubt() == Nothing && confirmed([]byte(text), vendor, &c) != (readTCF([]byte(text), vendor).problem == Nothing) {
			t.Fatal("believed without the field's decoder")
		}
	})
}

func FuzzGPP(f *testing.F) {
	all := map[int]string{2: granting().String(), 5: canadaString{cmp: 9, express: []int{2}}.String(), 6: "1YNN"}
	for id := range sectionSpecs {
		all[id] = permits(id) + ".QA"
		f.Add(gppString(map[int]string{id: permits(id)}), uint16(id))
	}
	f.Add(gppString(all), uint16(0))
	for _, text := range []string{"", "D", "DBAA", "DBAB", "DBABMA~", "DBABrWA~BVVqAAEABCA~BVoYYZoI~BVoYYYI~BVoYYQg~BVaGGGCA~BVoYYYQg~Bqqqqqqo~Bqqqqqqo", "DBGBM~C", "DB__8~~~"} {
		f.Add(text, uint16(7))
	}
	r := newReader(f)
	f.Fuzz(func(t *testing.T, text string, named uint16) {
		header, rest, _ := bytes.Cut([]byte(text), tilde)
		checkWork(t, header)
		for _, section := range bytes.Split(rest, tilde) {
			checkWork(t, section)
		}
		in := absent()
		in.GPP = []byte(text)
		everything := judgeFuzzed(t, r, &in, 5)
		in.GPPSID = []uint16{named}
		judgeFuzzed(t, r, &in, 5)
		// Every section in force refuses what any of them refuses alone, where the string
		// has no other fault.
		g := parseGPP(in.GPP, 0, 5)
		if g.problem != Nothing {
			return
		}
		var ids [maxSections]int
		n, _, _ := parseHeader(header, &ids)
		for _, id := range ids[:n] {
			if in.GPPSID[0] = uint16(id); id > 1<<16-1 {
				continue
			}
			alone := r.Judge(&in, &usual, policy.RequireNone)
			if !alone.Storage.Permitted() && everything.Storage.Permitted() {
				t.Fatalf("section %d refuses %+v, all of them %+v", id, alone, everything)
			}
		}
	})
}

func FuzzUSPrivacy(f *testing.F) {
	for _, text := range []string{"1YNN", "1YYN", "1---", "", "1", "2YNN", "1ynn", "1YNNN", "\x00\x00\x00\x00"} {
		f.Add(text)
	}
	r := newReader(f)
	f.Fuzz(func(t *testing.T, text string) {
		in := absent()
		in.USPrivacy = []byte(text)
		got := judgeFuzzed(t, r, &in, 0)
		if found, problem := readUSPrivacy(in.USPrivacy); problem == Nothing && (len(text) != 4 || found.has(findSale) != (text[2] == 'Y')) {
			t.Fatalf("%q: %b", text, found)
		}
		none := r.Judge(&in, &usual, policy.RequireOptOut)
		if none.Purposes[policy.Retargeting].Permitted() && (len(text) != 4 || text[0] != '1' || text[2] == 'Y') {
			t.Fatalf("%q permits: %+v, %+v", text, none, got)
		}
	})
}
