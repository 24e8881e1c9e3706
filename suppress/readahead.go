package suppress

import "io"

// readAhead reads in a goroutine of its own, so that an upload is decompressed
// on one core while its rows are read on another. At most aheadBlocks are
// filled in advance.
type readAhead struct {
	full  chan block
	empty chan []byte
	stop  chan struct{}
	done  chan struct{}

	now block
	at  int
}

// block is what one Read gave.
type block struct {
	b   []byte
	err error
}

const (
	aheadBlocks = 4
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
		a.empty <- make([]byte, aheadBytes)
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

func (a *readAhead) Read(p []byte) (int, error) {
	for a.at == len(a.now.b) {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.b != nil {
			a.empty <- a.now.b
		}
		a.now, a.at = <-a.full, 0
	}
	n := copy(p, a.now.b[a.at:])
	a.at += n
	return n, nil
}

// close ends the goroutine and waits for it: at the latest when the Read that
// it is in returns.
func (a *readAhead) close() {
	close(a.stop)
	<-a.done
}
