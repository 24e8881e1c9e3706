package access

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// No verdict on a key allocates, nor does counting a request or a failure.
func TestCheckDoesNotAllocate(t *testing.T) {
	k, text := makeKey(t, Key{Client: "shop", Roles: Bid, Rate: 1})
	old, oldText := makeKey(t, Key{Client: "shop", Roles: Bid})
	f, err := fileOf(t, k, old).Revoke(old.ID, made)
	if err != nil {
		t.Fatal(err)
	}
	g, failures, now, from := NewGate(f), NewFailures(), time.Now(), netip.MustParseAddr("192.0.2.1")
	for name, key := range map[string]string{"let in": text, "revoked": oldText, "missing": "", "malformed": text[1:], "unknown": text[:63] + "a", "no such id": "rk_aaaaaaaa" + text[11:]} {
		shown := []byte(key)
		if n := testing.AllocsPerRun(100, func() {
			if c, verdict := g.Check(shown); verdict == LetIn {
				c.Take(now)
			}
			failures.Note(from, now)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// take asks at a time and says whether it was let through.
func take(c *Caller, at time.Duration) (time.Duration, bool) {
	wait := c.Take(c.start.Add(at))
	return wait, wait == 0
}

// A key has its burst at once, then its rate; what was refused costs nothing, and who
// waits as long as was said is let through.
func TestRate(t *testing.T) {
	k, text := makeKey(t, Key{Client: "shop", Roles: Bid, Rate: 4, Burst: 3})
	g := NewGate(fileOf(t, k))
	c, _ := g.Check([]byte(text))
	at := time.Duration(0)
	for i := range 3 {
		if _, ok := take(c, at); !ok {
			t.Fatalf("request %d of the burst refused", i+1)
		}
	}
	for range 100 { // refused, and not counted
		if wait, ok := take(c, at); ok || wait != 250*time.Millisecond {
			t.Fatalf("over the burst: %v", wait)
		}
	}
	if c.OverRate() != 100 {
		t.Errorf("%d counted as refused", c.OverRate())
	}
	for range 10 {
		wait, _ := take(c, at)
		if _, ok := take(c, at+wait-1); ok {
			t.Fatal("let through a nanosecond early")
		}
		if at += wait; wait == 0 {
			t.Fatal("let through without a wait")
		}
		if _, ok := take(c, at); !ok {
			t.Fatal("refused after the wait that was said")
		}
	}
	// Idle for long: the burst again, and no more than that.
	at += time.Hour
	for i := range 4 {
		if _, ok := take(c, at); ok != (i < 3) {
			t.Errorf("after an hour, request %d: %v", i+1, ok)
		}
	}
	// A clock that goes back neither lets more through nor shuts out for ever.
	if wait, ok := take(c, at-time.Second); ok || wait > 2*time.Second {
		t.Errorf("a second back: %v", wait)
	}
}

// Over any stretch of time a key gets at most its burst and its rate times the
// stretch, however many ask at once, and it gets as much.
func TestRateConcurrent(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20 {
		rate, burst := 1+random.IntN(100000), 1+random.IntN(2000)
		k, text := makeKey(t, Key{Client: "shop", Roles: Bid, Rate: rate, Burst: burst})
		c, _ := NewGate(fileOf(t, k)).Check([]byte(text))
		stretch := time.Duration(1+random.IntN(20)) * time.Millisecond
		asked := burst + int(float64(rate)*stretch.Seconds())
		var through atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := range asked {
					if _, ok := take(c, stretch*time.Duration(i)/time.Duration(asked)); ok {
						through.Add(1)
					}
				}
			})
		}
		wg.Wait()
		// Each worker's clock is its own here, so what it is behind by is owed.
		most := float64(burst) + float64(rate)*stretch.Seconds()*1.001 + 1
		if n := float64(through.Load()); n > most || n < float64(burst) {
			t.Errorf("rate %d burst %d over %v: %v let through, at most %v", rate, burst, stretch, n, most)
		}
	}
}

// New keys count from the moment they are in force and revoked ones no longer, with
// requests going on; what a key has used of its rate it has used.
func TestReplaceUnderLoad(t *testing.T) {
	k, text := makeKey(t, Key{Client: "shop", Roles: Bid, Rate: 1, Burst: 5})
	next, nextText := makeKey(t, Key{Client: "shop", Roles: Bid})
	both := fileOf(t, k, next)
	without, err := both.Revoke(k.ID, made)
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate(both)
	c, _ := g.Check([]byte(text))
	for range 5 {
		c.Take(c.start)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				if _, v := g.Check([]byte(nextText)); v != LetIn {
					t.Errorf("a key that never changes: %v", v)
					return
				}
				if _, v := g.Check([]byte(text)); v != LetIn && v != Revoked {
					t.Errorf("a key that comes and goes: %v", v)
					return
				}
			}
		})
	}
	for range 500 {
		g.Replace(without)
		if _, v := g.Check([]byte(text)); v != Revoked {
			t.Errorf("after it was revoked: %v", v)
		}
		g.Replace(both)
		c, v := g.Check([]byte(text))
		if v != LetIn {
			t.Fatalf("after it is back: %v", v)
		}
		if _, ok := take(c, 0); ok {
			t.Fatal("reading the file again gave the key its burst again")
		}
	}
	stop.Store(true)
	wg.Wait()
	if len(g.Callers()) != 2 || g.Callers()[0].ID != k.ID || g.Callers()[0].OverRate() != 500 {
		t.Errorf("callers %v", g.Callers())
	}
}

// An address may be wrong ten times at once and then once a second; others are not
// touched by it, and a million addresses take no more memory than one.
func TestFailures(t *testing.T) {
	f := NewFailures()
	from, now := netip.MustParseAddr("192.0.2.7"), f.start
	for i := range 100_000 {
		if got := f.Note(from, now); got != (i >= 10) {
			t.Fatalf("failure %d: %v", i+1, got)
		}
	}
	if !f.Note(netip.MustParseAddr("::ffff:192.0.2.7"), now) {
		t.Error("the same address as IPv6 is another")
	}
	if f.Note(from, now.Add(time.Second)) {
		t.Error("a second later it may be wrong once more")
	}
	if f.Note(from, now.Add(time.Hour)) {
		t.Error("an hour later it is still slowed")
	}
	// One network of IPv6 is one caller.
	for i := range 20 {
		bytes := netip.MustParseAddr("2001:db8::").As16()
		bytes[15] = byte(i)
		if got := f.Note(netip.AddrFrom16(bytes), now); got != (i >= 10) {
			t.Errorf("address %d of a network: %v", i, got)
		}
	}
	// Sockets have no address.
	for i := range 20 {
		if got := f.Note(netip.Addr{}, now); got != (i >= 10) {
			t.Errorf("socket, failure %d: %v", i+1, got)
		}
	}
	// 100,000 addresses: it takes no memory, and 10 failures of each fall on slots that
	// are shared; that costs callers with wrong keys only.
	if n := testing.AllocsPerRun(1, func() {
		for i := range 100_000 {
			f.Note(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkCheck is what a key costs a request.
func BenchmarkCheck(b *testing.B) {
	k, text := makeKey(b, Key{Client: "shop", Roles: Bid, Rate: MaxRate, Burst: MaxBurst})
	g, shown, now := NewGate(fileOf(b, k)), []byte(text), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		c, verdict := g.Check(shown)
		if verdict != LetIn {
			b.Fatal(verdict)
		}
		c.Take(now)
	}
}
