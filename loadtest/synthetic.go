package loadtest

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
)

// syntheticStart is the first second of every synthetic log, 2026-01-05 00:00
// UTC, a Monday; it covers two weeks.
const (
	syntheticStart = 1767571200
	syntheticSpan  = 14 * 86400
)

// SyntheticCampaigns are the campaigns of a synthetic log, of the advertiser
// "synthetic"; each has its own category of ten items and two creatives.
var SyntheticCampaigns = []string{"synthetic-shoes", "synthetic-coats", "synthetic-phones", "synthetic-travel", "synthetic-toys"}

// madeUp is one made-up event.
type madeUp struct {
	at         int64
	user       int
	kind       kind
	clicked    bool
	campaign   int
	creative   int
	item       int
	userPrefix byte
}

// SyntheticLog writes a made-up log for the preset synthetic, in time order:
// the same seed, users and impressions give the same bytes. It says in its
// first line that it is synthetic.
//
// Showings per user follow Zipf's law (exponent 1.2, chosen); each user sees
// the same few items again and again, as retargeting does, in sittings of a
// few showings, more by day than by night; 1 % of the showings are clicked; after 1.5 % of
// them the item is bought, and every tenth purchase is returned within a week;
// showings of an item go on after it was bought. One user in 500 is a bot that
// loads pages every few seconds. Bounds: users 1..10 M, impressions 1..8 M.
func SyntheticLog(w io.Writer, seed uint64, users, impressions int) error {
	if users < 1 || users > 10_000_000 || impressions < 1 || impressions > 8_000_000 {
		return fmt.Errorf("write synthetic log: %d users (1 to 10000000) or %d impressions (1 to 8000000) out of range", users, impressions)
	}
	events := makeUp(rand.New(rand.NewPCG(seed, 0x5EED)), users, impressions)
	slices.SortStableFunc(events, func(a, b madeUp) int { return cmp.Compare(a.at, b.at) })
	b := bufio.NewWriterSize(w, 64<<10)
	fmt.Fprintf(b, "%s: made up by a generator with seed %d, %d users, %d impressions; nobody's behaviour is in it\n", syntheticMark, seed, users, impressions)
	fmt.Fprintln(b, "at,user,kind,campaign,creative,item,category,clicked")
	for _, e := range events {
		name, clicked := SyntheticCampaigns[e.campaign], 0
		if e.clicked {
			clicked = 1
		}
		creative := ""
		if e.kind == kindImpression {
			creative = fmt.Sprintf("c-%d", e.creative)
		}
		fmt.Fprintf(b, "%d,%c%d,%s,%s,%s,%s-%d,%s,%d\n", e.at, e.userPrefix, e.user, e.kind, name, creative, name[len("synthetic-"):], e.item, name[len("synthetic-"):], clicked)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write synthetic log: %w", err)
	}
	return nil
}

// makeUp draws sittings until there are enough impressions.
func makeUp(r *rand.Rand, users, impressions int) []madeUp {
	zipf := rand.NewZipf(r, 1.2, 4, uint64(users-1))
	events := make([]madeUp, 0, impressions+impressions/32)
	for made := 0; made < impressions; {
		user := int(zipf.Uint64())
		bot := user%500 == 499
		at, pace, length := sittingStart(r), 5+r.Int64N(120), 1+r.IntN(6)
		prefix := byte('u')
		if bot {
			pace, length, prefix = 1+r.Int64N(4), 50+r.IntN(200), 'b'
		}
		for range min(length, impressions-made) {
			at += 1 + r.Int64N(2*pace)
			// A user's two interests are a function of the user alone.
			interest := user*2 + r.IntN(2)
			e := madeUp{
				at: at, user: user, kind: kindImpression, userPrefix: prefix,
				campaign: interest * 7 % len(SyntheticCampaigns), item: interest * 13 % 10, creative: r.IntN(2),
				clicked: r.IntN(100) == 0,
			}
			events = append(events, e)
			made++
			if !bot && r.IntN(1000) < 15 {
				events = appendPurchase(events, r, e)
			}
		}
	}
	return events
}

// sittingStart is a second of the two weeks, four times as likely by day.
func sittingStart(r *rand.Rand) int64 {
	for {
		s := r.Int64N(syntheticSpan)
		hour := s / 3600 % 24
		if hour >= 7 && hour < 23 || r.IntN(4) == 0 {
			return syntheticStart + s
		}
	}
}

func appendPurchase(events []madeUp, r *rand.Rand, shown madeUp) []madeUp {
	e := shown
	e.kind, e.clicked = kindPurchase, false
	e.at += 60 + r.Int64N(3600)
	events = append(events, e)
	if r.IntN(10) == 0 {
		e.kind = kindReturn
		e.at += 86400 + r.Int64N(6*86400)
		events = append(events, e)
	}
	return events
}
