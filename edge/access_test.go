package edge

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/edge/access"
)

// maxHeld are the answers that the node of these tests holds back at once.
const maxHeld = 256

// guarded is a node without servers that has the keys of a file.
func guarded(t testing.TB, keys ...access.Key) (n *Node, texts []string) {
	t.Helper()
	n = benchNode(t, 32<<20, []byte(allocationPolicy))
	file := access.New()
	for _, k := range keys {
		k, text, err := access.Make(k, time.Unix(benchNow, 0))
		if err == nil {
			file, err = file.Add(k)
		}
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	n.options.Keys = access.NewGate(file)
	n.guarding.failures = access.NewFailures()
	n.guarding.hold = func(time.Duration) {}
	n.options.Connections = heldShare * maxHeld
	return n, texts
}

// asking is a request from an address.
func asking(method, path, key string, from net.Addr) *fasthttp.RequestCtx {
	ctx := new(fasthttp.RequestCtx)
	var req fasthttp.Request
	req.Header.SetMethod(method)
	req.SetRequestURI(path)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	ctx.Init(&req, from, nil)
	return ctx
}

var somewhere = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}

// Letting a caller in allocates nothing, on any path, nor does leaving reasons out.
func TestLettingInDoesNotAllocate(t *testing.T) {
	n, keys := guarded(t, access.Key{Client: "a", Roles: access.Bid | access.CRM | access.Privacy, Rate: access.MaxRate, Burst: access.MaxBurst}, access.Key{Client: "b", Roles: access.Bid})
	for _, path := range []string{"/v1/decide", "/v1/decide?explain=1", "/healthz", "/v1/lists/some-list", "/v1/users/lookup"} {
		method := "GET"
		if strings.HasSuffix(path, "lookup") {
			method = "POST"
		}
		ctx := asking(method, path, keys[0], somewhere)
		if allocations := testing.AllocsPerRun(100, func() {
			if !n.letIn(ctx, false, time.Now()) {
				t.Fatalf("%s: %s", path, ctx.Response.Body())
			}
			n.withholds(ctx)
		}); allocations != 0 {
			t.Errorf("%s: %v allocations", path, allocations)
		}
	}
	ctx := asking("GET", "/v1/decide", keys[1], somewhere)
	x := new(exchange)
	if err := x.req.Parse([]byte(`{"user":{"id":"u"},"candidates":[{"campaign":"shown"},{"campaign":"nope"},{"campaign":"inactive"}]}`)); err != nil {
		t.Fatal(err)
	}
	n.decide(x, benchNow)
	if allocations := testing.AllocsPerRun(100, func() {
		if !n.letIn(ctx, true, time.Now()) {
			t.Fatal("not let in")
		}
		x.withheld = n.withholds(ctx)
		x.out = x.appendAnswer(x.out[:0], x.token)
	}); allocations != 0 || !strings.Contains(string(x.out), `"reason":"skip"`) || strings.Contains(string(x.out), "inactive\",\"show\":false,\"reason\":\"inactive") {
		t.Errorf("%v allocations\n%s", allocations, x.out)
	}
}

