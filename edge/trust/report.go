package trust

import "slices"

// Kind is what a report says. The numbers are part of stored forms and never change their meaning.
type Kind uint8

// The kinds of reports.
const (
	Hide      Kind = 1 // wants to see the campaign no more
	Complaint Kind = 2
	Helpful   Kind = 3 // feedback
	Intrusive Kind = 4 // feedback
	OptOut    Kind = 5 // of everything that is chosen for the person, by an advertisement of the campaign
	kinds          = 6
)

// Kinds are all of them, in the order of their numbers.
var Kinds = [...]Kind{Hide, Complaint, Helpful, Intrusive, OptOut}

var kindNames = [kinds]string{Hide: "hide", Complaint: "complaint", Helpful: "helpful", Intrusive: "intrusive", OptOut: "opt_out"}

// String is the kind's name in answers and metrics.
func (k Kind) String() string { return kindNames[k] }

// Known reports whether it is one of Kinds.
func (k Kind) Known() bool { return k >= Hide && k < kinds }

// A Report is what one person said about one campaign, once.
type Report struct {
	// ID is its identity within the campaign: a keyed hash, uniformly distributed.
	ID uint64
	// Person is a keyed hash of who said it, another one for each campaign and day; 0: nobody knows, or it was erased.
	Person uint64
	// At is when, in Unix seconds.
	At   uint32
	Kind Kind
	// Weighs says that it weighs in a dial-back (see the package).
	Weighs bool
}

// join is what two reports of one identity come to: the earlier second, the one without a person. It is commutative, associative and
// idempotent.
func (r Report) join(o Report) Report {
	r.Person, r.At, r.Kind, r.Weighs = min(r.Person, o.Person), min(r.At, o.At), min(r.Kind, o.Kind), r.Weighs || o.Weighs
	return r
}

// Day is the number of a UTC day, from 1 January 1970.
func Day(at uint32) uint32 { return at / secondsPerDay }

const secondsPerDay = 24 * 60 * 60

// A Tally is what reports come to.
type Tally struct {
	By [kinds]uint64 // reports, by Kind
	// Weighing are hides and complaints that weigh, one of each for a person and day.
	Weighing uint64
	// People are those who weigh: different people of each day. Who weighed on one day weighs on no other.
	People uint64
	// Estimated: a page was saturated. By and Weighing are then estimates, and People is at least so many.
	Estimated bool
}

// Add adds what another page comes to.
func (t *Tally) Add(o *Tally) {
	for k := range t.By {
		t.By[k] += o.By[k]
	}
	t.Weighing += o.Weighing
	t.People += o.People
	t.Estimated = t.Estimated || o.Estimated
}

// most is the larger of each number.
func (t *Tally) most(o *Tally) {
	for k := range t.By {
		t.By[k] = max(t.By[k], o.By[k])
	}
	t.Weighing, t.People, t.Estimated = max(t.Weighing, o.Weighing), max(t.People, o.People), t.Estimated || o.Estimated
}

// tally counts the reports after from and up to to, each of which stands for scale of them.
func tally(reports []Report, from, to uint32, scale float64) (t Tally) {
	var by [kinds]int
	var weigh, hides, complaints []uint64 // people
	for i := range reports {
		r := &reports[i]
		if r.At <= from || r.At > to {
			continue
		}
		by[r.Kind]++
		if !r.Weighs || r.Person == 0 {
			continue
		}
		switch r.Kind {
		case Hide:
			hides = append(hides, r.Person)
		case Complaint:
			complaints = append(complaints, r.Person)
		default:
			continue
		}
		weigh = append(weigh, r.Person)
	}
	for k, n := range by {
		t.By[k] = scaled(n, scale)
	}
	t.Weighing = scaled(distinct(hides)+distinct(complaints), scale)
	t.People, t.Estimated = uint64(distinct(weigh)), scale != 1
	return t
}

// distinct sorts people and returns how many there are.
func distinct(people []uint64) int {
	slices.Sort(people)
	return len(slices.Compact(people))
}

func scaled(n int, scale float64) uint64 { return uint64(float64(n)*scale + 0.5) }
