package consent

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"restraint/edge/policy"
)

// iabDecoder is the decoder whose fields the file of GPP strings holds in full.
const iabDecoder = "iabgpp-es@3.2.0"

func TestRealGPPStrings(t *testing.T) {
	vectors, count := readVectors(t, "consent_gpp.json")
	r, done, kinds := newReader(t), judged{}, judged{}
	judgeOne := map[string]func(*testing.T, *Reader, *vector) bool{
		"gpp": judgeGPP, "section": judgeSection, "header": judgeHeader, "gpc-subsections": judgePart,
	}
	for _, v := range vectors {
		judge, ok := judgeOne[v.Kind]
		if !ok || !judge(t, r, &v) {
			t.Errorf("%s: kind %q, outcome %q were not judged", v.ID, v.Kind, v.Outcome)
			continue
		}
		done[v.Outcome]++
		kinds[v.Kind+" "+v.Outcome]++
	}
	done.check(t, vectors, count)
	t.Logf("by kind %v", kinds)
}

func judgeGPP(t *testing.T, r *Reader, v *vector) bool {
	s := absent()
	s.GPP = []byte(v.String)
	switch v.Outcome {
	case "invalid", "disputed":
		mustRefuse(t, v.ID, r.Judge(&s, &usual, policy.RequireNone))
		return true
	case "valid":
	default:
		return false
	}
	ids, sections := sectionsOf(t, v.String)
	decoded := v.Decoded[iabDecoder]
	// Section 1 is TCF version 1, which neither that decoder nor this package reads.
	onlyOld := slices.Equal(ids, []int{1})
	if want, ok := decoded["sectionIds"]; ok && !onlyOld {
		compare(t, v.ID, map[string]any{"ids": want}, map[string]any{"ids": ids})
	}
	if want, ok := v.Asserted["sectionIds"]; ok {
		compare(t, v.ID, map[string]any{"ids": want}, map[string]any{"ids": ids})
	}
	byName := map[string]int{}
	for _, id := range ids {
		byName[SectionName(uint8(id))] = id
	}
	held := 0
	for name, fields := range decoded["sections"].(map[string]any) {
		id, ok := byName[name]
		if !ok {
			t.Errorf("%s: section %s was not found", v.ID, name)
			continue
		}
		got := sectionView(t, id, sections[id])
		compareSection(t, v.ID+" "+name, fields.(map[string]any), got)
		asserted := map[string]any{}
		for key, value := range v.Asserted {
			if field, ok := strings.CutPrefix(key, name+"."); ok {
				asserted[field] = value
			}
		}
		compareSection(t, v.ID+" "+name, asserted, got)
		held++
	}
	if unread := len(ids) - held; unread != 0 && !onlyOld {
		t.Errorf("%s: %d sections of %v were not compared", v.ID, unread, ids)
	}
	return true
}

func judgeSection(t *testing.T, r *Reader, v *vector) bool {
	id := 0
	for n := range 64 {
		if strings.EqualFold(SectionName(uint8(n)), v.Section) {
			id = n
		}
	}
	if id == 0 {
		return false
	}
	s := absent()
	s.GPP = []byte(gppString(map[int]string{id: v.String}))
	verdict := r.Judge(&s, &usual, policy.RequireNone)
	switch v.Outcome {
	case "valid":
		got := sectionView(t, id, v.String)
		fields := maps.Clone(v.Decoded[iabDecoder])
		compareSection(t, v.ID, fields, got)
		asserted := maps.Clone(v.Asserted)
		for name := range v.Disagree {
			delete(asserted, name) // the source's test says other than its decoder
		}
		compareSection(t, v.ID, asserted, got)
		return len(fields) > 0
	case "invalid":
		mustRefuse(t, v.ID, verdict)
		return true
	}
	return false
}

func judgeHeader(t *testing.T, _ *Reader, v *vector) bool {
	var ids [maxSections]int
	n, ok, _ := parseHeader([]byte(v.String), &ids)
	switch v.Outcome {
	case "valid":
		if !ok {
			t.Errorf("%s: not parsed", v.ID)
		}
		compare(t, v.ID, map[string]any{"ids": v.Asserted["sectionIds"]}, map[string]any{"ids": ids[:n]})
	case "invalid":
		if ok {
			t.Errorf("%s: parsed", v.ID)
		}
	default:
		return false
	}
	return true
}

func judgePart(t *testing.T, _ *Reader, v *vector) bool {
	gpc, ok := readPart([]byte(v.String), partsGPC)
	switch v.Outcome {
	case "valid":
		if !ok || gpc != v.Asserted["Gpc"] {
			t.Errorf("%s: %v, %v", v.ID, gpc, ok)
		}
	case "invalid":
		if ok {
			t.Errorf("%s: read", v.ID)
		}
	default:
		return false
	}
	return true
}
