package client

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Answer is what may be shown. It is the caller's own, and aliases nothing but the names
// of the request's candidates.
type Answer struct {
	// Decisions are in the order of the candidates, one for each; with Want they end with
	// the last that is to be shown.
	Decisions []Decision
	// Token stands for the user and what is shown here; report with it. Empty unless it
	// was asked for.
	Token string
	// Policy is the version of the policy that decided.
	Policy int
	// Node is the address that answered; empty in a fail-safe answer.
	Node string
	// FailSafe: no node decided, and the verdicts are what the package's comment says. The
	// error that came beside it is the reason.
	FailSafe bool
}

// Decision is the verdict on one candidate.
type Decision struct {
	Campaign string
	Show     bool
	// Reason is one of the closed set of reasons, such as cap; "skip" for keys that may
	// not see reasons; empty when it may be shown, and in a fail-safe answer.
	Reason string
	// RetryAfter is when every rule of time that failed will have passed; 0: not by itself.
	RetryAfter time.Duration
}

// ShowAt says whether the i-th candidate may be shown: false beyond what was decided.
func (a *Answer) ShowAt(i int) bool { return i >= 0 && i < len(a.Decisions) && a.Decisions[i].Show }

// failSafe is the answer when nobody decided.
func failSafe(candidates []Candidate, want int, show bool) *Answer {
	n := len(candidates)
	if show && want > 0 {
		n = min(n, want)
	}
	a := &Answer{FailSafe: true, Decisions: make([]Decision, n)}
	for i := range a.Decisions {
		a.Decisions[i] = Decision{Campaign: candidates[i].Campaign, Show: show}
	}
	return a
}

// asked is what an answer has to be the answer to.
type asked struct {
	id         string // empty: not known here
	candidates []Candidate
	want       int
	token      bool
}

// maxToken is the most bytes of a token.
const maxToken = 1024

// parseAnswer reads the body of an answer to q. Members that it does not know are passed
// over; everything else has to be as a node writes it, or it is an error: a verdict that
// is taken for another candidate's would show what must not be shown.
func parseAnswer(body []byte, q asked) (*Answer, error) {
	s := scanner{b: body}
	a := &Answer{Decisions: make([]Decision, 0, len(q.candidates))}
	var seen [4]bool
	id := ""
	s.must('{')
	for n := 0; ; n++ {
		name, ok := s.member(n)
		if !ok {
			break
		}
		field := -1
		switch string(name) {
		case "decisions":
			field = 0
		case "id":
			field = 1
		case "policy":
			field = 2
		case "token":
			field = 3
		}
		if field >= 0 && seen[field] {
			return nil, fmt.Errorf("it has %s twice", answerFields[field])
		}
		switch field {
		case 0:
			if err := s.decisions(a, q); err != nil {
				return nil, err
			}
		case 1:
			if got := s.text(); string(got) == q.id {
				id = q.id
			} else {
				id = string(got)
			}
		case 2:
			a.Policy = int(s.whole())
		case 3:
			a.Token = string(s.text())
		default:
			s.skip(0)
			continue
		}
		seen[field] = true
	}
	if s.space(); s.bad || s.i != len(s.b) {
		return nil, errSyntax
	}
	switch {
	case !seen[0]:
		return nil, errors.New("it has no decisions")
	case !seen[2]:
		return nil, errors.New("it names no policy")
	case q.id != "" && id != q.id:
		return nil, errors.New("it is the answer to another request: the id is not the one that was sent")
	case q.token && a.Token == "":
		return nil, errors.New("it has no token, which was asked for")
	case len(a.Token) > maxToken:
		return nil, fmt.Errorf("its token has %d bytes, at most %d are allowed", len(a.Token), maxToken)
	}
	return a, a.complete(q)
}

var answerFields = [...]string{"decisions", "id", "policy", "token"}

// complete says whether there are as many decisions as were asked for.
func (a *Answer) complete(q asked) error {
	shown := 0
	for i := range a.Decisions {
		if a.Decisions[i].Show {
			shown++
		}
	}
	n, last := len(a.Decisions), len(a.Decisions)-1
	if q.want > 0 && shown >= q.want {
		if shown > q.want || !a.Decisions[last].Show {
			return fmt.Errorf("it shows %d or goes on after them, where %d were asked for", shown, q.want)
		}
		return nil
	}
	if n != len(q.candidates) {
		return fmt.Errorf("it decides %d of %d candidates", n, len(q.candidates))
	}
	return nil
}

