package edge

import (
	"fmt"

	"restraint/caps"
	"restraint/edge/identity"
	"restraint/edge/trust"
)

// heldReport is what a person said about a campaign.
type heldReport struct {
	Campaign string `json:"campaign,omitempty"`
	Tag      string `json:"tag,omitempty"` // of one that no policy in force has
	Kind     string `json:"kind"`
	At       uint32 `json:"at"`
}

// saidBy are the reports in which one of the keys stands for the person. Those of days
// that were folded are nobody's any more.
func (n *Node) saidBy(keys []caps.Key) []trust.Said {
	who := make([]uint64, len(keys))
	return n.dialling.book.Of(func(campaign uint64, day uint32) []uint64 {
		for i := range keys {
			who[i] = n.reports.Person(campaign, day, keys[i])
		}
		return who
	})
}

// addReports adds what the person said about campaigns.
func (n *Node) addReports(e *everything, rules *rules, keys []caps.Key) {
	for _, s := range n.saidBy(keys) {
		h := heldReport{Kind: s.Kind.String(), At: s.At}
		if of, i := rules.having(s.Campaign); i >= 0 {
			h.Campaign = of.Campaigns[i].ID
		} else {
			h.Tag = fmt.Sprintf("%016x", s.Campaign)
		}
		e.Reports = append(e.Reports, h)
	}
}

// saidAbout is what was reported about a campaign from one second to another, of the whole
// cluster; false where it is not known exactly.
func (n *Node) saidAbout(campaign string, from, to uint32) (reported, bool) {
	t, exact := n.dialling.book.Exactly(n.tags.Tag(identity.KindCampaign, 0, campaign), from-min(from, 1), to)
	return reported{
		Hides: t.By[trust.Hide], Complaints: t.By[trust.Complaint], Helpful: t.By[trust.Helpful], Intrusive: t.By[trust.Intrusive], OptOuts: t.By[trust.OptOut],
	}, exact
}

// unsaid are the changes by which the person's reports become nobody's: they still count
// as reports, and weigh no more.
func (n *Node) unsaid(keys []caps.Key, now caps.Second) (changes []caps.Change) {
	for _, s := range n.saidBy(keys) {
		s.Person = 0
		changes = append(changes, reportChange(s.Campaign, &s.Report, now))
	}
	return changes
}
