package caps

// Oldest are the seconds of the oldest of each kind of thing; 0: there is none.
type Oldest struct {
	// Exposure is of an exposure, or of the cut that stays where one was dropped.
	Exposure Second
	// Hold is when a place held, or given back, was taken at the earliest.
	Hold Second
	// Purchase is of a purchase or a return.
	Purchase Second
	// Passing and Lasting are stamps of choices that pass and of others (see FieldLasts).
	Passing, Lasting Second
}

// earlier is the earlier of two seconds, of which 0 is none.
func earlier(a, b Second) Second { return min(a-1, b-1) + 1 }

// join takes what is older from other.
func (o *Oldest) join(other *Oldest) {
	o.Exposure, o.Hold = earlier(o.Exposure, other.Exposure), earlier(o.Hold, other.Hold)
	o.Purchase = earlier(o.Purchase, other.Purchase)
	o.Passing, o.Lasting = earlier(o.Passing, other.Passing), earlier(o.Lasting, other.Lasting)
}

// addExposures takes what is older from a record of exposures.
func (o *Oldest) addExposures(v *view) {
	o.Exposure = earlier(o.Exposure, v.cut)
	for i := range v.n {
		k := v.entry(i)
		o.Exposure = earlier(o.Exposure, k.cut)
		if n := k.len(); n > 0 {
			o.Exposure = earlier(o.Exposure, k.second(n-1))
		}
	}
	rows := v.rows()
	for i := range len(rows) / rowWords {
		h := rowAt(rows, i)
		if h.tag == 0 {
			h.issued = before(h.end, MaxHold)
		}
		o.Hold = earlier(o.Hold, h.issued)
	}
}

// addRefusals takes what is older from a record of refusals.
func (o *Oldest) addRefusals(record []uint32) {
	for i := range refusalCount(record) {
		switch x := refusalAt(record, i); {
		case x.tag&1 == kindPurchase:
			o.Purchase = earlier(o.Purchase, earlier(x.a, x.b))
		case x.tag&FieldLasts == 0:
			o.Passing = earlier(o.Passing, x.a)
		default:
			o.Lasting = earlier(o.Lasting, x.a)
		}
	}
}

// round is what Sweep finds on its way through the records of one kind of a shard, before it lets go of anything.
type round struct {
	at          int // segment that was looked at last
	found, last Oldest
}

// next ends the round where its way begins anew.
func (r *round) next(anew bool) {
	if anew {
		r.last, r.found = r.found, Oldest{}
	}
}
