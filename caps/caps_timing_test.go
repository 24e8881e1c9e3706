package caps

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

const benchNow = Second(1_700_000_000)

// benchKeys returns n random keys, the same each time.
func benchKeys(n int) []Key {
	r := rand.New(rand.NewPCG(1, 2))
	keys := make([]Key, n)
	for i := range keys {
		keys[i] = randomKey(r)
	}
	return keys
}

// benchStore gives every user so many counters of one exposure each. In step, all users get their first counter, then all their second, ...
func benchStore(keys []Key, counters int, inStep bool) *Store {
	s := New(Options{Memory: int64(len(keys))*int64(counters)*32 + 64<<20, RefusalMemory: 16 << 20})
	expose := func(user, counter int) {
		// 1,000 scopes; of each user some twenty
		scope := scopeTag(9, (user*7+counter*50)%1000)
		e := Exposure{Identity: uint32(user*31 + counter), At: benchNow - Second(counter*1000)}
		s.Expose(keys[user:user+1], e, nil, []Counted{{scope, 10}}, benchNow)
	}
	if inStep {
		for counter := range counters {
			for user := range keys {
				expose(user, counter)
			}
		}
		return s
	}
	for user := range keys {
		for counter := range counters {
			expose(user, counter)
		}
	}
	return s
}

// The mark: at most 24 bytes a counter, all in, by the runtime's own accounting.
func BenchmarkMemoryPerCounter(b *testing.B) {
	const counters = 20
	for _, users := range []int{1e5, 1e6} {
		for _, shape := range []string{"one-by-one", "in-step"} {
			b.Run(fmt.Sprintf("users=%.0e/%s", float64(users), shape), func(b *testing.B) {
				keys := benchKeys(users)
				for b.Loop() {
					before := heapBytes()
					s := benchStore(keys, counters, shape == "in-step")
					after := heapBytes()
					stats := s.Stats()
					if stats.Counters != users*counters {
						b.Fatalf("%d counters, want %d", stats.Counters, users*counters)
					}
					b.ReportMetric(float64(after-before)/float64(users*counters), "bytes/counter")
					b.ReportMetric(float64(stats.Bytes+stats.Pooled)/float64(users*counters), "own-bytes/counter")
					runtime.KeepAlive(s)
				}
			})
		}
	}
}

func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// benchScopes are 50 candidates' three scopes, about half of which the user has seen.
func benchScopes(user int) []uint64 {
	scopes := make([]uint64, 150)
	for i := range scopes {
		scopes[i] = scopeTag(9, (user*7+i*25)%1000)
	}
	return scopes
}

// Fifty candidates with three caps each, over warm and over random users.
func BenchmarkFull(b *testing.B) {
	const users = 1e5
	keys := benchKeys(users)
	s := benchStore(keys, 20, false)
	scopes := make([][]uint64, 1024)
	for i := range scopes {
		scopes[i] = benchScopes(i)
	}
	for _, n := range []int{1, 3} {
		for _, warm := range []bool{true, false} {
			b.Run(fmt.Sprintf("users=1e5/keys=%d/scopes=150/warm=%v", n, warm), func(b *testing.B) {
				b.ReportAllocs()
				var p Person
				i := 0
				for b.Loop() {
					user := 0
					if !warm {
						i = (i + 7919) % (users - 3)
						user = i
					}
					s.Lock(&p, keys[user:user+n], benchNow)
					for _, scope := range scopes[user%1024] {
						p.Full(scope, 3, benchNow-86400)
					}
					p.Unlock()
				}
			})
		}
	}
}

// Looking one user up and nothing else.
func BenchmarkLock(b *testing.B) {
	const users = 1e5
	keys := benchKeys(users)
	s := benchStore(keys, 20, false)
	for _, warm := range []bool{true, false} {
		b.Run(fmt.Sprintf("users=1e5/warm=%v", warm), func(b *testing.B) {
			b.ReportAllocs()
			var p Person
			i := 0
			for b.Loop() {
				if !warm {
					i = (i + 7919) % users
				}
				s.Lock(&p, keys[i:i+1], benchNow)
				p.Unlock()
			}
		})
	}
}

// One showing to a user with 20 counters: of a scope seen before (the record's size stays), and of five scopes each time.
func BenchmarkExpose(b *testing.B) {
	const users = 1e5
	keys := benchKeys(users)
	for _, scopes := range []int{1, 5} {
		b.Run(fmt.Sprintf("users=1e5/scopes=%d", scopes), func(b *testing.B) {
			s := benchStore(keys, 20, false)
			counted := make([]Counted, scopes)
			b.ReportAllocs()
			i := uint32(0)
			for b.Loop() {
				i++
				user := int(i*7919) % users
				for k := range counted {
					counted[k] = Counted{scopeTag(9, (user*7+k*50)%1000), 4}
				}
				s.Expose(keys[user:user+1], Exposure{Identity: i, At: benchNow}, nil, counted, benchNow)
			}
		})
	}
}

// Asking with a hold: two places taken under five scopes each, then given back.
func BenchmarkHold(b *testing.B) {
	keys := benchKeys(1000)
	s := benchStore(keys, 20, false)
	counted := make([]Counted, 5)
	for k := range counted {
		counted[k] = Counted{scopeTag(9, k*50), 4}
	}
	b.ReportAllocs()
	var p Person
	now, i := benchNow, uint32(0)
	for b.Loop() {
		i += 2
		if i%512 == 0 {
			now += 60
		}
		key := keys[i/2%1000 : i/2%1000+1]
		s.Lock(&p, key, now)
		p.Take(i, now+60, counted)
		p.Take(i+1, now+60, counted)
		p.Hold()
		p.Unlock()
	}
}
