package edge

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"restraint/edge/shared"
	"restraint/edge/traffic"
)

// countingNode is the counts of a node in a test, without the node.
type countingNode struct {
	*counting
	t    *testing.T
	dir  string
	link shared.Store
	name string
}

func openCounts(t *testing.T, name, dir string, store shared.Store) *countingNode {
	t.Helper()
	n := &Node{options: Options{Name: name, Dir: dir, Shared: store}, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if err := n.openCounting(); err != nil {
		t.Fatal(err)
	}
	return &countingNode{&n.counting, t, dir, store, name}
}

// again opens them anew, as after kill -9.
func (c *countingNode) again() *countingNode {
	c.t.Helper()
	return openCounts(c.t, c.name, c.dir, c.link)
}

// tick does what is done every few seconds.
func (c *countingNode) tick(now uint32) {
	c.t.Helper()
	c.collect(now)
	if err := c.write(); err != nil {
		c.t.Fatal(err)
	}
	if err := c.roll(now); err != nil {
		c.t.Fatal(err)
	}
}

func (c *countingNode) show(now uint32, campaign string, n uint64) {
	c.add(now, traffic.Row{Campaign: campaign, Arm: "all", Market: "eu"}, countShow, n)
}

func (c *countingNode) sum(from, to uint32) (n uint64) {
	c.each(from, to, func(_ string, cell *traffic.Cell) { n += cell.N })
	return n
}

func (c *countingNode) has(want uint64) {
	c.t.Helper()
	if got := c.sum(0, math.MaxUint32); got != want {
		c.t.Errorf("%s counts %d, want %d", c.name, got, want)
	}
}

// countStart is 1 November 2026, 00:00 UTC.
const countStart = 1_793_491_200

func TestCountsOutliveRestarts(t *testing.T) {
	c := openCounts(t, "a", t.TempDir(), nil)
	c.show(countStart, "x", 3)
	c.tick(countStart + 5)
	c.show(countStart+6, "x", 4) // not written yet
	c.has(7)
	c = c.again()
	c.has(3)
	c.show(countStart+20, "x", 10)
	c.tick(countStart + 25)
	c.has(13)
	c = c.again()
	c.has(13)
	if len(c.parts) != 1 {
		t.Errorf("%d starts", len(c.parts))
	}
}

// What is written and over leaves memory also where something is counted all the time.
func TestCountsThatAreOverLeaveMemory(t *testing.T) {
	c := openCounts(t, "a", t.TempDir(), nil)
	const hours = 50
	for hour := range uint32(hours) {
		now := countStart + hour*3600
		c.show(now, "x", 1)
		if err := c.write(); err != nil {
			t.Fatal(err)
		}
		c.show(now+1, "x", 1) // while that was written
		if err := c.roll(now + 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.own) > 3 {
		t.Errorf("%d counters of %d hours are in memory", len(c.own), hours)
	}
	c.has(2 * hours)
}

// A clock that was set back while the node was down takes nothing away.
func TestCountsUnderAClockSetBack(t *testing.T) {
	c := openCounts(t, "a", t.TempDir(), nil)
	c.show(countStart+10*3600, "x", 1)
	c.tick(countStart + 10*3600)
	c.tick(countStart + 20*3600)
	c = c.again()
	for hour := range uint32(30) {
		c.show(countStart+hour*3600, "x", 1)
		c.tick(countStart + hour*3600)
		c.has(uint64(hour) + 2)
	}
	c = c.again()
	c.has(31)
}

// Over a year and a half, nothing is lost or counted twice while it moves from document
// to document, is folded, and goes when its time is over.
func TestCountsAgeAsTheyShould(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 9))
	c := openCounts(t, "a", t.TempDir(), nil)
	total := map[uint32]uint64{} // by day
	const hour = 3600
	for now := uint32(countStart); now < countStart+550*daySeconds; now += uint32(hour * (1 + random.IntN(60))) {
		n := 1 + random.Uint64N(5)
		c.show(now, fmt.Sprint(random.IntN(3)), n)
		total[now/daySeconds] += n
		switch random.IntN(40) {
		case 0:
			c.tick(now + 1)
			c = c.again()
		default:
			c.tick(now + 1)
		}
		if random.IntN(5) > 0 {
			continue
		}
		want, got := uint64(0), uint64(0)
		floor := (now + 1 - countsKept) / daySeconds
		month := floor + 31 // what is kept goes by the month
		for day, n := range total {
			if day >= month {
				want += n
			}
		}
		c.each(0, math.MaxUint32, func(_ string, cell *traffic.Cell) {
			if cell.Begin/daySeconds >= month {
				got += cell.N
			}
			if cell.End() <= int64(floor)*daySeconds {
				t.Fatalf("kept beyond its time: %+v at %d", cell, now)
			}
			switch age := int64(now) + 1 - cell.End(); {
			case cell.Level == traffic.Hour && age > hoursKept+86*hour, cell.Level == traffic.Day && age > daysKept+35*daySeconds:
				t.Fatalf("not folded: %+v at %d", cell, now)
			}
		})
		if now-countStart < 380*daySeconds && c.sum(0, math.MaxUint32) != sumOf(total) || now-countStart > 420*daySeconds && (got > want+31*20 || got+31*20 < want) {
			t.Fatalf("at day %d: %d counted, want %d; since the month %d, want %d", (now-countStart)/daySeconds, c.sum(0, math.MaxUint32), sumOf(total), got, want)
		}
	}
	if s := c.joined.Stats(); s.Documents != 2 || s.Bytes > 10_000 || c.lost != 0 {
		t.Errorf("%+v, %d lost", s, c.lost)
	}
}

