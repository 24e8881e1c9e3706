package policy

import (
	"fmt"
	"slices"
	"strings"
)

// check looks at what a campaign cannot know by itself: lists, groups, sensitive
// topics, caps that contradict one another, and the number of scopes.
func (src *Source) check() {
	lists := make(map[string]int, len(src.Lists))
	for i := range src.Lists {
		lists[src.Lists[i].Name] = i
	}
	groups := map[string]bool{}
	for i := range src.campaigns {
		for _, g := range src.campaigns[i].Groups {
			groups[g] = true
		}
	}
	sensitive := map[string]bool{}
	for _, topic := range src.Sensitive {
		sensitive[topic] = true
	}
	for i := range src.campaigns {
		w := &src.campaigns[i]
		src.checkLists(w, lists)
		w.checkSensitive(sensitive)
		w.checkGroups(groups)
		w.checkCaps()
	}
	src.checkScopes()
	src.checkChannels()
}

// checkChannels bounds how many channels there are, at the cap that is one too
// many.
func (src *Source) checkChannels() {
	known := map[string]bool{"": true}
	for i := range src.campaigns {
		for k := range src.campaigns[i].caps {
			c := &src.campaigns[i].caps[k]
			if known[c.channel] {
				continue
			}
			if known[c.channel] = true; len(known) > MaxChannels+1 {
				c.at.fault("use channels that others use too", "the channel %s is one more than %d", quote(c.channel), MaxChannels)
				return
			}
		}
	}
}

func (src *Source) checkLists(w *written, lists map[string]int) {
	for _, use := range []struct {
		refs  []reference
		items bool
	}{{w.suppress, false}, {w.orders, true}} {
		for i := range use.refs {
			ref := &use.refs[i]
			index, declared := lists[ref.name]
			switch {
			case !declared:
				ref.at.fault("declare it under lists", "there is no list %s", quote(ref.name))
			case src.Lists[index].Kind == OptOut:
				ref.at.fault("remove it here: it holds for every retargeting and acquisition campaign without being named, and never for contextual ones",
					"the list %s is of opt-outs", quote(ref.name))
			case use.items && !src.Lists[index].Items:
				ref.at.fault("name a list declared with items: true, or put it under suppress", "the list %s has no items", quote(ref.name))
			case !use.items && src.Lists[index].Items:
				ref.at.fault("put it under purchased.lists", "the list %s is of identifiers and items", quote(ref.name))
			default:
				ref.index = index
			}
		}
	}
}

// checkSensitive: sensitive topics are never retargeted and never used with a
// list.
func (w *written) checkSensitive(sensitive map[string]bool) {
	for _, topic := range w.Topics {
		if !sensitive[topic] {
			continue
		}
		if w.Purpose == Retargeting {
			w.at.fault("write purpose: contextual or acquisition, or remove the topic", "the sensitive topic %s is retargeted", quote(topic))
		}
		if len(w.suppress)+len(w.orders) > 0 {
			w.at.fault("remove the lists or the topic", "the sensitive topic %s is used with a list", quote(topic))
		}
	}
}

func (w *written) checkGroups(groups map[string]bool) {
	for i := range w.caps {
		c := &w.caps[i]
		switch {
		case c.per != PerGroup || slices.Contains(w.Groups, c.group):
		case !groups[c.group]:
			c.at.fault("write the name of a group that campaigns list under groups", "no campaign is in the group %s", quote(c.group))
		default:
			c.at.fault("add it to the campaign's groups, as groups: ["+c.group+"]", "the campaign is not in the group %s", quote(c.group))
		}
	}
}

// checkCaps refuses caps of one scope where the longer window allows no more
// than the shorter, or where both have the same window.
func (w *written) checkCaps() {
	for i := range w.caps {
		for j := range i {
			a, b := &w.caps[j], &w.caps[i]
			if !a.whole || !b.whole || a.scope(w) != b.scope(w) {
				continue
			}
			if a.window == b.window {
				b.at.fault("keep the lower of the two", "it has the scope and the window of caps[%d]", a.at.index)
				continue
			}
			long, short := a, b
			if b.window.longer(a.window) {
				long, short = b, a
			}
			if long.limit <= short.limit {
				b.at.fault("allow more in the longer window or remove one of the two",
					"%d within %s allows no more than %d within %s (caps[%d])",
					long.limit, long.withinRaw, short.limit, short.withinRaw, a.at.index)
			}
		}
	}
}

// checkScopes bounds what a showing of one campaign is counted under.
func (src *Source) checkScopes() {
	read := src.reads()
	for i := range src.campaigns {
		w := &src.campaigns[i]
		if names := read.scopesOf(w); len(names) > maxScopes {
			w.at.fault(fmt.Sprintf("use fewer groups, or fewer channels in the caps of %s and its groups", strings.ToValidUTF8(quote(w.Advertiser), "")),
				"a showing is counted under %d scopes, more than %d", len(names), maxScopes)
		}
	}
}
