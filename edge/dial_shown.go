package edge

import (
	"sync"

	"restraint/caps"
	"restraint/edge/policy"
)

// shownCounts counts the showings that this node was told of since it started, by
// campaign and minute.
type shownCounts struct {
	mu        sync.Mutex
	campaigns map[uint64]map[uint32]uint64 // by tag and minute
	swept     uint32
}

// add counts the showings among changes that were made.
func (s *shownCounts) add(changes []caps.Change, rules *rules) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range changes {
		c := &changes[i]
		if c.Kind != caps.ChangeExpose || len(c.Scopes) == 0 {
			continue
		}
		tag, minute := c.Scopes[0].Scope, uint32(c.Exposure.At)/60 // the campaign's own comes first
		if rules.find(tag) < 0 {
			continue
		}
		if s.campaigns == nil {
			s.campaigns = make(map[uint64]map[uint32]uint64)
		}
		if s.campaigns[tag] == nil {
			s.campaigns[tag] = make(map[uint32]uint64)
		}
		s.campaigns[tag][minute]++
		s.sweep(minute, &rules.DialBack)
	}
}

// sweep lets go of what no window reaches, once an hour.
func (s *shownCounts) sweep(now uint32, rule *policy.DialBack) {
	if now < s.swept+60 {
		return
	}
	s.swept = now
	for _, minutes := range s.campaigns {
		for minute := range minutes {
			if minute+rule.Window/60+1 < now {
				delete(minutes, minute)
			}
		}
	}
}

// between is how often a campaign was shown in the minutes from that of from on.
func (s *shownCounts) between(campaign uint64, from, to uint32) (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for minute, count := range s.campaigns[campaign] {
		if minute >= from/60 && minute <= to/60 {
			n += count
		}
	}
	return n
}
