package suppress

import "sync/atomic"

// View is the whole set of lists at one moment. A request loads it once. Bases
// never change in it; live changes appear in it as they are made.
type View struct {
	lists []entry
	names map[string]int
}

// entry is what a reader needs of a list.
type entry struct {
	filter    filter // by value: one pointer less to follow for each list
	changes   *changes
	start     uint64   // changes above this sequence apply over the filter
	leaves    uint32   // when members of the base leave,
	leaving   *leaving // but for these; nil: none
	exact     *keyFile // nil: the filter's answer stands
	doubts    *atomic.Uint64
	changedAt *atomic.Uint64
	uploaded  uint64
	ready     bool
	declared  bool
	damaged   bool
}

// List is the index of a declared list, or -1. An index belongs to its name for
// the life of the Store: it is not used for another list when this one is
// undeclared or deleted, so a compiled policy may keep it across Views.
func (v *View) List(name string) int {
	if i, ok := v.names[name]; ok {
		return i
	}
	return -1
}

// Contains says whether p's key is a member of the list with this index at the
// Unix second now: one that was uploaded or added with an until is, before that
// second (Import.Until). It does not allocate. Without Declaration.Exact it does no I/O and may be wrong
// about a stranger, at the declared rate; with it, a filter hit costs one pread
// of at most 4 KiB, and when that fails the answer is true (see Status.Doubts).
// A list that is undeclared or unknown has no members.
func (v *View) Contains(list int, p *Probe, now uint32) bool {
	if uint(list) >= uint(len(v.lists)) {
		return false
	}
	e := &v.lists[list]
	said := e.changes.get(p, e.start)
	if said.leaves > now {
		return true
	}
	if said.removed || !e.filter.maybe(p) {
		return false
	}
	leaves := e.leaves
	if e.leaving != nil {
		leaves = e.leaving.of(pair{p.x, p.y}, leaves)
	}
	if leaves <= now {
		return false
	}
	if e.exact == nil {
		return true
	}
	in, err := e.exact.contains(&p.key)
	if err != nil {
		e.doubts.Add(1)
		return true
	}
	return in
}

// Prefetch asks the processor to bring nearer what Contains will read of a list for
// p's key, and does not wait for it: worth it where something else is done first.
func (v *View) Prefetch(list int, p *Probe) {
	if uint(list) < uint(len(v.lists)) {
		v.lists[list].filter.prefetch(p)
	}
}

// Trusted says that what Contains answers can be relied on: false when the list is
// not declared, when its files were found damaged, so that its members are not
// all known, and when they are of users and it is declared as one of items, or the
// other way round. A list that never had members is trusted to have none.
func (v *View) Trusted(list int) bool {
	return uint(list) < uint(len(v.lists)) && v.lists[list].declared && !v.lists[list].damaged
}

// Ready says that the list has members to be compared with: false before its
// first upload or change, after Delete, when it is not declared, and when its
// files were found damaged or are not as declared. A decision that asks such a
// list learns nothing.
func (v *View) Ready(list int) bool {
	return uint(list) < uint(len(v.lists)) && v.lists[list].ready
}

// Uploaded is when the list was last replaced, in Unix seconds; 0 means never.
// A list that was never replaced, and lives by changes alone, has the second of
// its last change.
func (v *View) Uploaded(list int) uint32 {
	if uint(list) >= uint(len(v.lists)) {
		return 0
	}
	e := &v.lists[list]
	if e.uploaded == 0 && e.ready {
		return uint32(e.changedAt.Load())
	}
	return uint32(e.uploaded)
}
