package edge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"restraint/edge"
)

// What is answered in process is what is answered over HTTP, to the byte: right and wrong
// requests, with and without the reasons. Buffers come back as they were given.
func TestInProcessIsHTTP(t *testing.T) {
	n := startNode(t, "", testPolicy, requestClock)
	candidates := `"candidates":[{"campaign":"shoes","creative":"cr\u00e9"},{"campaign":"nope"}]`
	for name, body := range map[string]string{
		"right": `{"id":"r-\n1","at":1793500000,"user":{"id":"u-\u0031"},` + candidates + `}`, "brief": `{"brief":true,"at":1793500000,"user":{"id":"u-1"},` + candidates + `}`,
		"nobody": `{"at":1793500000,` + candidates + `}`, "empty": ``, "no JSON": `{"user":`, "not UTF-8": "{\"candidates\":[{\"campaign\":\"\xff\"}]}",
		"no candidates": `{"at":1793500000}`, "two faults": `{"at":-1,"candidates":[{"campaign":7}]}`,
		"at the limit": `{"at":1793500000,` + candidates + strings.Repeat(" ", 256<<10-len(`{"at":1793500000,`+candidates+`}`)) + `}`,
		"too long":     `{"at":1793500000,` + candidates + strings.Repeat(" ", 256<<10) + `}`,
	} {
		for query, explain := range map[string]bool{"": false, "?explain=1": true} {
			status, overHTTP := n.do("POST", "/v1/decide"+query, "application/json", body)
			same(t, name+query, status, 200, overHTTP, body, func(dst, body []byte) ([]byte, error) { return n.running.AppendDecide(dst, body, explain) })
		}
	}
	click := `{"type":"click","id":"c-1","at":1793500000,"user":{"id":"u-1"},"campaign":"shoes"}`
	for name, body := range map[string]string{
		"one": click, "two": click + "\n" + click, "one wrong of two": click + "\n{\"type\":\"cl\\u0069ck\",\"at\":1}\n", "wrong": `{"type":"clack"}`, "empty": "\n",
		"too many": strings.Repeat(click+"\n", 10_001), "too long": click + strings.Repeat(" ", 8<<20),
	} {
		status, overHTTP := n.do("POST", "/v1/events", "application/x-ndjson", body)
		same(t, "events, "+name, status, 202, overHTTP, body, n.running.AppendEvents)
	}
}

// same sends body in process and compares with what came over HTTP.
func same(t *testing.T, name string, status, good int, overHTTP []byte, body string, call func(dst, body []byte) ([]byte, error)) {
	t.Helper()
	dst, sent := append(make([]byte, 0, 16), "before:"...), []byte(body)
	got, err := call(dst, sent)
	if string(sent) != body || string(got[:7]) != "before:" || string(dst) != "before:" {
		t.Errorf("%s: a buffer was written into: %.40q, %.40q", name, sent, got)
	}
	var refused *edge.RequestError
	if status == good {
		if err != nil || string(got[7:]) != string(overHTTP) {
			t.Errorf("%s: in process %v %s\nover HTTP %s", name, err, got[7:], overHTTP)
		}
		return
	}
	if !errors.As(err, &refused) || len(got) != 7 {
		t.Fatalf("%s: over HTTP %d, in process %v %q", name, status, err, got[7:])
	}
	var p problem
	if err := json.Unmarshal(overHTTP, &p); err != nil {
		t.Fatal(err)
	}
	if refused.Status != status || refused.Detail != p.Detail || len(refused.Errors) != len(p.Errors) || refused.RetryAfter != 0 || !strings.Contains(err.Error(), p.Detail) ||
		string(refused.AppendJSON([]byte("["))) != "["+string(overHTTP) {
		t.Errorf("%s: in process %+v\nover HTTP %d %s", name, refused, status, overHTTP)
	}
	for i := range p.Errors {
		if refused.Errors[i].Field != p.Errors[i].Field || refused.Errors[i].Detail != p.Errors[i].Detail {
			t.Errorf("%s: fault %d is %+v, over HTTP %+v", name, i, refused.Errors[i], p.Errors[i])
		}
	}
}

// Many goroutines may ask and report, each with buffers that it uses again; what they did
// is in the metrics. Once the node drains, they are told to ask another, whatever it was
// doing, and nothing is lost of what was accepted before.
func TestInProcessFromManyGoroutines(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	const callers, rounds = 8, 50
	var running sync.WaitGroup
	for c := range callers {
		running.Go(func() {
			var body, dst []byte
			for i := range rounds {
				body = fmt.Appendf(body[:0], `{"type":"impression","id":"i-%d","user":{"id":"u-%d"},"campaign":"shoes"}`, i%3, c)
				var err error
				if dst, err = n.running.AppendEvents(dst[:0], body); err != nil || string(dst) != `{"accepted":1,"rejected":[]}`+"\n" {
					t.Errorf("event: %s %v", dst, err)
				}
				copy(body, bytes.Repeat([]byte{'x'}, len(body)))
				body = fmt.Appendf(body[:0], `{"user":{"id":"u-%d"},"candidates":[{"campaign":"shoes"}]}`, c)
				dst, err = n.running.AppendDecide(dst[:0], body, false)
				if full := bytes.Contains(dst, []byte(`"reason":"cap"`)); err != nil || full != (i >= 2) {
					t.Errorf("caller %d, round %d: %s %v", c, i, dst, err)
				}
			}
		})
	}
	running.Wait()
	_, err := n.running.AppendDecide(nil, []byte("{"), false)
	if err == nil {
		t.Error("half a request is answered")
	}
	for name, want := range map[string]float64{
		`restraint_events_total{type="impression"}`: callers * rounds, `restraint_events_duration_seconds_count`: callers * rounds,
		`restraint_decide_duration_seconds_count`: callers * rounds, `restraint_decisions_total{verdict="skip",reason="cap"}`: callers * (rounds - 2),
		`restraint_decisions_total{verdict="show",reason=""}`: callers * 2,
	} {
		if got := n.metric(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}

	started := make(chan struct{}, callers)
	for range callers {
		running.Go(func() {
			for i := 0; ; i++ {
				_, err := n.running.AppendDecide(nil, []byte(`{"user":{"id":"u"},"candidates":[{"campaign":"welcome"}]}`), false)
				if i == 0 {
					started <- struct{}{}
				}
				var refused *edge.RequestError
				if errors.As(err, &refused) && refused.Status == 503 && strings.Contains(refused.Detail, "draining") {
					return
				}
				if err != nil {
					t.Errorf("while it stops: %v", err)
					return
				}
			}
		})
	}
	for range callers {
		<-started
	}
	n.stop()
	running.Wait()
	if _, err := n.running.AppendEvents(nil, []byte(`{"type":"click","user":{"id":"u"},"campaign":"shoes"}`)); err == nil {
		t.Error("a node that has ended takes events")
	}
}
