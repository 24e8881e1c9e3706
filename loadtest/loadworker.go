package loadtest

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Chosen.
const (
	ringSize = 256 // showings that a worker remembers, to report
	// A target may close a connection that was idle for so long, with a 408 or without,
	// and a request that crosses that is sent again on another one.
	idleAfter = time.Second
)

// loadWorker has one connection and sends one request at a time on it.
type loadWorker struct {
	loader *loader
	number int
	random *rand.Rand

	conn   *wireConn // nil: to be dialled
	used   time.Time // last
	failed error     // what went wrong with the request sent last

	body, request []byte
	decided       decided
	events        int // reported so far, for their identities

	ring       [ringSize]shownOnce // showings to be reported
	first      int                 // the oldest
	showings   int                 // how many there are
	measured   *measured
	open       bool // the window has a schedule
	dialledYet bool
}

// shownOnce is a candidate that was answered show.
type shownOnce struct {
	asked     askedOf
	candidate *candidate
	token     []byte
}

// connect dials.
func (w *loadWorker) connect() error {
	l := w.loader
	c, err := dialTarget(l.target.network, l.target.address, l.secure, l.timeout)
	if err != nil {
		return err
	}
	if w.dialledYet && w.measured != nil {
		w.measured.reconnects++
	}
	w.dialledYet = true
	w.conn, w.used = newWireConn(c), time.Now()
	return nil
}

func (w *loadWorker) disconnect() {
	if w.conn != nil {
		w.conn.conn.Close()
		w.conn = nil
	}
}

// once does one request.
func (w *loadWorker) once(p *phase, at turn) {
	x := exchange{kind: w.loader.draw(w.random), due: at.due, free: at.free}
	if x.kind != loadDecide && w.showings == 0 {
		x.kind = loadDecide
		w.measured.substituted++
	}
	if x.kind == loadDecide {
		w.decide(p, &x)
	} else {
		w.event(p, &x)
	}
	w.measured.record(&x, w.open)
}

// exchange sends w.body and receives the answer. False where there is none: then
// x.failure says why.
func (w *loadWorker) exchange(p *phase, x *exchange, head []byte) (a wireAnswer, ok bool) {
	w.request = strconv.AppendInt(append(w.request[:0], head...), int64(len(w.body)), 10)
	w.request = append(append(w.request, "\r\n\r\n"...), w.body...)
	x.written = p.now()
	idle := w.conn != nil && p.began.Add(x.written).Sub(w.used) > idleAfter
	a, x.failure = w.try()
	if idle && (x.failure == failureClosed && w.conn.n == 0 || a.status == http.StatusRequestTimeout && a.close) {
		w.disconnect()
		a, x.failure = w.try()
	}
	x.done = p.now()
	if x.failure != "" {
		w.disconnect()
		return a, false
	}
	x.answered = true
	w.used = p.began.Add(x.done)
	w.measured.received += int64(a.bytes)
	if a.close {
		w.disconnect()
	}
	return a, true
}

// try sends w.request, on a new connection where there is none, and receives the answer.
func (w *loadWorker) try() (a wireAnswer, failure string) {
	if w.conn == nil {
		if w.failed = w.connect(); w.failed != nil {
			return a, failureConnect
		}
	}
	err := w.conn.send(w.request, w.loader.timeout)
	if err == nil {
		w.measured.sent += int64(len(w.request))
		a, err = w.conn.receive()
	}
	if w.failed = err; err != nil {
		return a, failureOf(err)
	}
	return a, ""
}

