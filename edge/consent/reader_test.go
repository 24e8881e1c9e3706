package consent

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

// allocatesNothing runs f often enough that ristretto's own buffers, which are made
// anew once in 64 look-ups, average out to less than one allocation.
func allocatesNothing(t *testing.T, name string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(2000, f); n != 0 {
		t.Errorf("%s: %v allocations", name, n)
	}
}

func TestJudgeAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes ristretto allocate; BenchmarkJudge asserts the same without it")
	}
	gpp := gppString(map[int]string{2: granting().String(), 5: canadaString{cmp: 9, express: upTo(24)}.String(), 6: "1YNN", 8: permits(8) + ".YA"})
	all := []openrtb.Signals{absent(), absent(), absent(), absent(), absent()}
	all[1].Consent = []byte(granting().String())
	all[2].GPP, all[2].GPPSID = []byte(gpp), []uint16{2, 6, 8, 300}
	all[3].Consent, all[3].GPP, all[3].USPrivacy = all[1].Consent, all[2].GPP, []byte("1YYN")
	all[3].GDPR, all[3].COPPA, all[3].LMT, all[3].DNT, all[3].GPC = 1, 1, 1, 1, true
	all[4].Consent, all[4].GPP, all[4].USPrivacy = []byte("junk"), []byte("DBAA"), []byte("junk")
	r := remembered(t, all)
	for i := range all {
		for vendor, c := range map[uint16]policy.Consent{0: usual, 5: {Vendor: 5, Purposes: usual.Purposes, Storage: 1}} {
			s := &all[i]
			for range 20 {
				r.Judge(s, &c, policy.RequireTCF)
				r.cache.Wait()
			}
			allocatesNothing(t, fmt.Sprintf("request %d, vendor %d", i, vendor), func() { r.Judge(s, &c, policy.RequireTCF) })
		}
	}
	var dst [64]byte
	a := Answer{NoConsent, PurposeRefused, 5, 3}
	allocatesNothing(t, "text", func() { a.AppendText(dst[:0]) })
	checks := make([]Check, 0, 256)
	allocatesNothing(t, "explained", func() { checks, _ = r.Explain(checks[:0], &all[3], &usual, policy.RequireTCF) })
}

// TestNothingOfAStringIsKept: neither what is remembered nor an answer holds a
// pointer, and no part of a string can be found in the reader's memory.
func TestNothingOfAStringIsKept(t *testing.T) {
	for _, v := range []any{entry{}, Verdict{}, Check{}} {
		if hasPointer(reflect.TypeOf(v)) {
			t.Errorf("%T has a pointer", v)
		}
	}
	r := newReader(t)
	in := absent()
	text := []byte(granting().String())
	in.Consent = bytes.Clone(text)
	r.Judge(&in, &usual, policy.RequireTCF)
	r.cache.Wait()
	kept := 0
	r.cache.IterValues(func(e entry) bool {
		kept++
		memory := unsafe.Slice((*byte)(unsafe.Pointer(&e)), unsafe.Sizeof(e))
		for i := 0; i+8 <= len(text); i++ {
			if bytes.Contains(memory, text[i:i+8]) && !bytes.Equal(text[i:i+8], []byte("AAAAAAAA")) {
				t.Errorf("%q is kept", text[i:i+8])
			}
		}
		return false
	})
	if kept != 1 {
		t.Errorf("%d entries", kept)
	}
}

func hasPointer(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if hasPointer(t.Field(i).Type) {
				return true
			}
		}
		return false
	case reflect.Array:
		return hasPointer(t.Elem())
	case reflect.Bool, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Int:
		return false
	}
	return true
}

