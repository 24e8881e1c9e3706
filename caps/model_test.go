package caps

import "sort"

// model answers what the store answers, from full histories in plain maps, by the definitions and without their representation.
//
// A retention of its own (Exposure.Retention) it has like this. A user has at most one, the shortest of those that came with what he was
// shown or with places held for him, since there was last nothing of him. Under it all of him goes that is older, wherever it was shown. It
// goes itself when nothing of him is left. What is older than the retention that it comes with is as if it had not come. A person is the union of users, each
// by his own: under which retention another of his identifiers is neither shortens nor lengthens what this one says.
type model struct {
	now       Second
	retention uint32
	purchases uint32
	slack     Second // by which what was dropped may be later than it was: the store then goes by a cut
	users     map[Key]*modelUser
}

type modelUser struct {
	shown    map[uint64]map[uint32]Second // scope, identity: second
	holds    map[uint64]map[uint32]modelHold
	released map[uint32]Second
	erased   Second
	bought   map[uint64]Second
	returned map[uint64]Second
	choices  map[uint64]modelChoice
	own      uint32 // seconds; 0: none
}

type modelHold struct{ end, issued Second }

type modelChoice struct {
	stamp Second
	value uint32
}

func (m *model) user(k Key) *modelUser {
	u := m.users[k]
	if u == nil {
		u = &modelUser{
			shown: map[uint64]map[uint32]Second{}, holds: map[uint64]map[uint32]modelHold{}, released: map[uint32]Second{},
			bought: map[uint64]Second{}, returned: map[uint64]Second{}, choices: map[uint64]modelChoice{},
		}
		m.users[k] = u
	}
	return u
}

func (m *model) tick(now Second) {
	if now > m.now {
		m.now = now
	}
}

func (m *model) floor() Second {
	if uint32(m.now) <= m.retention+1 {
		return 1
	}
	return m.now - Second(m.retention)
}

// beats is the latest end of a hold of the identity that the user's exposures and releases beat.
func (m *model) beats(u *modelUser, identity uint32) (end Second) {
	for _, shown := range u.shown {
		if at, ok := shown[identity]; ok && at >= m.floorOf(u) && at+MaxHold > end {
			end = at + MaxHold
		}
	}
	if u.released[identity] > end {
		end = u.released[identity]
	}
	return end
}

// settle takes out the holds that are beaten: what is beaten once stays so.
func (m *model) settle(u *modelUser) {
	for _, holds := range u.holds {
		for identity, h := range holds {
			if h.end <= m.beats(u, identity) || h.end <= m.now || h.issued <= u.erased {
				delete(holds, identity)
			}
		}
	}
}

func (m *model) expose(keys []Key, e Exposure, beats []uint32, scopes []Counted, now Second) {
	m.tick(now)
	own := e.Retention.Seconds()
	if e.At < m.floor() || own != 0 && uint32(m.now) > own && e.At < m.now-Second(own) {
		return
	}
	for _, k := range keys {
		u := m.user(k)
		if e.At <= u.erased || e.Issued != 0 && e.Issued <= u.erased {
			continue
		}
		m.meet(u, own)
		for _, c := range scopes {
			if u.shown[c.Scope] == nil {
				u.shown[c.Scope] = map[uint32]Second{}
			}
			u.shown[c.Scope][e.Identity] = max(e.At, u.shown[c.Scope][e.Identity])
		}
		for _, b := range beats {
			if m.now > u.erased {
				u.released[b] = max(u.released[b], m.now+MaxHold)
			}
		}
		m.settle(u)
		m.forget(u)
	}
}

func (m *model) release(keys []Key, identity uint32, until, now Second) {
	m.tick(now)
	for _, k := range keys {
		if u := m.user(k); until-MaxHold > u.erased {
			m.forget(u)
			u.released[identity] = max(u.released[identity], until)
			m.settle(u)
		}
	}
}

func (m *model) hold(keys []Key, taken []modelPlace, until Second, own uint32) {
	for _, k := range keys {
		u := m.user(k)
		if m.now <= u.erased {
			continue // issued before the erasure reaches
		}
		m.meet(u, own)
		for _, p := range taken {
			if u.holds[p.scope] == nil {
				u.holds[p.scope] = map[uint32]modelHold{}
			}
			if h, ok := u.holds[p.scope][p.identity]; !ok || until > h.end {
				u.holds[p.scope][p.identity] = modelHold{until, m.now}
			}
		}
		m.settle(u)
	}
}

func (m *model) erase(keys []Key, until, now Second) {
	m.tick(now)
	for _, k := range keys {
		u := m.user(k)
		m.forget(u)
		u.erased = max(u.erased, until)
		for _, shown := range u.shown {
			for identity, at := range shown {
				if at <= u.erased {
					delete(shown, identity)
				}
			}
		}
		for identity, end := range u.released {
			if end <= u.erased+MaxHold {
				delete(u.released, identity)
			}
		}
		for tag := range u.bought {
			if u.bought[tag] <= u.erased {
				delete(u.bought, tag)
			}
		}
		for tag := range u.returned {
			if u.returned[tag] <= u.erased {
				delete(u.returned, tag)
			}
		}
		for field, c := range u.choices {
			if c.stamp <= u.erased {
				delete(u.choices, field)
			}
		}
		m.settle(u)
	}
}

