package loadtest

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
)

// Names in a node's metrics.
const (
	metricDecide   = "restraint_decide_duration_seconds"
	metricCPU      = "process_cpu_seconds_total"
	metricResident = "process_resident_memory_bytes"
)

// scrape is what a load test reads of a node's metrics, all since the node began.
type scrape struct {
	bounds        []float64 // seconds, in order; the last is +Inf
	upTo          []float64 // answers within each
	sum, count    float64   // seconds; answers
	cpu, resident float64   // seconds, bytes
	version       string
	hasHistogram  bool
}

var buildInfo = regexp.MustCompile(`^restraint_build_info\{version="([^"]*)"`)

// parseScrape reads metrics in the Prometheus text form.
func parseScrape(text []byte) (s scrape, err error) {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		space := bytes.LastIndexByte(line, ' ')
		if space < 0 || line[0] == '#' {
			continue
		}
		name := string(line[:space])
		if m := buildInfo.FindStringSubmatch(name); m != nil {
			s.version = m[1]
			continue
		}
		var to *float64
		switch {
		case name == metricDecide+"_sum":
			to = &s.sum
		case name == metricDecide+"_count":
			to, s.hasHistogram = &s.count, true
		case name == metricCPU:
			to = &s.cpu
		case name == metricResident:
			to = &s.resident
		case len(name) > len(metricDecide) && name[:len(metricDecide)] == metricDecide:
			bound, ok := parseBound(name[len(metricDecide):])
			if !ok {
				continue
			}
			s.bounds, s.upTo = append(s.bounds, bound), append(s.upTo, 0)
			to = &s.upTo[len(s.upTo)-1]
		default:
			continue
		}
		if *to, err = strconv.ParseFloat(string(line[space+1:]), 64); err != nil {
			return s, fmt.Errorf("read the node's metrics: %w: line %.100q", ErrNode, line)
		}
	}
	if s.hasHistogram && (!slices.IsSorted(s.bounds) || !slices.IsSorted(s.upTo) || len(s.bounds) == 0 || !math.IsInf(s.bounds[len(s.bounds)-1], 1)) {
		return s, fmt.Errorf("read the node's metrics: %w: the buckets of %s are not in order", ErrNode, metricDecide)
	}
	return s, nil
}

// parseBound reads `_bucket{le="0.001"}`.
func parseBound(tail string) (float64, bool) {
	const before, after = `_bucket{le="`, `"}`
	if len(tail) < len(before)+len(after) || tail[:len(before)] != before || tail[len(tail)-len(after):] != after {
		return 0, false
	}
	v, err := strconv.ParseFloat(tail[len(before):len(tail)-len(after)], 64)
	return v, err == nil
}

// since is what happened between an earlier scrape and this one. An empty histogram
// before is one that had not begun. False where the two do not fit together, as when the
// node was started anew.
func (s *scrape) since(before *scrape, completed int64) (*ServerSide, bool) {
	if !s.hasHistogram {
		return nil, false
	}
	earlier := before.upTo
	if !before.hasHistogram {
		earlier = make([]float64, len(s.upTo))
	} else if !slices.Equal(before.bounds, s.bounds) {
		return nil, false
	}
	counts := make([]float64, len(s.upTo))
	for i := range counts {
		counts[i] = s.upTo[i] - earlier[i]
		if i > 0 {
			counts[i] -= s.upTo[i-1] - earlier[i-1]
		}
		if counts[i] < 0 {
			return nil, false
		}
	}
	n, cpu := s.count-before.count, s.cpu-before.cpu
	if n < 0 || cpu < 0 {
		return nil, false
	}
	side := &ServerSide{Decides: int64(n), CPUSeconds: cpu, ResidentBytes: int64(s.resident), Buckets: []ServerBucket{}}
	if n > 0 {
		side.MeanUS = (s.sum - before.sum) / n * 1e6
	}
	if completed > 0 {
		side.CPUUSPerRequest = cpu * 1e6 / float64(completed)
	}
	for i, c := range counts {
		b := ServerBucket{Count: int64(c)}
		if !math.IsInf(s.bounds[i], 1) {
			b.UpToUS = s.bounds[i] * 1e6
		}
		side.Buckets = append(side.Buckets, b)
	}
	side.P50US, side.P99US, side.P999US = side.quantile(0.5), side.quantile(0.99), side.quantile(0.999)
	return side, true
}

// quantile interpolates evenly within the bucket, as Prometheus' histogram_quantile
// does; in the last bucket, which has no end, it is that bucket's beginning.
func (s *ServerSide) quantile(q float64) float64 {
	all := int64(0)
	for _, b := range s.Buckets {
		all += b.Count
	}
	rank, below, from := q*float64(all), int64(0), 0.0
	for i, b := range s.Buckets {
		if float64(below+b.Count) >= rank && b.Count > 0 {
			if i == len(s.Buckets)-1 {
				return from
			}
			return from + (b.UpToUS-from)*(rank-float64(below))/float64(b.Count)
		}
		below += b.Count
		from = b.UpToUS
	}
	return 0
}
