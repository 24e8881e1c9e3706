package edge

import (
	"restraint/caps"
	"restraint/edge/identity"
	"restraint/edge/policy"
)

// choiceKind says what the register of a choice is of. It stands in the field beside a
// tag, so that what a person chose can be told apart also where the policy does not
// know the name any more.
type choiceKind uint64

const (
	chosenCampaign   choiceKind = 0 // hidden, or complained about
	chosenAdvertiser choiceKind = 1
	chosenTopic      choiceKind = 2
	chosenSetting    choiceKind = 7
)

// Registers of a person. A field is a tag of which the lowest four bits are replaced:
// bit 0 is caps' own, bits 1 to 3 the kind. The value is 1 for hidden or opted out and
// 0 for not (any more); of the pause, the second at which it ends. So the larger value
// is always the more restrictive.
const (
	fieldOptOut = caps.FieldOptOut
	fieldPause  = caps.FieldOptOut &^ (1 << 4)
)

// choiceField is the register of what a tag names.
func choiceField(kind choiceKind, tag uint64) uint64 { return tag&^15 | uint64(kind)<<1 | 1 }

func kindOfField(field uint64) choiceKind { return choiceKind(field >> 1 & 7) }

// choiceFields are the registers that speak against a campaign.
type choiceFields struct {
	advertiser uint64
	topics     []uint64 // in the order of Campaign.Topics
}

// newChoiceFields returns those of all campaigns, by Campaign.Index.
func newChoiceFields(p *policy.Policy, tags *identity.Tags) []choiceFields {
	all := make([]choiceFields, len(p.Campaigns))
	for i := range p.Campaigns {
		c := &p.Campaigns[i]
		all[i].advertiser = choiceField(chosenAdvertiser, c.AdvertiserTag)
		for _, topic := range c.Topics {
			all[i].topics = append(all[i].topics, choiceField(chosenTopic, tags.Tag(identity.KindTopic, 0, topic)))
		}
	}
	return all
}

// ownChoices are the choices of a person that are the same for every candidate.
type ownChoices struct {
	optedOut   bool
	optedOutAt uint32
	pauseUntil uint32 // 0: no pause
}

// readChoices looks once for each request at what the locked person refused.
func (j *judge) readChoices() {
	held := j.person.Refused()
	j.refused, j.own = held || j.outs.inside, ownChoices{}
	if !held {
		return
	}
	if stamp, value, _ := j.person.Choice(fieldOptOut); value != 0 {
		j.own.optedOut, j.own.optedOutAt = true, uint32(stamp)
	}
	_, j.own.pauseUntil, _ = j.person.Choice(fieldPause)
}
