package replica

import (
	"fmt"

	"restraint/caps"
)

// A message is batches with nothing between them, all of one content: of events for the stream of events, of refusals for the other.
// A batch of the outbox that is of several contents, or too large for a message, is cut into several, its changes in their order.
const (
	// messageBytes is where a message is full. Chosen: a few milliseconds of a busy node.
	messageBytes = 64 << 10
	// maxMessage is the size of the largest; a server takes 1 MiB unless told otherwise.
	maxMessage = 512 << 10
)

// message is one to be sent.
type message struct {
	payload []byte
	through Position // what the outbox has of this content up to here is in this message and those before it
}

// cutter makes messages of one content of what the tail reads.
type cutter struct {
	tail    *tail
	codec   *Codec
	content byte
	most    func() int // the largest message that the server takes
	changes []caps.Change
	batch   Batch
	queue   []message
}

// next returns the next message; false where there is none yet. Its payload is the caller's.
func (c *cutter) next() (m message, ok bool, err error) {
	for len(c.queue) == 0 {
		if more, err := c.fill(); err != nil || !more {
			return m, false, err
		}
	}
	m, c.queue = c.queue[0], c.queue[1:]
	return m, true, nil
}

// back makes the position that of the next message.
func (c *cutter) back(to Position) {
	c.queue = c.queue[:0]
	c.tail.at = to
}

// fill reads about one message's bytes of the outbox into the queue; false where there are none.
func (c *cutter) fill() (bool, error) {
	from := c.tail.at
	batches, err := c.tail.next(messageBytes)
	if err != nil || len(batches) == 0 {
		return false, err
	}
	c.queue = c.queue[:0]
	most := min(maxMessage, c.most())
	for len(batches) > 0 {
		n, _ := batchLength(batches)
		switch last := len(c.queue) - 1; {
		case batches[5] == batchMixed || n > most:
			if err := c.cut(batches[:n], most); err != nil {
				return false, err
			}
		case batches[5] != c.content:
		case last >= 0 && len(c.queue[last].payload)+n <= most:
			c.queue[last].payload = append(c.queue[last].payload, batches[:n]...)
		default:
			c.queue = append(c.queue, message{payload: append(make([]byte, 0, len(batches)), batches[:n]...)})
		}
		batches = batches[n:]
	}
	for i := range c.queue {
		c.queue[i].through = from
	}
	if len(c.queue) > 0 {
		c.queue[len(c.queue)-1].through = c.tail.at
	}
	return true, nil
}

// cut puts what a batch has of the content into the queue, as messages of at most so many bytes.
func (c *cutter) cut(enc []byte, most int) error {
	c.batch.codec = c.codec
	if _, err := c.batch.ParseNext(enc); err != nil {
		return fmt.Errorf("cut batch of outbox: %w", err)
	}
	c.changes = c.changes[:0]
	for n := 0; ; n++ {
		if n == cap(c.changes) {
			c.changes = append(c.changes, caps.Change{})
		}
		c.changes = c.changes[:n+1]
		if !c.batch.Next(&c.changes[n]) {
			c.changes = c.changes[:n]
			break
		}
	}
	var part []caps.Change
	size := 0
	flush := func() error {
		if len(part) == 0 {
			return nil
		}
		payload, err := c.codec.AppendBatch(nil, part)
		if err != nil {
			return fmt.Errorf("cut batch of outbox: %w", err)
		}
		c.queue = append(c.queue, message{payload: payload})
		part, size = part[:0], 0
		return nil
	}
	for i := range c.changes {
		change := &c.changes[i]
		if isRefusal(change.Kind) != (c.content == batchRefusals) {
			continue
		}
		n := recordSize(change)
		if size+n > most-batchHead-batchSeal-partitions*batchEntry {
			if err := flush(); err != nil {
				return err
			}
		}
		part, size = append(part, *change), size+n
	}
	return flush()
}
