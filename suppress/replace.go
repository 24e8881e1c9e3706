package suppress

import (
	"fmt"
	"io"
	"time"
)

// Replace makes the members in r the whole list. It reads r to its end in
// bounded memory; until then, and after any error, the list is as it was. A
// second Replace of one list meanwhile is refused with ErrBusy; changes made
// meanwhile are kept and apply over the upload. A list that was found damaged is
// whole again, and trusted; only with Import.Start are lost changes still missed.
func (s *Store) Replace(name string, r io.Reader, im Import) (Report, error) {
	return s.ReplaceAs(name, r, im, nil)
}

// ReplaceAs is Replace in a cluster: publish gets the generation when it is whole
// and before it is in use, and an error of publish leaves the list as it was. After
// publish has returned nil, an error says that only this node failed to use it. The
// Export is good while publish runs. publish is not called for a dry run; nil is
// Replace.
func (s *Store) ReplaceAs(name string, r io.Reader, im Import, publish func(*Export) error) (Report, error) {
	began := time.Now()
	l, err := s.declaredList(name)
	if err != nil {
		return Report{List: name}, err
	}
	if err := s.tryBuild(l, workUpload); err != nil {
		return Report{List: name}, err
	}
	defer l.endBuild()
	l.mu.Lock()
	decl := l.decl
	m, err := s.numberLocked(l, im)
	l.mu.Unlock()
	if err != nil {
		return Report{List: name}, fmt.Errorf("replace list %q: %w", name, err)
	}
	m.shape = shapeOf(decl.Items)
	run := newSorter(s.o.Disk, s.tmp)
	defer run.close()
	rep, err := s.read(l, decl, Add, r, im, run, l.working.Load())
	if err == nil {
		err = s.replace(l, decl, im, m, run, &rep, publish)
	}
	rep.Seconds = time.Since(began).Seconds()
	l.report(rep)
	if err != nil {
		return rep, outward(fmt.Errorf("replace list %q: %w", name, err))
	}
	return rep, nil
}

// read runs the importer into the sorter and tells w how far it is.
func (s *Store) read(l *list, decl Declaration, op Op, r io.Reader, im Import, run *sorter, w *work) (Report, error) {
	rep := Report{List: l.name, Until: im.Until}
	i := importer{
		list: l.name, decl: decl, im: im, o: &s.o, add: run.add, rep: &rep, removes: op == Remove, done: w,
		scratch: make([]byte, 0, maxIdentifierBytes),
	}
	err := i.run(&countedReader{r, &w.bytes})
	w.rows.Store(rep.Rows)
	w.building.Store(true)
	return rep, err
}

// replace builds a generation of the sorted keys and puts it in place.
func (s *Store) replace(l *list, decl Declaration, im Import, m manifest, run *sorter, rep *Report, publish func(*Export) error) error {
	w, err := s.newBase(l)
	if err != nil {
		return err
	}
	defer w.abandon()
	keys, err := run.sorted()
	if err != nil {
		return err
	}
	w.leaves = leavesAt(im.Until)
	if err := w.addAll(keys); err != nil {
		return err
	}
	rep.Generation, rep.Keys, rep.Duplicates = m.generation, w.keys, run.keys-w.keys
	if lines := rep.Rows + rep.Skipped; w.keys == 0 && lines > 0 && rep.Rejected == 0 && !im.Force {
		return fmt.Errorf("%w: none of its %d lines has an identifier in the columns that were read, which are %s; name those that have with map, or, if the list is meant to be empty, say force",
			ErrColumn, lines, rep.Columns)
	}
	if err := s.checkShrink(l, w.keys, im.Force); err != nil {
		return err
	}
	if im.DryRun {
		blocks, _ := bloomSize(w.keys, decl.Rate)
		rep.FalsePositiveRate, rep.Bytes = 0.9*decl.Rate, int64(blocks*blockBits/8)+int64(len(w.index))*keySize
		if w.keys == 0 || decl.Exact {
			rep.FalsePositiveRate = 0
		}
		return nil
	}
	var prev *keyFile
	if im.Generation != 0 {
		prev, err = s.before(l, m.shape)
	} else if m.generation, err = s.keepChanges(l, m); err == nil && l.hasBase() {
		prev, err = s.before(l, m.shape)
	}
	if err != nil {
		return err
	}
	rep.Generation = m.generation
	k, err := s.finishBase(l, w, m)
	if err != nil {
		return err
	}
	f, err := filterOf(k, decl)
	if err == nil && publish != nil {
		err = s.publishBase(l.name, k, decl, publish)
	}
	if err == nil {
		n := nextBase{cur: k, prev: prev, filter: f, decl: decl, order: m.generation}
		// Changes after an earlier Start would apply over the upload, and may be
		// among the lost ones.
		n.lost.Changes = l.lost.Changes && im.Start != 0
		err = s.commit(l, n)
	}
	if err != nil {
		l.discard(err, k)
		if prev != nil {
			l.discard(err, prev)
		}
		return err
	}
	rep.Bytes = f.bytes + int64(len(k.index))*keySize
	if !decl.Exact {
		rep.FalsePositiveRate = f.rate
	}
	return nil
}

