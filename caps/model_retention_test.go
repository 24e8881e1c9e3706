package caps

// floorOf is the first second that is kept of the user.
func (m *model) floorOf(u *modelUser) Second {
	if u.own == 0 || uint32(m.now) <= u.own {
		return m.floor()
	}
	return max(m.floor(), m.now-Second(u.own))
}

// forget takes out what is older than the user's own retention, and that with the last that is left.
func (m *model) forget(u *modelUser) {
	if u.own == 0 {
		return
	}
	floor, left := m.floorOf(u), false
	for _, shown := range u.shown {
		for identity, at := range shown {
			left = left || at+m.slack >= floor
			if at < floor {
				delete(shown, identity)
			}
		}
	}
	for _, holds := range u.holds {
		for _, h := range holds {
			left = left || h.end > m.now && h.issued >= floor
		}
	}
	for _, end := range u.released {
		left = left || end > m.now && end-MaxHold > u.erased
	}
	if !left {
		u.own = 0
	}
}

// meet joins the retention of what comes into the user's own.
func (m *model) meet(u *modelUser, own uint32) {
	m.forget(u)
	if own != 0 && (u.own == 0 || own < u.own) {
		u.own = own
	}
}
