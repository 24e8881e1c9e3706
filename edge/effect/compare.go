package effect

// Below these counts nothing is said of a difference. Chosen: so much that a single
// person's doing is no longer most of it.
const (
	LeastWhole = 100 // in each group
	LeastPart  = 20  // in both groups together, of what happened and of what did not
)

// Verdict is what can be said of two rates.
type Verdict string

// Verdicts, of the group that something is tried out on beside the other.
const (
	TooFew Verdict = "too_few" // to tell
	Alike  Verdict = "alike"   // they may be: 0 is within the interval
	More   Verdict = "more"
	Less   Verdict = "less"
)

// Comparison is a rate in two groups.
type Comparison struct {
	Before, Pilot Share
	// Difference is Pilot's rate less Before's, and lies in Interval. Without a verdict
	// other than TooFew there is no interval.
	Difference float64
	Interval
	Verdict Verdict
	// ByParts: the interval knows that what one person does is alike. Otherwise it takes
	// everything as independent, and the true one is wider.
	ByParts bool
}

// Compare compares a rate in two groups, each given by its parts: see the package. One
// part, or few, is what is known where nothing was counted by parts.
func Compare(before, pilot []Share) Comparison {
	c := Comparison{Before: Sum(before), Pilot: Sum(pilot), Verdict: TooFew}
	c.Difference = c.Pilot.Rate() - c.Before.Rate()
	proportions := c.Before.Part <= c.Before.Whole && c.Pilot.Part <= c.Pilot.Whole
	if min(c.Before.Whole, c.Pilot.Whole) < LeastWhole || c.Before.Part+c.Pilot.Part < LeastPart {
		return c
	}
	if proportions && c.Before.Whole+c.Pilot.Whole-c.Before.Part-c.Pilot.Part < LeastPart {
		return c
	}
	parts, byParts := RandomGroups(pilot, before)
	switch {
	case proportions:
		c.Interval = Newcombe(c.Pilot, c.Before)
		if byParts {
			c.Low, c.High = min(c.Low, parts.Low), max(c.High, parts.High)
		}
	case byParts:
		c.Interval = parts
	default:
		return c
	}
	c.ByParts = byParts
	switch {
	case c.Low > 0:
		c.Verdict = More
	case c.High < 0:
		c.Verdict = Less
	default:
		c.Verdict = Alike
	}
	return c
}
