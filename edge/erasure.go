package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"restraint/caps"
	"restraint/edge/identity"
	"restraint/suppress"
)

// erase forgets what is held about the keys, here and by way of the keeper
// everywhere. With keep they stay opted out. It returns the second it reaches to, and only
// once the erasure outlives this process.
func (n *Node) erase(keys []caps.Key, keep bool, now uint32) (until uint32, err error) {
	held := n.held(keys, now)
	newest := caps.Second(now)
	for i := range held {
		newest = max(newest, held[i].Newest())
	}
	reach := later(newest, caps.ErasureSkew)
	// The choices first: where there is room for one half only, nobody who opted out is
	// without it.
	changes := append(leftAfter(keys, held, keep, reach, caps.Second(now)), n.unsaid(keys, caps.Second(now))...)
	changes = append(changes, caps.Change{Kind: caps.ChangeErase, Keys: keys, Now: caps.Second(now), Until: reach})
	return uint32(reach), n.keeper.Record(changes)
}

// leftAfter are the choices that an erasure leaves. That is the opt-out, where it is kept,
// stamped after the erasure. What the erasure does not reach is overwritten with the choice
// of nothing: an opt-out of the last minutes (see caps.FieldOptOut), and what a clock far
// ahead stamped; were the erasure to reach that, nothing would be counted until then.
func leftAfter(keys []caps.Key, held []caps.Held, keep bool, reach, now caps.Second) (changes []caps.Change) {
	optOut := later(reach, 1)
	for i := range held {
		for _, c := range held[i].Choices {
			taken := reach
			if c.Field == fieldOptOut {
				optOut = max(optOut, later(c.Stamp, 1))
				taken -= min(taken, 2*caps.ErasureSkew)
			}
			if c.Stamp > taken && (c.Field != fieldOptOut || !keep) {
				changes = append(changes, caps.Change{Kind: caps.ChangeChoice, Keys: keys[i : i+1], Now: now, Field: c.Field, Stamp: later(c.Stamp, 1)})
			}
		}
	}
	if keep {
		changes = append(changes, caps.Change{Kind: caps.ChangeChoice, Keys: keys, Now: now, Field: fieldOptOut, Stamp: optOut, Value: 1})
	}
	return changes
}

// erasedList is what became of a list that contains the person.
type erasedList struct {
	List string `json:"list"`
	// State is kept, removed or failed.
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
}

// eraseFromLists takes the keys off the lists of users that have them, or says that they
// stay. A list only suppresses: whoever is taken off it is shown more. So who stays
// opted out stays on the lists too, and only who asks for no opt-out is taken off, until
// the list's owner sends them again. Members of lists of items cannot be found by person.
func (n *Node) eraseFromLists(ctx context.Context, keys []caps.Key, keep bool) []erasedList {
	lists := []erasedList{}
	for _, s := range n.lists.StatusAll() {
		if s.Items {
			continue
		}
		members, err := n.membersOf(s.List, keys)
		entry := erasedList{List: s.List, State: "kept", Detail: "it only suppresses; its owner can take the person off it"}
		switch {
		case err != nil:
			entry = erasedList{List: s.List, State: "failed", Detail: "its key file cannot be read; see the log"}
			n.log.Error("list not read for an erasure", "list", s.List, "error", err.Error())
		case len(members) == 0:
			continue
		case !keep:
			entry = erasedList{List: s.List, State: "removed", Detail: "until the list's owner sends it again"}
			if err := n.removeKeys(ctx, s.List, members); err != nil {
				entry = erasedList{List: s.List, State: "failed", Detail: "send the erasure again: " + err.Error()}
			}
		}
		lists = append(lists, entry)
	}
	return lists
}

// errDamagedList says that not all members of a list are known.
var errDamagedList = errors.New("its files are damaged: upload it again")

// membersOf are those of the keys that are on a list, settled in its key file. Of a list
// whose files are damaged it cannot be said who is on it.
func (n *Node) membersOf(list string, keys []caps.Key) (members []caps.Key, err error) {
	if st, err := n.lists.Status(list); err == nil && st.State == suppress.StateDamaged {
		return nil, errDamagedList
	}
	for _, key := range keys {
		in, err := n.lists.Member(list, key)
		if err != nil {
			return nil, err
		}
		if in {
			members = append(members, key)
		}
	}
	return members, nil
}

// removeKeys takes keys off a list, in the whole cluster.
func (n *Node) removeKeys(ctx context.Context, list string, keys []caps.Key) error {
	if n.options.Lists == nil {
		return n.lists.RemoveKeys(list, keys)
	}
	message, err := n.lists.AppendChange(nil, &suppress.Change{List: list, Op: suppress.Remove, Keys: keys})
	if err != nil {
		return err
	}
	number, err := n.publishChange(ctx, message)
	if err != nil {
		return err
	}
	if err := n.applyOwn(ctx, number, message); err != nil {
		return fmt.Errorf("%w: %w", errListElsewhere, err)
	}
	return n.lists.Sync()
}

// nodeErased is how far one node is with an erasure.
type nodeErased struct {
	Node string `json:"node"`
	// State is applied or pending.
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
}

// erasedOn says for every node whether it has an erasure, this one first. An error says
// that the others could not be asked.
func (n *Node) erasedOn(ctx context.Context, r *identity.Receipt) (nodes []nodeErased, done bool, err error) {
	here := nodeErased{Node: n.options.Name, State: "applied"}
	for _, key := range r.Keys {
		if uint32(n.caps.Erased(key)) < r.Until {
			here.State, here.Detail = "pending", "this node has not heard of it yet"
		}
	}
	nodes, done = []nodeErased{here}, here.State == "applied"
	if n.options.Peers == nil {
		return nodes, done, nil
	}
	peers, err := n.options.Peers.Erased(ctx, r.Keys, caps.Second(r.Until))
	if err != nil {
		return nodes, false, err
	}
	for _, p := range peers {
		other := nodeErased{Node: p.Node, State: "applied"}
		if !p.Applied {
			done = false
			other.State, other.Detail = "pending", "it has not heard of it yet"
			if !p.Answered {
				other.Detail = "it does not answer; it hears of the erasure before it is ready again; last seen " + p.Seen.UTC().Format(time.RFC3339)
			}
		}
		nodes = append(nodes, other)
	}
	return nodes, done, nil
}
