package caps

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// Sixty-four goroutines ask with holds for one person and report what they were given, release it, or report what nobody held. However
// they interleave, no more are shown than the limit; what was never asked for is kept to the limit by asking under the same lock.
func TestConcurrentNeverOver(t *testing.T) {
	keys := benchKeys(6)
	sets := map[string]func(g int) []Key{
		"one key":     func(int) []Key { return keys[:1] },
		"overlapping": func(g int) []Key { return []Key{keys[0], keys[1+g%5], keys[1+(g+1)%5]} },
	}
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			for range 10 {
				neverOver(t, set)
			}
		})
	}
}

func neverOver(t *testing.T, set func(g int) []Key) {
	const limit, goroutines, rounds = 37, 64, 40
	s := New(Options{Memory: 16 << 20, RefusalMemory: 1 << 20, Shards: 4})
	scopes := []Counted{{scopeTag(1, 1), 200}, {scopeTag(2, 1), 200}}
	var shown atomic.Int64
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			var p Person
			for i := range rounds {
				identity := uint32(g*rounds + i + 1)
				s.Lock(&p, set(g), benchNow)
				full := p.Full(scopes[0].Scope, limit, benchNow-3600)
				if !full {
					p.Take(identity, benchNow+60, scopes)
					p.Hold(0)
				}
				p.Unlock()
				switch {
				case full:
				case i%3 == 0:
					s.Release(set(g), identity, 0, benchNow)
				default:
					shown.Add(1)
					s.Expose(set(g), Exposure{Identity: identity, At: benchNow}, nil, scopes, benchNow)
				}
			}
		})
	}
	wg.Wait()
	if got := shown.Load(); got != limit {
		t.Fatalf("%d shown, want %d", got, limit)
	}
	var p Person
	s.Lock(&p, set(0), benchNow)
	defer p.Unlock()
	if u := p.Usage(scopes[0].Scope, limit, Window{Since: benchNow - 3600, Span: 3600}); u.Count != limit || u.Free != benchNow+3601 {
		t.Fatalf("%+v, want %d", u, limit)
	}
}

// Readers, writers, look-ups, sweeps and merges of many users at once, with too little memory.
func TestConcurrentEverything(t *testing.T) {
	keys := benchKeys(2000)
	s := New(Options{Memory: 4 * MinShardMemory, RefusalMemory: 1 << 20, Shards: 4})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			var p Person
			var enc []byte
			for i := range 1500 {
				now := benchNow + Second(i)
				at := (g*613 + i*37) % (len(keys) - 3)
				scope := []Counted{{scopeTag(1, i%40), 3}, {scopeTag(2, i%7), 3}}
				s.Expose(keys[at:at+3], Exposure{Identity: uint32(i*8 + g), At: now}, nil, scope, now)
				s.Lock(&p, keys[at:at+3], now)
				if !p.Full(scope[0].Scope, 1, now) {
					panic(fmt.Sprint("BUG: an exposure is not seen: ", at))
				}
				p.Take(uint32(i*8+g), now+5, scope)
				p.Hold(0)
				p.Unlock()
				switch i % 5 {
				case 0:
					s.Sweep(now, 2)
				case 1:
					s.Lookup(keys[at], now)
				case 2:
					if enc = s.AppendExposures(enc[:0], keys[at], now); len(enc) > 0 {
						if err := s.MergeExposures(enc, now); err != nil {
							panic(err)
						}
					}
				case 3:
					if err := s.Purchase(keys[at:at+1], []uint64{uint64(i)}, now, now); err != nil {
						panic(err)
					}
				case 4:
					s.Stats()
				}
			}
		})
	}
	wg.Wait()
	for i := range s.shards {
		checkTable(t, &s.shards[i].exposures)
		checkTable(t, &s.shards[i].refusals)
	}
	if st := s.Stats(); st.EvictedUsers == 0 || st.Bytes > 4*MinShardMemory {
		t.Fatalf("nothing evicted, or over the budget: %+v", st)
	}
}