// TestPlaces: every question about a string has a place of its own, and so has
// every string under every reader.
func TestPlaces(t *testing.T) {
	type place struct{ key, check uint64 }
	seen := map[place]string{}
	note := func(r *Reader, text string, q question) {
		key, check := r.place([]byte(text), q)
		what := fmt.Sprintf("%p %q %+v", r, text, q)
		if before, ok := seen[place{key, check}]; ok {
			t.Errorf("%s and %s share a place", before, what)
		}
		seen[place{key, check}] = what
	}
	a, b := newReader(t), newReader(t)
	for _, text := range []string{"", "A", "AA", granting().String(), strings.Repeat("A", MaxString)} {
		note(b, text, question{})
		for _, named := range []sections{0, 1, 2, 3, 1 << 8, 1 << 63, 1<<64 - 1} {
			for _, vendor := range []uint16{0, 1, 2, 3, 1 << 15, 1<<16 - 1} {
				note(a, text, question{named: named, vendor: vendor})
				note(a, text, question{named: named, vendor: vendor, tcf: true})
			}
		}
	}
	t.Logf("%d places", len(seen))
}

// TestReaderForgets: a reader of one entry answers as one that remembers.
func TestReaderForgets(t *testing.T) {
	small, err := New(EntryBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	r := newReader(t)
	for round := range 3 {
		for n := 1; n <= 24; n++ {
			in, s := absent(), granting()
			s.consents = without(s.consents, n)
			in.Consent = []byte(s.String())
			if a, b := small.Judge(&in, &usual, policy.RequireTCF), r.Judge(&in, &usual, policy.RequireTCF); a != b {
				t.Errorf("round %d, without %d: %+v and %+v", round, n, a, b)
			}
		}
		r.cache.Wait()
	}
	if _, err := New(EntryBytes - 1); err == nil {
		t.Error("a reader without room was made")
	}
}

func TestStats(t *testing.T) {
	r := newReader(t)
	for i, text := range []string{granting().String(), "junk", granting().String()[:20]} {
		in := absent()
		in.Consent = []byte(text)
		in.GPP = []byte(gppString(map[int]string{8: permits(8)[:8-i]}))
		for range 3 {
			r.Judge(&in, &usual, policy.RequireNone)
			r.cache.Wait()
		}
	}
	// One TCF string and one GPP string can be read. ristretto may drop what it is given.
	got := r.Stats()
	if got.Decoded < 6 || got.Decoded > 18 || got.Refused < 4 || got.Decoded-got.Refused < 2 {
		t.Errorf("%+v", got)
	}
}

// TestReaderConcurrently: many at once, on few and on many strings.
func TestReaderConcurrently(t *testing.T) {
	r, all := newReader(t), requests("tcf", 200)
	for i := range all {
		if i%2 == 0 {
			s := granting()
			s.consents, s.restrictions = without(s.consents, 1+i%4), []restriction{{20, 0, []int{1 + i}}}
			all[i].Consent = []byte(s.String())
		}
	}
	want := make([]Verdict, len(all))
	for i := range all {
		want[i] = r.Judge(&all[i], &usual, policy.RequireTCF)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 * len(all) {
				i = (i*7 + g) % len(all)
				if got := r.Judge(&all[i], &usual, policy.RequireTCF); got != want[i] {
					t.Errorf("string %d: %+v, want %+v", i, got, want[i])
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestMemoryOfEntries: an entry costs no more memory than it is taken to.
func TestMemoryOfEntries(t *testing.T) {
	const n = 20_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	r, err := New(n * EntryBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range n {
		r.cache.Set(uint64(i+1)*0x9E3779B97F4A7C15, entry{check: uint64(i)}, EntryBytes)
		r.cache.Wait()
	}
	after, kept := heap(), 0
	r.cache.IterValues(func(entry) bool { kept++; return false })
	each := float64(after-before) / float64(kept)
	t.Logf("%d entries of %d bytes, %.0f bytes each, all in", kept, unsafe.Sizeof(entry{}), each)
	if kept < n*9/10 || kept > n || each > EntryBytes {
		t.Errorf("%d entries of %.0f bytes, taken to cost %d", kept, each, EntryBytes)
	}
}