func sumOf(total map[uint32]uint64) (n uint64) {
	for _, k := range total {
		n += k
	}
	return n
}

// What does not fit is folded before its time, and only then the oldest goes.
func TestCountsThatDoNotFit(t *testing.T) {
	book := func(campaigns, buckets int, level traffic.Level, apart uint32) (*traffic.Book, uint64) {
		var cells []traffic.Cell
		total := uint64(0)
		for i := range campaigns {
			for k := range buckets {
				n := uint64(1+i+k) << 30
				cells = append(cells, traffic.Cell{Start: 1, Begin: countStart + uint32(k)*apart, Level: level, Row: traffic.Row{Campaign: fmt.Sprint("campaign-", i), Arm: "all", Market: "eu"}, Measure: countShow, N: n})
				total += n
			}
		}
		return traffic.NewBook("a", 0, cells), total
	}
	sums := func(form []byte) (n uint64) {
		b, err := traffic.Parse(form)
		if err != nil || len(form) > shared.MaxBytes {
			t.Fatalf("%d bytes: %v", len(form), err)
		}
		b.Each(0, math.MaxUint32, func(c *traffic.Cell) { n += c.N })
		return n
	}
	// Two days of hours are too much.
	b, total := book(1200, 48, traffic.Hour, 3600)
	if len(traffic.Append(nil, b)) <= shared.MaxBytes {
		t.Fatal("it fits")
	}
	form, lost := foldCounts(b, countStart+48*3600, 0)
	if lost != 0 || sums(form) != total {
		t.Errorf("%d lost, %d left of %d", lost, sums(form), total)
	}
	// So many months are too much however they are folded.
	b, total = book(1200, 50, traffic.Month, 31*daySeconds)
	form, lost = foldCounts(b, countStart+51*31*daySeconds, 0)
	if left := sums(form); lost == 0 || left >= total || left < total/4 {
		t.Errorf("%d lost, %d left of %d", lost, left, total)
	}
}