func (m *model) buy(keys []Key, tag uint64, at, now Second, back bool) {
	m.tick(now)
	for _, k := range keys {
		u := m.user(k)
		if at <= u.erased {
			continue
		}
		if back {
			u.returned[tag] = max(u.returned[tag], at)
		} else {
			u.bought[tag] = max(u.bought[tag], at)
		}
	}
}

func (m *model) choose(keys []Key, field uint64, stamp Second, value uint32, now Second) {
	m.tick(now)
	for _, k := range keys {
		u := m.user(k)
		c, ok := u.choices[field]
		if stamp > u.erased && (!ok || stamp > c.stamp || stamp == c.stamp && value > c.value) {
			u.choices[field] = modelChoice{stamp, value}
		}
	}
}

type modelPlace struct {
	scope    uint64
	identity uint32
}

// modelPerson is the union of some users, with the places taken in one answer.
type modelPerson struct {
	m     *model
	keys  []Key
	taken []modelPlace
}

// shown is the union of the exposures of a scope, from the second on.
func (p *modelPerson) shown(scope uint64, since Second) map[uint32]Second {
	all := map[uint32]Second{}
	for _, k := range p.keys {
		for identity, at := range p.m.user(k).shown[scope] {
			if at >= since && at >= p.m.floorOf(p.m.user(k)) {
				all[identity] = max(all[identity], at)
			}
		}
	}
	return all
}

// held is the union of the live holds of a scope.
func (p *modelPerson) held(scope uint64) map[uint32]modelHold {
	all := map[uint32]modelHold{}
	for _, k := range p.keys {
		for identity, h := range p.m.user(k).holds[scope] {
			beaten := h.end <= p.m.now || h.issued < p.m.floorOf(p.m.user(k))
			for _, other := range p.keys {
				beaten = beaten || h.end <= p.m.beats(p.m.user(other), identity)
			}
			if had, ok := all[identity]; !beaten && (!ok || h.end > had.end) {
				all[identity] = h
			}
		}
	}
	return all
}

// count is how many showings would count at f, with the window beginning at since.
func (p *modelPerson) count(scope uint64, since, f Second) int {
	all := map[uint32]bool{}
	for _, k := range p.keys {
		one := &modelPerson{m: p.m, keys: []Key{k}}
		kept := p.m.retention
		if own := p.m.user(k).own; own != 0 {
			kept = min(kept, own)
		}
		for identity, at := range one.shown(scope, since) {
			if f == p.m.now || uint32(f-min(f, at)) <= kept {
				all[identity] = true
			}
		}
	}
	for identity, h := range p.held(scope) {
		if h.end > f {
			all[identity] = true
		}
	}
	for _, t := range p.taken {
		if t.scope == scope && p.m.now >= since && uint32(f-p.m.now) <= p.m.retention {
			all[t.identity] = true
		}
	}
	return len(all)
}

func (p *modelPerson) newest(scope uint64) (at Second) {
	for _, t := range p.shown(scope, 0) {
		at = max(at, t)
	}
	for _, h := range p.held(scope) {
		at = max(at, h.issued)
	}
	return at
}

// run walks the showings of the campaign, newest first.
func (p *modelPerson) run(campaign, creative uint64, n int) bool {
	type showing struct {
		identity uint32
		at       Second
	}
	var all []showing
	under := map[uint32]bool{}
	for i := len(p.taken) - 1; i >= 0; i-- {
		if p.taken[i].scope == campaign {
			all = append(all, showing{identity: p.taken[i].identity})
		}
		under[p.taken[i].identity] = under[p.taken[i].identity] || p.taken[i].scope == creative
	}
	var held, shown []showing
	for identity, h := range p.held(campaign) {
		held = append(held, showing{identity, h.issued})
	}
	for identity := range p.held(creative) {
		under[identity] = true
	}
	for identity, at := range p.shown(campaign, 0) {
		shown = append(shown, showing{identity, at})
	}
	for identity := range p.shown(creative, 0) {
		under[identity] = true
	}
	for _, s := range [][]showing{held, shown} {
		sort.Slice(s, func(i, j int) bool {
			if s[i].at != s[j].at {
				return s[i].at > s[j].at
			}
			return s[i].identity > s[j].identity
		})
		all = append(all, s...)
	}
	seen := map[uint32]bool{}
	for _, s := range all {
		if seen[s.identity] {
			continue
		}
		seen[s.identity] = true
		if !under[s.identity] {
			return false
		}
		if len(seen) == n {
			return true
		}
	}
	return false
}

func (p *modelPerson) purchase(tag uint64) (Second, bool) {
	var bought, returned Second
	for _, k := range p.keys {
		u := p.m.user(k)
		bought, returned = max(bought, u.bought[tag]), max(returned, u.returned[tag])
	}
	if bought <= returned || uint32(p.m.now-min(p.m.now, bought)) > p.m.purchases {
		return 0, false
	}
	return bought, true
}

func (p *modelPerson) choice(field uint64) (best modelChoice, ok bool) {
	for _, k := range p.keys {
		c, found := p.m.user(k).choices[field]
		if found && field&FieldLasts == 0 && c.stamp+PassingRetention < p.m.now {
			continue // it has passed
		}
		if found && (!ok || c.value > best.value || c.value == best.value && c.stamp > best.stamp) {
			best, ok = c, true
		}
	}
	return best, ok
}