// 20,000 wrong keys from one address are slowed from the eleventh on,
// and never keep a right key from that address out; no more than so many are held.
func TestWrongKeysAreSlowed(t *testing.T) {
	n, keys := guarded(t, access.Key{Client: "a", Roles: access.Bid})
	var holding, most, held atomic.Int64
	release := make(chan struct{})
	n.guarding.hold = func(d time.Duration) {
		if d != holdTime {
			t.Errorf("held for %v", d)
		}
		held.Add(1)
		now := holding.Add(1)
		for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
		}
		<-release
		holding.Add(-1)
	}
	const workers, wrong = 400, 20_000
	var running sync.WaitGroup
	var closed atomic.Int64
	for w := range workers {
		running.Go(func() {
			for i := range wrong / workers {
				ctx := asking("POST", "/v1/decide", fmt.Sprintf("rk_aaaaaaaa_%052d", w*wrong+i), somewhere)
				if i%2 == 0 {
					ctx = asking("POST", "/v1/decide", keys[0][:63]+"-", somewhere)
				}
				if n.letIn(ctx, true, time.Now()) || ctx.Response.StatusCode() != fasthttp.StatusUnauthorized {
					t.Errorf("let in, or answered %d", ctx.Response.StatusCode())
				}
				if ctx.Response.ConnectionClose() {
					closed.Add(1)
				}
			}
		})
	}
	// While answers are held back, whoever has a key is let in.
	for deadline := time.Now().Add(time.Minute); holding.Load() < maxHeld; {
		if time.Now().After(deadline) {
			t.Fatalf("only %d are held", holding.Load())
		}
		if !n.letIn(asking("POST", "/v1/decide", keys[0], somewhere), true, time.Now()) {
			t.Fatal("a right key is kept out")
		}
	}
	close(release)
	running.Wait()
	if most.Load() > maxHeld || n.guarding.held.Load() != 0 {
		t.Errorf("%d held at once, %d still", most.Load(), n.guarding.held.Load())
	}
	slowed := int64(n.metrics.keysSlowed.Get())
	if slowed < wrong*9/10 || closed.Load() != slowed || held.Load() > slowed {
		t.Errorf("of %d wrong keys %d were slowed, %d connections closed, %d held", wrong, slowed, closed.Load(), held.Load())
	}
	if got := n.metrics.keysRefused[access.Malformed].Get() + n.metrics.keysRefused[access.Unknown].Get(); got != wrong {
		t.Errorf("%d counted", got)
	}
	// No key at all is not a wrong one: nothing to guess, nothing to slow.
	for range 50 {
		n.letIn(asking("POST", "/v1/decide", "", somewhere), true, time.Now())
	}
	if int64(n.metrics.keysSlowed.Get()) != slowed || n.metrics.keysRefused[access.Missing].Get() != 50 {
		t.Error("requests without a key are slowed, or not counted")
	}
}

