package edge_test

import (
	"slices"
	"testing"
)

// historyOf is what GET /v1/history says.
type historyOf struct {
	Node        string
	StepSeconds int `json:"step_seconds"`
	End         []float64
	Decisions   map[string][]int
	Events      []int
	Answers     map[string][]int
	Requests    []int
	Latency     struct {
		UpToUS []float64 `json:"up_to_us"`
		Counts [][]int
	}
}

func sum(of []int) (n int) {
	for _, k := range of {
		n += k
	}
	return n
}

// What was just decided, reported and refused is in the history; a new process begins a
// new one.
func TestHistory(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	var h historyOf
	ask := func() {
		h = historyOf{}
		n.must(200, "GET", "/v1/history", "", "", &h)
	}
	eventually(t, "the first step has begun", func() bool { ask(); return len(h.End) > 0 })
	for range 3 {
		n.decide(`{"user":{"id":"u-1"},"candidates":[{"campaign":"shoes"},{"campaign":"nobody"}]}`)
		n.event(`{"type":"impression","user":{"id":"u-1"},"campaign":"shoes"}`)
	}
	n.decide(`{"user":{"id":"u-1"},"candidates":[{"campaign":"shoes"}]}`)
	n.must(400, "POST", "/v1/decide", "application/json", `{`, nil)
	ask()
	if h.Node != "test" || h.StepSeconds != 10 || len(h.Latency.UpToUS) < 20 || !slices.IsSorted(h.Latency.UpToUS) {
		t.Errorf("%+v", h)
	}
	took := 0
	for _, counts := range h.Latency.Counts {
		took += sum(counts)
	}
	got := []int{sum(h.Decisions["show"]), sum(h.Decisions["unknown_campaign"]), sum(h.Decisions["cap"]), len(h.Decisions), sum(h.Events), sum(h.Answers["4xx"]), sum(h.Requests), took}
	if want := []int{3, 3, 1, 3, 3, 1, 4, 4}; !slices.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	n.stop()
	n = startNode(t, n.dir, testPolicy, nil)
	eventually(t, "the first step has begun", func() bool { ask(); return len(h.End) > 0 })
	if sum(h.Requests) != 0 || len(h.Decisions) != 0 {
		t.Errorf("after a restart: %v %v", h.Requests, h.Decisions)
	}
}
