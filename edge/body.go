package edge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
)

// readBody reads the whole body of a request into dst[:0], at most limit bytes.
// The servers stream bodies, so that a declared length costs no memory before its
// bytes come; a body shorter than declared is refused here, since the stream only
// ends. What it takes is noted in hand.
func readBody(ctx *fasthttp.RequestCtx, dst []byte, limit int, hand *inHand) ([]byte, *problem) {
	dst = dst[:0]
	declared := ctx.Request.Header.ContentLength()
	if declared > limit {
		return dst, tooLarge(ctx, limit)
	}
	body := ctx.RequestBodyStream()
	if body == nil {
		return append(dst, ctx.Request.Body()...), nil
	}
	if !hand.holds(cap(dst)) { // a long one that was kept
		dst = nil
	}
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, growth(len(dst), declared))
			if !hand.holds(cap(dst)) {
				linger(ctx)
				return nil, tooMuchInHand()
			}
		}
		n, err := body.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > limit {
			return dst, tooLarge(ctx, limit)
		}
		switch {
		case errors.Is(err, io.EOF):
			if declared >= 0 && len(dst) != declared || declared < 0 && cutShort(ctx) {
				return dst, cutOff(ctx, len(dst), declared)
			}
			return dst, nil
		case err != nil:
			ctx.SetConnectionClose()
			return dst, newProblem(fasthttp.StatusBadRequest, "the body could not be read to its end: "+err.Error())
		}
	}
}

// growth is by how much a buffer grows that has so much of a body: to twice that, or to
// what is declared where that is less, and a byte to find the end with.
func growth(got, declared int) int {
	more := max(got, 512)
	if declared > got {
		more = min(more, declared-got)
	}
	return more + 1
}

// lingerBytes and lingerTime are how much of a refused body is read, and for how
// long, before its connection is closed. A connection closed over unread bytes is
// reset, and the caller would see that instead of the answer. Chosen.
const (
	lingerBytes = 16 << 20
	lingerTime  = time.Second
)

// linger is for refusing a request whose body is still on its way.
func linger(ctx *fasthttp.RequestCtx) {
	ctx.SetConnectionClose()
	body := ctx.RequestBodyStream()
	if body == nil || ctx.Conn().SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, body, lingerBytes) // as far as it comes
}

func tooLarge(ctx *fasthttp.RequestCtx, limit int) *problem {
	linger(ctx)
	return overLimit(limit)
}

func overLimit(limit int) *problem {
	return newProblem(fasthttp.StatusRequestEntityTooLarge,
		fmt.Sprintf("the body is over the limit of %d bytes of this path; send less at once", limit))
}

func cutOff(ctx *fasthttp.RequestCtx, got, declared int) *problem {
	ctx.SetConnectionClose()
	if declared < 0 {
		return newProblem(fasthttp.StatusBadRequest, fmt.Sprintf("the body ended after %d bytes without the end that a chunked body has", got))
	}
	return newProblem(fasthttp.StatusBadRequest,
		fmt.Sprintf("the body ended after %d of the %d bytes that Content-Length declares", got, declared))
}

// wholeReader reads a body to its declared end, or to the end mark of a chunked one:
// an end before that is io.ErrUnexpectedEOF, where the server's stream would just end.
type wholeReader struct {
	ctx      *fasthttp.RequestCtx
	body     io.Reader
	declared int // -1: chunked
	got      int64
	until    time.Time
}

func (r *wholeReader) Read(p []byte) (int, error) {
	// Each piece has its time, within that of the whole: an upload whose sender is
	// gone must not hold its list for hours.
	deadline := time.Now().Add(stallTimeout)
	if r.until.Before(deadline) {
		deadline = r.until
	}
	if err := r.ctx.Conn().SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	n, err := r.body.Read(p)
	r.got += int64(n)
	if errors.Is(err, io.EOF) && (r.declared >= 0 && r.got < int64(r.declared) || r.declared < 0 && cutShort(r.ctx)) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// stallTimeout is how long an upload may send nothing. Chosen.
const stallTimeout = 2 * time.Minute

// bodyReader streams the body of an upload, which has to be there whole within
// limits.upload_time.
func (n *Node) bodyReader(ctx *fasthttp.RequestCtx) io.Reader {
	if body := ctx.RequestBodyStream(); body != nil {
		return &wholeReader{ctx: ctx, body: body, declared: ctx.Request.Header.ContentLength(), until: ctx.Time().Add(n.options.UploadTime)}
	}
	return bytes.NewReader(ctx.Request.Body())
}
