package access

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// How many wrong keys an address may show: as many at once as a person and a
// deployment with an old key come to, and then one a second. Chosen.
const (
	failuresAtOnce = 10
	failureEvery   = time.Second
	failureSlots   = 4096
)

// Failures notes from which addresses wrong keys come, in memory that does not grow: a
// table of 4,096 counters (32 KiB) into which addresses are hashed under a seed of this
// process. IPv6 addresses count by their first 64 bits, which is what one caller is
// given; every unix socket is one address, and so are the callers behind one proxy.
//
// Two addresses that fall on one counter are slowed together. That does no harm to a
// caller with a key: a counter is asked about wrong keys only, after the key was
// checked, so a right one is let in at once however many wrong ones come from the same
// address. Secrets of 256 bits need no slowing; what is slowed is the load and the
// noise. Safe for concurrent use.
type Failures struct {
	seed  maphash.Seed
	start time.Time
	slots [failureSlots]bucket
}

// NewFailures returns an empty table.
func NewFailures() *Failures { return &Failures{seed: maphash.MakeSeed(), start: time.Now()} }

// Note counts a wrong key from an address (the zero Addr for a unix socket) at now,
// and says whether there were too many.
func (f *Failures) Note(from netip.Addr, now time.Time) (tooMany bool) {
	from = from.Unmap().WithZone("")
	bytes := from.As16()
	n := 16
	if from.Is6() {
		n = 8
	}
	slot := &f.slots[maphash.Bytes(f.seed, bytes[:n])%failureSlots]
	return slot.take(now.Sub(f.start), failureEvery, failuresAtOnce*failureEvery) > 0
}
