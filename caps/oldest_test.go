package caps

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// Whatever is kept by age is in no decision and no look-up from the second on in which its time is over, and in no snapshot made then;
// Sweep says how old the oldest is before it lets go, and nothing is left after.
func TestRetentionOfEveryKind(t *testing.T) {
	const exposures, purchases, start = 10 * day, 20 * day, Second(1_700_000_000)
	passing, lasting := uint64(1)<<40|1, uint64(1)<<40|FieldLasts|1
	for _, kind := range []struct {
		name   string
		kept   uint32
		keep   func(*Store, []Key) error
		held   func(*Person, *Held) bool
		oldest func(*Oldest) Second
	}{
		{
			"exposure", exposures,
			func(s *Store, keys []Key) error {
				s.Expose(keys, Exposure{Identity: 7, At: start}, nil, []Counted{{Scope: 1 << 50, Keep: 3}}, start)
				return nil
			},
			func(p *Person, h *Held) bool { return p.Full(1<<50, 1, 0) || len(h.Counters) > 0 || h.Cut != 0 },
			func(o *Oldest) Second { return o.Exposure },
		},
		{
			"hold", MaxHold,
			func(s *Store, keys []Key) error {
				var p Person
				s.Lock(&p, keys, start)
				p.Take(7, start+MaxHold, []Counted{{Scope: 1 << 50, Keep: 3}})
				p.Hold(0)
				p.Unlock()
				return nil
			},
			func(p *Person, h *Held) bool { return p.Full(1<<50, 1, 0) || len(h.Holds) > 0 },
			func(o *Oldest) Second { return o.Hold },
		},
		{
			"purchase", purchases,
			func(s *Store, keys []Key) error { return s.Purchase(keys, []uint64{1 << 50}, start, start) },
			func(p *Person, h *Held) bool {
				_, bought := p.Purchase(1 << 50)
				return bought || len(h.Purchases) > 0
			},
			func(o *Oldest) Second { return o.Purchase },
		},
		{
			"return", purchases,
			func(s *Store, keys []Key) error { return s.Return(keys, []uint64{1 << 50}, start, start) },
			func(p *Person, h *Held) bool { return len(h.Purchases) > 0 },
			func(o *Oldest) Second { return o.Purchase },
		},
		{
			"choice that passes", PassingRetention,
			func(s *Store, keys []Key) error { return s.Choose(keys, passing, start, 1, start) },
			func(p *Person, h *Held) bool {
				_, _, chosen := p.Choice(passing)
				return chosen || len(h.Choices) > 0
			},
			func(o *Oldest) Second { return o.Passing },
		},
		{
			"choice that lasts", 0,
			func(s *Store, keys []Key) error { return s.Choose(keys, lasting, start, 1, start) },
			func(p *Person, h *Held) bool {
				_, _, chosen := p.Choice(lasting)
				return chosen && len(h.Choices) > 0
			},
			func(o *Oldest) Second { return o.Lasting },
		},
	} {
		t.Run(kind.name, func(t *testing.T) {
			s := New(Options{Memory: 16 << 20, RefusalMemory: 4 << 20, Shards: 2, Retention: exposures, PurchaseRetention: purchases})
			keys := []Key{{1, 2, 3}}
			if err := kind.keep(s, keys); err != nil {
				t.Fatal(err)
			}
			held := func(now Second) bool {
				h := s.Lookup(keys[0], now)
				var p Person
				s.Lock(&p, keys, now)
				defer p.Unlock()
				return kind.held(&p, &h)
			}
			inSnapshot := func() bool {
				var image []byte
				var at Cursor
				for more := true; more; {
					image, more = s.AppendSnapshot(image, &at, 1<<16)
				}
				return bytes.Contains(image, binary.LittleEndian.AppendUint32(nil, uint32(start)))
			}
			last := start + Second(kind.kept)
			if kind.kept == 0 {
				last = start + 3650*day
			} else if kind.name == "hold" {
				last-- // it ends at its end
			}
			if !held(last) || !inSnapshot() {
				t.Fatal("gone before its time")
			}
			sweepAll(s, last)
			if o := s.Stats().Oldest; kind.oldest(&o) != start {
				t.Fatalf("the oldest is %+v, want that at %d", o, start)
			}
			if kind.kept == 0 {
				return
			}
			if held(last + 1) {
				t.Fatalf("there after its time: %+v", s.Lookup(keys[0], last+1))
			}
			if inSnapshot() {
				t.Fatal("in a snapshot made after its time")
			}
			sweepAll(s, last+1)
			if o := s.Stats().Oldest; kind.oldest(&o) != start {
				t.Fatalf("the round that let it go says %+v, want what it found", o)
			}
			sweepAll(s, last+1)
			if stats := s.Stats(); stats.Oldest != (Oldest{}) || stats.Users+stats.RefusalUsers+stats.Counters+stats.Refusals != 0 {
				t.Fatalf("left after its time: %+v", stats)
			}
		})
	}
}

// sweepAll goes through all that is held, once, and ends the rounds.
func sweepAll(s *Store, now Second) { s.Sweep(now, 2*len(s.shards)) }
