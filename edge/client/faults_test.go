package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"restraint/edge/client"
)

var ab = &client.Request{User: client.User{ID: "u"}, Candidates: []client.Candidate{{Campaign: "a"}, {Campaign: "b"}}}

func head(more string) string { return "HTTP/1.1 200 OK\r\n" + more + "\r\n" }

// Whatever a node answers that is not wholly the answer to the request shows nothing, also
// where the caller would rather show; a node that is away, late or failing leaves it to
// the caller.
func TestFaults(t *testing.T) {
	long := strings.Repeat("x", 600<<10)
	for name, x := range map[string]struct {
		answer func(*fake, net.Conn, string) bool
		kind   client.Kind
	}{
		"nothing at all":       {func(*fake, net.Conn, string) bool { return false }, client.Unreachable},
		"half a head":          {writes("HTTP/1.1 200 OK\r\nContent-Le", false), client.Unreachable},
		"head and no body":     {writes(head("Content-Length: 100\r\n"), false), client.Unreachable},
		"half a body":          {writes(head("Content-Length: 100\r\n")+shows[:50], false), client.Unreachable},
		"half a chunk":         {writes(head("Transfer-Encoding: chunked\r\n")+"50\r\n"+shows[:50], false), client.Unreachable},
		"half, without length": {writes(head("Connection: close\r\n")+shows[:50], false), client.BadAnswer},
		"too short":            {writes(head("Content-Length: 50\r\n")+shows[:50], true), client.BadAnswer},
		"too long":             {writes(head("Content-Length: 118\r\n")+shows+shows, true), client.BadAnswer},
		"over the limit":       {says(200, "", `{"x":"`+long+`",`+shows[1:]), client.BadAnswer},
		"endless":              {writes(head("Connection: close\r\n")+long, false), client.BadAnswer},
		"a long head":          {writes(head("X: "+long+"\r\n"), true), client.BadAnswer},
		"no HTTP":              {writes("220 smtp ready\r\n\r\n", true), client.BadAnswer},
		"another protocol":     {writes("HTTP/1.1 101 Switching\r\n\r\n", false), client.BadAnswer},
		"no JSON":              {says(200, "", "it works!"), client.BadAnswer},
		"empty":                {says(200, "", ""), client.BadAnswer},
		"null":                 {says(200, "", "null"), client.BadAnswer},
		"not found":            {says(404, "", shows), client.BadAnswer},
		"redirected":           {says(302, "Location: http://127.0.0.1:1/\r\n", shows), client.BadAnswer},
		"accepted":             {says(202, "", shows), client.BadAnswer},
		"wrong":                {says(400, "", problem("bad")), client.BadRequest},
		"too large":            {says(413, "", problem("bad")), client.BadRequest},
		"no key":               {says(401, "", problem("bad")), client.Forbidden},
		"over the rate":        {says(429, "Retry-After: 7\r\n", problem("slow")), client.Rate},
		"not ready":            {says(503, "Retry-After: 5\r\n", problem("later")), client.NotReady},
		"a fault":              {says(500, "", problem("oops")), client.NodeFault},
	} {
		for verdict, show := range map[client.Verdict]bool{client.Skip: false, client.Show: true} {
			f := startFake(t, x.answer)
			c := newClient(t, func(o *client.Options) { o.OnFailure = verdict }, f.addr)
			a, err := c.Decide(t.Context(), ab)
			show := show && x.kind != client.BadAnswer && x.kind != client.BadRequest && x.kind != client.Forbidden
			var failed *client.Error
			if !errors.As(err, &failed) || failed.Kind != x.kind {
				t.Errorf("%s: %v, want %s", name, err, x.kind)
				continue
			}
			fails(t, a, err, 2, show, x.kind)
			if n := f.asked(); n != 1 {
				t.Errorf("%s: asked %d times", name, n)
			}
		}
	}
}

