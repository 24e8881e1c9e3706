package edge

import (
	"fmt"
	"slices"
	"strconv"
)

// dialledBack says that people complained about the campaign, with the numbers by which
// it was dialled back, and what comes of it for this person.
func (e *explanation) dialledBack(failed *Check) string {
	i := slices.IndexFunc(e.checks, func(c Check) bool { return c.Rule == "dial_back" })
	if i < 0 {
		panic("BUG: dialled back without the numbers")
	}
	by := &e.checks[i]
	said := fmt.Sprintf("people hid this campaign or complained about it %s in %s showings within %s",
		times(*by.Count), thousands(by.Shown), words(by.Within))
	if failed == by {
		return fmt.Sprintf("%s, so since %s it is shown to nobody until somebody has looked into it.", said, e.moment(by.At))
	}
	said += fmt.Sprintf(", so since %s it is shown less: ", e.moment(by.At))
	if failed.Unknown {
		return said + fmt.Sprintf("how often %s %s is no longer known in full, and when in doubt we show less; the limit is now %d, not %d.",
			scopeSeen(failed), window(failed.Within), failed.Limit, failed.Full)
	}
	return said + fmt.Sprintf("%s; the limit is now %d, not %d.", usage(failed), failed.Limit, failed.Full)
}

// thousands writes a number with commas.
func thousands(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
