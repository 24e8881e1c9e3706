package suppress

import "fmt"

// shape says what the members of a list are. It stands in the head of a key file
// and of a journal: keys of one shape never match those of the other, so a list
// that is read under another declaration would answer "no" for everybody.
type shape uint32

const (
	shapeUnknown shape = 0 // no members, or changes applied before any declaration
	shapePlain   shape = 1 // identifiers
	shapeItems   shape = 2 // identifier and item
)

func shapeOf(items bool) shape {
	if items {
		return shapeItems
	}
	return shapePlain
}

func (s shape) String() string {
	switch s {
	case shapePlain:
		return "identifiers (items: false)"
	case shapeItems:
		return "identifiers and items (items: true)"
	}
	return "a form that is not known"
}

// empty says that the list has neither a generation nor changes.
func (l *list) empty() bool { return !l.hasBase() && l.changes.len() == 0 }

// misdeclared says that the members are of another shape than is declared. Such
// a list is not trusted until it is replaced, or declared as it was.
func (l *list) misdeclared() bool {
	return l.declared && !l.empty() && l.shape != shapeOf(l.decl.Items)
}

// takes refuses keys of another shape than the members that are there.
func (l *list) takes(of shape) error {
	if l.empty() || l.shape == of {
		return nil
	}
	return fmt.Errorf("%w: the members of list %q are %v, these are %v; replace the whole list first, or declare it as it was",
		ErrImport, l.name, l.shape, of)
}

// adoptLocked gives changes that came before any declaration the declared shape.
func (s *Store) adoptLocked(l *list, of shape) error {
	if l.shape != shapeUnknown || l.hasBase() || l.changes.len() == 0 {
		return nil
	}
	if s.isClosed() {
		return ErrClosed
	}
	if err := s.openJournalLocked(l, of); err != nil {
		return err
	}
	l.shape = of
	return nil
}
