package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// tlsAttacks are on a node with TLS.
func tlsAttacks() []*attack {
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	return []*attack{
		{name: "TLS: none (the well-behaved client alone)", run: quietRows()[0].run},
		{
			name: fmt.Sprintf("TLS: %d handshakes that are silent, or stop", 3*abuseConnections), conns: 3 * abuseConnections,
			run: func(a *attempt) {
				var reached atomic.Int64
				a.each(func(i int) {
					c, err := a.node.plainly()
					if err != nil {
						return
					}
					defer c.Close()
					reached.Add(1)
					_, _ = io.WriteString(c, []string{"", hello}[i%2])
					time.Sleep(time.Until(a.until))
				})
				a.requests.Add(reached.Load())
			},
		},
		{
			name: "TLS: noise, and plain HTTP", conns: 4,
			run: func(a *attempt) {
				a.each(func(i int) {
					random := rand.New(rand.NewPCG(2, uint64(i)))
					for a.on() {
						c, err := a.node.plainly()
						if err != nil {
							continue
						}
						b := make([]byte, 1+random.IntN(600))
						for k := range b {
							b[k] = byte(random.Uint32())
						}
						texts := []string{hello + string(b), string(b), "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\xff\xff" + string(b), "\x80\x2e\x01\x00\x02" + string(b)}
						a.requests.Add(1)
						_, _ = io.WriteString(c, texts[random.IntN(len(texts))])
						if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
							_ = half.CloseWrite()
						}
						_, _ = io.Copy(io.Discard, c.r)
						c.Close()
					}
				})
			},
		},
	}
}

// plainly connects without TLS.
func (n *abused) plainly() (*wire, error) {
	plain := *n
	plain.tls = nil
	return plain.reach(n.bid)
}