// Each row of the matrix, on each listener: a key of one role is let in where the row has it
// and forbidden elsewhere; a key with every role that was revoked, and none at all, are let in
// where nobody is asked for one, and nowhere else. The paths of the other listener are not
// there.
func TestMatrixRowByRow(t *testing.T) {
	all := access.Bid | access.CRM | access.Privacy | access.Ops | access.Metrics
	clients := []access.Key{{Client: "revoked", Roles: all}}
	for _, name := range all.Names() {
		role, err := access.ParseRoles(name)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, access.Key{Client: name, Roles: role})
	}
	n, keys := guarded(t, clients...)
	file := access.New()
	for i, c := range n.options.Keys.Callers() {
		var err error
		if file, err = file.Add(c.Key); err == nil && i == 0 {
			file, err = file.Revoke(c.ID, time.Unix(benchNow, 0))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	n.options.Keys.Replace(file)
	checked := 0
	for _, row := range matrix {
		path := strings.NewReplacer("{name}", "some-list", "{receipt}", "r", "{campaign}", "c", "{profile}", "heap").Replace(row.path)
		for method := range strings.SplitSeq(row.methods, ", ") {
			for _, bidOnly := range []bool{false, true} {
				for who := -1; who < len(keys); who++ {
					key, roles, refusal := "", access.Roles(0), fasthttp.StatusUnauthorized
					if who > 0 {
						key, roles, refusal = keys[who], clients[who].Roles, fasthttp.StatusForbidden
					} else if who == 0 {
						key = keys[0]
					}
					want := fasthttp.StatusOK
					switch {
					case bidOnly && !row.bid:
						want = fasthttp.StatusNotFound
					case row.roles != open && row.roles&roles == 0:
						want = refusal
					}
					checked++
					ctx := asking(method, path, key, somewhere)
					if in := n.letIn(ctx, bidOnly, time.Now()); in != (want == fasthttp.StatusOK) || ctx.Response.StatusCode() != want {
						t.Errorf("%s %s, bid listener %v, key %d: let in %v, %d, want %d", method, path, bidOnly, who, in, ctx.Response.StatusCode(), want)
					}
				}
			}
		}
	}
	if checked < 500 {
		t.Errorf("only %d entries", checked)
	}
}

// A route without a row in the matrix is not served once there are keys, so each has one.
func TestRoutesHaveRows(t *testing.T) {
	for _, r := range adminRoutes {
		if rows := doorsOf([]byte(r.path)); len(rows) == 0 || rows[0].path != r.path {
			t.Errorf("%s has no row", r.path)
		}
	}
}

// A key that is revoked while its request is under way: that request ends as it began,
// the next is refused.
func TestRevokedDuringRequest(t *testing.T) {
	n, keys := guarded(t, access.Key{Client: "a", Roles: access.Ops})
	ctx := asking("GET", "/v1/decide?explain=1", keys[0], somewhere)
	if !n.letIn(ctx, true, time.Now()) {
		t.Fatal("not let in")
	}
	n.options.Keys.Replace(access.New())
	if n.withholds(ctx) {
		t.Error("the request lost its right on the way")
	}
	if n.letIn(asking("GET", "/v1/decide", keys[0], somewhere), true, time.Now()) {
		t.Error("the next request is let in")
	}
}

// BenchmarkLetIn is what keys add to a request, and what leaving reasons out costs an
// answer of 50 skips beside giving them.
func BenchmarkLetIn(b *testing.B) {
	n, keys := guarded(b, access.Key{Client: "a", Roles: access.Bid, Rate: access.MaxRate, Burst: access.MaxBurst})
	b.Run("key", func(b *testing.B) {
		ctx := asking("POST", "/v1/decide", keys[0], somewhere)
		b.ReportAllocs()
		for b.Loop() {
			ctx.Response.Reset()
			if !n.letIn(ctx, true, time.Now()) {
				b.Fatalf("%s", ctx.Response.Body())
			}
		}
	})
	x := new(exchange)
	if err := x.req.Parse([]byte(`{"user":{"id":"u"},"candidates":[` + strings.TrimSuffix(strings.Repeat(`{"campaign":"nope"},`, 50), ",") + `]}`)); err != nil {
		b.Fatal(err)
	}
	n.decide(x, benchNow)
	for _, x.withheld = range []bool{false, true} {
		b.Run(fmt.Sprintf("answer/candidates=50/withheld=%v", x.withheld), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.out = x.appendAnswer(x.out[:0], x.token)
			}
		})
	}
}

// The time that an upload may take is for those who may upload: others could hold a
// connection with it.
func TestUploadTimeNeedsKey(t *testing.T) {
	n, keys := guarded(t, access.Key{Client: "a", Roles: access.CRM}, access.Key{Client: "b", Roles: access.Bid | access.Ops})
	n.options.UploadTime, n.options.MaxUpload = uploadTimeout, 1<<40
	limits, usual := n.headerReceived(n.adminLimits), bidLimits([]byte("/v1/lists/some-list")).ReadTimeout
	for key, want := range map[string]time.Duration{keys[0]: uploadTimeout, keys[1]: usual, "": usual, keys[0][1:]: usual} {
		ctx := asking("PUT", "/v1/lists/some-list?id=user.id", key, somewhere)
		if got := limits(&ctx.Request.Header); got.ReadTimeout != want || (got.MaxRequestBodySize == 1<<40) != (want == uploadTimeout) {
			t.Errorf("with %.8q: %v, %d bytes", key, got.ReadTimeout, got.MaxRequestBodySize)
		}
	}
	n.options.Keys = nil
	if got := limits(&asking("PUT", "/v1/lists/some-list", "", somewhere).Request.Header); got.ReadTimeout != uploadTimeout {
		t.Errorf("without keys: %v", got.ReadTimeout)
	}
}
