package policy

import "math"

// WindowKind says how a window moves.
type WindowKind uint8

// A rolling window covers the last Seconds; day, week (from Monday) and month
// are those of the policy's zone; lifetime reaches as far as the retention.
const (
	Rolling WindowKind = iota
	Day
	Week
	Month
	Lifetime
)

var windowNames = []string{"rolling", "day", "week", "month", "lifetime"}

// String is the word of the policy.
func (k WindowKind) String() string { return windowNames[k] }

// Window is the time over which a cap counts.
type Window struct {
	Kind    WindowKind
	Seconds uint32 // of Rolling; of Lifetime the retention; 0 for calendar windows
}

// length is the window's length in seconds when windows are compared (see the
// package comment).
func (w Window) length() uint64 {
	switch w.Kind {
	case Day:
		return day
	case Week:
		return 7 * day
	case Month:
		return 30 * day
	case Lifetime:
		return math.MaxUint64
	}
	return uint64(w.Seconds)
}

// whole is the number of seconds that exposures have to be kept for the window:
// its longest, but for the hour that clocks going back may add to it.
func (w Window) whole() uint32 {
	if w.Kind == Month {
		return 31 * day
	}
	return uint32(min(w.length(), math.MaxUint32))
}

// reach is how many seconds the window looks back at most.
func (w Window) reach() uint32 {
	if w.Kind == Lifetime {
		return w.Seconds
	}
	return w.whole()
}

// longer reports whether w counts as the longer window of the two; false for
// equal ones.
func (w Window) longer(than Window) bool {
	a, b := w.length(), than.length()
	return a > b || a == b && w.Kind == Rolling && than.Kind != Rolling
}
