package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
)

// httpShape is a shape with the marks for its requests a second and its p99, both of
// the bare handler's.
type httpShape struct {
	shape
	rate, p99 *mark
}

func (z *sizes) httpShapes() []httpShape {
	return []httpShape{
		{shape: shape{Name: "1 candidate", Candidates: 1}},
		{shape: shape{Name: "20 candidates", Candidates: 20}, rate: atLeast(0.80), p99: atMost(1.3)},
		{shape: shape{Name: "50 candidates", Candidates: 50}},
		{shape: shape{Name: "200 candidates", Candidates: 200}},
		{shape: shape{Name: "20 with item and category", Candidates: 20, Items: true}, rate: atLeast(0.70)},
		{shape: shape{Name: "20 with a consent string", Candidates: 20, Consents: z.Consents}},
	}
}

const (
	sectionHTTP = "HTTP decisions"
	besideBare  = "bare handler"
	// mostRequests is how many bytes of requests of one shape are made.
	mostRequests = 40 << 20
)

// measureHTTP measures every shape beside the bare handler.
func (b *bench) measureHTTP(ctx context.Context) error {
	n, err := b.filledNode(ctx)
	if err != nil {
		return err
	}
	bare, err := b.startBare(ctx)
	if err != nil {
		return err
	}
	defer bare.stop(bareGrace)
	for _, s := range b.sizes.httpShapes() {
		b.say("HTTP: %s", s.Name)
		if err := b.measureShape(ctx, n, bare, s); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

func (b *bench) measureShape(ctx context.Context, n *node, bare *bareServer, s httpShape) error {
	asked, err := b.askAll(ctx, n, s.shape)
	if err != nil {
		return err
	}
	ours := &target{addr: n.bid, requests: asked.requests, read: readHTTP, pid: n.cmd.Process.Pid}
	theirs := &target{addr: bare.addr, requests: make([][]byte, len(asked.requests)), read: readHTTP, pid: bare.cmd.Process.Pid}
	for i, request := range asked.requests {
		theirs.requests[i] = bytes.Replace(request, []byte(nodePath), []byte(barePath(asked.lengths[i])), 1)
	}
	p, err := runPair(ctx, ours, theirs, b.sizes)
	if err != nil {
		return err
	}
	if of := median(p.ratios(answerBytes)); of < 0.97 || of > 1.03 {
		return fmt.Errorf("%w: the node's answers are %.3f of the bare handler's in length; they are to be the same", errAnswer, of)
	}
	b.result.Pairs = append(b.result.Pairs, httpPair{Shape: s.shape, Against: besideBare, RequestBytes: meanLength(asked.requests), Capped: asked.capped, pair: p})
	add := func(name, unit string, figure func(*sample) float64, m *mark) {
		b.add(ratioRow(sectionHTTP, s.Name+", "+name, unit, figures(p.A, figure), figures(p.B, figure), besideBare, m))
	}
	add("requests a second", "/s", perSecond, s.rate)
	add("p99", "us", p99, s.p99)
	add("server's processor time", "us", serverCPU, nil)
	return nil
}

// asked is what a node answered to the requests of a shape, each sent once.
type asked struct {
	requests [][]byte
	lengths  []int   // of the answers' bodies
	capped   float64 // share of `cap` among the verdicts
}

// askAll makes the requests of a shape, sends each once and counts the verdicts. So few
// `cap` verdicts that the work is not what is claimed are an error.
func (b *bench) askAll(ctx context.Context, n *node, s shape) (a asked, err error) {
	one := len(s.decideRequests(b.sizes.Users, 1)[0])
	a.requests = s.decideRequests(b.sizes.Users, max(1, min(b.sizes.Requests, mostRequests/one)))
	l, err := openLoop(ctx, &target{addr: n.bid}, 1)
	if err != nil {
		return a, err
	}
	defer l.close()
	verdicts, caps := 0, 0
	for _, request := range a.requests {
		if err := ctx.Err(); err != nil {
			return a, context.Cause(ctx)
		}
		answer, err := l.wires[0].ask(request, readHTTP)
		if err != nil {
			return a, err
		}
		_, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
		a.lengths = append(a.lengths, len(body))
		verdicts += bytes.Count(body, []byte(`"show":`))
		caps += bytes.Count(body, []byte(`"reason":"cap"`))
	}
	if want := len(a.requests) * s.Candidates; verdicts != want {
		return a, fmt.Errorf("%w: %d verdicts to %d candidates", errAnswer, verdicts, want)
	}
	a.capped = float64(caps) / float64(verdicts)
	if a.capped < leastCapped {
		return a, fmt.Errorf("%w: only %.1f %% of the verdicts are `cap`, want %.0f %%", errAnswer, 100*a.capped, 100*leastCapped)
	}
	return a, nil
}

func meanLength(of [][]byte) int {
	sum := 0
	for _, s := range of {
		sum += len(s)
	}
	return sum / len(of)
}

// bareServer is the bare handler in a process of its own.
type bareServer struct {
	*process
	addr string
}

func (b *bench) startBare(ctx context.Context) (*bareServer, error) {
	p, err := start("bare handler", b.dir, b.self, bareArgument)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	line, err := p.says(ctx, "listening ")
	if err != nil {
		p.stop(bareGrace)
		return nil, err
	}
	return &bareServer{p, strings.TrimPrefix(line, "listening ")}, nil
}
