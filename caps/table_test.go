package caps

import "testing"

// checkTable verifies that log and index agree with each other and with the counts.
func checkTable(t *testing.T, x *table) {
	t.Helper()
	live, words, gaps, used := 0, 0, 0, 0
	for number, g := range x.segments {
		words += len(g.words)
		gap := 0
		for at := 0; at < g.end; {
			size := int(g.words[at] & sizeMask)
			if size == 0 {
				t.Fatalf("segment %d: no size at %d", number, at)
			}
			if g.words[at]&gapBit != 0 {
				gap += size
			} else {
				key := keyWords(g.words[at+1 : at+5])
				slot, record := x.find(hashOf(&key), &key)
				if slot < 0 || &record[0] != &g.words[at] {
					t.Fatalf("segment %d: the record at %d is not found", number, at)
				}
				live++
			}
			at += size
		}
		if gap != g.gaps {
			t.Fatalf("segment %d: %d words of gaps, counted %d", number, gap, g.gaps)
		}
		gaps += gap
	}
	for _, slot := range x.slots {
		if slot != 0 {
			used++
		}
	}
	if live != x.used || used != x.used || words != x.words || gaps != x.gaps {
		t.Fatalf("%d records, %d slots, %d counted; %d words, counted %d; %d words of gaps, counted %d", live, used, x.used, words, x.words, gaps, x.gaps)
	}
}
