package trust

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// Level is how far a campaign is dialled back.
type Level uint8

// The levels, each stricter than the one before.
const (
	None Level = iota
	Lowered
	Paused
	Levels // how many there are
)

var levelNames = [Levels]string{None: "none", Lowered: "lowered", Paused: "paused"}

// String is the level's name in answers and metrics.
func (l Level) String() string { return levelNames[l] }

// A Rule is from when on reports dial a campaign back.
type Rule struct {
	MinShown, MinPeople uint64 // below either nothing is judged
	Lower, Pause        uint64 // weighing reports in 10,000 showings, at most 10,000
}

// per is the share that Lower and Pause are of.
const per = 10_000

// Judge is the level that the reports and showings of a window come to. Where the tally is an estimate, more people than half of what a page
// keeps are never asked for: it says only that there are at least so many.
func Judge(r *Rule, t *Tally, shown uint64) Level {
	people := r.MinPeople
	if t.Estimated {
		people = min(people, MaxReports/2)
	}
	switch {
	case shown == 0 || shown < r.MinShown || t.People < people || t.Weighing == 0:
		return None
	case reaches(t.Weighing, shown, r.Pause):
		return Paused
	case reaches(t.Weighing, shown, r.Lower):
		return Lowered
	}
	return None
}

// reaches reports whether n of shown are at least threshold in 10,000.
func reaches(n, shown, threshold uint64) bool {
	nh, nl := bits.Mul64(n, per)
	sh, sl := bits.Mul64(shown, threshold)
	return nh > sh || nh == sh && nl >= sl
}

// Bounds of what people write into a Standing, in bytes of UTF-8.
const (
	MaxName     = 256
	MaxWhy      = 500
	maxDocument = 8 << 10
)

// A Raise is that a campaign was dialled back to a level, with the numbers it was decided by. It never changes.
type Raise struct {
	Since    uint32 `json:"since"`  // Unix seconds
	Policy   int    `json:"policy"` // version of the policy by which it was
	Window   uint32 `json:"window"` // seconds
	Shown    uint64 `json:"shown"`
	Weighing uint64 `json:"weighing"`
	People   uint64 `json:"people"`
	Per10K   uint64 `json:"per_10k"` // the threshold that was reached
	Node     string `json:"node"`    // that found it first, as far as is known
}

// A Release is that a human ended a dial-back. Only reports and showings after its second count from then on.
type Release struct {
	At uint32 `json:"at"`
	// Shown is how often the campaign had been shown by then in the hour of At, as showings are counted by the hour.
	Shown uint64 `json:"shown"`
	From  string `json:"from"` // the level before
	Why   string `json:"why,omitempty"`
	By    string `json:"by,omitempty"` // the key's client, where there are keys
	Node  string `json:"node"`
}

// A Standing is what holds for one campaign. Encoded, it is JSON with just these fields, of at most 8 KiB. Equal standings are equal bytes.
type Standing struct {
	Version  int    `json:"version"` // of this form: 1
	Campaign string `json:"campaign"`
	// Lowered and Paused are when it was, since the release; nil: it was not.
	Lowered *Raise `json:"lowered,omitempty"`
	Paused  *Raise `json:"paused,omitempty"`
	// Release is the last one; nil: there was none.
	Release *Release `json:"release,omitempty"`
}

const standingVersion = 1

// NewStanding is that of a campaign of which nothing is known.
func NewStanding(campaign string) *Standing {
	return &Standing{Version: standingVersion, Campaign: campaign}
}

// Level is what holds now, and by what: nil for None.
func (s *Standing) Level() (Level, *Raise) {
	switch {
	case s.Paused != nil:
		return Paused, s.Paused
	case s.Lowered != nil:
		return Lowered, s.Lowered
	}
	return None, nil
}

// After is the second after which reports and showings count: that of the release, or 0.
func (s *Standing) After() uint32 {
	if s.Release == nil {
		return 0
	}
	return s.Release.At
}

// Raised is the standing with the level reached by r; s itself where it is as strict already.
func (s *Standing) Raised(l Level, r Raise) *Standing {
	if now, _ := s.Level(); l <= now {
		return s
	}
	raised := *s
	if l == Paused {
		raised.Paused = &r
	} else {
		raised.Lowered = &r
	}
	return &raised
}

// Released is the standing after a release, which comes after every one before it.
func (s *Standing) Released(r Release) *Standing {
	level, _ := s.Level()
	r.At, r.From = max(r.At, s.After()+1), level.String()
	return &Standing{Version: s.Version, Campaign: s.Campaign, Release: &r}
}

// Join is what two standings of one campaign come to. The later release wins, over whatever was decided without knowing of it; of the same
// release, each level stands since the earlier second.
func (s *Standing) Join(o *Standing) *Standing {
	switch a, b := s.After(), o.After(); {
	case a > b:
		return s
	case a < b:
		return o
	}
	return &Standing{
		Version: standingVersion, Campaign: max(s.Campaign, o.Campaign),
		Lowered: first(s.Lowered, o.Lowered), Paused: first(s.Paused, o.Paused), Release: larger(s.Release, o.Release),
	}
}

// first is the earlier of two raises; of one second, the one with the smaller bytes.
func first(a, b *Raise) *Raise {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	if c := cmp.Or(cmp.Compare(a.Since, b.Since), bytes.Compare(encode(a), encode(b))); c <= 0 {
		return a
	}
	return b
}

// larger is one of two releases of one second: that with the larger bytes.
func larger(a, b *Release) *Release {
	if a == nil || b == nil || bytes.Compare(encode(a), encode(b)) >= 0 {
		return a
	}
	return b
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: a standing cannot be encoded: " + err.Error())
	}
	return b
}

// Encode returns the encoded standing.
func (s *Standing) Encode() []byte { return encode(s) }

// ParseStanding reads an encoded standing. It accepts what Encode writes, with every bound checked; the error wraps ErrMalformed.
func ParseStanding(b []byte) (*Standing, error) {
	if len(b) > maxDocument {
		return nil, fmt.Errorf("%w: a standing of %d bytes, at most %d", ErrMalformed, len(b), maxDocument)
	}
	s := new(Standing)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if s.Version != standingVersion || s.Campaign == "" {
		return nil, fmt.Errorf("%w: a standing of version %d of campaign %.40q", ErrMalformed, s.Version, s.Campaign)
	}
	texts := map[string]int{s.Campaign: MaxName}
	for _, r := range []*Raise{s.Lowered, s.Paused} {
		if r == nil {
			continue
		}
		texts[r.Node] = MaxName
		if r.Since == 0 || r.Policy < 0 || r.Shown == 0 || r.Weighing == 0 || r.Per10K > per {
			return nil, fmt.Errorf("%w: a dial-back without its numbers", ErrMalformed)
		}
	}
	if r := s.Release; r != nil {
		texts[r.Why], texts[r.By], texts[r.Node] = MaxWhy, MaxName, MaxName
		if r.At == 0 || r.From != Lowered.String() && r.From != Paused.String() {
			return nil, fmt.Errorf("%w: a release of second %d from %.40q", ErrMalformed, r.At, r.From)
		}
	}
	for text, most := range texts {
		if len(text) > most || !utf8.ValidString(text) {
			return nil, fmt.Errorf("%w: %d bytes of text, at most %d of UTF-8", ErrMalformed, len(text), most)
		}
	}
	if !bytes.Equal(s.Encode(), b) {
		return nil, fmt.Errorf("%w: not as it is written", ErrMalformed)
	}
	return s, nil
}
