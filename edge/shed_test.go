package edge

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// beats feels the pulse for so many beats.
func (s *shedding) beats(n int, wait time.Duration, came bool) {
	for range n * beat {
		s.feel(wait, came)
	}
}

// While no pulse is in time, more and more is refused, never all; one that is in time makes it
// less, down to nothing; where there is no limit nothing is.
func TestSheddingFollowsThePulse(t *testing.T) {
	s := shedding{limit: 50 * time.Millisecond}
	s.beats(100, 49*time.Millisecond, true)
	if s.part.Load() != 0 || s.refuses() || s.wait() != 49*time.Millisecond {
		t.Errorf("in time: %d of %d are refused, after %v", s.part.Load(), shedAll, s.wait())
	}
	for last := uint32(0); last < shedMost; last = s.part.Load() {
		if s.beats(1, 60*time.Millisecond, true); s.part.Load() <= last {
			t.Fatalf("late: %d are refused, were %d", s.part.Load(), last)
		}
	}
	refused := 0
	for range 10_000 {
		if s.refuses() {
			refused++
		}
	}
	if refused < 9000 || refused == 10_000 {
		t.Errorf("%d of 10,000 are refused, with a part of %d of %d", refused, s.part.Load(), shedAll)
	}
	// One in time in each beat is enough: the others were held up by something else.
	for s.part.Load() > 0 {
		last := s.part.Load()
		for range beat - 1 {
			s.feel(time.Second, true)
		}
		if s.feel(time.Millisecond, true); s.part.Load() >= last {
			t.Fatalf("in time: %d are refused, were %d", s.part.Load(), last)
		}
	}
	// One that is still on its way says something once it is late, not before.
	s.beats(10, 40*time.Millisecond, false)
	if s.part.Load() != 0 {
		t.Error("on its way, and not late yet")
	}
	s.beats(1, 60*time.Millisecond, false)
	if s.part.Load() == 0 || s.wait() != 60*time.Millisecond {
		t.Errorf("on its way for too long: %d are refused, wait %v", s.part.Load(), s.wait())
	}
	last := s.part.Load()
	s.beats(3, 40*time.Millisecond, false)
	if s.part.Load() != last {
		t.Error("changed by beats that say nothing")
	}
}

// What is refused is told so with when to come again, on a connection that goes on; reports
// and what people want are not refused.
func TestShedding(t *testing.T) {
	n := benchNode(t, 16<<20, []byte(allocationPolicy))
	addr := serving(t, n).addr()
	n.shedding.part.Store(shedAll) // all, so that none comes through by chance
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := `{"at":1800000000,"user":{"id":"u"},"candidates":[{"campaign":"shown"}]}`
	send := func(method, path string) (*http.Response, string) {
		req, _ := http.NewRequest(method, "http://node"+path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		if err := req.Write(c); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), req)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		said, _ := io.ReadAll(resp.Body)
		return resp, string(said)
	}
	for _, path := range []string{"/v1/decide", "/v1/decide?explain=1", "/nowhere", "/v1/status"} {
		resp, said := send("POST", path)
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || resp.Close || !strings.Contains(said, "limits.wait") {
			t.Errorf("%s: %d %v %s", path, resp.StatusCode, resp.Header, said)
		}
	}
	if n.metrics.shed.Get() != 4 {
		t.Errorf("%d counted", n.metrics.shed.Get())
	}
	for _, path := range []string{"/v1/events", "/v1/hide?t=x", "/v1/opt-out?t=x"} {
		if status := ask(t, addr, path, body); status == 503 || status == 0 {
			t.Errorf("%s: %d", path, status)
		}
	}
	n.shedding.part.Store(0)
	if resp, said := send("POST", "/v1/decide"); resp.StatusCode != 200 {
		t.Errorf("after it is over: %d %s", resp.StatusCode, said)
	}
}

// A chunked body, which says nothing of its length, is not read to its end to be refused.
func TestSheddingReadsNoEndlessBody(t *testing.T) {
	n := benchNode(t, 16<<20, []byte(allocationPolicy))
	n.shedding.part.Store(shedAll)
	c, err := net.Dial("tcp", serving(t, n).addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = io.WriteString(c, "POST /v1/decide HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := "100000\r\n" + strings.Repeat(" ", 1<<20) + "\r\n"
	sent := 0
	for ; err == nil && sent < 10*lingerBytes; sent += len(chunk) {
		_, err = io.WriteString(c, chunk)
	}
	if err == nil {
		t.Errorf("%d bytes were taken, and more would have been", sent)
	}
}

// The pulse comes back, and ends with the node. How late it is depends on the machine.
func TestPulse(t *testing.T) {
	n := &Node{shedding: shedding{limit: time.Hour}}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { n.feelPulse(ctx) })
	for deadline := time.Now().Add(20 * time.Second); n.shedding.wait() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no pulse comes back")
		}
	}
	cancel()
	running.Wait()
}

// BenchmarkRefuses is what a request pays for it while nothing is refused, and while some is.
func BenchmarkRefuses(b *testing.B) {
	for name, part := range map[string]uint32{"none": 0, "half": shedAll / 2} {
		b.Run(name, func(b *testing.B) {
			var s shedding
			s.part.Store(part)
			for b.Loop() {
				s.refuses()
			}
		})
	}
}
