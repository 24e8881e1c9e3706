package edge

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// A request to a list may bear an Idempotency-Key
// (draft-ietf-httpapi-idempotency-key-header-07). One that was done is answered
// again as it was, without being done again, when it comes again with the same key,
// the same path and query, and the same bytes; whatever else comes with the key is
// refused, and so is a replacement that was undone since, by a rollback or a deletion:
// done again it would undo those, answered again it would be believed. A request that
// was refused has changed nothing, and is done when it comes again. What is kept are keyed hashes, and the answer.
//
// A node that ends between the change and keeping its answer does it again.

const (
	onceHeader   = "Idempotency-Key"
	onceReplayed = "Idempotency-Replayed"
	// onceFor is how long an answer is kept. Chosen.
	onceFor = 24 * time.Hour
	// maxOnceKey is the length of the longest key. Chosen.
	maxOnceKey = 255
)

// onces are the requests with a key that this node is doing.
type onces struct {
	mu      sync.Mutex
	running map[string]time.Time // since when
	// writing is held while a document on disk is replaced.
	writing sync.Mutex
}

// once is one request with a key; nil is one without.
type once struct {
	node *Node
	key  string // keyed hashes, in hexadecimal
	asks string
	body hash.Hash
}

// once takes the request's key, if it has one, until its end is called.
func (n *Node) once(ctx *fasthttp.RequestCtx) (*once, *problem) {
	keys := ctx.Request.Header.PeekAll(onceHeader)
	if len(keys) == 0 {
		return nil, nil
	}
	key := string(keys[0])
	printable := strings.IndexFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) < 0
	if len(keys) > 1 || len(key) == 0 || len(key) > maxOnceKey || !printable {
		return nil, newProblem(fasthttp.StatusBadRequest,
			fmt.Sprintf("%s is given %d times, with %d bytes: give it once, 1 to %d printable characters, such as a new UUID for each upload", onceHeader, len(keys), len(key), maxOnceKey))
	}
	h := &ctx.Request.Header
	asks := fmt.Sprintf("%q %q %q %q %q", h.Method(), ctx.Path(), ctx.URI().QueryString(), h.ContentType(), h.ContentEncoding())
	o := &once{node: n, key: n.hidden("key", []byte(key)), asks: n.hidden("request", []byte(asks)), body: sha256.New()}
	n.onces.mu.Lock()
	defer n.onces.mu.Unlock()
	if since, running := n.onces.running[o.key]; running {
		p := newProblem(fasthttp.StatusConflict, fmt.Sprintf("a request with this %s is under way since %s; wait for its end, then send it again to have its answer",
			onceHeader, since.UTC().Format(time.RFC3339)))
		p.retryAfter = 5
		return nil, p
	}
	if n.onces.running == nil {
		n.onces.running = make(map[string]time.Time)
	}
	n.onces.running[o.key] = time.Now()
	return o, nil
}

// hidden is the keyed hash of something: a body may be one identifier.
func (n *Node) hidden(what string, b []byte) string {
	k := n.hasher.Key("idempotency "+what, b)
	return hex.EncodeToString(k[:])
}

func (o *once) end() {
	if o == nil {
		return
	}
	o.node.onces.mu.Lock()
	defer o.node.onces.mu.Unlock()
	delete(o.node.onces.running, o.key)
}

// again answers a request to a list that was done, or whose key belongs to another,
// and says whether it did.
func (o *once) again(ctx *fasthttp.RequestCtx, list string) bool {
	if o == nil {
		return false
	}
	answers, _, err := o.node.onceAnswers(o.key)
	if err != nil {
		linger(ctx)
		p := listProblem("", fmt.Errorf("look whether this %s was used: %w", onceHeader, err))
		p.Detail += "; nothing was done"
		p.send(ctx)
		return true
	}
	a := answers.find(o.key, time.Now())
	if a == nil {
		return false
	}
	other := ""
	if a.Asks != o.asks {
		linger(ctx)
		other = "another path, other parameters or another form"
	} else if _, err := io.Copy(o.body, io.LimitReader(o.node.bodyReader(ctx), o.node.options.MaxUpload)); err != nil {
		linger(ctx)
		newProblem(fasthttp.StatusBadRequest, "the body could not be read to its end: "+err.Error()).send(ctx)
		return true
	} else if o.bodyHash() != a.Body {
		other = "another body"
	}
	if other != "" {
		newProblem(fasthttp.StatusUnprocessableEntity, fmt.Sprintf("this %s was used at %s for a request with %s, which was done; give each request a key of its own",
			onceHeader, time.Unix(a.At, 0).UTC().Format(time.RFC3339), other)).send(ctx)
		return true
	}
	if ctx.IsPut() && o.undone(list, a) {
		newProblem(fasthttp.StatusConflict, fmt.Sprintf("the upload with this %s was done at %s and a rollback or the deletion of list %q has undone it since; if it is to hold again, send it with a new key",
			onceHeader, time.Unix(a.At, 0).UTC().Format(time.RFC3339), list)).send(ctx)
		return true
	}
	ctx.Response.Header.Set(onceReplayed, "true")
	sendJSON(ctx, a.Status, a.Answer)
	return true
}

// undone says that what a replacement made was rolled back, or deleted. A node that
// has not got so far yet does not know it, and a later replacement is none.
func (o *once) undone(list string, a *onceAnswer) bool {
	var made struct{ Generation uint64 }
	st, err := o.node.lists.Status(list)
	if err != nil || json.Unmarshal(a.Answer, &made) != nil {
		return false
	}
	rolledBack := st.Generation < made.Generation && st.Previous == made.Generation
	deleted := st.Generation > made.Generation && st.Uploaded == 0
	return rolledBack || deleted
}

func (o *once) bodyHash() string { return o.node.hidden("body", o.body.Sum(nil)) }

// reader is r, which is looked at on its way.
func (o *once) reader(r io.Reader) io.Reader {
	if o == nil {
		return r
	}
	return io.TeeReader(r, o.body)
}

// done keeps the answer to a request whose body was read from r.
func (o *once) done(r io.Reader, status int, answer any) {
	if o == nil {
		return
	}
	_, err := io.Copy(io.Discard, r) // it is at its end, as a rule
	var text []byte
	if err == nil {
		text, err = json.Marshal(answer)
	}
	if err == nil {
		err = o.node.keepOnce(onceAnswer{Key: o.key, Asks: o.asks, Body: o.bodyHash(), At: time.Now().Unix(), Status: status, Answer: text})
	}
	if err != nil {
		o.node.log.Warn("the answer to a request with an "+onceHeader+" is not kept: sent again, it is done again", "error", err.Error())
	}
}
