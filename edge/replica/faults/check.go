package faults

import (
	"fmt"
	"slices"
)

// verdict is what a node says of one candidate.
type verdict struct {
	show   bool
	reason string
	count  int  // of the cap of the campaign; -1 where no such cap was looked at
	full   bool // history that was dropped reaches into the window, so the count is not all
}

// reading is what a node says of a person, by what was asked: a campaign, or an item of a purchase.
type reading struct {
	node, user string
	verdicts   map[string]verdict
}

// Every check returns what is wrong, in words; nothing is right.

// checkBounds: each count lies between the events that were acknowledged and those together with the unknown ones, and one event counts
// once however often it was reported. After Jepsen's counter checker (jepsen.checker/counter: the value read must lie between the sum of
// the acknowledged and that of the attempted additions); exactly once is its upper bound over events instead of reports.
func checkBounds(want map[pair]bounds, readings []reading, most int) (wrong []string) {
	for _, r := range readings {
		for of, v := range r.verdicts {
			b, sent := want[pair{r.user, of}]
			if v.count < 0 || v.full || !sent && v.count == 0 {
				continue
			}
			if v.count < min(b.least, most) || v.count > b.most {
				wrong = append(wrong, fmt.Sprintf("node %s counts %d for user %s and %s, want %d to %d", r.node, v.count, r.user, of, b.least, b.most))
			}
		}
	}
	return wrong
}

// checkRead: a count read while events go on lies between what this very node had acknowledged when the question was asked and all
// that was sent by the time of the answer. The same checker, for one read; the lower bound by node is "read your writes" (Terry et al.,
// Session Guarantees for Weakly Consistent Replicated Data, 1994).
func checkRead(r reading, of string, b bounds, most int) []string {
	v := r.verdicts[of]
	if v.full || v.count >= min(b.least, most) && v.count <= b.most {
		return nil
	}
	return []string{fmt.Sprintf("while events go on, node %s counts %d for user %s and %s, want %d to %d", r.node, v.count, r.user, of, b.least, b.most)}
}

// checkAgreement: after healing all nodes say the same of everybody. Final-read convergence: strong eventual consistency (Shapiro et al.,
// Conflict-free Replicated Data Types, 2011), tested by reads after the last write as Jepsen's set and counter workloads do.
func checkAgreement(readings []reading) (wrong []string) {
	first := map[string]reading{}
	for _, r := range readings {
		f, ok := first[r.user]
		if !ok {
			first[r.user] = r
			continue
		}
		for of, v := range r.verdicts {
			if w := f.verdicts[of]; w != v {
				wrong = append(wrong, fmt.Sprintf("of user %s and %s node %s says %+v, node %s %+v", r.user, of, r.node, v, f.node, w))
			}
		}
		if len(f.verdicts) != len(r.verdicts) {
			wrong = append(wrong, fmt.Sprintf("of user %s node %s has %d verdicts, node %s %d", r.user, r.node, len(r.verdicts), f.node, len(f.verdicts)))
		}
	}
	return wrong
}

// checkRefusals: what was acknowledged as hidden or bought is skipped for that reason, and what was never sent is not. The first half is
// Jepsen's set checker (no acknowledged element is lost), the second its "unexpected" elements; that a refusal once read stays is that no
// removed element of a CRDT comes back by an old replica.
func checkRefusals(want map[pair]bounds, readings []reading, reason string, asked func(of string) bool) (wrong []string) {
	for _, r := range readings {
		for of, v := range r.verdicts {
			if !asked(of) {
				continue
			}
			b := want[pair{r.user, of}]
			if b.least > 0 && (v.show || v.reason != reason) {
				wrong = append(wrong, fmt.Sprintf("lost refusal: node %s says %+v of user %s and %s, want %s", r.node, v, r.user, of, reason))
			}
			if b.most == 0 && v.reason == reason {
				wrong = append(wrong, fmt.Sprintf("node %s says %s of user %s and %s, which nobody sent", r.node, reason, r.user, of))
			}
		}
	}
	return wrong
}

// overshoot is what was shown beyond a cap.
type overshoot struct {
	shown, over int
	perUser     map[string]int // verdicts to show, by user
}

// perMille is the share of the showings that went over the cap, in thousandths.
func (o overshoot) perMille() float64 {
	if o.shown == 0 {
		return 0
	}
	return 1000 * float64(o.over) / float64(o.shown)
}

// measureOvershoot counts the verdicts to show that came when the cap was used up by acknowledged impressions already. Over-delivery as the
// industry counts it (impressions beyond the cap over impressions shown); here each is judged by what was acknowledged before it was asked.
func measureOvershoot(shows []shown, limit int) overshoot {
	o := overshoot{perUser: map[string]int{}}
	for _, s := range shows {
		o.shown++
		o.perUser[s.pair.user]++
		if s.acknowledged >= limit {
			o.over++
		}
	}
	return o
}

// checkOvershoot: a node keeps a cap over what it acknowledged itself, whatever happens around it; on a single node that is no overshoot
// at all. What nodes that are apart show together is bounded by checkApart.
func checkOvershoot(shows []shown, limit int) (wrong []string) {
	for _, s := range shows {
		if s.own >= limit {
			wrong = append(wrong, fmt.Sprintf("node %s shows %s to user %s after it acknowledged %d impressions, the cap is %d", s.node, s.pair.of, s.pair.user, s.own, limit))
		}
	}
	return wrong
}

// checkApart: nodes that knew the same of everybody, and then nothing of one another, each fill up what the cap had left, and no more. So
// of a pair that had C impressions no node takes more than the cap less C, and N nodes together end at C + N * (cap - C) or less, which is
// at most N * cap. It holds where an impression is reported to the node that showed it, and where nobody's requests overlap; of requests
// that do, each node holds the place, so none is shown twice. Escrow (O'Neil, The Escrow Transactional Method, 1986) without shares: each
// node takes the whole rest for its own.
//
// known is what all knew when they were parted; before and after are what each node had acknowledged itself, then and now.
func checkApart(known map[pair]int, before, after map[pair]map[string]int, limit int) (wrong []string) {
	for p, nodes := range after {
		left := max(0, limit-known[p])
		for node, n := range nodes {
			if n -= before[p][node]; n > left {
				wrong = append(wrong, fmt.Sprintf("apart from the others node %s shows %s to user %s %d times, after %d that were known to all: the cap is %d", node, p.of, p.user, n, known[p], limit))
			}
		}
	}
	return wrong
}

// checkMembers: a member of a list is never let through. No false negative, the promise of a Bloom filter (Bloom, Space/Time Trade-offs in
// Hash Coding with Allowable Errors, 1970), across replacements.
func checkMembers(r reading, of string) []string {
	if v, asked := r.verdicts[of]; !asked || v.show || v.reason != "suppressed" && v.reason != "stale_list" {
		return []string{fmt.Sprintf("false negative: node %s says %+v of the member %s", r.node, v, r.user)}
	}
	return nil
}

// few is the first of what is wrong, and how many more there are.
func few(wrong []string) string {
	slices.Sort(wrong)
	s := ""
	for i, w := range wrong {
		if i == 8 {
			return s + fmt.Sprintf("\n  and %d more", len(wrong)-i)
		}
		s += "\n  " + w
	}
	return s
}