// publishBase gives a generation that is not in use yet to publish.
func (s *Store) publishBase(name string, k *keyFile, decl Declaration, publish func(*Export) error) error {
	e, err := exportOf(name, k, k.generation, decl, s.vault)
	if err != nil {
		return err
	}
	return publish(e)
}

// keepChanges gives a list that has lived by changes alone a generation with
// them, to roll back to, unless some of them were lost or are of another shape,
// and says which number is next.
func (s *Store) keepChanges(l *list, m manifest) (uint64, error) {
	whole := !l.lost.any() && l.shape == m.shape
	if whole && !l.hasBase() && len(*l.changes.sorted(l.floor(), m.start)) > 0 {
		if err := s.fold(l, m.start, m.shape, nil, standing{}); err != nil {
			return 0, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next, nil
}

func (s *Store) checkShrink(l *list, keys uint64, force bool) error {
	l.mu.Lock()
	members := s.countedLocked(l)
	l.mu.Unlock()
	if force || float64(keys) >= float64(members)*(1-s.o.MaxShrink) {
		return nil
	}
	return fmt.Errorf("%w: from %d members to %d, a loss of more than the share of %g that is allowed; if that is meant, say force",
		ErrShrink, members, keys, s.o.MaxShrink)
}

func (l *list) report(rep Report) {
	l.mu.Lock()
	l.last = rep
	l.mu.Unlock()
}

// Change adds the members in r to the list, or removes them, all at once when r
// has been read to its end, or none. The change outlives a power cut when Change
// returns. Few keys join the changes in memory; more than Options.MaxChanges are
// folded into the generations from the key file, for which no other upload or
// compaction may be under way (ErrBusy). Import.Start and Force have no meaning.
func (s *Store) Change(name string, op Op, r io.Reader, im Import) (Report, error) {
	began := time.Now()
	l, err := s.declaredList(name)
	if err != nil {
		return Report{List: name}, err
	}
	if op != Add && op != Remove {
		return Report{List: name}, fmt.Errorf("change list %q: %w: op %d is neither Add nor Remove", name, ErrImport, op)
	}
	decl := l.declaration()
	run := newSorter(s.o.Disk, s.tmp)
	defer run.close()
	work, end := s.beginChange(l)
	defer end()
	rep, err := s.read(l, decl, op, r, im, run, work)
	if err == nil {
		err = s.change(l, decl, op, im, run, &rep)
	}
	rep.Seconds = time.Since(began).Seconds()
	l.report(rep)
	if err != nil {
		return rep, outward(fmt.Errorf("change list %q: %w", name, err))
	}
	return rep, nil
}

func (s *Store) change(l *list, decl Declaration, op Op, im Import, run *sorter, rep *Report) error {
	sorted, err := run.sorted()
	if err != nil {
		return err
	}
	// As many as fit in memory; the stream is read again when they do not.
	keys, whole, err := firstKeys(sorted, s.o.MaxChanges)
	if err != nil {
		return err
	}
	if whole {
		rep.Keys = uint64(len(keys))
		rep.Duplicates = run.keys - rep.Keys
	}
	if im.DryRun {
		return s.countChange(l, run, rep)
	}
	if whole {
		done, err := s.changeInMemory(l, decl, newChange(0, op, im.Until), keys)
		if done || err != nil {
			l.describe(rep)
			return err
		}
	}
	if err := s.tryBuild(l, workChange); err != nil {
		return err
	}
	defer l.endBuild()
	l.mu.Lock()
	seq := s.seq.Add(1)
	l.mu.Unlock()
	if err := s.countChange(l, run, rep); err != nil {
		return err
	}
	said, _ := standingOf(newChange(seq, op, im.Until), nil, 0, seq)
	err = s.fold(l, seq, shapeOf(decl.Items), run, said)
	l.describe(rep)
	return err
}

// changeInMemory reports false when the changes have no room for the keys.
func (s *Store) changeInMemory(l *list, decl Declaration, c change, keys []Key) (bool, error) {
	if len(keys) == 0 {
		return true, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changes.len()+len(keys) > s.o.MaxChanges {
		return false, nil
	}
	c.seq = s.seq.Add(1)
	return true, s.applyLocked(l, c, shapeOf(decl.Items), keys, true)
}

func firstKeys(sorted keyStream, most int) (keys []Key, whole bool, err error) {
	for {
		p, ok, err := sorted.next()
		if err != nil || !ok {
			return keys, err == nil, err
		}
		if len(keys) == most {
			return nil, false, nil
		}
		keys = append(keys, p.key())
	}
}

// countChange counts the different keys of the upload.
func (s *Store) countChange(l *list, run *sorter, rep *Report) error {
	sorted, err := run.sorted()
	if err != nil {
		return err
	}
	rep.Keys = 0
	for {
		_, ok, err := sorted.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		rep.Keys++
	}
	rep.Duplicates = run.keys - rep.Keys
	l.describe(rep)
	return nil
}

// describe fills in what a report says of the list itself.
func (l *list) describe(rep *Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cur != nil {
		rep.Generation = l.cur.generation
		rep.Bytes = int64(len(l.cur.index)) * keySize
	}
	if l.filter != nil {
		rep.Bytes += l.filter.bytes
		if !l.decl.Exact {
			rep.FalsePositiveRate = l.filter.rate
		}
	}
}