// decisions reads the list of decisions.
func (s *scanner) decisions(a *Answer, q asked) error {
	s.must('[')
	for n := 0; s.more(']', n); n++ {
		if n == len(q.candidates) {
			return fmt.Errorf("it decides more than the %d candidates", n)
		}
		d := Decision{Campaign: q.candidates[n].Campaign}
		if s.plain(&d) {
			a.Decisions = append(a.Decisions, d)
			continue
		}
		if err := s.decision(&d); err != nil {
			return fmt.Errorf("decision %d: %w", n, err)
		}
		a.Decisions = append(a.Decisions, d)
	}
	return nil
}

// plain reads a decision in the very bytes that nodes write, which is faster. Where they
// are others it reads nothing, and all is left to decision.
func (s *scanner) plain(d *Decision) bool {
	rest, ok := bytes.CutPrefix(s.b[s.i:], []byte(`{"campaign":"`))
	if n := len(d.Campaign); !ok || len(rest) < n || string(rest[:n]) != d.Campaign || !isPlain(d.Campaign) {
		return false
	}
	rest = rest[len(d.Campaign):]
	if after, ok := bytes.CutPrefix(rest, []byte(`","show":true}`)); ok {
		d.Show, s.i = true, len(s.b)-len(after)
		return true
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(`","show":false,"reason":"`)); !ok {
		return false
	}
	name, rest, _ := bytes.Cut(rest, []byte{'"'})
	reason, ok := reasons[string(name)]
	if !ok {
		return false
	}
	seconds := uint64(0)
	if after, ok := bytes.CutPrefix(rest, []byte(`,"retry_after":`)); ok {
		end := bytes.IndexByte(after, '}')
		if end < 1 || end > 9 || after[0] == '0' {
			return false
		}
		for _, c := range after[:end] {
			if c < '0' || c > '9' {
				return false
			}
			seconds = seconds*10 + uint64(c-'0')
		}
		rest = after[end:]
	}
	if len(rest) == 0 || rest[0] != '}' {
		return false
	}
	d.Reason, d.RetryAfter, s.i = reason, time.Duration(seconds)*time.Second, len(s.b)-len(rest)+1
	return true
}

// isPlain says whether a string stands in JSON as it is.
func isPlain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// decision reads one decision, which has to be of d's campaign.
func (s *scanner) decision(d *Decision) error {
	var campaign, show, reason, retry bool
	s.must('{')
	for n := 0; ; n++ {
		name, ok := s.member(n)
		if !ok {
			break
		}
		twice := false
		switch string(name) {
		case "campaign":
			twice, campaign = campaign, true
			if got := s.text(); string(got) != d.Campaign {
				return errors.New("of another campaign than was asked for at this place")
			}
		case "show":
			twice, show = show, true
			d.Show = s.boolean()
		case "reason":
			twice, reason = reason, true
			d.Reason = known(s.text())
		case "retry_after":
			twice, retry = retry, true
			d.RetryAfter = time.Duration(s.whole()) * time.Second
		default:
			s.skip(0)
		}
		if twice {
			return errors.New("a member twice")
		}
	}
	switch {
	case s.bad:
		return errSyntax
	case !campaign || !show:
		return errors.New("no campaign or no verdict")
	case d.Show == (d.Reason != ""):
		return errors.New("shown with a reason, or skipped without")
	}
	return nil
}

// reasons are those of this version: their strings are made once.
var reasons = func() map[string]string {
	set := map[string]string{}
	for _, r := range strings.Fields(`skip unknown_campaign inactive child no_consent opted_out no_id user_choice hidden
		sensitive not_beside too_specific suppressed stale_list purchased too_soon stale_interest dialled_back spacing cap
		diversity quiet_hours holdout`) {
		set[r] = r
	}
	return set
}()

// known is the reason as a string; a newer node may give others.
func known(reason []byte) string {
	if r, ok := reasons[string(reason)]; ok {
		return r
	}
	return string(reason)
}
