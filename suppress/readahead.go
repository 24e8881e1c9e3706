package suppress

import "io"

// pieces gives an upload piece by piece. A piece is good until the next call; it
// is the caller's to overwrite. After an error, which is io.EOF at the end, each
// call gives it again.
type pieces interface {
	next() ([]byte, error)
	close()
}

// straight reads in the goroutine of its caller.
type straight struct {
	r   io.Reader
	buf []byte
	err error
}

func (s *straight) next() ([]byte, error) {
	if s.buf == nil {
		s.buf = make([]byte, aheadBytes)
	}
	for s.err == nil {
		n, err := s.r.Read(s.buf)
		if s.err = err; n > 0 {
			return s.buf[:n], nil
		}
	}
	return nil, s.err
}

func (s *straight) close() {}

// readAhead reads in a goroutine of its own, so that an upload is decompressed
// on one core while its rows are read on another. At most aheadBlocks are
// filled in advance.
type readAhead struct {
	full  chan block
	empty chan []byte
	stop  chan struct{}
	done  chan struct{}

	now block
}

// block is what one round of fill gave.
type block struct {
	b   []byte
	err error
}

const (
	aheadBlocks = 8
	aheadBytes  = 256 << 10
)

func newReadAhead(r io.Reader) *readAhead {
	a := &readAhead{
		full:  make(chan block, aheadBlocks),
		empty: make(chan []byte, aheadBlocks),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	for range aheadBlocks {
		a.empty <- nil // made when it is needed: a small upload takes one
	}
	go a.fill(r)
	return a
}

func (a *readAhead) fill(r io.Reader) {
	defer close(a.done)
	for {
		var buf []byte
		select {
		case buf = <-a.empty:
		case <-a.stop:
			return
		}
		if buf == nil {
			buf = make([]byte, aheadBytes)
		}
		n, err := fillBlock(r, buf[:aheadBytes], a.stop)
		a.full <- block{buf[:n], err} // never blocks: there are no more blocks than places
		if err != nil {
			return
		}
	}
}

// fillBlock reads until the block is full; a decompressor gives small pieces.
func fillBlock(r io.Reader, buf []byte, stop chan struct{}) (n int, err error) {
	for n < len(buf) && err == nil {
		select {
		case <-stop:
			return n, io.ErrClosedPipe
		default:
		}
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

func (a *readAhead) next() ([]byte, error) {
	for {
		if a.now.err != nil {
			return nil, a.now.err
		}
		if a.now.b != nil {
			a.empty <- a.now.b
		}
		if a.now = <-a.full; len(a.now.b) > 0 {
			return a.now.b, nil
		}
	}
}

// close ends the goroutine and waits for it: at the latest when the Read that
// it is in returns.
func (a *readAhead) close() {
	close(a.stop)
	<-a.done
}
