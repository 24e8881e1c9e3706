package openrtb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
)

func BenchmarkParse(b *testing.B) {
	for _, full := range []bool{false, true} {
		shape := "short"
		if full {
			shape = "full"
		}
		for _, candidates := range []int{1, 20, 50, 200} {
			body := realistic(candidates, full)
			b.Run(fmt.Sprintf("%s/candidates=%d", shape, candidates), func(b *testing.B) {
				var r Request
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if err := r.Parse(body); err != nil { // no escapes: the body stays as it is
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*candidates), "ns/candidate")
			})
		}
	}
}

// BenchmarkYardstick reads the same bodies in other ways: a loop that looks at each byte
// once, a copy, and encoding/json, which checks and keeps nothing.
func BenchmarkYardstick(b *testing.B) {
	for _, candidates := range []int{20, 50} {
		body := realistic(candidates, false)
		run := func(name string, read func()) {
			b.Run(fmt.Sprintf("%s/candidates=%d", name, candidates), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					read()
				}
			})
		}
		run("loop", func() { quotes = loop(body) })
		run("valid", func() { valid = json.Valid(body) })
		run("skip", func() {
			p := reader{buf: body}
			quotes = p.skip(0)
		})
	}
}

var (
	quotes int
	valid  bool
)

func loop(body []byte) (n int) {
	for _, c := range body {
		if c == '"' {
			n++
		}
	}
	return n
}

func BenchmarkEventParse(b *testing.B) {
	body := bytes.Repeat([]byte(`{"type":"impression","id":"imp-77","user":{"id":"u-123"},"campaign":"spring-shoes","creative":"c-1","item":"sku-9","channel":"web","at":1793500123}`+"\n"), 100)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var e Event
	events := 0
	for b.Loop() {
		for _, line := range Lines(body) {
			if err := e.Parse(line); err != nil {
				b.Fatal(err)
			}
			events++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}
