package openrtb

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseDoesNotAllocate(t *testing.T) {
	bodies := map[string][]byte{
		"everything": []byte(requestSeeds()[0]),
		"escapes":    []byte(requestSeeds()[1]),
		"numbers":    []byte(requestSeeds()[3]),
		"candidates": realistic(MaxCandidates, true),
	}
	for name, body := range bodies {
		var r Request
		lent := make([]byte, len(body))
		got := testing.AllocsPerRun(100, func() {
			copy(lent, body)
			if err := r.Parse(lent); err != nil {
				t.Fatal(err)
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func TestEventParseDoesNotAllocate(t *testing.T) {
	var e Event
	for _, line := range eventSeeds()[:7] {
		lent := make([]byte, len(line))
		got := testing.AllocsPerRun(100, func() {
			copy(lent, line)
			if err := e.Parse(lent); err != nil {
				t.Fatal(err)
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations", line, got)
		}
	}
}

func TestLinesDoNotAllocate(t *testing.T) {
	body := []byte(strings.Repeat(eventSeeds()[0]+"\n", 10))
	var e Event
	if got := testing.AllocsPerRun(100, func() {
		for _, line := range Lines(body) {
			if err := e.Parse(line); err != nil {
				t.Fatal(err)
			}
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestSetDoesNotAllocate(t *testing.T) {
	var r Request
	user, campaign, want, value, name, two := []byte("user"), []byte("campaign"), []byte("want"), []byte("u-123"), []byte("spring-shoes"), []byte("2")
	if got := testing.AllocsPerRun(100, func() {
		r.Reset()
		r.Set(user, value)
		r.Set(campaign, name)
		r.Set(campaign, value)
		r.Set(want, two)
		if err := r.Finish(); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// realistic is a request of one identifier and a consent string, with so many candidates
// of campaign and creative, and of item and category when full.
func realistic(candidates int, full bool) []byte {
	var b strings.Builder
	b.WriteString(`{"id":"9f1c6a52-6f1f-4b8c-9d0e","user":{"id":"u-1234567890","consent":"CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"},` +
		`"device":{"geo":{"country":"DEU"}},"regs":{"gdpr":1},"site":{"cat":["483"],"cattax":6},"candidates":[`)
	for i := range candidates {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"campaign":"campaign-%04d","creative":"creative-%02d"`, i, i%10)
		if full {
			fmt.Fprintf(&b, `,"item":"sku-%06d","category":"category-%02d"`, i*7919%1000000, i%20)
		}
		b.WriteByte('}')
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}
