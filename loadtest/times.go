package loadtest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// autoLayouts are tried in this order where a log's time format is not given.
var autoLayouts = []string{
	time.RFC3339Nano,
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04",
	"2006-01-02",
	"20060102",
}

// unixUnits are the formats that count from 1970, with the nanoseconds in one.
var unixUnits = map[string]int64{"unix": 1e9, "unix-ms": 1e6, "unix-us": 1e3, "unix-ns": 1}

// timeParser reads the times of one log into nanoseconds since 1970.
type timeParser struct {
	unit    int64 // nanoseconds; 0: layouts
	layouts []string
	last    int // the layout that fitted last: a log keeps to one
	zone    *time.Location
}

// newTimeParser accepts "", "auto", "rfc3339", "unix", "unix-ms", "unix-us",
// "unix-ns" or a layout of Go's package time; zone is an IANA name for times
// that carry none, UTC by default.
func newTimeParser(format, zone string) (*timeParser, error) {
	p := &timeParser{zone: time.UTC}
	if zone != "" {
		z, err := time.LoadLocation(zone)
		if err != nil {
			return nil, fmt.Errorf("--time-zone=%q: %w: want an IANA name such as Europe/Berlin", zone, err)
		}
		p.zone = z
	}
	switch unit, ok := unixUnits[format]; {
	case ok:
		p.unit = unit
	case format == "" || format == "auto":
		p.layouts = autoLayouts
	case format == "rfc3339":
		p.layouts = []string{time.RFC3339Nano}
	case !strings.ContainsAny(format, "0123456789"):
		return nil, fmt.Errorf("--time-format=%q: want auto, rfc3339, unix, unix-ms, unix-us, unix-ns or a Go layout such as %q", format, "2006-01-02 15:04:05")
	default:
		p.layouts = []string{format}
	}
	return p, nil
}

// parse returns nanoseconds since 1970; false where the text is no time, or
// one outside 1970..2106, which is what 32-bit seconds hold.
func (p *timeParser) parse(text string) (int64, bool) {
	if p.unit != 0 {
		return p.parseUnix(text)
	}
	for i := range p.layouts {
		at := (p.last + i) % len(p.layouts)
		t, err := time.ParseInLocation(p.layouts[at], text, p.zone)
		if err != nil {
			continue
		}
		p.last = at
		if s := t.Unix(); s < 1 || s > math.MaxUint32 {
			return 0, false
		}
		return t.UnixNano(), true
	}
	return 0, false
}

func (p *timeParser) parseUnix(text string) (int64, bool) {
	most := math.MaxUint32 * (int64(1e9) / p.unit)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < 1 || n > most || n*p.unit < 1e9 {
			return 0, false
		}
		return n * p.unit, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f <= float64(most)) || f*float64(p.unit) < 1e9 {
		return 0, false
	}
	return int64(f * float64(p.unit)), true
}
