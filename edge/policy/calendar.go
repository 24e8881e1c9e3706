package policy

import (
	"math"
	"time"
)

// Moment is now together with the calendar periods it lies in, all in Unix
// seconds. A period runs from its start until just before the next one's.
//
// A calendar day begins at the first instant that bears its date in the zone:
// at the first of two midnights, at 01:00 where midnight does not exist. A day
// that has begun stays begun: where the clock falls back over midnight, the
// second run of the old day's last hour belongs to the new day. A date that is
// left out (Samoa, 30 December 2011) is no day. So the calendar never goes back
// and no instant lies in two days. Weeks begin on Monday, weeks and months at
// the first instant that bears a date of theirs.
type Moment struct {
	Now                          uint32
	Day, Week, Month             uint32
	NextDay, NextWeek, NextMonth uint32
}

// Moment returns the calendar at now in the policy's zone. It is cached for the
// day, from which on it does not allocate.
func (p *Policy) Moment(now uint32) Moment {
	if m := p.moment.Load(); m != nil && now >= m.Day && now < m.NextDay {
		at := *m
		at.Now = now
		return at
	}
	m := MomentIn(p.Zone, now)
	p.moment.Store(&m)
	return m
}

// MomentIn is the calendar at now in a zone, computed anew.
func MomentIn(zone *time.Location, now uint32) Moment {
	local := time.Unix(int64(now), 0).In(zone)
	date := civil(local.Date())
	next := firstInstant(zone, date+1)
	for next <= int64(now) { // the clock fell back over midnight
		date++
		next = firstInstant(zone, date+1)
	}
	monday := date - (date+3)%7 // 1 January 1970 was a Thursday
	year, month, _ := time.Unix(date*day, 0).UTC().Date()
	return Moment{
		Now:       now,
		Day:       second(firstInstant(zone, date)),
		NextDay:   second(next),
		Week:      second(firstInstant(zone, monday)),
		NextWeek:  second(firstInstant(zone, monday+7)),
		Month:     second(firstInstant(zone, civil(year, month, 1))),
		NextMonth: second(firstInstant(zone, civil(year, month+1, 1))),
	}
}

// SecondOfDay is what a clock in the zone shows, in seconds after midnight.
func SecondOfDay(zone *time.Location, now uint32) uint32 {
	h, m, s := time.Unix(int64(now), 0).In(zone).Clock()
	return uint32(h*hour + m*minute + s)
}

// civil numbers dates: days since 1 January 1970.
func civil(year int, month time.Month, d int) int64 {
	return time.Date(year, month, d, 0, 0, 0, 0, time.UTC).Unix() / day
}

// firstInstant returns the first second that bears the numbered date or a later
// one in the zone. Within a stretch of constant offset that is where local time
// reaches the date's midnight; a jump forward over that midnight reaches it at
// the jump.
func firstInstant(zone *time.Location, date int64) int64 {
	midnight := date * day
	at := midnight - day // earlier than the date begins anywhere: offsets stay under 16 hours
	for {
		offset, until := steady(zone, at)
		if at+offset >= midnight {
			return at
		}
		reach := midnight - offset
		if reach < until {
			return reach
		}
		at = until
	}
}

// steady returns the zone's offset at an instant and until when it stays so at
// least. After the last year of a zone's table ZoneBounds ends each year 365 days
// after it began: on the last day of a leap year that is no later than at.
func steady(zone *time.Location, at int64) (offset, until int64) {
	t := time.Unix(at, 0).In(zone)
	_, seconds := t.Zone()
	_, end := t.ZoneBounds()
	if end.IsZero() {
		return int64(seconds), math.MaxInt64
	}
	until = end.Unix()
	if until <= at {
		until += day
	}
	return int64(seconds), until
}

// second fits an instant into the years that policies know, 1970 to 2106.
func second(at int64) uint32 {
	return uint32(min(max(at, 0), math.MaxUint32))
}
