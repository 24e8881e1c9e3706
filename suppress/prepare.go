package suppress

import (
	"fmt"
	"io"
	"iter"
	"time"
)

// Prepared is an import that was read and validated whole and has changed
// nothing yet: what a cluster's stream of changes is to carry, in as many
// messages as it takes. It is for one goroutine at a time.
type Prepared struct {
	store *Store
	c     Change
	run   *sorter
	empty bool
}

// Prepare reads an import to its end, as Change does and with the same report,
// and applies nothing. The caller publishes each of Messages and applies it, on
// this node too, with the sequence that it was given. The report is good whatever
// the error is; of a dry run Messages gives none. Close the Prepared.
func (s *Store) Prepare(name string, op Op, r io.Reader, im Import) (*Prepared, Report, error) {
	began := time.Now()
	l, err := s.declaredList(name)
	if err != nil {
		return nil, Report{List: name}, err
	}
	if op != Add && op != Remove {
		return nil, Report{List: name}, fmt.Errorf("prepare change of list %q: %w: op %d is neither Add nor Remove", name, ErrImport, op)
	}
	decl := l.declaration()
	p := &Prepared{
		store: s, run: newSorter(s.o.Disk, s.tmp), empty: im.DryRun,
		c: Change{List: name, Fingerprint: s.o.Fingerprint, Op: op, Items: decl.Items, Until: im.Until},
	}
	work, end := s.beginChange(l)
	defer end()
	rep, err := s.read(l, decl, op, r, im, p.run, work)
	if err == nil {
		l.mu.Lock()
		err = l.takes(shapeOf(decl.Items))
		l.mu.Unlock()
	}
	if err == nil {
		err = s.countChange(l, p.run, &rep)
	}
	rep.Seconds = time.Since(began).Seconds()
	l.report(rep)
	if err != nil {
		p.Close()
		return nil, rep, outward(fmt.Errorf("prepare change of list %q: %w", name, err))
	}
	return p, rep, nil
}

// Messages gives the keys, each once, as Changes in binary form of at most
// MaxChangeBytes. A message is good until the next one. After an error, of the
// disk, there are no more. It may be called again, and gives the same messages:
// a caller that failed in the middle may publish them all anew.
func (p *Prepared) Messages() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if p.empty {
			return
		}
		sorted, err := p.run.sorted()
		var message []byte
		for err == nil {
			c := p.c
			if c.Keys, err = nextKeys(sorted, p.c.Keys[:0], MaxChangeKeys); err != nil || len(c.Keys) == 0 {
				break
			}
			p.c.Keys = c.Keys
			if message, err = p.store.AppendChange(message[:0], &c); err != nil || !yield(message, nil) {
				break
			}
		}
		if err != nil {
			yield(nil, outward(fmt.Errorf("read prepared change of list %q: %w", p.c.List, err)))
		}
	}
}

func nextKeys(sorted keyStream, keys []Key, most int) ([]Key, error) {
	for len(keys) < most {
		p, ok, err := sorted.next()
		if err != nil || !ok {
			return keys, err
		}
		keys = append(keys, p.key())
	}
	return keys, nil
}

// Close gives the disk space back. It may be called again.
func (p *Prepared) Close() {
	p.run.close()
	p.empty = true
}
