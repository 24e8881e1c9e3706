package edge

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// appendJSONString appends s as a JSON string. s is valid UTF-8 (the reader of
// requests refuses anything else); what needs no escape is copied as it is.
func appendJSONString(dst, s []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		default:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// reasonTails are the ends of a skipped decision up to its retry_after, made
// once: `","show":false,"reason":"cap"`.
var reasonTails = func() (tails [reasonCount]string) {
	for r := Shown + 1; r < reasonCount; r++ {
		tails[r] = `,"show":false,"reason":"` + r.String() + `"`
	}
	return tails
}()

// skipTail is the whole end of a skipped decision for a caller who may not see reasons.
// There is no retry_after in it: lists and choices have none and rules of time have, so
// it would tell a customer from somebody who has seen enough.
const skipTail = `,"show":false,"reason":"skip"`

// appendAnswer appends the full answer: one decision for each candidate judged, of
// which there is at least one. because and checks are there when the request asked
// for them.
func (x *exchange) appendAnswer(dst, token []byte) []byte {
	dst = append(x.appendHead(dst, token), `,"decisions":`...)
	opening := len(dst)
	for i := range x.judge.verdicts {
		dst = x.appendDecision(dst, i)
	}
	dst[opening] = '[' // for the comma before the first decision
	return append(dst, "]}\n"...)
}

// showTail is the end of the decision that shows a candidate, of which nobody asked
// why.
const showTail = `,"show":true}`

// appendShown appends the comma and the whole decision that shows a campaign. For
// those of the policy it is made once: names are most of what an answer holds.
func appendShown(dst, campaign []byte) []byte {
	dst = appendJSONString(append(dst, `,{"campaign":`...), campaign)
	return append(dst, showTail...)
}

// appendDecision appends a comma and the i-th decision.
func (x *exchange) appendDecision(dst []byte, i int) []byte {
	v := &x.judge.verdicts[i]
	if v.campaign != 0 {
		dst = append(dst, x.judge.rules.shown[v.campaign-1]...)
	} else {
		dst = appendShown(dst, x.req.Candidates[i].Campaign)
	}
	switch {
	case v.reason == Shown && !x.explain:
		return dst
	case v.reason == Shown:
		dst = dst[:len(dst)-1]
	default:
		dst = x.appendSkip(dst[:len(dst)-len(showTail)], v)
	}
	if x.explain {
		dst = appendExplanation(dst, x.explained[i].because(*v), x.explained[i].checks)
		dst = x.appendDSA(dst, i)
	}
	return append(dst, '}')
}

// appendSkip appends the verdict of a skipped candidate, as far as the caller may know
// it.
func (x *exchange) appendSkip(dst []byte, v *verdict) []byte {
	if x.withheld {
		return append(dst, skipTail...)
	}
	dst = append(dst, reasonTails[v.reason]...)
	if v.retry > 0 {
		dst = append(dst, `,"retry_after":`...)
		dst = strconv.AppendUint(dst, uint64(v.retry), 10)
	}
	return dst
}

// appendBrief appends only the indexes of the candidates that may be shown.
func (x *exchange) appendBrief(dst, token []byte) []byte {
	dst = x.appendHead(dst, token)
	dst = append(dst, `,"show":[`...)
	first := true
	for i := range x.judge.verdicts {
		if x.judge.verdicts[i].reason != Shown {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = strconv.AppendUint(dst, uint64(i), 10)
	}
	return append(dst, "]}\n"...)
}

// appendHead appends what both forms begin with: id, policy and token.
func (x *exchange) appendHead(dst, token []byte) []byte {
	dst = append(dst, '{')
	if len(x.req.ID) > 0 {
		dst = append(dst, `"id":`...)
		dst = appendJSONString(dst, x.req.ID)
		dst = append(dst, ',')
	}
	dst = append(dst, `"policy":`...)
	dst = strconv.AppendUint(dst, uint64(x.judge.rules.Version), 10)
	if len(token) > 0 {
		dst = append(dst, `,"token":"`...)
		dst = append(dst, token...)
		dst = append(dst, '"')
	}
	return dst
}

// appendExplanation appends the sentence and the checks. It allocates: it is for
// people, not for bid time.
func appendExplanation(dst []byte, because string, checks []Check) []byte {
	if !utf8.ValidString(because) {
		panic("BUG: a sentence that is not UTF-8")
	}
	dst = append(dst, `,"because":`...)
	dst = appendJSONString(dst, []byte(because))
	dst = append(dst, `,"checks":`...)
	encoded, err := json.Marshal(checks)
	if err != nil {
		panic("BUG: a check that JSON cannot hold: " + err.Error())
	}
	return append(dst, encoded...)
}
