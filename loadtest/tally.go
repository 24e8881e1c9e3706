package loadtest

// tally is what one worker counts; users are at one worker only.
type tally struct {
	kinds     [kinds]int
	shown     int
	reasons   map[string]int // of skips
	campaigns map[uint32]campaignTally
	users     map[uint32]exposed
	periods   stretches
	refused   Rejected

	clicksShown, clicksSpared int

	bought        map[bought]struct{}
	afterItem     split
	afterCategory split
}

// split is how many showings went which way.
type split struct{ shown, spared int }

// campaignTally is one campaign's showings, and those of them of what the user had bought.
type campaignTally struct{ all, bought split }

// exposed is one user's showings in the log, and those that were let through.
type exposed struct {
	before, after uint32
	capped        bool
}

// bought is an item or a category that a user has bought.
type bought struct {
	user, name uint32
	category   bool
}

func newTally(s span) tally {
	return tally{
		reasons: map[string]int{}, campaigns: map[uint32]campaignTally{}, users: map[uint32]exposed{}, periods: newStretches(s),
		refused: newRejected(), bought: map[bought]struct{}{},
	}
}

func (s *split) add(show bool) {
	if show {
		s.shown++
	} else {
		s.spared++
	}
}

func (t *tally) decided(r *row, v verdict) {
	u := t.users[r.user]
	u.before++
	if v.Show {
		u.after++
		t.shown++
	} else {
		t.reasons[v.Reason]++
	}
	u.capped = u.capped || v.Reason == "cap"
	t.users[r.user] = u

	t.periods.add(r.second(), v)

	if r.clicked && v.Show {
		t.clicksShown++
	} else if r.clicked {
		t.clicksSpared++
	}
	_, hasItem := t.bought[bought{r.user, r.item, false}]
	_, hasCategory := t.bought[bought{r.user, r.category, true}]
	if hasItem {
		t.afterItem.add(v.Show)
	}
	if hasCategory {
		t.afterCategory.add(v.Show)
	}
	c := t.campaigns[r.campaign]
	c.all.add(v.Show)
	if hasItem || hasCategory {
		c.bought.add(v.Show)
	}
	t.campaigns[r.campaign] = c
}

func (s split) plus(t split) split { return split{s.shown + t.shown, s.spared + t.spared} }

// purchase remembers what was bought, by the log alone; a return forgets it.
func (t *tally) purchase(r *row) {
	for _, b := range [...]bought{{r.user, r.item, false}, {r.user, r.category, true}} {
		if b.name == 0 {
			continue
		}
		if r.kind == kindReturn {
			delete(t.bought, b)
		} else {
			t.bought[b] = struct{}{}
		}
	}
}
