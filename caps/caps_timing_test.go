package caps

import (
	"flag"
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

// benchStore gives every user so many counters of one exposure each, one user after the other.
func benchStore(keys []Key, counters int) *Store { return benchGrown(keys, counters, "at-once") }

// benchGrown grows users in one of three shapes: all counters of a user by one event, one by one, or all users in step: each its first
// counter, then each its second.
func benchGrown(keys []Key, counters int, shape string) *Store {
	s := New(Options{Memory: int64(len(keys))*int64(counters)*32 + 64<<20, RefusalMemory: 16 << 20})
	all := make([]Counted, counters)
	expose := func(user, from, to int) {
		for i := from; i < to; i++ { // of 1,000 scopes each user has some twenty
			all[i] = Counted{scopeTag(9, (user*7+i*50)%1000), 10}
		}
		e := Exposure{Identity: uint32(user*31 + from), At: benchNow - Second(from*1000)}
		s.Expose(keys[user:user+1], e, nil, all[from:to], benchNow)
	}
	switch shape {
	case "at-once":
		for user := range keys {
			expose(user, 0, counters)
		}
	case "one-by-one":
		for user := range keys {
			for i := range counters {
				expose(user, i, i+1)
			}
		}
	case "in-step":
		for i := range counters {
			for user := range keys {
				expose(user, i, i+1)
			}
		}
	}
	return s
}

var largeFlag = flag.Bool("large", false, "benchmarks with a million users also where that takes long")

// The mark: at most 24 bytes a counter, all in, by the runtime's own accounting, however the users grow.
func BenchmarkMemoryPerCounter(b *testing.B) {
	const counters = 20
	for _, shape := range []string{"at-once", "one-by-one", "in-step"} {
		users := int(1e6)
		if shape != "at-once" && !*largeFlag {
			users = 1e5
		}
		b.Run(fmt.Sprintf("users=%.0e/%s", float64(users), shape), func(b *testing.B) {
			keys := benchKeys(users)
			for b.Loop() {
				before := heapBytes()
				s := benchGrown(keys, counters, shape)
				after := heapBytes()
				stats := s.Stats()
				if stats.Counters != users*counters || stats.EvictedUsers != 0 {
					b.Fatalf("%d counters, want %d: %+v", stats.Counters, users*counters, stats)
				}
				b.ReportMetric(float64(after-before)/float64(users*counters), "bytes/counter")
				b.ReportMetric(float64(stats.Bytes+stats.RefusalBytes+stats.Pooled)/float64(users*counters), "own-bytes/counter")
				runtime.KeepAlive(s)
			}
		})
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
	s := benchStore(keys, 20)
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
	s := benchStore(keys, 20)
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

// One showing to a user with 20 counters: of a scope seen before (the record's size stays), and of five scopes each time; limits are
// three for each campaign.
func BenchmarkExpose(b *testing.B) {
	const users = 1e5
	keys := benchKeys(users)
	for _, c := range []struct {
		scopes int
		limits Limits
	}{{1, nil}, {5, nil}, {5, benchLimits()}} {
		scopes := c.scopes
		b.Run(fmt.Sprintf("users=1e5/scopes=%d/limits=%d", scopes, len(c.limits)), func(b *testing.B) {
			s := benchStore(keys, 20)
			s.SetLimits(c.limits)
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

func benchLimits() Limits {
	l := Limits{}
	for i := range 1000 {
		tag := scopeTag(9, i)
		l[tag] = []Limit{{Scope: tag, Most: 3, Span: 86400}, {Scope: tag, Most: 4, Span: 604800}, {Scope: scopeTag(9, (i+50)%1000), Most: 4, Span: 86400}}
	}
	return l
}

// Asking with a hold: two places taken under five scopes each, then given back.
func BenchmarkHold(b *testing.B) {
	keys := benchKeys(1000)
	s := benchStore(keys, 20)
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
		p.Hold(0)
		p.Unlock()
	}
}

// One showing to a new user in a store that is full: what it costs to make room.
func BenchmarkExposeEvicting(b *testing.B) {
	keys := benchKeys(200_000)
	s := New(Options{Memory: 8 << 20})
	scopes := []Counted{{scopeTag(1, 1), 5}, {scopeTag(2, 1), 5}, {scopeTag(3, 1), 5}}
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i++
		at := int(i) % len(keys)
		s.Expose(keys[at:at+1], Exposure{Identity: i, At: benchNow + Second(i/100)}, nil, scopes, benchNow+Second(i/100))
	}
}
