package edge

import (
	"slices"

	"restraint/caps"
	"restraint/edge/policy"
)

// heldList is a list with what the policy in force says of it, where it declares it.
type heldList struct {
	List   string `json:"list"`
	Kind   string `json:"kind,omitempty"`   // suppression or opt_out
	Source string `json:"source,omitempty"` // first_party or third_party
	Basis  string `json:"basis,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// heldList describes a list.
func (r *rules) heldList(name, detail string) heldList {
	held := heldList{List: name, Detail: detail}
	if l := r.list(name); l != nil {
		held.Kind, held.Source, held.Basis = l.Kind.String(), l.Source, l.Basis
	}
	return held
}

// list is what the policies in force say of a list, first the one on whose people nothing
// is tried out; nil: none declares it.
func (r *rules) list(name string) *policy.List {
	for _, of := range r.both() {
		for i := range of.Lists {
			if of.Lists[i].Name == name {
				return &of.Lists[i]
			}
		}
	}
	return nil
}

// optOutNames are the lists of opt-outs of the policies in force.
func (r *rules) optOutNames() (names []string) {
	for _, of := range r.both() {
		for _, i := range of.optOuts {
			if name := of.Lists[i].Name; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// addLists adds the lists that contain any of the keys, settled in their key files, whether the
// policy declares them or not. A member of a list of items is made of the person
// and the item, so who is on it cannot be told without the items.
func (n *Node) addLists(e *everything, rules *rules, keys []caps.Key) {
	for _, s := range n.lists.StatusAll() {
		if s.Items {
			e.NotSearched = append(e.NotSearched, rules.heldList(s.List, "a list of orders; ask it about an item with decide"))
			continue
		}
		members, err := n.membersOf(s.List, keys)
		switch {
		case err != nil:
			n.log.Error("list not read for a look-up", "list", s.List, "error", err.Error())
			e.NotSearched = append(e.NotSearched, rules.heldList(s.List, unreadList))
		case len(members) > 0:
			e.Lists = append(e.Lists, rules.heldList(s.List, ""))
		}
	}
	e.Preferences.OptOutLists = n.optOutLists(rules, keys)
}

const unreadList = "its key file cannot be read; see the log"

// optOutLists are the policy's lists of opt-outs that have any of the keys, settled in their
// key files, and those of which that cannot be said.
func (n *Node) optOutLists(rules *rules, keys []caps.Key) (lists []heldList) {
	for _, name := range rules.optOutNames() {
		members, err := n.membersOf(name, keys)
		switch {
		case err != nil:
			n.log.Error("list of opt-outs not read for a person", "list", name, "error", err.Error())
			lists = append(lists, rules.heldList(name, unreadList))
		case len(members) > 0:
			lists = append(lists, rules.heldList(name, ""))
		}
	}
	return lists
}
