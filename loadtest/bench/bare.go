package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// bareArgument makes this program the bare handler, for which it starts itself.
const bareArgument = "bare-handler"

// barePath is the path of an answer of that many bytes, as long as the node's.
func barePath(answer int) string { return fmt.Sprintf("/b/%07d", answer) }

// nodePath is what barePath takes the place of.
const nodePath = "/v1/decide"

// mostBare is the longest answer of the bare handler.
const mostBare = 1 << 20

// serveBare reads a body and writes as many bytes as the path says, with the headers
// that the node sends. It has no timeouts and no limits but fasthttp's own: less than
// this nobody can do with fasthttp. It ends by SIGTERM.
func serveBare() error {
	answer := make([]byte, mostBare)
	for i := range answer {
		answer[i] = 'x'
	}
	kind := []byte("application/json")
	server := &fasthttp.Server{
		NoDefaultServerHeader: true, NoDefaultDate: true, NoDefaultContentType: true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			n := 0
			for _, digit := range ctx.Path()[len("/b/"):] {
				n = 10*n + int(digit-'0')
			}
			if body := ctx.PostBody(); len(body) == 0 || n > mostBare {
				ctx.Error("want a body and a length", fasthttp.StatusBadRequest)
				return
			}
			ctx.SetContentTypeBytes(kind)
			ctx.SetBody(answer[:n])
		},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		listener.Close()
	}()
	fmt.Println("listening", listener.Addr())
	if err := server.Serve(listener); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// bareGrace is how long the bare handler has to end.
const bareGrace = time.Second