func TestCountsOfManyCampaignsAreInParts(t *testing.T) {
	for rows, want := range map[int]int{0: 1, 512: 1, 513: 2, 1025: 4, 8192: 16, 1_000_000: 16} {
		if got := partsFor(rows); got != want {
			t.Errorf("%d rows in %d parts, want %d", rows, got, want)
		}
	}
	c := openCounts(t, "a.b/c", t.TempDir(), nil)
	show := func(now uint32) {
		for i := range 100 {
			c.show(now, fmt.Sprint("c", i), 1)
		}
	}
	show(countStart)
	c.tick(countStart + 1)
	show(countStart + 1)
	c.newStart(time.Now(), 4)
	show(countStart + 2)
	c.has(300)
	for hour := range 100 {
		c.tick(uint32(countStart + hour*3600))
		c.has(300)
	}
	c = c.again()
	c.has(300)
	if s := c.joined.Stats(); s.Documents != 10 {
		t.Errorf("%d documents", s.Documents)
	}
	for name := range c.books {
		if err := c.joined.CheckName(name); err != nil || !strings.HasPrefix(name, "traffic.a=2eb=2fc.") {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := openCounts(t, strings.Repeat("host.", 50), t.TempDir(), nil)
	long.show(countStart, "x", 1)
	long.tick(countStart + 1)
	long.has(1)
}

// What dial-back asks: all showings of a campaign in the hours of a span.
func TestShown(t *testing.T) {
	n := benchNode(t, 64<<20, benchPolicy())
	c := &n.rules.Load().Campaigns[7]
	for hour := range uint32(3) {
		for i, measure := range []string{countImpression, countUnkept, countShow, countClick} {
			n.counting.add(countStart+hour*3600, traffic.Row{Campaign: c.ID, Arm: "all", Market: "all"}, measure, 1<<(4*i)<<hour)
		}
	}
	for _, ask := range []struct {
		campaign string
		from, to uint32
		want     uint64
	}{
		{c.ID, countStart, countStart + 2, 1 + 16},
		{c.ID, countStart + 3599, countStart + 3600, 3 + 48},
		{c.ID, countStart + 4000, countStart + 9000, 6 + 96},
		{c.ID, 0, countStart - 1, 0},
		{"nobody's", 0, math.MaxUint32 - 3600, 0},
		{n.rules.Load().Campaigns[8].ID, 0, countStart + 9000, 0},
	} {
		for range 2 { // the second time from what is remembered
			if got := n.counting.shown(ask.campaign, ask.from, ask.to, countEvery); got != ask.want {
				t.Errorf("%+v: %d", ask, got)
			}
		}
	}
	// What is remembered of a span is not old for long.
	n.counting.add(countStart+8000, traffic.Row{Campaign: c.ID}, countImpression, 100)
	n.counting.sums.at = n.counting.sums.at.Add(-countEvery)
	if got := n.counting.shown(c.ID, 0, countStart+9000, countEvery); got != 100+7+112 {
		t.Errorf("%d", got)
	}
}

// A document under another node's name, or that is none, is refused.
func TestJoinCounts(t *testing.T) {
	form := traffic.Append(nil, traffic.NewBook("a", 0, []traffic.Cell{{Start: 1, Begin: countStart, Measure: countShow, N: 1}}))
	if _, err := joinCounts(partName("a", false, 1, 0), nil, form); err != nil {
		t.Fatal(err)
	}
	for name, doc := range map[string][]byte{partName("b", false, 1, 0): form, partName("a", true, 1, 0): form[1:], partName("ab", false, 1, 0): form} {
		if _, err := joinCounts(name, nil, doc); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Decisions that are made while tables are taken, made anew and let go of are all counted.
func TestTalliesLoseNothing(t *testing.T) {
	n := benchNode(t, 64<<20, benchPolicy())
	rules := n.rules.Load()
	tallies := &tallies{}
	var counting, taking sync.WaitGroup
	const workers, each = 4, 20_000
	stop, got := make(chan struct{}), map[string]uint64{}
	take := func() {
		tallies.take(func(campaign, arm, market string, reason Reason, n uint32) {
			got[campaign+" "+arm+" "+market+" "+reason.String()] += uint64(n)
		})
		tallies.mu.Lock()
		defer tallies.mu.Unlock()
		for _, table := range tallies.tables {
			table.idle = tallyIdle // the next time it goes
		}
	}
	taking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				take()
			}
		}
	})
	for w := range workers {
		counting.Go(func() {
			x := &exchange{stripe: uint32(w)}
			x.judge.rules, x.judge.market = rules, &rules.markets[0]
			for i := range each {
				x.arm = Arm(i % int(arms))
				x.judge.verdicts = append(x.judge.verdicts[:0], verdict{campaign: 1, reason: Cap}, verdict{}, verdict{campaign: uint32(len(rules.Campaigns)), reason: Holdout})
				tallies.count(x)
			}
		})
	}
	counting.Wait()
	close(stop)
	taking.Wait()
	for range 3 {
		take()
	}
	for a := range arms {
		for _, name := range []string{rules.Campaigns[0].ID + " " + a.String() + " all cap", " " + a.String() + " all show", rules.Campaigns[len(rules.Campaigns)-1].ID + " " + a.String() + " all holdout"} {
			if want := uint64(workers * each / int(arms)); got[name] != want {
				t.Errorf("%q: %d, want %d", name, got[name], want)
			}
		}
	}
	if len(tallies.tables) != 0 {
		t.Errorf("%d tables are left", len(tallies.tables))
	}
}

func TestRecentReportsAreBounded(t *testing.T) {
	r := &recent{}
	for id := uint64(1); id <= 5*recentMost; id++ {
		if !r.first(id) || r.first(id) || !r.first(0) {
			t.Fatal(id)
		}
		if id > recentMost && r.first(id-recentMost+1) {
			t.Fatalf("%d is forgotten at %d", id-recentMost+1, id)
		}
	}
	if len(r.young)+len(r.old) > 2*recentMost {
		t.Errorf("%d are remembered", len(r.young)+len(r.old))
	}
}
