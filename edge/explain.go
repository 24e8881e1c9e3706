package edge

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"restraint/edge/policy"
)

// Check is one rule looked at while a candidate was judged, with the numbers it
// was decided by. Times are Unix seconds; Within is written as in the policy.
type Check struct {
	Rule     string `json:"rule"`
	Campaign string `json:"campaign,omitempty"` // the name that no campaign has
	Per      string `json:"per,omitempty"`
	Channel  string `json:"channel,omitempty"`
	List     string `json:"list,omitempty"`
	// Filter: the list's answer is a filter's, which takes a stranger for a member at
	// the list's stated rate; a list declared exact settles it.
	Filter bool   `json:"filter,omitempty"`
	Within string `json:"within,omitempty"`
	Limit  int    `json:"limit,omitempty"`
	Count  *int   `json:"count,omitempty"`
	Held   int    `json:"held,omitempty"` // of Count: places held, about to be shown
	// Unknown: history that was dropped (a raised limit, a full memory) reaches
	// into the window, so it counts as full; or the list cannot be read.
	Unknown bool `json:"unknown,omitempty"`
	// Kept: what is held of the person, or some of it, is kept for so long only, which is
	// less than the window: what was shown before is not in the count.
	Kept   string `json:"kept,omitempty"`
	From   uint32 `json:"from,omitempty"`
	To     uint32 `json:"to,omitempty"`
	At     uint32 `json:"at,omitempty"`
	Age    uint32 `json:"age,omitempty"`   // seconds
	Place  string `json:"place,omitempty"` // where interest was shown
	Market string `json:"market,omitempty"`
	// Signal is what the person, the law or the browser said, or did not say.
	Signal string `json:"signal,omitempty"`
	// Category is a content category of the policy, as cat:386, that the place of the
	// advertisement is of; Topic is what the campaign or the candidate is about, and is
	// sensitive or was hidden by the person.
	Category string `json:"category,omitempty"`
	Topic    string `json:"topic,omitempty"`
	Local    string `json:"local,omitempty"` // what the clock shows where the person is, hh:mm
	// Erased: the opt-out is what an erasure left, the one of At.
	Erased bool `json:"erased,omitempty"`
	// Percent is the share of people who are in the holdout.
	Percent int `json:"percent,omitempty"`
	// Level is how far the campaign is dialled back, since At: by Count hides and complaints of
	// People different people in Shown showings Within that time; Limit in 10,000 are enough. Full
	// is what a cap would be were it not.
	Level  string `json:"level,omitempty"`
	Shown  uint64 `json:"shown,omitempty"`
	People uint64 `json:"people,omitempty"`
	Full   int    `json:"full,omitempty"`
	Pass   bool   `json:"pass"`

	said     bool // of a signal: the person refused, where others only do not say that they agreed
	ownClock bool // Local is by the person's offset, not by the market's zone
}

// explanation gathers the checks of one candidate. A nil explanation gathers
// nothing, so that the decision can note what it sees at no cost.
type explanation struct {
	now  uint32
	zone *time.Location
	// discreet sentences can be read on a device that several people use: they name no
	// list and no topic, and do not say what was bought, or when.
	discreet bool
	// partly: lists and purchases were not looked at, since the caller may not be told.
	partly bool
	checks []Check
}

func (e *explanation) add(c Check) {
	if e != nil {
		e.checks = append(e.checks, c)
	}
}

// interest notes the parts of the interest rule, each as a check of its own.
func (e *explanation) interest(rule *policy.Interest, age, count uint32, from []byte, soon, over, elsewhere bool) {
	seen := int(count)
	e.add(Check{Rule: "interest_after", Within: policy.Span(rule.After), Age: age, Pass: !soon})
	e.add(Check{Rule: "interest_least", Limit: int(rule.Least), Count: &seen, Pass: count >= rule.Least})
	e.add(Check{Rule: "interest_until", Within: policy.Span(rule.Until), Age: age, Pass: !over})
	if len(rule.From) > 0 {
		e.add(Check{Rule: "interest_from", Place: string(from), Pass: !elsewhere})
	}
}

// because says the verdict in one sentence that a person understands, with the
// numbers of the check that decided it.
func (e *explanation) because(v verdict) string {
	if v.reason == Shown {
		return "Shown: " + e.shown()
	}
	return "Not shown: " + e.skipped(v.reason)
}

// shown names the cap with the least room left, the number people ask for.
func (e *explanation) shown() string {
	var tightest *Check
	for i := range e.checks {
		c := &e.checks[i]
		if c.Rule == "cap" && (tightest == nil || c.Limit-*c.Count < tightest.Limit-*tightest.Count) {
			tightest = c
		}
	}
	said := "no rule of this campaign speaks against it."
	switch {
	case tightest != nil:
		said = fmt.Sprintf("%s; up to %s allowed.", usage(tightest), times(tightest.Limit))
	case e.partly:
		said = "nothing that you refused or have seen speaks against it."
	}
	if e.partly {
		said += " What was bought, and lists that somebody may be on, are not looked at here."
	}
	return said
}

