package caps

import (
	"runtime/debug"
	"slices"
)

// unlock lets go of the shard. It is deferred, or called where nothing between can panic, so that a panic leaves no shard locked: that would
// stop everybody in it, one after the other.
//
// A panic while a record is joined or read costs the call: what was joined is scratch, and the tables are as they were. One while a
// table is being written leaves a record, the log or the index half written, of which nobody can say what it would show: too much, or a
// panic of everybody who comes by. Then the process ends instead: what was acknowledged is in the outbox, and a start restores it.
func (sh *shard) unlock() {
	if sh.writing {
		end()
	}
	sh.mu.Unlock()
}

// end ends the process by a panic that nobody can recover, with the stack of the one that led here. The shard stays locked until then.
func end() {
	stack := debug.Stack()
	go func() {
		panic("BUG: a panic left a record half written; the process ends, and restores what was acknowledged when it starts again. It was in\n" + string(stack))
	}()
	select {}
}

// locks are the keys of one person and the shards they are in.
type locks struct {
	keys    [MaxKeys]keyWords
	hashes  [MaxKeys]uint64
	nkeys   int
	shards  [MaxKeys]uint32 // ascending, each once
	nshards int
}

// lock locks the shards of the keys in ascending order.
func (l *locks) lock(s *Store, keys []Key) {
	if len(keys) > MaxKeys {
		panic("BUG: more keys than caps.MaxKeys")
	}
	l.nkeys, l.nshards = 0, 0
	for i := range keys {
		l.add(s, wordsOf(&keys[i]))
	}
	for _, i := range l.shards[:l.nshards] {
		s.shards[i].mu.Lock()
	}
}

func (l *locks) unlock(s *Store) {
	for _, i := range l.shards[:l.nshards] {
		s.shards[i].unlock()
	}
	l.nkeys, l.nshards = 0, 0
}

func (l *locks) add(s *Store, key keyWords) {
	if slices.Contains(l.keys[:l.nkeys], key) {
		return
	}
	hash := hashOf(&key)
	l.keys[l.nkeys], l.hashes[l.nkeys] = key, hash
	l.nkeys++
	shard := uint32(hash >> s.shift)
	at := l.nshards
	for at > 0 && l.shards[at-1] > shard {
		at--
	}
	if at > 0 && l.shards[at-1] == shard {
		return
	}
	copy(l.shards[at+1:l.nshards+1], l.shards[at:l.nshards])
	l.shards[at] = shard
	l.nshards++
}
