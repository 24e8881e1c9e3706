package policy

import (
	"testing"
	"time"
)

// walk is the calendar by brute force: it visits every minute within a day of a
// change of the clock, else every 15 (no zone is off by less), and begins a
// period whenever the date is later than any before.
type walk struct {
	zone             *time.Location
	date             int64
	day, week, month uint32
}

func (w *walk) step(at int64) {
	local := time.Unix(at, 0).In(w.zone)
	date := civil(local.Date())
	if date <= w.date {
		return
	}
	before := time.Unix(w.date*day, 0).UTC()
	after := time.Unix(date*day, 0).UTC()
	oldYear, oldWeek := before.ISOWeek()
	if year, week := after.ISOWeek(); year != oldYear || week != oldWeek {
		w.week = uint32(at)
	}
	if before.Month() != after.Month() {
		w.month = uint32(at)
	}
	w.day, w.date = uint32(at), date
}

// stride is the number of seconds to the next instant to visit.
func (w *walk) stride(at int64) int64 {
	for _, near := range []int64{at - day, at, at + day} {
		begin, end := time.Unix(near, 0).In(w.zone).ZoneBounds()
		if !begin.IsZero() && at-begin.Unix() < day && begin.Unix()-at < day || !end.IsZero() && end.Unix()-at < day {
			return minute
		}
	}
	return 15*minute - at%(15*minute)
}

func TestMomentAgainstWalk(t *testing.T) {
	cases := []struct {
		zone     string
		from, to int // years
	}{
		{"UTC", 2026, 2026},
		{"Europe/Berlin", 2026, 2026},
		{"America/Sao_Paulo", 2018, 2018},
		{"Asia/Beirut", 2022, 2022},
		{"Africa/Cairo", 2010, 2010},
		{"Africa/Cairo", 2014, 2014},
		{"Africa/Cairo", 2023, 2023},
		{"America/Havana", 2011, 2011},
		{"America/St_Johns", 2007, 2007},
		{"America/St_Johns", 2010, 2011},
		{"Pacific/Apia", 2011, 2011},
		{"Pacific/Kwajalein", 1993, 1993},
		{"Australia/Lord_Howe", 2020, 2020},
		{"Asia/Kathmandu", 1986, 1986},
		{"America/Asuncion", 2016, 2016},
		{"Asia/Gaza", 2011, 2011},
		{"Asia/Tehran", 2021, 2021},
		{"America/Scoresbysund", 2024, 2024},
	}
	for _, c := range cases {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatalf("load zone: %v", err)
		}
		p := &Policy{Settings: Settings{Zone: zone}}
		w := walk{zone: zone}
		// The walk starts two months early, so that it knows month and week.
		first := time.Date(c.from, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		last := time.Date(c.to+1, 1, 2, 0, 0, 0, 0, time.UTC).Unix()
		start := first - 62*day
		w.date = civil(time.Unix(start, 0).In(zone).Date())
		var before Moment
		for at := start; at < last; at += w.stride(at) {
			w.step(at)
			if at < first {
				continue
			}
			m := p.Moment(uint32(at))
			if m.Now != uint32(at) || m.Day != w.day || m.Week != w.week || m.Month != w.month {
				t.Fatalf("%s at %s: moment %+v, walked day %d week %d month %d",
					c.zone, time.Unix(at, 0).In(zone), m, w.day, w.week, w.month)
			}
			if before.Day != 0 && m.Day != before.Day && m.Day != before.NextDay {
				t.Fatalf("%s at %s: day %d began, next was to be %d", c.zone, time.Unix(at, 0).In(zone), m.Day, before.NextDay)
			}
			if before.Day != 0 && m.Week != before.Week && m.Week != before.NextWeek ||
				before.Day != 0 && m.Month != before.Month && m.Month != before.NextMonth {
				t.Fatalf("%s at %s: %+v follows %+v", c.zone, time.Unix(at, 0).In(zone), m, before)
			}
			before = m
		}
	}
}

func TestMomentEdges(t *testing.T) {
	for _, zone := range []string{"UTC", "Pacific/Kiritimati", "Pacific/Niue"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, now := range []uint32{0, 1, day, forever - day, forever - 1, forever} {
			m := MomentIn(loc, now)
			if m.Day > now || m.Week > m.Day || m.Month > m.Day || m.NextDay < now || m.NextWeek < m.NextDay || m.NextMonth < m.NextDay {
				t.Errorf("%s at %d: %+v", zone, now, m)
			}
		}
	}
}

func TestMomentAndCampaignDoNotAllocate(t *testing.T) {
	p := compiled(t, string(Example))
	id, source := []byte("spring-shoes"), []byte("buyeruid")
	now := uint32(1793500000)
	p.Moment(now)
	var kept Moment
	if n := testing.AllocsPerRun(100, func() {
		kept = p.Moment(now)
		now++
		if p.Campaign(id) == nil || p.Campaign(source) != nil || p.Rank(source) != 4 || Country(source) != "" {
			t.Error("wrong campaign, rank or country")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	_ = kept
}
