package deploy

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"restraint/caps"
)

// The formula of the page "Capacity": bytes of a user, of each counter with one exposure,
// and of each further exposure of a counter.
const userBytes, counterBytes, exposureBytes = 70, 20, 13

// The formula is not below what the counters take, and not far above: the table of users
// doubles now and then.
func TestCapacity(t *testing.T) {
	const users = 30_000
	page := read(t, "README.md")
	for _, line := range []string{
		fmt.Sprintf("users x (%d + counters x %d + further exposures x %d)", userBytes, counterBytes, exposureBytes),
	} {
		if !strings.Contains(page, line) {
			t.Errorf("README.md does not say %q", line)
		}
	}
	for _, c := range []struct{ counters, exposures int }{{1, 1}, {8, 1}, {20, 1}, {8, 3}} {
		s := caps.New(caps.Options{Memory: 256 << 20, RefusalMemory: 16 << 20})
		const now = caps.Second(1_700_000_000)
		for user := range users {
			var key caps.Key
			binary.LittleEndian.PutUint64(key[:], uint64(user+1)*0x9e3779b97f4a7c15) // spread as a keyed hash is
			binary.LittleEndian.PutUint64(key[8:], uint64(user+1)*0xc2b2ae3d27d4eb4f)
			for i := range c.counters { // one by one, as traffic brings them
				scope := []caps.Counted{{Scope: uint64(user*7+i*50)%1000*0x9e3779b97f4a7c15 + 1, Keep: 3}}
				for e := range c.exposures {
					s.Expose([]caps.Key{key}, caps.Exposure{Identity: uint32(user*31 + i*3 + e), At: now - caps.Second(1000*i+e)}, nil, scope, now)
				}
			}
		}
		stats := s.Stats()
		if int(stats.Users) != users || int(stats.Counters) != users*c.counters {
			t.Fatalf("%+v: %d users, %d counters", c, stats.Users, stats.Counters)
		}
		said := userBytes + c.counters*(counterBytes+(c.exposures-1)*exposureBytes)
		is := float64(stats.Bytes) / users
		t.Logf("%d counters of %d exposures: %.0f bytes a user, %d by the formula", c.counters, c.exposures, is, said)
		if is > float64(said) || is < 0.7*float64(said) {
			t.Errorf("%d counters of %d exposures: %.0f bytes a user, the page says %d", c.counters, c.exposures, is, said)
		}
	}
}