// decide asks for verdicts.
func (w *loadWorker) decide(p *phase, x *exchange) {
	l := w.loader
	var asked askedOf
	w.body, asked = l.maker.appendBody(w.body[:0], w.random)
	w.measured.bodies += int64(len(w.body))
	var sent time.Duration
	if l.oracle != nil {
		sent = l.oracle.now()
	}
	a, ok := w.exchange(p, x, l.decideHead)
	switch {
	case !ok:
		return
	case a.status != http.StatusOK:
		x.failure = failureOfStatus(a.status)
		return
	}
	c := &l.options.Config
	if err := w.decided.read(a.body, len(asked.list.candidates), c.Want > 0, c.Brief); err != nil {
		x.failure = failureMalformed
		return
	}
	if l.oracle != nil {
		l.oracle.judge(asked.user, asked.list, w.decided.verdicts, c.Want > 0, sent, l.oracle.now())
	}
	w.count()
	if l.hasEvents {
		w.remember(&asked)
	}
}

func (w *loadWorker) count() {
	for _, v := range w.decided.verdicts {
		if v == judgedShow {
			w.measured.shown++
		} else {
			w.measured.skipped++
		}
	}
}

// remember keeps what the ad server will have shown: with want all that was answered
// show, else one of it, as the others lose to it.
func (w *loadWorker) remember(asked *askedOf) {
	verdicts := w.decided.verdicts
	all := w.loader.options.Config.Want > 0
	for i, n := w.random.IntN(len(verdicts)), 0; n < len(verdicts); i, n = (i+1)%len(verdicts), n+1 {
		if verdicts[i] != judgedShow {
			continue
		}
		w.ring[(w.first+w.showings)%ringSize] = shownOnce{*asked, &asked.list.candidates[i], bytes.Clone(w.decided.token)}
		if w.showings++; w.showings > ringSize { // the oldest is written over
			w.first, w.showings = (w.first+1)%ringSize, ringSize
		}
		if !all {
			return
		}
	}
}

// event reports something of a showing: an impression of the oldest, which is then done
// with, anything else of any.
func (w *loadWorker) event(p *phase, x *exchange) {
	i := w.first
	if x.kind == loadImpression {
		w.first, w.showings = (w.first+1)%ringSize, w.showings-1
	} else {
		i = (w.first + w.random.IntN(w.showings)) % ringSize
	}
	shown := w.ring[i]
	w.appendEvent(x.kind, &shown)
	o := w.loader.oracle
	var counted *showing
	if o != nil && x.kind == loadImpression {
		counted = o.report(shown.asked.user, shown.candidate)
	}
	a, ok := w.exchange(p, x, w.loader.eventHead)
	accepted := ok && a.status == http.StatusAccepted && bytes.Contains(a.body, []byte(`"accepted":1`))
	switch {
	case !ok || accepted:
	case a.status == http.StatusAccepted || a.status == http.StatusBadRequest:
		x.failure = failureRejected
	default:
		x.failure = failureOfStatus(a.status)
	}
	if counted != nil {
		o.reported(shown.asked.user, counted, accepted, x.failure == failureRejected)
	}
}

// appendEvent writes the body of an event.
func (w *loadWorker) appendEvent(kind loadKind, shown *shownOnce) {
	w.events++
	c := shown.candidate
	b := append(append(append(w.body[:0], `{"type":"`...), loadKindNames[kind]...), `",`...)
	if len(shown.token) > 0 && kind != loadPurchase {
		b = append(append(append(b, `"token":"`...), shown.token...), '"')
	} else {
		b = append(append(b, `"id":"`...), w.loader.nonce...)
		b = strconv.AppendInt(append(b, '-'), int64(w.number), 36)
		b = strconv.AppendInt(append(b, '-'), int64(w.events), 36)
		b = w.loader.maker.appendPerson(append(b, `",`...), &shown.asked)
	}
	switch kind {
	case loadPurchase:
		b = appendString(append(b, `,"advertiser":`...), c.campaign.Advertiser)
		for _, f := range [...]struct{ key, value string }{{`,"item":`, c.item}, {`,"category":`, c.category}} {
			if f.value != "" {
				b = appendString(append(b, f.key...), f.value)
			}
		}
	case loadHide:
		b = appendString(append(b, `,"campaign":`...), c.campaign.name)
		b = append(b, `,"why":"repeats"`...)
	default:
		b = append(append(b, ','), c.named...)
	}
	w.body = append(b, '}')
}
