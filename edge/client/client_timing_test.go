package client

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// timingRequest is a request for n candidates, and its answer.
func timingRequest(n int) (*Request, []byte) {
	r := &Request{
		ID: "req-1", User: User{ID: "u-123", EIDs: []EID{{Source: "uidapi.com", UIDs: []string{"AbC="}}}},
		Device: Device{Geo: Geo{Country: "DEU"}}, Site: &Inventory{Cat: []string{"483"}, CatTax: 6},
	}
	answer := []byte(`{"id":"req-1","policy":12,"decisions":[`)
	for i := range n {
		r.Candidates = append(r.Candidates, Candidate{Campaign: fmt.Sprintf("campaign-%d", i), Creative: fmt.Sprintf("c-%d", i)})
		if i > 0 {
			answer = append(answer, ',')
		}
		if i%3 == 0 {
			answer = fmt.Appendf(answer, `{"campaign":"campaign-%d","show":false,"reason":"cap","retry_after":5400}`, i)
		} else {
			answer = fmt.Appendf(answer, `{"campaign":"campaign-%d","show":true}`, i)
		}
	}
	return r, append(answer, "]}\n"...)
}

// timingNode reads a request and writes that answer, whatever it was asked.
func timingNode(b testing.TB, answer []byte) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return timingServer(b, l, answer)
}

// timingSecureNode is timingNode with TLS, and who is to be believed.
func timingSecureNode(b testing.TB, answer []byte) (addr string, config *tls.Config) {
	s := httptest.NewTLSServer(nil) // for its certificate
	s.Close()
	config = &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(s.Certificate())
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: s.TLS.Certificates})
	if err != nil {
		b.Fatal(err)
	}
	return timingServer(b, l, answer), config
}

func timingServer(b testing.TB, l net.Listener, answer []byte) string {
	s := &fasthttp.Server{CloseOnShutdown: true, NoDefaultServerHeader: true, NoDefaultDate: true, Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType("application/json")
		ctx.Response.SetBodyRaw(answer)
	}}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	b.Cleanup(func() {
		if err := s.Shutdown(); err != nil {
			b.Error(err)
		}
		_ = l.Close() // which Shutdown does not know of before Serve has begun
		<-done
	})
	return l.Addr().String()
}

// BenchmarkDecide is the client beside the bare round trip of the same bytes, and beside
// the clients it could have been built on with no JSON read or written.
func BenchmarkDecide(b *testing.B) {
	for _, candidates := range []int{1, 20, 200} {
		r, answer := timingRequest(candidates)
		addr, body := timingNode(b, answer), appendRequest(nil, r)
		b.Run(fmt.Sprintf("candidates=%d/bare", candidates), func(b *testing.B) { timeBare(b, addr, body) })
		b.Run(fmt.Sprintf("candidates=%d/client", candidates), func(b *testing.B) { timeClient(b, Options{Addrs: []string{addr}}, r) })
		secure, config := timingSecureNode(b, answer)
		b.Run(fmt.Sprintf("candidates=%d/secure", candidates), func(b *testing.B) {
			timeClient(b, Options{Addrs: []string{secureScheme + secure}, TLS: config}, r)
		})
		b.Run(fmt.Sprintf("candidates=%d/hostclient", candidates), func(b *testing.B) { timeHostClient(b, addr, body) })
		b.Run(fmt.Sprintf("candidates=%d/nethttp", candidates), func(b *testing.B) { timeNetHTTP(b, addr, body) })
	}
}

// timeClient is this package's client.
func timeClient(b *testing.B, o Options, r *Request) {
	o.Timeout = time.Minute
	c, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.ReportAllocs()
	for b.Loop() {
		if a, err := c.Decide(b.Context(), r); err != nil || len(a.Decisions) != len(r.Candidates) {
			b.Fatal(err)
		}
	}
}

// timeBare writes the request as it stands, and reads up to the end of the answer.
func timeBare(b *testing.B, addr string, body []byte) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	wire := fmt.Appendf(nil, "POST /v1/decide HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body)
	in := bufio.NewReaderSize(c, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(wire); err != nil {
			b.Fatal(err)
		}
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if bytes.HasSuffix(line, []byte("]}\n")) {
				break
			}
		}
	}
}

func timeHostClient(b *testing.B, addr string, body []byte) {
	c := &fasthttp.HostClient{Addr: addr, MaxConns: 8, ReadTimeout: time.Minute, WriteTimeout: time.Minute}
	defer c.CloseIdleConnections()
	b.ReportAllocs()
	for b.Loop() {
		request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		request.SetRequestURI("http://" + addr + "/v1/decide")
		request.Header.SetMethod("POST")
		request.SetBodyRaw(body)
		if err := c.DoDeadline(request, response, time.Now().Add(time.Minute)); err != nil || response.StatusCode() != 200 {
			b.Fatal(err)
		}
		fasthttp.ReleaseRequest(request)
		fasthttp.ReleaseResponse(response)
	}
}

func timeNetHTTP(b *testing.B, addr string, body []byte) {
	c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	b.ReportAllocs()
	for b.Loop() {
		response, err := c.Post("http://"+addr+"/v1/decide", "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			b.Fatal(err)
		}
		response.Body.Close()
	}
}

// BenchmarkAnswer reads an answer, and the same with encoding/json.
func BenchmarkAnswer(b *testing.B) {
	r, answer := timingRequest(20)
	b.Run("candidates=20/scanner", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parseAnswer(answer, asked{id: r.ID, candidates: r.Candidates}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("candidates=20/encodingjson", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var a struct {
				ID        string
				Policy    int
				Token     string
				Decisions []struct {
					Campaign string
					Show     bool
					Reason   string
					Retry    uint32 `json:"retry_after"`
				}
			}
			if err := json.Unmarshal(answer, &a); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRequest writes a request, and the same with encoding/json.
func BenchmarkRequest(b *testing.B) {
	r, _ := timingRequest(20)
	b.Run("candidates=20/append", func(b *testing.B) {
		var dst []byte
		b.ReportAllocs()
		for b.Loop() {
			dst = appendRequest(dst[:0], r)
		}
	})
	b.Run("candidates=20/encodingjson", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A decision allocates its answer, the decisions in it and a token, and nothing else.
func TestDecideAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector drops what pools keep")
	}
	r, answer := timingRequest(20)
	c, err := New(Options{Addrs: []string{timingNode(t, answer)}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := func() {
		if _, err := c.Decide(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(1000, body); n > 3 { // the node's are among them: one at most, now and then
		t.Errorf("%v allocations a call", n)
	}
}
