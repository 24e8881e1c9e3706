package edge

import (
	"fmt"
	"slices"

	"restraint/edge/access"
	"restraint/edge/audit"
)

// noteStart puts on record with what the node starts: what was changed on its disk while
// it was down shows there.
func (n *Node) noteStart() {
	facts := audit.Facts{"program": n.options.Version, "node": n.options.Name}
	if v := n.policies.newest(); v.Version > 0 {
		facts["policy"], facts["policy_sha256"] = v.Version, v.SHA256
	}
	var lists []string
	for _, st := range n.lists.StatusAll() {
		if st.Declared {
			lists = append(lists, fmt.Sprintf("%s: generation %d, %d keys, %s", st.List, st.Generation, st.Keys, st.State))
		}
	}
	if len(lists) > 0 {
		facts["lists"] = lists
	}
	n.note(audit.Entry{Action: audit.NodeStarted, Outcome: audit.Done, Who: audit.Who{By: audit.ByStart}, After: facts})
	n.noteKeys(audit.ByStart, "")
}

// KeysReloaded puts on record which access keys of Options.Keys came and went since the
// node was opened, or since this was last called; file is where they are from. It is for
// whoever replaces the keys of a running node, after doing so: a key that got out is
// revoked whether or not that can be written down.
func (n *Node) KeysReloaded(file string) { n.noteKeys(audit.BySIGHUP, file) }

func (n *Node) noteKeys(by audit.By, file string) {
	if n.options.Keys == nil {
		return
	}
	r := &n.record
	r.mu.Lock()
	facts, now := keyChanges(r.keys, n.options.Keys.Callers())
	r.keys = now
	r.mu.Unlock()
	if by == audit.BySIGHUP && len(facts) == 0 {
		return
	}
	active := 0
	for _, k := range now {
		if k.Active() {
			active++
		}
	}
	if facts["active"] = active; file != "" {
		facts["file"] = file
	}
	n.note(audit.Entry{Action: audit.KeysLoaded, Outcome: audit.Done, Who: audit.Who{By: by}, After: facts})
}

// keyChanges says which keys came, went, were revoked or are others under the same id.
func keyChanges(was map[string]access.Key, callers []*access.Caller) (facts audit.Facts, now map[string]access.Key) {
	by := map[string][]string{}
	now = make(map[string]access.Key, len(callers))
	say := func(what string, k *access.Key) { by[what] = append(by[what], k.ID+" "+k.Client+" "+k.Roles.String()) }
	for _, c := range callers {
		k := &c.Key
		now[k.ID] = *k
		switch old, known := was[k.ID]; {
		case !known && k.Active():
			say("came", k)
		case known && old.Active() && !k.Active():
			say("revoked", k)
		case known && old != *k:
			say("changed", k)
		}
	}
	for id, old := range was {
		if _, there := now[id]; !there {
			say("went", &old)
		}
	}
	facts = audit.Facts{}
	for what, keys := range by {
		slices.Sort(keys)
		facts[what] = keys
	}
	return facts, now
}
