package edge

import (
	"encoding/json"

	"restraint/edge/policy"
)

// dsaFragment is what a bid response states of a campaign under the Digital Services
// Act: the value of bid.ext.dsa in OpenRTB (IAB Tech Lab, community extension "DSA
// Transparency" of 26 January 2024). What the policy does not state is absent.
type dsaFragment struct {
	Behalf       string            `json:"behalf,omitempty"`
	Paid         string            `json:"paid,omitempty"`
	Transparency []dsaTransparency `json:"transparency,omitempty"`
	AdRender     *int              `json:"adrender,omitempty"`
}

// dsaTransparency names who applied which user parameters.
type dsaTransparency struct {
	Domain string `json:"domain,omitempty"`
	Params []int  `json:"dsaparams"`
}

// User parameters of the specification. 3, precise geolocation, is never applied here:
// of a place only country and region are read.
const (
	dsaProfiling = 1 // information about the person from other contexts (TCF purpose 4)
	dsaBasic     = 2 // the context, and what is no behaviour of the person, as frequency capping (TCF purpose 2)
)

// dsaWords say the parameters to people, without telling which of several it was: the
// page can be read on a device that several people use.
var dsaWords = map[int]string{
	dsaProfiling: "something that is known about you from elsewhere, such as an interest you showed, something you bought, or being a customer already",
	dsaBasic:     "the place and the moment, such as the country you are in or what it stands beside, and how often you have seen it",
}

// Words are the parameters for people.
func (t dsaTransparency) Words() (all []string) {
	for _, p := range t.Params {
		all = append(all, dsaWords[p])
	}
	return all
}

// dsa is the fragment of a campaign that is shown; nil where there is nothing to state.
// known: the person had an identifier; interested: the candidate came with an interest.
func (r *rules) dsa(c *policy.Campaign, known, interested bool) *dsaFragment {
	f := &dsaFragment{Behalf: c.DSA.Behalf, Paid: c.DSA.Paid}
	if c.DSA.AdRender != policy.AdRenderUnstated {
		render := int(c.DSA.AdRender - policy.AdRenderNot)
		f.AdRender = &render
	}
	if params := r.dsaParams(c, known, interested); len(params) > 0 {
		f.Transparency = []dsaTransparency{{r.DSADomain, params}}
	}
	if f.Behalf == "" && f.Transparency == nil {
		return nil
	}
	return f
}

// dsaParams follow from the campaign's purpose and from the rules that used what is
// known. Retargeting is by interest; lists of customers and purchases are known from
// elsewhere too. What the person refused (opt-outs, hides, pauses, consent) is no
// parameter that an advertisement is chosen by.
func (r *rules) dsaParams(c *policy.Campaign, known, interested bool) (params []int) {
	further := r.plans[c.Index].further
	if known && further&(isPersonal|hasPurchased) != 0 || interested && further&hasInterest != 0 {
		params = append(params, dsaProfiling)
	}
	// Where nobody is known, only what is contextual is shown.
	counted := len(c.Caps) > 0 || c.Spacing > 0 || c.Diversity > 0
	only := &r.Markets[0] // of several, the country chooses
	if c.Purpose == policy.Contextual || counted || further&(isPersonal|hasNotBeside) != 0 || len(r.Markets) > 1 || only.QuietFrom != only.QuietTo {
		params = append(params, dsaBasic)
	}
	return params
}

// appendDSA appends the fragment of a decision that was explained. A skipped candidate
// is no bid and has none.
func (x *exchange) appendDSA(dst []byte, i int) []byte {
	j, v := &x.judge, &x.judge.verdicts[i]
	if v.reason != Shown {
		return dst
	}
	f := j.rules.dsa(&j.rules.Campaigns[v.campaign-1], j.known, x.req.Candidates[i].HasInterestAt)
	if f == nil {
		return dst
	}
	encoded, err := json.Marshal(f)
	if err != nil {
		panic("BUG: a fragment that JSON cannot hold: " + err.Error())
	}
	return append(append(dst, `,"dsa":`...), encoded...)
}