func (e *explanation) skipped(r Reason) string {
	c := e.failed(r)
	switch r {
	case UnknownCampaign:
		return fmt.Sprintf("there is no campaign named %q here.", c.Campaign)
	case Inactive:
		if c.From > e.now {
			return "this campaign begins on " + e.moment(c.From) + "."
		}
		return "this campaign ended on " + e.moment(c.To) + "."
	case Child:
		return fmt.Sprintf("we were told that you are a child (%s), and for children nothing is chosen by what we know of them.", c.Signal)
	case NoConsent:
		if !c.said {
			return fmt.Sprintf("we may not assume that you agreed to it (%s).", c.Signal)
		}
		return fmt.Sprintf("you have not agreed to it (%s).", c.Signal)
	case OptedOut:
		return e.optedOut(c)
	case NoID:
		return "without an identifier nobody can keep count, so it is not shown."
	case UserChoice:
		return choiceSentence(e, c)
	case Hidden:
		return "on " + e.date(c.At) + " you hid this campaign or complained about it; that holds for 90 days."
	case Sensitive:
		if c.Category != "" {
			return fmt.Sprintf("what stands here is about something sensitive (%s), and beside it we use nothing that we know of you.", category(c))
		}
		return fmt.Sprintf("it is about something sensitive (%q), and for that we use nothing that we know of you.", c.Topic)
	case NotBeside:
		return fmt.Sprintf("this campaign does not stand beside what is shown here (%s).", category(c))
	case TooSpecific:
		what := map[string]string{"item": "the very thing", "category": "the kind of thing"}[c.Per]
		return fmt.Sprintf("it would name %s that you may have looked at, which the rules that apply to you (%s) do not allow.", what, c.Market)
	case Suppressed:
		return fmt.Sprintf("you are on %s%s, whose members this campaign leaves alone.", e.list(c), asFilter(c))
	case StaleList:
		return e.staleList(c)
	case Purchased:
		return purchasedSentence(e, c)
	case TooSoon:
		return fmt.Sprintf("you looked at this only %s ago; at least %s must pass.", roughly(c.Age), words(c.Within))
	case StaleInterest:
		return interestSentence(c)
	case Spacing:
		return e.spacing(c)
	case Cap:
		return capSentence(c)
	case DialledBack:
		return e.dialledBack(c)
	case QuietHours:
		return quietSentence(c)
	case Holdout:
		return holdoutSentence(c)
	case Diversity:
		return fmt.Sprintf("you have seen this very advertisement %s in a row; the limit is %d.", times(c.Limit), c.Limit)
	}
	panic("BUG: no sentence for " + r.String())
}

func quietSentence(c *Check) string {
	from, to, _ := strings.Cut(c.Within, "-")
	where := "where you are"
	if !c.ownClock {
		where = fmt.Sprintf("by the clock of your region (%s)", c.Market)
	}
	return fmt.Sprintf("it is %s %s, and from %s to %s we leave you in peace.", c.Local, where, from, to)
}

// category is how a sentence calls a content category.
func category(c *Check) string {
	return "IAB content category " + strings.TrimPrefix(c.Category, "cat:")
}

// failed returns the check that gave the reason: the first that failed under one
// of the rules the reason stands for.
func (e *explanation) failed(r Reason) *Check {
	for i := range e.checks {
		if c := &e.checks[i]; !c.Pass && ruleReason[c.Rule] == r {
			return c
		}
	}
	panic("BUG: no failed check for " + r.String())
}

// ruleReason is the reason that a failed check stands for.
var ruleReason = map[string]Reason{
	"child": Child, "consent": NoConsent, "signal": OptedOut, "opt_out": OptedOut, "user_choice": UserChoice,
	"campaign": UnknownCampaign, "active": Inactive, "id": NoID, "hidden": Hidden, "list": Suppressed,
	"list_age": StaleList, "opt_out_age": StaleList, "purchased": Purchased, "interest_after": TooSoon, "interest": StaleInterest,
	"interest_least": StaleInterest, "interest_until": StaleInterest, "interest_from": StaleInterest,
	"spacing": Spacing, "cap": Cap, "diversity": Diversity, "sensitive": Sensitive, "not_beside": NotBeside,
	"precision": TooSpecific, "quiet_hours": QuietHours, "holdout": Holdout, "dial_back": DialledBack, "dial_back_cap": DialledBack,
}

