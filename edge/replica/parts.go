package replica

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A file in the object store is objects that never change: part i of file NAME is object NAME.i. One that is deleted or put anew while it
// is read makes its reader wait for the end of its time, so no name is used twice.
const (
	// partBytes is the size of a part. Chosen: so that a slow reader ends within partWithin.
	partBytes  = 32 << 20
	partWithin = time.Minute
	// partLeast is the time for a part of no size: an answer that a server took with it when it died is waited for that long. Chosen: about
	// what an election takes.
	partLeast = 5 * time.Second
	// chunkBytes is the size of the messages of a part; a server takes less than 1 MiB.
	chunkBytes = 512 << 10
)

// partTime is the time for a part of so many bytes.
func partTime(bytes int64) time.Duration {
	return partLeast + time.Duration(float64(partWithin-partLeast)*float64(bytes)/partBytes)
}

func partName(file string, i int64) string { return fmt.Sprintf("%s.%d", file, i) }

// putParts puts size bytes of r.
func putParts(ctx context.Context, objects jetstream.ObjectStore, file string, r io.Reader, size int64) error {
	for i := range (size + partBytes - 1) / partBytes {
		part := &io.LimitedReader{R: r, N: min(partBytes, size-i*partBytes)}
		if err := putPart(ctx, objects, partName(file, i), part); err != nil {
			return err
		}
		if part.N > 0 {
			return fmt.Errorf("put part %d of %s: %w", i, file, io.ErrUnexpectedEOF)
		}
	}
	return nil
}

func putPart(ctx context.Context, objects jetstream.ObjectStore, name string, r *io.LimitedReader) error {
	ctx, cancel := context.WithTimeout(ctx, partTime(r.N))
	defer cancel()
	_, err := objects.Put(ctx, jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: chunkBytes}}, r)
	return err
}

// partsReader reads a file part by part, each within a time of its own. The library checks the sum of each at its end.
type partsReader struct {
	ctx     context.Context
	objects jetstream.ObjectStore
	file    string
	size    int64
	next    int64
	part    io.ReadCloser // nil: none is open
	cancel  context.CancelFunc
}

// getParts reads what putParts put; nothing is asked for before the first Read. It lives within the call that has ctx.
func getParts(ctx context.Context, objects jetstream.ObjectStore, file string, size int64) *partsReader {
	return &partsReader{ctx: ctx, objects: objects, file: file, size: size}
}

// Read implements io.Reader.
func (p *partsReader) Read(b []byte) (int, error) {
	for {
		if p.part == nil {
			if p.next*partBytes >= p.size {
				return 0, io.EOF
			}
			if err := p.open(); err != nil {
				return 0, err
			}
		}
		n, err := p.part.Read(b)
		if err == io.EOF {
			err = nil
			p.Close()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (p *partsReader) open() error {
	ctx, cancel := context.WithTimeout(p.ctx, partTime(min(partBytes, p.size-p.next*partBytes)))
	part, err := p.objects.Get(ctx, partName(p.file, p.next))
	if err != nil {
		cancel()
		return fmt.Errorf("get part %d of %s: %w", p.next, p.file, err)
	}
	p.part, p.cancel = part, cancel
	p.next++
	return nil
}

// Close ends the part that is open. It may be called again.
func (p *partsReader) Close() error {
	if p.part == nil {
		return nil
	}
	err := p.part.Close()
	p.cancel()
	p.part = nil
	return err
}