// What a problem says reaches the caller; other texts do not.
func TestProblemIsTold(t *testing.T) {
	text := problem("campaign shoes is wrong")
	f := startFake(t, func(f *fake, c net.Conn, body string) bool {
		return writes(strings.Replace("HTTP/1.1 503 x\r\nContent-Type: application/problem+json\r\nRetry-After: 9\r\nContent-Length: N\r\n\r\n", "N", itoa(len(text)), 1)+text, true)(f, c, body)
	})
	c := newClient(t, nil, f.addr)
	a, err := c.Decide(t.Context(), ab)
	failed := fails(t, a, err, 2, false, client.NotReady)
	if failed.Detail != "campaign shoes is wrong" || failed.RetryAfter != 9*time.Second || len(failed.Fields) != 1 || failed.Fields[0].Field != "f" || failed.Sent || !strings.Contains(err.Error(), "503") {
		t.Errorf("%+v", failed)
	}
	f = startFake(t, says(503, "Retry-After: soon\r\n", "<html>secret</html>"))
	a, err = newClient(t, nil, f.addr).Decide(t.Context(), ab)
	if failed = fails(t, a, err, 2, false, client.NotReady); failed.RetryAfter != 0 || strings.Contains(err.Error(), "secret") {
		t.Errorf("%+v", failed)
	}
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)})
}

