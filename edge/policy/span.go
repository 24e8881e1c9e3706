package policy

import "strconv"

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)

// parseSpan reads a duration as people write it: a whole number and one of the
// units s, m, h, d. It returns seconds.
func parseSpan(text string) (seconds uint32, ok bool) {
	if len(text) < 2 || len(text) > 10 {
		return 0, false
	}
	n, unit := text[:len(text)-1], uint64(0)
	switch text[len(text)-1] {
	case 's':
		unit = 1
	case 'm':
		unit = minute
	case 'h':
		unit = hour
	case 'd':
		unit = day
	}
	v, err := strconv.ParseUint(n, 10, 32)
	if err != nil || unit == 0 || !digits(n) || v*unit > 1<<32-1 {
		return 0, false
	}
	return uint32(v * unit), true
}

// Span writes seconds as a policy writes them, in the largest unit that takes
// them whole, days only from three days on: 48h, 7d, 90m. 0 is "off".
func Span(seconds uint32) string {
	n := uint64(seconds)
	switch {
	case n == 0:
		return "off"
	case n%day == 0 && n > 2*day:
		return strconv.FormatUint(n/day, 10) + "d"
	case n%hour == 0:
		return strconv.FormatUint(n/hour, 10) + "h"
	case n%minute == 0:
		return strconv.FormatUint(n/minute, 10) + "m"
	}
	return strconv.FormatUint(n, 10) + "s"
}
