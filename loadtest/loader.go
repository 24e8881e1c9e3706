package loadtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// loader is a load test under way.
type loader struct {
	options *LoadOptions
	target  target
	secure  *tls.Config // nil: the target has no TLS
	admin   *node       // nil: there is none
	timeout time.Duration
	notes   []string

	policy    *loadPolicy
	maker     *decideMaker
	oracle    *loadOracle // nil: none
	weights   [loadKinds]float64
	hasEvents bool
	nonce     string // of this run, in the identities of events

	decideHead, eventHead []byte // of requests, up to the length
	alarm                 *alarm
	workers               []*loadWorker
}

// phase is one window: a schedule, or so long a closed loop.
type phase struct {
	began    time.Time
	length   time.Duration
	timeline *timeline
	stopped  atomic.Bool
	ended    time.Duration // 0: as planned
}

func (p *phase) now() time.Duration { return time.Since(p.began) }

// openLoader checks the target, asks it for its policy, and connects.
func openLoader(ctx context.Context, o *LoadOptions) (l *loader, err error) {
	c := &o.Config
	l = &loader{options: o, timeout: seconds(c.TimeoutSeconds), nonce: strconv.FormatInt(time.Now().UnixNano(), 36)}
	if l.target, err = resolveTarget(ctx, "--addr", c.Addr, o.YesRemote); err != nil {
		return nil, err
	}
	l.secure = l.target.config(o.TLS)
	if l.alarm, err = newAlarm(); err != nil {
		return nil, err
	}
	if err = l.prepare(ctx); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// prepare makes everything ready for the first request.
func (l *loader) prepare(ctx context.Context) error {
	c := &l.options.Config
	if err := l.readPolicy(ctx); err != nil {
		return err
	}
	if err := l.makeUp(); err != nil {
		return err
	}
	for k := range loadKinds {
		l.weights[k] = c.weight(k)
		l.hasEvents = l.hasEvents || k != loadDecide && l.weights[k] > 0
	}
	l.decideHead, l.eventHead = l.head("/v1/decide"), l.head("/v1/events")
	if err := l.connect(); err != nil {
		return err
	}
	return l.probe()
}

// probe asks for one decision, so that a wrong key or path is said at once and not a
// hundred thousand times.
func (l *loader) probe() error {
	w, p := l.workers[0], &phase{began: time.Now(), timeline: &timeline{step: time.Hour}}
	w.measured = newMeasured(p.timeline)
	w.body, _ = l.maker.appendBody(nil, w.random)
	var x exchange
	a, ok := w.exchange(p, &x, l.decideHead)
	addr := l.options.Config.Addr
	switch {
	case !ok:
		return fmt.Errorf("ask %q for a decision: %w: %s%s", addr, ErrUnreachable, x.failure, said(w.failed))
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return fmt.Errorf("POST /v1/decide at %q: %w: status %d, give a key of role bid with --key or RESTRAINT_KEY", addr, ErrKey, a.status)
	case a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed || a.status == http.StatusUnsupportedMediaType:
		return fmt.Errorf("POST /v1/decide at %q: %w: status %d, %q; is this a node's bid listener (default 127.0.0.1:8080)?", addr, ErrNode, a.status, parseProblem(a.body))
	}
	return nil
}

// said is an error after what it led to.
func said(err error) string {
	if err == nil {
		return ""
	}
	return ": " + mended(err).Error()
}

// head is a request up to the value of its length.
func (l *loader) head(path string) []byte {
	h := "POST " + path + " HTTP/1.1\r\nHost: " + l.target.host + "\r\nUser-Agent: restraint-load\r\nContent-Type: application/json\r\n"
	if l.options.Key != "" {
		h += "Authorization: Bearer " + l.options.Key + "\r\n"
	}
	return []byte(h + "Content-Length: ")
}

// readPolicy asks the node whether it is ready and for its policy.
func (l *loader) readPolicy(ctx context.Context) error {
	o := l.options
	if o.Admin == "" {
		l.notes = append(l.notes, "without --admin the node's own metrics are not in this report")
	} else {
		admin, err := resolveTarget(ctx, "--admin", o.Admin, o.YesRemote)
		if err != nil {
			return err
		}
		if l.admin, err = newNode(admin.dialled(), o.Key, admin.config(o.TLS), answerWait, 1); err != nil {
			return err
		}
		if err := l.ready(ctx); err != nil {
			return err
		}
	}
	if len(o.CampaignNames) == 0 || o.Oracle {
		a, err := l.ask(ctx, "/v1/policy")
		switch {
		case errors.Is(err, ErrKey):
			return fmt.Errorf("%w; for the policy it is role ops, or name campaigns with --campaign", err)
		case err != nil:
			return err
		case a.status != http.StatusOK:
			return fmt.Errorf("GET /v1/policy at %q: %w: status %d, %q; name campaigns with --campaign instead", o.Admin, ErrNode, a.status, parseProblem(a.body))
		}
		if l.policy, err = parseLoadPolicy(a.body, time.Now()); err != nil {
			return err
		}
		l.policy.version = a.version
	}
	if len(o.CampaignNames) > 0 {
		l.policy = l.policy.only(o.CampaignNames)
	}
	o.Config.Campaigns = len(l.policy.names)
	return nil
}

// answerWait is how long an answer of the admin listener may take.
const answerWait = 10 * time.Second

// adminAnswer is an answer of the admin listener; its body is a copy.
type adminAnswer struct {
	status  int
	version int // the ETag, where it is a number
	body    []byte
}

// ask gets a path of the admin listener.
func (l *loader) ask(ctx context.Context, path string) (a adminAnswer, err error) {
	c := l.admin.newCall()
	defer c.release()
	status, body, err := c.send(ctx, fasthttp.MethodGet, path, "", nil)
	a.status, a.body = status, append(a.body, body...)
	a.version, _ = strconv.Atoi(strings.Trim(string(c.resp.Header.Peek("ETag")), `"`))
	return a, err
}

// ready asks the node whether it is.
func (l *loader) ready(ctx context.Context) error {
	c := l.admin.newCall()
	defer c.release()
	status, body, err := c.once(fasthttp.MethodGet, "/readyz", "", nil)
	switch {
	case err != nil:
		return fmt.Errorf("reach node at --admin=%q: %w: %w; start one with: restraint serve", l.options.Admin, ErrUnreachable, err)
	case status == http.StatusNotFound:
		return fmt.Errorf("GET /readyz at --admin=%q: %w: status 404; is this the admin listener (default 127.0.0.1:8081)?", l.options.Admin, ErrNode)
	case status != http.StatusOK:
		return fmt.Errorf("GET /readyz at --admin=%q: %w: status %d, %q", l.options.Admin, ErrNotReady, status, clip200(body))
	}
	return ctx.Err()
}

// makeUp makes what requests are put together from.
func (l *loader) makeUp() (err error) {
	o, now := l.options, time.Now()
	c := &o.Config
	r := rand.New(rand.NewPCG(c.Seed, 0xCA4D))
	lists := makeCandidates(l.policy, c, r, now)
	var consents []consent
	if c.ConsentPercent > 0 {
		consents = makeConsents(c.ConsentStrings, l.policy.Consent.Vendor, r, now)
		c.ConsentStrings = len(consents)
	} else {
		c.ConsentStrings = 0
	}
	var shells []shell
	if o.SourcePath != "" {
		if shells, err = readSource(o.SourcePath); err != nil {
			return err
		}
		c.Source, c.SourceRows = filepath.Base(o.SourcePath), len(shells)
	}
	if o.Oracle {
		// Other people than in any run before: what is held of them is not known.
		c.Run += "oracle-" + l.nonce
		if l.oracle, err = newLoadOracle(l.policy, lists, now); err != nil {
			return err
		}
	}
	l.maker = newDecideMaker(c, lists, consents, shells)
	return nil
}

// connect makes the workers and dials for each.
func (l *loader) connect() error {
	c := &l.options.Config
	l.options.say("connecting %d times to %s", c.Connections, c.Addr)
	for i := range c.Connections {
		w := &loadWorker{
			loader: l, number: i, random: rand.New(rand.NewPCG(c.Seed, uint64(i))), decided: newDecided(),
		}
		l.workers = append(l.workers, w)
		if err := w.connect(); err != nil {
			return fmt.Errorf("connect to %q: %w: %w; start a node with: restraint serve", c.Addr, ErrUnreachable, mended(err))
		}
	}
	return nil
}

func (l *loader) close() {
	for _, w := range l.workers {
		w.disconnect()
	}
	if l.admin != nil {
		l.admin.close()
	}
	l.alarm.close()
}

// draw draws a kind of request by its weight.
func (l *loader) draw(r *rand.Rand) loadKind {
	if !l.hasEvents {
		return loadDecide
	}
	sum := 0.0
	for _, w := range l.weights {
		sum += w
	}
	at := r.Float64() * sum
	for k, w := range l.weights {
		if at -= w; at < 0 {
			return loadKind(k)
		}
	}
	return loadDecide
}

// outcome is what a window came to.
type outcome struct {
	*phase
	sum   *measured // of all workers
	lanes []*lane
	most  int // requests at one time
}

// run runs one window.
func (l *loader) run(ctx context.Context, segments []Segment, length time.Duration, seed uint64) outcome {
	p := &phase{length: length, timeline: &timeline{step: stepOf(length)}}
	unsent := newMeasured(p.timeline)
	var pace *pacer
	if !l.options.Config.Closed {
		pace = &pacer{arrivals: newArrivals(segments, l.options.Config.Arrivals, seed), alarm: l.alarm, until: length + l.timeout, workers: len(l.workers)}
		pace.unsent = unsent.giveUp
	}
	p.began = time.Now()
	if pace != nil {
		pace.began = p.began
	}
	stop := context.AfterFunc(ctx, func() {
		if pace != nil {
			pace.stop()
		}
		p.stopped.Store(true)
	})
	var all sync.WaitGroup
	for _, w := range l.workers {
		w.measured, w.open = newMeasured(p.timeline), pace != nil
		all.Go(func() { w.work(p, pace) })
	}
	all.Wait()
	if !stop() {
		p.ended = min(p.now(), length)
	}
	out := outcome{p, unsent, []*lane{&unsent.lane}, len(l.workers)}
	unsent.lane.flush()
	for _, w := range l.workers {
		w.measured.lane.flush()
		out.sum.merge(w.measured)
		out.lanes = append(out.lanes, &w.measured.lane)
	}
	if pace != nil {
		out.most = pace.most
	}
	return out
}

// work sends requests until the window ends.
func (w *loadWorker) work(p *phase, pace *pacer) {
	if pace != nil {
		at := seat{wake: make(chan struct{}, 1)}
		for t, ok := pace.take(&at); ok; t, ok = pace.take(&at) {
			w.once(p, t)
		}
		return
	}
	for now := p.now(); now < p.length && !p.stopped.Load(); now = p.now() {
		w.once(p, turn{now, now})
	}
}
