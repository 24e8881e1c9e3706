package policy

import (
	"cmp"
	"slices"
)

// Keep says that a scope has to keep Limit exposures until a time, because a
// policy version that was in force within the retention read it with that limit.
type Keep struct {
	ScopeName
	Limit uint8
	Until uint32 // Unix seconds; while now < Until
}

// Keeps are the keeps of several policy versions, sorted, none of them implied by
// another. They travel with the policy, so that all nodes keep the same.
type Keeps []Keep

// Join returns everything that either asks for. It is commutative, associative
// and idempotent.
func (k Keeps) Join(other Keeps) Keeps {
	all := append(slices.Clone(k), other...)
	slices.SortFunc(all, func(a, b Keep) int {
		return cmp.Or(a.compare(b.ScopeName), -cmp.Compare(a.Limit, b.Limit), -cmp.Compare(a.Until, b.Until))
	})
	joined := all[:0]
	for _, next := range all {
		// The scope's earlier keeps have at least this limit: it adds something
		// only where it lasts longer than the last of them.
		if n := len(joined); n > 0 && joined[n-1].ScopeName == next.ScopeName && joined[n-1].Until >= next.Until {
			continue
		}
		joined = append(joined, next)
	}
	return joined
}

// after returns the keeps that are still to be honoured at now.
func (k Keeps) after(now uint32) Keeps {
	var left Keeps
	for _, keep := range k {
		if now < keep.Until {
			left = append(left, keep)
		}
	}
	return left
}

// Keeps returns what the next version has to honour if it replaces p at now:
// p's own limits for p's retention from now on, and what p still had to honour.
func (p *Policy) Keeps(now uint32) Keeps {
	until := uint32(min(uint64(now)+uint64(p.Retention.Exposures), forever))
	own := make(Keeps, 0, len(p.own))
	for _, s := range p.own {
		own = append(own, Keep{s.ScopeName, s.keep, until})
	}
	return own.Join(p.Held.after(now))
}
