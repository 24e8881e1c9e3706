package edge

import (
	"restraint/caps"
	"restraint/edge/policy"
)

// choice: what the person said, here or to whoever keeps a list of opt-outs, over all
// their identifiers: opted out, not this advertiser, not this topic, not now, not this campaign.
func (j *judge) choice(v *verdict, s *subject) bool {
	return j.because == nil && !j.refused || j.optOut(v, s) && j.listedOut(v, s) && j.chosen(v, s) && j.hid(v, s)
}

// optOut: who opted out is shown only what is not chosen for this person.
func (j *judge) optOut(v *verdict, s *subject) bool {
	pass := !j.own.optedOut || s.Purpose == policy.Contextual
	if j.because != nil {
		check := Check{Rule: "opt_out", At: j.own.optedOutAt, Pass: pass}
		if erased := uint32(j.person.Erased()); erased != 0 && check.At == erased+1 {
			// Not what the person asked for, but what an erasure leaves (see leftAfter).
			check.Erased, check.At = true, min(erased-min(erased, caps.ErasureSkew), j.now)
		}
		j.because.add(check)
	}
	if !pass {
		v.fail(OptedOut, never)
	}
	return j.goOn(v)
}

// chosen: the person hid neither the advertiser nor a topic of the campaign, and asked
// for no pause.
func (j *judge) chosen(v *verdict, s *subject) bool {
	fields := &j.rules.choices[s.Index]
	failed := j.chose(v, fields.advertiser, Check{Rule: "user_choice", Per: "advertiser"})
	for i, field := range fields.topics {
		failed = j.chose(v, field, Check{Rule: "user_choice", Per: "topic", Topic: s.Topics[i]}) || failed
	}
	if until := j.own.pauseUntil; j.now < until {
		failed = true
		j.because.add(Check{Rule: "user_choice", Per: "pause", To: until})
		v.fail(UserChoice, until-j.now)
	}
	if !failed {
		j.because.add(Check{Rule: "user_choice", Pass: true})
	}
	return j.goOn(v)
}

// chose says whether the person hid what the field is of; check is noted then.
func (j *judge) chose(v *verdict, field uint64, check Check) bool {
	stamp, value, _ := j.person.Choice(field)
	if value == 0 {
		return false
	}
	check.At = uint32(stamp)
	j.because.add(check)
	v.fail(UserChoice, never)
	return true
}

// hid: the person hid this campaign or complained about it.
func (j *judge) hid(v *verdict, s *subject) bool {
	stamp, value, _ := j.person.Choice(choiceField(chosenCampaign, s.plan.tag))
	hid := value != 0
	pass := !hid || j.now-uint32(stamp) > caps.PassingRetention && j.now > uint32(stamp)
	if j.because != nil {
		check := Check{Rule: "hidden", Pass: pass, Within: "90d"}
		if hid {
			check.At = uint32(stamp)
		}
		j.because.add(check)
	}
	if !pass {
		v.fail(Hidden, wait(j.now, uint32(stamp)+caps.PassingRetention+1))
	}
	return j.goOn(v)
}
