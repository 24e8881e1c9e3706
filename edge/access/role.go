package access

import (
	"fmt"
	"strings"
)

// Roles is a set of roles; the zero set is none.
type Roles uint8

// The roles, from the contract.
const (
	// Bid asks for decisions and reports events: ad servers.
	Bid Roles = 1 << iota
	// CRM changes suppression lists.
	CRM
	// Privacy looks people up, forgets them, sets their preferences, sees reasons.
	Privacy
	// Ops changes the policy, looks after the node, sees reasons.
	Ops
	// Metrics reads the metrics.
	Metrics

	allRoles = Metrics<<1 - 1
)

var roleNames = []string{"bid", "crm", "privacy", "ops", "metrics"}

// seesReasons are the roles that cannot do their work without reasons.
const seesReasons = Privacy | Ops

// ParseRoles reads role names with commas between them, each once.
func ParseRoles(text string) (Roles, error) {
	var set Roles
	for name := range strings.SplitSeq(text, ",") {
		r, ok := roleOf(name)
		switch {
		case !ok:
			return 0, fmt.Errorf("%q is no role: use %s", redact(name), AllRoles())
		case set&r != 0:
			return 0, fmt.Errorf("the role %q stands twice", name)
		}
		set |= r
	}
	return set, nil
}

func roleOf(name string) (Roles, bool) {
	for i, known := range roleNames {
		if known == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// AllRoles are the names of all roles, in order, with commas between them.
func AllRoles() string { return allRoles.String() }

// Names are the names of the roles in the set, in order.
func (r Roles) Names() (names []string) {
	for i, name := range roleNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String is the set as ParseRoles reads it.
func (r Roles) String() string { return strings.Join(r.Names(), ",") }
