package edge

import "fmt"

// Sentences that depend on more than one thing; the others stand in explanation.skipped.

func (e *explanation) optedOut(c *Check) string {
	if c.List != "" {
		return e.listedOut(c)
	}
	if c.Erased {
		return "what was known of you was erased on " + e.date(c.At) + ", and nothing has been chosen for you since; this campaign would be."
	}
	if c.Rule == "opt_out" {
		return "you asked on " + e.date(c.At) + " not to be shown what is chosen for you, and this campaign is."
	}
	if !c.said {
		return fmt.Sprintf("what is known of you may not be used for it (%s).", c.Signal)
	}
	return fmt.Sprintf("you said no to advertisements that are chosen for you (%s).", c.Signal)
}

func (e *explanation) staleList(c *Check) string {
	if c.Rule == "opt_out_age" {
		return e.unheard(c)
	}
	if c.Unknown {
		return e.list(c) + ", whose members this campaign leaves alone, cannot be read, and when in doubt we show less."
	}
	if c.Age == 0 {
		return fmt.Sprintf("%s, whose members this campaign leaves alone, has never come, and may be %s old at most.", e.list(c), words(c.Within))
	}
	return fmt.Sprintf("%s, whose members this campaign leaves alone, is %s old; it may be %s old at most.", e.list(c), roughly(c.Age), words(c.Within))
}

func (e *explanation) spacing(c *Check) string {
	if c.Held > 0 {
		return fmt.Sprintf("this campaign is about to be shown to you, as decided %s ago; at least %s must lie between two showings.",
			roughly(e.now-min(e.now, c.At)), words(c.Within))
	}
	return fmt.Sprintf("you saw this campaign %s ago; at least %s must lie between two showings.",
		roughly(e.now-min(e.now, c.At)), words(c.Within))
}

func capSentence(c *Check) string {
	if c.Unknown {
		return fmt.Sprintf("how often %s %s is no longer known in full, and when in doubt we show less; the limit is %d.",
			scopeSeen(c), window(c.Within), c.Limit)
	}
	if c.Full > 0 {
		return fmt.Sprintf("%s; the limit is %d, and was %d before people complained about the campaign.", usage(c), c.Limit, c.Full)
	}
	return fmt.Sprintf("%s; the limit is %d.", usage(c), c.Limit)
}
