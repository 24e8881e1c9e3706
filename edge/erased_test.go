package edge

import (
	"testing"
	"time"

	"restraint/caps"
	"restraint/edge/identity"
	"restraint/edge/openrtb"
)

// awayKeeper is the keeper of a node that last heard of the cluster's refusals at known.
type awayKeeper struct {
	unkept
	known  time.Time
	broker string
}

func (c *awayKeeper) Kept() Kept {
	return Kept{Replication: &Replication{Broker: c.broker, Refusals: Stream{Known: c.known}}}
}

// A report by a token is no later than the skew after what the node knows of erasures: so an erasure that it has not heard of takes it. In a cluster within
// reach, and on a node alone, it is of its own second.
func TestTokensWhereErasuresAreNotKnown(t *testing.T) {
	const issued, skew = benchNow, caps.ErasureSkew
	for name, c := range map[string]struct {
		broker         string
		known, at, was uint32
	}{
		"in reach":                  {brokerCluster, issued + 3600, issued + 3600, issued + 3600},
		"cut off a moment ago":      {brokerCluster, issued + 3600 - skew, issued + 3600, issued + 3600},
		"cut off long ago":          {brokerCluster, issued + 60, issued + 3600, issued + 60 + skew},
		"cut off before the token":  {brokerCluster, issued - 9000, issued + 3600, issued + skew},
		"never in reach":            {brokerCluster, 0, issued + 3600, issued + skew},
		"at once":                   {brokerCluster, 0, issued + skew, issued + skew},
		"alone":                     {"embedded", 0, issued + 3600, issued + 3600},
		"reported before the token": {brokerCluster, 0, issued - 5, issued - 5},
	} {
		t.Run(name, func(t *testing.T) {
			n := benchNode(t, 16<<20, []byte(allocationPolicy))
			keeper := &awayKeeper{broker: c.broker}
			if c.known != 0 {
				keeper.known = time.Unix(int64(c.known), 0)
			}
			keeper.store = n.caps
			n.keeper = keeper
			x := &exchange{reports: []report{{kind: openrtb.Impression, now: c.at, at: c.at, issued: issued, keys: span{0, 1}}}}
			x.spans.keys = []identity.Key{{1}}
			x.heedErasures(n)
			if r := x.reports[0]; r.at != c.was || r.keys.to != 1 {
				t.Errorf("at %d, want %d; %+v", r.at, c.was, r)
			}
		})
	}
}

// Of a token's identifiers those that were erased since are left out, and no others.
func TestTokensOfTheErased(t *testing.T) {
	n := benchNode(t, 16<<20, []byte(allocationPolicy))
	keys := []identity.Key{{1}, {2}, {3}}
	for i, until := range []caps.Second{benchNow - 1, benchNow, benchNow + 50} {
		if err := n.caps.Erase(keys[i:i+1], until, benchNow); err != nil {
			t.Fatal(err)
		}
	}
	x := &exchange{reports: []report{{kind: openrtb.Impression, now: benchNow + 9, at: benchNow + 9, issued: benchNow, keys: span{0, 3}}}}
	x.spans.keys = append(x.spans.keys, keys...)
	x.heedErasures(n)
	if r := x.reports[0]; r.keys != (span{0, 1}) || x.spans.keys[0] != keys[0] || n.metrics.eventsErased.Get() != 1 {
		t.Errorf("%+v", r)
	}
}

// A node of a cluster that never compared its clock may refuse on a person's behalf, and not permit or erase.
func TestUnknownClockOnlyRefuses(t *testing.T) {
	n := benchNode(t, 16<<20, []byte(allocationPolicy))
	n.keeper = &awayKeeper{broker: brokerCluster}
	if p := n.clockUnknown("erasing"); p == nil || p.Status != 503 || p.retryAfter == 0 {
		t.Errorf("%+v", p)
	}
	n.keeper = &awayKeeper{broker: "embedded"}
	if p := n.clockUnknown("erasing"); p != nil {
		t.Errorf("%+v", p)
	}
	none := choicesOf(nil)
	for i, c := range []struct {
		change  registerChange
		permits bool
	}{
		{registerChange{fieldOptOut, 1}, false},
		{registerChange{fieldOptOut, 0}, true}, // opted out at another node, for all that is known
		{registerChange{fieldPause, 5}, false},
	} {
		if got := permits([]registerChange{c.change}, none); got != c.permits {
			t.Errorf("%d: %v", i, got)
		}
	}
	paused := choicesOf([]caps.Held{{Choices: []caps.Choice{{Field: fieldPause, Stamp: 1, Value: 9}}}})
	if !permits([]registerChange{{fieldPause, 8}}, paused) || permits([]registerChange{{fieldPause, 9}}, paused) {
		t.Error("a pause made shorter is a permission")
	}
}

// An erasure overwrites, with nothing, what a clock far ahead chose, and does not reach to there itself.
func TestEraseOfFarChoices(t *testing.T) {
	const year = 365 * 86400
	n := benchNode(t, 16<<20, []byte(allocationPolicy))
	keys := []caps.Key{{1}}
	hide := choiceField(chosenCampaign, 1<<40)
	for _, field := range []uint64{fieldOptOut, hide} {
		if err := n.caps.Choose(keys, field, benchNow+year, 1, benchNow); err != nil {
			t.Fatal(err)
		}
	}
	for _, keep := range []bool{true, false} {
		until, err := n.erase(keys, keep, benchNow)
		if err != nil || until != benchNow+caps.ErasureSkew {
			t.Fatalf("until %d, %v", until, err)
		}
		have := choicesOf(n.held(keys, benchNow))
		if optedOut := have.is(fieldOptOut) != 0; optedOut != keep || have.is(hide) != 0 {
			t.Errorf("keep %v: %+v", keep, have)
		}
	}
}

// What a person hid since an erasure was asked for is stamped after it, also where it is reported a moment later; what was hidden before is left to it.
func TestHideAroundErasure(t *testing.T) {
	const until, now = benchNow + caps.ErasureSkew, benchNow + 9 // asked for at benchNow
	for _, c := range []struct {
		kind    openrtb.EventType
		at, was uint32
	}{
		{openrtb.Hide, now, until + 1},
		{openrtb.Complaint, benchNow + 5, until + 1},
		{openrtb.Hide, benchNow, benchNow},
		{openrtb.Complaint, benchNow - 1, benchNow - 1},
		{openrtb.Purchase, now, now},
	} {
		n := benchNode(t, 16<<20, []byte(allocationPolicy))
		if err := n.caps.Erase([]caps.Key{{2}}, until, benchNow); err != nil {
			t.Fatal(err)
		}
		x := &exchange{reports: []report{{kind: c.kind, now: now, at: c.at, keys: span{0, 2}}}}
		x.spans.keys = []identity.Key{{1}, {2}}
		x.heedErasures(n)
		if r := x.reports[0]; r.at != c.was {
			t.Errorf("%v at %d: stamped %d, want %d", c.kind, c.at, r.at, c.was)
		}
	}
}
