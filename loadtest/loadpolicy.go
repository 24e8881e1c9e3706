package loadtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// loadPolicy is what a load test reads of a node's policy: whose campaigns there are, and
// what an oracle has to know. It is not the node's own reader, and judges nothing.
type loadPolicy struct {
	Campaigns map[string]*campaign `yaml:"campaigns"`
	Consent   struct {
		Vendor int `yaml:"vendor"`
	} `yaml:"consent"`
	Markets []struct {
		Name   string   `yaml:"name"`
		Factor *float64 `yaml:"cap_factor"`
	} `yaml:"markets"`

	version int
	names   []string // of the campaigns in force, in order
}

// campaign is one campaign of a policy.
type campaign struct {
	Advertiser string      `yaml:"advertiser"`
	Groups     []string    `yaml:"groups"`
	Caps       []policyCap `yaml:"caps"`
	Active     struct {
		From string `yaml:"from"`
		To   string `yaml:"to"`
	} `yaml:"active"`
	Interest *struct {
		Least int      `yaml:"least"`
		After string   `yaml:"after"`
		Fresh string   `yaml:"fresh"`
		Until string   `yaml:"until"`
		From  []string `yaml:"from"`
	} `yaml:"interest"`

	name string
}

// policyCap is a cap as written.
type policyCap struct {
	Per     string `yaml:"per"`
	Channel string `yaml:"channel"`
	Limit   int    `yaml:"limit"`
	Within  string `yaml:"within"`
}

// parseLoadPolicy reads a policy, YAML or JSON, and leaves out campaigns that are not
// active now.
func parseLoadPolicy(text []byte, now time.Time) (*loadPolicy, error) {
	var p loadPolicy
	if err := yaml.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("read the node's policy: %w: %w", ErrNode, err)
	}
	for name, c := range p.Campaigns {
		if c == nil {
			c = &campaign{}
			p.Campaigns[name] = c
		}
		if c.name = name; c.isActive(now) {
			p.names = append(p.names, name)
		}
	}
	slices.Sort(p.names)
	if len(p.names) == 0 {
		return nil, fmt.Errorf("read the node's policy: %w: it has no campaign that is active now; put one with restraint policy put", ErrNode)
	}
	return &p, nil
}

// only is the policy with these campaigns; those that it does not have, or all where p
// is nil, with nothing known of them.
func (p *loadPolicy) only(names []string) *loadPolicy {
	out := &loadPolicy{Campaigns: map[string]*campaign{}}
	if p != nil {
		out.Consent, out.Markets, out.version = p.Consent, p.Markets, p.version
	}
	for _, name := range names {
		c := &campaign{name: name}
		if p != nil && p.Campaigns[name] != nil {
			c = p.Campaigns[name]
		}
		if out.Campaigns[name] == nil {
			out.names = append(out.names, name)
		}
		out.Campaigns[name] = c
	}
	return out
}

// isActive is true where a date cannot be read: then the node answers what it answers.
func (c *campaign) isActive(now time.Time) bool {
	at := func(text string) (time.Time, bool) {
		for _, layout := range []string{time.DateOnly, time.RFC3339} {
			if t, err := time.Parse(layout, text); err == nil {
				return t, true
			}
		}
		return time.Time{}, false
	}
	from, begins := at(c.Active.From)
	to, ends := at(c.Active.To)
	return !(begins && now.Before(from)) && !(ends && !now.Before(to))
}

// parseSpan reads a policy's duration: a number and s, m, h or d.
func parseSpan(text string) (time.Duration, bool) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	if len(text) < 2 {
		return 0, false
	}
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 31)
	unit := units[text[len(text)-1]]
	if err != nil || unit == 0 || time.Duration(n) > (1<<62)/unit {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// interestFields are what a candidate of the campaign says of the user's interest, so
// that the campaign's rule lets it pass: recent, as often as it asks, from where it
// asks; "" where there is no such rule.
func (c *campaign) interestFields(now time.Time) string {
	i := c.Interest
	if i == nil {
		return ""
	}
	after, _ := parseSpan(i.After)
	age := after + time.Minute // past the rule's least age, and fresh if anything is
	s := fmt.Sprintf(`,"interest_at":%d,"interest_count":%d`, now.Add(-age).Unix(), i.Least+1)
	if len(i.From) > 0 {
		s += `,"interest_from":` + string(appendString(nil, i.From[0]))
	}
	return s
}

// expected is the cap as an oracle counts it; false where it counts in another way than
// over a rolling window or for ever, or in one channel only.
func (c policyCap) expected() (ExpectedCap, bool) {
	within, rolling := parseSpan(c.Within)
	if c.Within == "lifetime" {
		within, rolling = 100*365*24*time.Hour, true
	}
	return ExpectedCap{Per: c.Per, Limit: c.Limit, Within: within}, rolling && c.Channel == "" && c.Limit > 0
}

// countable says why an oracle cannot recount the policy, or nothing.
func (p *loadPolicy) countable() error {
	var faults []string
	for _, name := range p.names {
		c := p.Campaigns[name]
		for i, cap := range c.Caps {
			if _, ok := cap.expected(); !ok {
				faults = append(faults, fmt.Sprintf("campaigns.%s.caps[%d]: per %s within %s", name, i, cap.Per, cap.Within))
			}
		}
		if c.Interest != nil {
			faults = append(faults, fmt.Sprintf("campaigns.%s.interest: it changes the limits", name))
		}
	}
	for _, m := range p.Markets {
		if m.Factor != nil && *m.Factor != 1 {
			faults = append(faults, fmt.Sprintf("market %s: cap_factor %g", m.Name, *m.Factor))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	more := ""
	if n := len(faults); n > 5 {
		faults, more = faults[:5], fmt.Sprintf("; and %d more", n-5)
	}
	return fmt.Errorf("%w: --oracle counts caps over rolling windows in every channel, and this policy has others: %s%s; put a policy without them", ErrOptions, strings.Join(faults, "; "), more)
}