// A node that hangs, or drips, costs no more than the deadline: that of the client, and
// that of the context where it is sooner.
func TestDeadline(t *testing.T) {
	drips := func(f *fake, c net.Conn, _ string) bool {
		for _, b := range []byte(head("Content-Length: 118\r\n") + shows) {
			if _, err := c.Write([]byte{b}); err != nil {
				return false
			}
			select {
			case <-f.stopped:
				return false
			case <-time.After(10 * time.Millisecond): // 118 bytes take longer than the deadline
			}
		}
		return true
	}
	for name, answer := range map[string]func(*fake, net.Conn, string) bool{"hangs": hangs, "drips": drips} {
		f := startFake(t, answer)
		c := newClient(t, func(o *client.Options) { o.Timeout, o.OnFailure = 200*time.Millisecond, client.Show }, f.addr)
		a, err := c.Decide(t.Context(), ab) // returns, or the test ends with its own time
		if failed := fails(t, a, err, 2, true, client.Timeout); !failed.Sent {
			t.Errorf("%s: %+v", name, failed)
		}
		c = newClient(t, nil, f.addr)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		a, err = c.Decide(ctx, ab)
		fails(t, a, err, 2, false, client.Timeout)
		a, err = c.Decide(ctx, ab)
		if fails(t, a, err, 2, false, client.Timeout); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		f.asked()
		a, err = c.Decide(ctx, ab)
		if fails(t, a, err, 2, false, client.Timeout); !errors.Is(err, context.Canceled) || f.asked() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A node that fails fast is passed over, and no call fails: refused, cut off, not ready,
// over the rate, and no node at all.
func TestNextNode(t *testing.T) {
	good := startFake(t, says(200, "", shows))
	for name, addr := range map[string]string{
		"refuses":   refusing(t),
		"no socket": "unix:/nonexistent/restraint.sock",
		"cuts":      startFake(t, func(*fake, net.Conn, string) bool { return false }).addr,
		"mid way":   startFake(t, writes(head("Content-Length: 118\r\n")+shows[:20], false)).addr,
		"not ready": startFake(t, says(503, "", "")).addr,
		"rate":      startFake(t, says(429, "", "")).addr,
		"no node":   startFake(t, says(404, "", "")).addr,
		"others":    startFake(t, says(200, "", strings.Replace(shows, `"a"`, `"c"`, 1))).addr,
	} {
		c := newClient(t, nil, addr, good.addr)
		for range 20 {
			if a := decide(t, c, ab); a.Node != good.addr || a.ShowAt(0) || !a.ShowAt(1) || a.Decisions[0].RetryAfter != time.Minute {
				t.Fatalf("%s: %+v", name, a)
			}
		}
	}
}

// Calls are spread over the nodes that answer, and a node that fails is left alone for a
// while, then asked again.
func TestSpread(t *testing.T) {
	var down atomic.Bool
	flaky := startFake(t, func(f *fake, c net.Conn, body string) bool {
		if down.Load() {
			return says(503, "", "")(f, c, body)
		}
		return says(200, "", shows)(f, c, body)
	})
	steady := startFake(t, says(200, "", shows))
	c := newClient(t, nil, flaky.addr, steady.addr)
	for range 100 {
		decide(t, c, ab)
	}
	if n, m := flaky.asked(), steady.asked(); n != 50 || m != 50 {
		t.Errorf("asked %d and %d times", n, m)
	}
	down.Store(true)
	for range 100 {
		decide(t, c, ab)
	}
	if n := flaky.asked(); n == 0 || n > 50 {
		t.Errorf("a node that is not ready is asked %d times of 100", n)
	}
	down.Store(false)
	for deadline := time.Now().Add(time.Minute); flaky.asked() == 0; {
		if decide(t, c, ab); time.Now().After(deadline) {
			t.Fatal("a node that is well again is never asked")
		}
	}
	if steady.asked() < 100 {
		t.Error("the other node was not asked")
	}
}

// A node that hangs costs a few callers their deadline, and then one at a time.
func TestHangingNode(t *testing.T) {
	bad, good := startFake(t, hangs), startFake(t, says(200, "", shows))
	c := newClient(t, func(o *client.Options) { o.Timeout = 500 * time.Millisecond }, bad.addr, good.addr)
	failed := 0
	for range 100 {
		if _, err := c.Decide(t.Context(), ab); err != nil {
			failed++
		}
	}
	if failed < 1 || failed > 3 {
		t.Errorf("%d of 100 calls failed for one node of two that hangs", failed)
	}

	// With no other, callers do not queue up behind it.
	c = newClient(t, func(o *client.Options) { o.Timeout = 500 * time.Millisecond }, bad.addr)
	for range 3 {
		a, err := c.Decide(t.Context(), ab)
		fails(t, a, err, 2, false, client.Timeout)
	}
	bad.asked()
	var running sync.WaitGroup
	var atOnce atomic.Int32
	for range 50 {
		running.Go(func() {
			_, err := c.Decide(t.Context(), ab)
			var e *client.Error
			if errors.As(err, &e) && e.Kind == client.Unreachable && !e.Sent {
				atOnce.Add(1)
			}
		})
	}
	running.Wait()
	if n := bad.asked(); n < 1 || n > 25 || n+int(atOnce.Load()) != 50 {
		t.Errorf("%d calls reached it, %d failed at once", n, atOnce.Load())
	}
}

// What is sent twice, and what is not.
func TestSentTwice(t *testing.T) {
	ok := `{"accepted":1,"rejected":[]}`
	click := client.Event{Type: client.Click, Campaign: "a", User: ab.User}
	known, token := click, click
	known.ID, token.Token = "e-1", "t"
	for name, x := range map[string]struct {
		first  func(*fake, net.Conn, string) bool
		events []client.Event
		again  bool
	}{
		"cut, with an id":      {writes("HTTP/1.1 2", false), []client.Event{known}, true},
		"cut, with a token":    {writes("HTTP/1.1 2", false), []client.Event{token}, true},
		"cut, with neither":    {writes("HTTP/1.1 2", false), []client.Event{click}, false},
		"cut, one of two":      {writes("HTTP/1.1 2", false), []client.Event{known, click}, false},
		"broken, with neither": {says(202, "", "{}"), []client.Event{click}, false},
		"broken, with an id":   {says(202, "", "{}"), []client.Event{known}, true},
		"refused whole":        {says(503, "", ""), []client.Event{click}, true},
		"over the rate":        {says(429, "", ""), []client.Event{click}, true},
		"a fault":              {says(500, "", ""), []client.Event{known}, false},
		"a proxy":              {says(502, "", ""), []client.Event{click}, false},
		"a proxy, with an id":  {says(504, "", ""), []client.Event{known}, true},
	} {
		first := startFake(t, x.first)
		second := startFake(t, says(202, "", strings.Replace(ok, "1", itoa(len(x.events))[2:], 1)))
		c := newClient(t, nil, second.addr, first.addr) // the first call goes to the last address
		taken, err := c.Report(t.Context(), x.events...)
		if again := second.asked() == 1; first.asked() != 1 || again != x.again || (err == nil) != x.again || x.again && taken.Accepted != len(x.events) {
			t.Errorf("%s: sent again %v: %+v %v", name, again, taken, err)
		}
		var failed *client.Error
		if !x.again && (!errors.As(err, &failed) || !failed.Sent) {
			t.Errorf("%s: it is not said that it may have been taken: %+v", name, err)
		}
		c = newClient(t, nil, second.addr, refusing(t))
		if _, err := c.Report(t.Context(), x.events...); err != nil {
			t.Errorf("%s: never sent, and not sent elsewhere: %v", name, err)
		}
	}
}

// That a node may have acted on a report is said also where another was asked last.
func TestSentBefore(t *testing.T) {
	for name, first := range map[string]func(*fake, net.Conn, string) bool{"cut": writes("HTTP/1.1 2", false), "refused": says(503, "", "")} {
		c := newClient(t, nil, startFake(t, says(503, "", "")).addr, startFake(t, first).addr)
		_, err := c.Report(t.Context(), client.Event{Type: client.Click, ID: "1"})
		var failed *client.Error
		if !errors.As(err, &failed) || failed.Kind != client.NotReady || failed.Sent != (name == "cut") {
			t.Errorf("%s: %+v", name, err)
		}
	}
	c := newClient(t, nil, startFake(t, says(400, "", "")).addr)
	var failed *client.Error
	if _, err := c.Report(t.Context(), client.Event{}); !errors.As(err, &failed) || failed.Sent {
		t.Errorf("refused as wrong: %+v", err)
	}
}

// A report's answer that does not add up is none.
func TestReportAnswers(t *testing.T) {
	for _, answer := range []string{
		`{}`, `[]`, ``, `{"accepted":3,"rejected":[]}`, `{"accepted":-1,"rejected":[{"line":1},{"line":2},{"line":2}]}`, `{"accepted":1,"rejected":[]}`,
		`{"accepted":1,"rejected":[{"line":3}]}`, `{"accepted":1,"rejected":[{"line":0}]}`, `{"accepted":0,"rejected":[{"line":1},{"line":1}]}`,
	} {
		c := newClient(t, nil, startFake(t, says(202, "", answer)).addr)
		taken, err := c.Report(t.Context(), client.Event{Type: client.Click, ID: "1"}, client.Event{Type: client.Click, ID: "2"})
		var failed *client.Error
		if !errors.As(err, &failed) || failed.Kind != client.BadAnswer || taken.Accepted != 0 || taken.Rejected != nil {
			t.Errorf("%s: %+v %v", answer, taken, err)
		}
	}
}

// A connection that the node closed while it was idle fails no request, not even one that
// is never sent twice; nor does one on which something came that nobody asked for.
func TestIdleConnections(t *testing.T) {
	for name, disturb := range map[string]func(*fake){
		"closed": (*fake).hangUp,
		"written to": func(f *fake) {
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, c := range f.conns {
				_, _ = io.WriteString(c, head("Content-Length: 0\r\n"))
			}
		},
	} {
		f := startFake(t, says(202, "", `{"accepted":1,"rejected":[]}`))
		c := newClient(t, nil, f.addr)
		for range 5 {
			if taken, err := c.Report(t.Context(), client.Event{Type: client.Click, Campaign: "a"}); err != nil || taken.Accepted != 1 {
				t.Fatalf("%s: %+v %v", name, taken, err)
			}
			disturb(f)
		}
		if n := f.asked(); n != 5 {
			t.Errorf("%s: %d requests for 5 reports", name, n)
		}
	}
}
