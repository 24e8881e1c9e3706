package edge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/caps"
)

// What bodies take is counted beyond what is free, never comes to more than all may, and is
// given back once, also where a body was refused.
func TestBodiesInHand(t *testing.T) {
	var all atomic.Int64
	first, second := inHand{of: &all}, inHand{of: &all}
	if !first.holds(freeBytes) || all.Load() != 0 {
		t.Errorf("a short body takes %d bytes", all.Load())
	}
	if !first.holds(2*freeBytes) || !first.holds(mostBytes) || all.Load() != mostBytes {
		t.Errorf("one that takes all there is: %d", all.Load())
	}
	if second.holds(freeBytes+1) || all.Load() != mostBytes || !second.holds(freeBytes) {
		t.Error("one more is taken, or a refused one is counted")
	}
	second.end()
	first.end()
	first.end()
	if all.Load() != 0 || !second.holds(mostBytes) {
		t.Errorf("%d bytes are held by nobody", all.Load())
	}
}

// A long buffer that is kept from an earlier body takes of what all may have too, and is not
// used where that would be too much.
func TestKeptBuffersAreInHand(t *testing.T) {
	n := new(Node)
	read := func(kept []byte) (hand *inHand, body []byte) {
		ctx := new(fasthttp.RequestCtx)
		ctx.Request.SetBodyStream(bytes.NewReader([]byte("{}")), 2)
		hand = &inHand{of: &n.inHand}
		body, p := readBody(ctx, kept, decideBytes, hand)
		if p != nil || string(body) != "{}" {
			t.Fatalf("%s, %+v", body, p)
		}
		return hand, body
	}
	kept := make([]byte, decideBytes)
	hand, body := read(kept)
	if n.inHand.Load() != decideBytes || cap(body) != decideBytes {
		t.Errorf("a kept buffer of %d bytes takes %d", cap(body), n.inHand.Load())
	}
	if hand.end(); n.inHand.Load() != 0 {
		t.Errorf("%d bytes are held by nobody", n.inHand.Load())
	}
	n.inHand.Store(mostBytes)
	if _, body := read(kept); cap(body) > freeBytes || n.inHand.Load() != mostBytes {
		t.Errorf("where nothing is left, %d bytes are used and %d counted", cap(body), n.inHand.Load())
	}
}

// A buffer grows with what comes, and not beyond what is declared.
func TestGrowth(t *testing.T) {
	for _, c := range [][3]int{{0, -1, 513}, {0, 8 << 20, 513}, {0, 10, 11}, {1 << 20, 8 << 20, 1<<20 + 1}, {7 << 20, 8 << 20, 1<<20 + 1}, {600, 600, 601}} {
		if got := growth(c[0], c[1]); got != c[2] {
			t.Errorf("with %d of %d: %d more, want %d", c[0], c[1], got, c[2])
		}
	}
}

// gated is a keeper at which events wait.
type gated struct {
	unkept
	inside  atomic.Int32
	most    atomic.Int32
	release chan struct{}
}

func (g *gated) Record([]caps.Change) error {
	now := g.inside.Add(1)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
	<-g.release
	g.inside.Add(-1)
	return nil
}

// serving is a node of this package's tests with its bid listener.
func serving(t *testing.T, n *Node) *server {
	t.Helper()
	n.options.Connections = 100
	s, err := n.newServer("127.0.0.1:0", n.serveBid, bidLimits)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.serve() }()
	t.Cleanup(func() {
		if err := s.shutdown(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return s
}

// However many batches of events come, as many are worked on as there are places for, and
// decisions go on beside them.
func TestBatchesLeaveRoom(t *testing.T) {
	n := benchNode(t, 16<<20, []byte(allocationPolicy))
	gate := &gated{release: make(chan struct{})}
	n.keeper, n.batches = gate, make(chan struct{}, 2)
	addr := serving(t, n).addr()
	batch := strings.Repeat(`{"type":"click","user":{"id":"u"},"campaign":"shown","at":1800000000}`+"\n", batchBytes/50+1)
	answered := make(chan int, 20)
	for range 20 {
		go func() { answered <- ask(t, addr, "/v1/events", batch) }()
	}
	for deadline := time.Now().Add(20 * time.Second); gate.inside.Load() < 2; {
		if time.Now().After(deadline) {
			t.Fatalf("%d batches are worked on", gate.inside.Load())
		}
	}
	for range 5 {
		if status := ask(t, addr, "/v1/decide", `{"at":1800000000,"user":{"id":"u"},"candidates":[{"campaign":"shown"}]}`); status != 200 {
			t.Errorf("a decision beside them: %d", status)
		}
	}
	close(gate.release)
	for range 20 {
		if status := <-answered; status != 202 {
			t.Errorf("a batch: %d", status)
		}
	}
	if most := gate.most.Load(); most != 2 {
		t.Errorf("%d batches were worked on at once", most)
	}
}

func ask(t *testing.T, addr, path, body string) int {
	t.Helper()
	resp, err := http.Post("http://"+addr+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// Memory of a long batch is not kept for the short requests that follow.
func TestLongBatchesAreLetGo(t *testing.T) {
	n := new(Node)
	n.exchanges.New = func() any { return nil }
	for name, x := range map[string]*exchange{
		"body":    {body: make([]byte, decideBytes+1)},
		"answer":  {out: make([]byte, decideBytes+1)},
		"reports": {reports: make([]report, keptReports+1)},
	} {
		if n.keep(x); n.exchanges.Get() != nil {
			t.Errorf("a long %s is kept", name)
		}
	}
}

// Who sends requests before the answers to the last ones waits now and then; who waits for
// each answer does not, however many there are.
func TestPipeliningTakesTurns(t *testing.T) {
	n := benchNode(t, 16<<20, []byte(allocationPolicy))
	s := serving(t, n)
	request := "GET /v1/decide?user=u&campaign=shown HTTP/1.1\r\nHost: x\r\n\r\n"
	waited := func(together bool) int {
		c, err := net.Dial("tcp", s.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		r := bufio.NewReader(c)
		const requests = 10 * aheadMost
		if together {
			go io.WriteString(c, strings.Repeat(request, requests))
		}
		before := s.listener.turns.Load()
		for range requests {
			if !together {
				fmt.Fprint(c, request)
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
		}
		return int(s.listener.turns.Load() - before)
	}
	if got := waited(true); got == 0 {
		t.Error("whoever sends all at once never waits")
	}
	if got := waited(false); got != 0 {
		t.Errorf("whoever waits for answers waited %d times", got)
	}
}
