package main

import (
	"bufio"
	"bytes"
	le "encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"
)

// peer is somebody who may publish what nodes read, over NATS's own protocol.
type peer struct {
	net.Conn
	r *bufio.Reader
}

// joinNATS connects to a server.
func joinNATS(url string) (*peer, error) {
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "nats://"), wireTime)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(wireTime))
	p := &peer{c, bufio.NewReader(c)}
	_, err = io.WriteString(c, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n")
	return p, err
}

func (p *peer) publish(subject string, payload []byte) {
	_, _ = fmt.Fprintf(p, "PUB %s %d\r\n%s\r\n", subject, len(payload), payload)
}

// overhear returns the next message on a subject, which do brings about.
func (p *peer) overhear(subject string, do func()) (on string, payload []byte, err error) {
	if _, err := fmt.Fprintf(p, "SUB %s 1\r\nPING\r\n", subject); err != nil {
		return "", nil, err
	}
	for pongs := 0; ; {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return "", nil, err
		}
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == "PING":
			_, _ = io.WriteString(p, "PONG\r\n")
		case fields[0] == "PONG":
			if pongs++; pongs == 2 { // the subscription is in force
				do()
			}
		case fields[0] == "MSG", fields[0] == "HMSG":
			head := 0
			if fields[0] == "HMSG" {
				head, _ = strconv.Atoi(fields[len(fields)-2])
			}
			n, _ := strconv.Atoi(fields[len(fields)-1])
			payload := make([]byte, n+2)
			_, err := io.ReadFull(p.r, payload)
			return fields[1], payload[head:n], err
		}
	}
}

// batchOf overhears what the node sends of an event, and where.
func (a *attempt) batchOf(url string) (p *peer, subject string, batch []byte) {
	p, err := joinNATS(url)
	if err == nil {
		subject, batch, err = p.overhear("restraint.events.>", func() {
			a.node.ask(a.t, "POST", "/v1/events", "bid", "", []byte(`{"type":"impression","user":{"id":"n-1"},"campaign":"shoes"}`))
		})
	}
	if err != nil || !bytes.HasPrefix(batch, []byte("rsbt")) {
		a.t.Fatalf("no batch was overheard: %q, %v", batch, err)
	}
	return p, subject, batch
}

// summed corrects the checksum of a batch, as edge/replica describes it.
func summed(batch []byte) []byte {
	table := crc32.MakeTable(crc32.Castagnoli)
	le.LittleEndian.PutUint32(batch[24:], crc32.Update(crc32.Checksum(batch[:24], table), table, batch[28:]))
	return batch
}

// changed is a copy of a batch with bytes put in at a place, and its checksum right again.
func changed(batch []byte, at int, put ...byte) []byte {
	c := bytes.Clone(batch)
	copy(c[at:], put)
	return summed(c)
}

// grew waits until a metric has grown, or the time of a connection is over.
func (a *attempt) grew(name string, from int) bool {
	for tick, deadline := time.NewTicker(20*time.Millisecond), time.Now().Add(wireTime); a.node.metric(a.t, name) <= from; <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// natsAttacks are by somebody who may publish on the subjects of the nodes.
func natsAttacks(url string) []*attack {
	return []*attack{
		{name: "NATS: noise, wrong lengths and records, half batches", conns: 1, run: func(a *attempt) { natsNoise(a, url) }},
		{
			name: "NATS: batches of another secret", conns: 1,
			run: func(a *attempt) {
				p, subject, batch := a.batchOf(url)
				defer p.Close()
				before := a.node.metric(a.t, "restraint_replica_foreign_batches_total")
				for a.on() {
					p.publish(subject, changed(batch, 8, 1, 2, 3, 4, 5, 6, 7, 8))
					a.requests.Add(1)
				}
				if !a.grew("restraint_replica_foreign_batches_total", before) {
					a.wrong("a batch of another secret is not counted")
				}
			},
		},
		{
			name: "NATS: a batch of a later version", conns: 1,
			run: func(a *attempt) {
				p, subject, batch := a.batchOf(url)
				defer p.Close()
				p.publish(subject, changed(batch, 4, 9))
				a.requests.Add(1)
				// It is not passed over: what follows it may depend on it.
				for deadline := time.Now().Add(wireTime); ; {
					if status, said := a.node.ask(a.t, "GET", "/readyz", "ops", "", nil); status == 503 && strings.Contains(said, "update this node") {
						break
					}
					if time.Now().After(deadline) {
						a.wrong("the node does not say that it is to be updated")
						break
					}
				}
				time.Sleep(time.Until(a.until))
			},
		},
	}
}

// natsNoise publishes what is no batch on every subject that nodes read.
func natsNoise(a *attempt, url string) {
	p, subject, batch := a.batchOf(url)
	defer p.Close()
	before := a.node.metric(a.t, "restraint_replica_unusable_total")
	random := rand.New(rand.NewPCG(3, 3))
	noise := make([]byte, 3000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	payloads := [][]byte{
		nil, []byte("x"), noise, []byte("{}"), []byte("rsbt"), bytes.Repeat([]byte{0xff}, 512<<10), batch[:len(batch)/2], batch[:27], append(bytes.Clone(batch), noise...), append(bytes.Clone(batch), batch[:30]...),
		changed(batch, 0, 'x'), changed(batch, 20, 0xff, 0xff, 0xff, 0x7f), changed(batch, 20, 0, 0, 0, 0), changed(batch, 6, 0xff, 0xff), changed(batch, 16, 0xff, 0xff, 0xff, 0xff), changed(batch, 5, 77),
		changed(batch, len(batch)-4, 0, 0, 0, 0), changed(batch, 28, 255, 255, 255, 255, 255),
	}
	for at := 28; at < len(batch); at++ { // each byte of the directory and the records
		payloads = append(payloads, changed(batch, at, batch[at]^0xff))
	}
	subjects := []string{subject, "restraint.refusals.0", "restraint.refusals.lists", "restraint.holds", "restraint.erased", "restraint.events.nobody", "$KV.restraint.policy", "$KV.restraint-members.x", "$O.restraint-snapshots.M.x"}
	for k := 0; k < len(payloads)*len(subjects) || a.on(); k++ {
		p.publish(subjects[k%len(subjects)], payloads[k/len(subjects)%len(payloads)])
		a.requests.Add(1)
	}
	if !a.grew("restraint_replica_unusable_total", before) {
		a.wrong("what is no batch is not counted")
	}
	// What comes after it is read.
	applied := a.node.metric(a.t, "restraint_replica_records_applied_total")
	p.publish(subject, batch)
	if !a.grew("restraint_replica_records_applied_total", applied) {
		a.wrong("the node reads nothing any more")
	}
}
