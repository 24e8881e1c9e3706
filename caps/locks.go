package caps

import "slices"

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
		s.shards[i].mu.Unlock()
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