func choiceSentence(e *explanation, c *Check) string {
	switch c.Per {
	case "advertiser":
		return "you asked on " + e.date(c.At) + " not to see this advertiser."
	case "topic":
		if e.discreet {
			return "you asked on " + e.date(c.At) + " not to see advertisements about something that this one is about."
		}
		return fmt.Sprintf("you asked on %s not to see advertisements about %q.", e.date(c.At), c.Topic)
	}
	return "you asked for no advertisements until " + e.moment(c.To) + "."
}

func purchasedSentence(e *explanation, c *Check) string {
	if e.discreet {
		return "as far as we know this, or something like it, was bought already, and then it is left alone."
	}
	if c.Unknown {
		return fmt.Sprintf("whether you bought this already cannot be read (list %q), and when in doubt we show less.", c.List)
	}
	if c.List != "" {
		return fmt.Sprintf("you bought this already (list %q%s).", c.List, asFilter(c))
	}
	what := map[string]string{"item": "this", "category": "something of this kind", "advertiser": "from this advertiser"}[c.Per]
	return fmt.Sprintf("you bought %s on %s; it is left alone for %s.", what, e.date(c.At), words(c.Within))
}

// list is how a sentence calls a suppression list.
func (e *explanation) list(c *Check) string {
	if e.discreet {
		return "a list that we were given" // by the advertiser, or bought
	}
	return fmt.Sprintf("the list %q", c.List)
}

// asFilter says that a list's yes may be a stranger's.
func asFilter(c *Check) string {
	if c.Filter {
		return " as far as its filter tells"
	}
	return ""
}

func interestSentence(c *Check) string {
	switch c.Rule {
	case "interest_least":
		return fmt.Sprintf("you looked at this %s; at least %s are asked for.", times(*c.Count), times(c.Limit))
	case "interest_until":
		return fmt.Sprintf("you looked at this %s ago; after %s it is let go.", roughly(c.Age), words(c.Within))
	case "interest_from":
		if c.Place == "" {
			return "it is not known where you showed interest in this, and this campaign counts only what was shown in the places that its policy names."
		}
		return fmt.Sprintf("your interest was shown elsewhere (%q), where this campaign may not look.", c.Place)
	}
	return "no interest of yours in this is known."
}

// usage says how far a cap is used up, and what of it is only about to be shown.
func usage(c *Check) string {
	said := fmt.Sprintf("%s %s %s", scopeSeen(c), times(*c.Count), window(c.Within))
	switch {
	case c.Kept != "" && c.Within == "lifetime":
		said += ", which is at least " + words(c.Kept)
	case c.Kept != "":
		said += ", of which we remember at least " + words(c.Kept)
	}
	if c.Held > 0 {
		said += fmt.Sprintf(", counting %d about to be shown", c.Held)
	}
	return said
}

// scopeSeen begins the sentence of a cap: what has been seen.
func scopeSeen(c *Check) string {
	what := map[string]string{
		"campaign": "this campaign", "advertiser": "advertisements of this advertiser", "creative": "this very advertisement",
		"item": "advertisements for this item", "category": "advertisements for things of this kind", "all": "advertisements of any kind here",
	}[c.Per]
	if what == "" { // group:NAME
		what = "advertisements of the group " + strconv.Quote(c.Per[len("group:"):])
	}
	if c.Channel != "" {
		what += " in the channel " + strconv.Quote(c.Channel)
	}
	return "you have seen " + what
}

func times(n int) string {
	if n == 1 {
		return "1 time"
	}
	return strconv.Itoa(n) + " times"
}

// window says a cap's window as people do.
func window(within string) string {
	switch within {
	case "day":
		return "today"
	case "week":
		return "this week"
	case "month":
		return "this month"
	case "lifetime":
		return "in all the time we remember"
	}
	return "in the last " + strings.TrimPrefix(words(within), "1 ")
}

// roughly says an age as people do, in its largest unit of which there are two.
func roughly(seconds uint32) string {
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	switch {
	case seconds < 2*minute:
		return words(strconv.Itoa(int(seconds)) + "s")
	case seconds < 2*hour:
		return words(strconv.Itoa(int(seconds/minute)) + "m")
	case seconds < 2*day:
		return words(strconv.Itoa(int(seconds/hour)) + "h")
	}
	return words(strconv.Itoa(int(seconds/day)) + "d")
}

// words spells a duration of the policy: 24h is 24 hours.
func words(d string) string {
	if d == "" {
		return ""
	}
	n, unit := d[:len(d)-1], map[byte]string{'s': "second", 'm': "minute", 'h': "hour", 'd': "day"}[d[len(d)-1]]
	if n != "1" {
		unit += "s"
	}
	return n + " " + unit
}

func (e *explanation) date(at uint32) string {
	return time.Unix(int64(at), 0).In(e.zone).Format("2 January 2006")
}

// moment is a date with the time of day, in the policy's zone, which it names.
func (e *explanation) moment(at uint32) string {
	return time.Unix(int64(at), 0).In(e.zone).Format("2 January 2006, 15:04 MST")
}
