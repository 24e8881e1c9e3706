package caps

import "fmt"

// ChangeKind says what a Change does.
type ChangeKind uint8

// The kinds of change. The numbers are part of stored forms and never change their meaning.
const (
	ChangeExpose   ChangeKind = 1 // Expose: Exposure, Beats, Scopes
	ChangeRelease  ChangeKind = 2 // Release: Identity, Until
	ChangePurchase ChangeKind = 3 // Purchase: Tags, Stamp
	ChangeReturn   ChangeKind = 4 // Return: Tags, Stamp
	ChangeChoice   ChangeKind = 5 // Choose: Field, Stamp, Value
	ChangeErase    ChangeKind = 6 // Erase: Until
	ChangeHold     ChangeKind = 7 // Hold: Identity, Until, Scopes, Retention; of the second Now
	ChangeReport   ChangeKind = 8 // of the set Beside: one key, Field, Stamp, Value
)

// Refuses reports whether a change of this kind goes to the refusals, and so may find them full.
func (k ChangeKind) Refuses() bool { return k >= ChangePurchase && k <= ChangeErase }

// A Change is one write for one person, with everything that it comes to already resolved: whoever applies it, whenever and how often,
// comes to the same state, given what merge.go asks of the callers, and that an exposure issued before an erasure is not after it (Expose
// ignores one that is, but cannot take back one that came before the erasure). Fields that its kind does not name are not looked at.
type Change struct {
	Kind ChangeKind
	// Keys are the person's, at most MaxKeys.
	Keys []Key
	// Now is the second in which the change was accepted: a release counts from there, not from when it is applied.
	Now Second
	// Exposure, Beats (at most MaxHoldRows) and Scopes (at most MaxScopes) are those of Expose; the holds in Beats are used up as far as
	// they end within MaxHold of the exposure.
	Exposure Exposure
	Beats    []uint32
	Scopes   []Counted
	// Identity is of the holds that are released, or placed.
	Identity uint32
	// Until is that of Release or of Erase, or when the hold ends.
	Until Second
	// Retention is the own one of the places that are held.
	Retention Retention
	// Tags (at most MaxScopes) are what was bought or given back.
	Tags []uint64
	// Field is the register that is chosen; of a report, as whoever reads it has it.
	Field uint64
	// Stamp is when it was bought or given back, or the stamp of the choice; of a report, when it was made.
	Stamp Second
	// Value is what is chosen; of a report, as whoever reads it has it.
	Value uint32

	// Fresh and Untold are set by Apply, for ChangeExpose. Fresh: the exposure was counted for one of the keys at least, and the counter of
	// the first scope did not have it. Untold: it may have had it and dropped it since. They say nothing of what other stores know.
	Fresh, Untold bool
}

// Check returns ErrMalformed for a change of an unknown kind or over the bounds of its fields.
func (c *Change) Check() error {
	switch {
	case c.Kind < ChangeExpose || c.Kind > ChangeReport:
		return fmt.Errorf("%w: change of kind %d", ErrMalformed, c.Kind)
	case len(c.Keys) > MaxKeys:
		return fmt.Errorf("%w: %d keys, more than %d", ErrMalformed, len(c.Keys), MaxKeys)
	case c.Kind == ChangeReport && len(c.Keys) != 1:
		return fmt.Errorf("%w: a report of %d keys", ErrMalformed, len(c.Keys))
	case len(c.Beats) > MaxHoldRows:
		return fmt.Errorf("%w: %d holds used up, more than %d", ErrMalformed, len(c.Beats), MaxHoldRows)
	case len(c.Scopes) > MaxScopes || len(c.Tags) > MaxScopes:
		return fmt.Errorf("%w: %d scopes and %d tags, more than %d", ErrMalformed, len(c.Scopes), len(c.Tags), MaxScopes)
	case max(c.Retention, c.Exposure.Retention) > MaxRetention:
		return fmt.Errorf("%w: retention %d, more than %d", ErrMalformed, max(c.Retention, c.Exposure.Retention), MaxRetention)
	}
	return nil
}

// Apply makes the change. It keeps nothing of it. It returns ErrMalformed as Check and ErrFull as Purchase; then nothing was done.
func (s *Store) Apply(c *Change) error { return s.apply(c, false) }

// Reapply is Apply for a change that was accepted before, by a store that may have had more memory: refusals go in also over their budget,
// since they must not be lost. ErrFull then means that one user's record of them would be too large for this store.
func (s *Store) Reapply(c *Change) error { return s.apply(c, true) }

func (s *Store) apply(c *Change, accepted bool) error {
	if err := c.Check(); err != nil {
		return err
	}
	switch c.Kind {
	case ChangeExpose:
		// A hold is issued no later than its showing, so it ends by then; and an erasure takes the trace with the exposure.
		x := s.expose(c.Keys, c.Exposure, c.Beats, after(c.Exposure.At, MaxHold), c.Scopes, c.Now)
		c.Fresh, c.Untold = !x.Late && !x.Known && x.Erased < len(c.Keys), x.Untold
		return nil
	case ChangeRelease:
		until := after(c.Now, MaxHold)
		if c.Until != 0 {
			until = min(until, c.Until)
		}
		s.Release(c.Keys, c.Identity, until, c.Now)
		return nil
	case ChangeHold:
		s.hold(c.Keys, c.Identity, c.Until, c.Scopes, c.Retention, c.Now)
		return nil
	case ChangeReport:
		if s.beside != nil {
			s.beside.Apply(c)
		}
		return nil
	}
	var few [8]refusal // on the stack; more of them cost an allocation
	event := refusalDraft{entries: few[:0]}
	switch c.Kind {
	case ChangePurchase:
		event.entries = appendPurchases(few[:0], c.Tags, c.Stamp, 0)
	case ChangeReturn:
		event.entries = appendPurchases(few[:0], c.Tags, 0, c.Stamp)
	case ChangeChoice:
		event.entries = append(few[:0], refusal{tag: c.Field | kindChoice, a: c.Stamp, b: Second(c.Value)})
	case ChangeErase:
		event.erased = c.Until
	}
	if accepted {
		return s.refuseAgain(c.Keys, &event, c.Now)
	}
	return s.refuse(c.Keys, &event, c.Now)
}

// refuseAgain joins the event into the refusals of every key, whatever their budget, or of none.
func (s *Store) refuseAgain(keys []Key, event *refusalDraft, now Second) error {
	r := s.rules(now)
	var l locks
	l.lock(s, keys)
	defer l.unlock(s)
	for i := range l.nkeys {
		if !s.shardOf(l.hashes[i]).holdsRefusals(l.hashes[i], &l.keys[i], event, r) {
			s.refused.Add(1)
			return ErrFull
		}
	}
	for i := range l.nkeys {
		s.shardOf(l.hashes[i]).refuseLocked(l.hashes[i], &l.keys[i], event, r)
	}
	return nil
}

// holdsRefusals reports whether the key's record, joined with the event, is one that the table can hold.
func (sh *shard) holdsRefusals(hash uint64, key *keyWords, event *refusalDraft, r rules) bool {
	_, held := sh.refusals.find(hash, key)
	sh.refuse.join(held, event, r)
	return len(sh.refuse.encode(key)) <= sh.refusals.maxRefusalWords(optsOut(sh.refuse.entries))
}
