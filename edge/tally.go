package edge

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Decisions are counted in tables of the rules that they were made under, by index of
// the campaign and reason, so that nothing is looked up by name while one is made. What
// was counted is taken out of them every few seconds, and then has its names.
//
// A request takes a table that nobody else is counting in, of several beside each other,
// and adds to it without atomic operations: one for each candidate would cost more than
// all that a request does here (BenchmarkTally).

const (
	// tallyRow is a row of a table: a counter for each reason, and some room, so that
	// where a row begins is a shift away.
	tallyRow = 32
	// tallyStripes tables are beside each other. Chosen.
	tallyStripes = 4
	// tallyCells bounds the counters of the tables beside each other: very large policies
	// have fewer of them. Chosen: 4 MiB.
	tallyCells = 1 << 20
	// tallyIdle is after how many times without a decision a table is let go of. Chosen:
	// 10 minutes.
	tallyIdle = 120
)

func init() {
	if reasonCount > tallyRow {
		panic("BUG: more reasons than a row of a table has room for")
	}
}

// tallyTable counts decisions in one market and arm under one version of the rules. The
// first row is of candidates of unknown campaigns, the others are by Campaign.Index.
type tallyTable struct {
	busy  atomic.Bool // whoever has set it may use what follows, and is done soon
	gone  bool        // nobody takes anything out of it any more
	cells []uint32
	_     [64]byte // what follows is on another line of memory

	rules *rules
	at    int      // in rules.tallies.tables
	spare []uint32 // of zeros; guarded by tallies.mu
	idle  int      // likewise
}

// ruleTallies are the tables of one version of the rules, made when they are first used.
type ruleTallies struct {
	stripes int
	tables  []atomic.Pointer[tallyTable] // by market, arm and stripe
}

func newRuleTallies(r *rules) ruleTallies {
	stripes := min(tallyStripes, max(1, tallyCells/(tallyRow*(len(r.Campaigns)+1))))
	return ruleTallies{stripes: stripes, tables: make([]atomic.Pointer[tallyTable], len(r.markets)*int(arms)*stripes)}
}

// tallies are the tables in use on a node.
type tallies struct {
	stripe atomic.Uint32 // of the next exchange

	mu     sync.Mutex
	tables []*tallyTable
}

// count counts what a request decided.
func (t *tallies) count(x *exchange) {
	j := &x.judge
	r := &j.rules.tallies
	base := (j.market.number*int(arms) + int(x.arm)) * r.stripes
	for try := uint32(0); ; try++ {
		at := base + int((x.stripe+try)%uint32(r.stripes))
		table := r.tables[at].Load()
		if table == nil {
			table = t.open(j.rules, at)
		}
		if table.busy.CompareAndSwap(false, true) {
			if table.gone { // since it was found
				table.busy.Store(false)
				r.tables[at].CompareAndSwap(table, nil)
				continue
			}
			for i := range j.verdicts {
				v := &j.verdicts[i]
				table.cells[v.campaign*tallyRow+uint32(v.reason)]++
			}
			table.busy.Store(false)
			return
		}
		if try%uint32(r.stripes) == uint32(r.stripes)-1 {
			runtime.Gosched()
		}
	}
}

// open makes a table, unless somebody else has.
func (t *tallies) open(r *rules, at int) *tallyTable {
	t.mu.Lock()
	defer t.mu.Unlock()
	if table := r.tallies.tables[at].Load(); table != nil {
		return table
	}
	table := &tallyTable{cells: make([]uint32, tallyRow*(len(r.Campaigns)+1)), rules: r, at: at}
	t.tables = append(t.tables, table)
	r.tallies.tables[at].Store(table)
	return table
}

// take takes out what was counted since the last time, and calls each with it.
func (t *tallies) take(each func(campaign, arm, market string, reason Reason, n uint32)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.tables[:0]
	for _, table := range t.tables {
		gone := table.idle >= tallyIdle
		table.take(gone, each)
		if gone {
			table.rules.tallies.tables[table.at].CompareAndSwap(table, nil)
		} else {
			kept = append(kept, table)
		}
	}
	clear(t.tables[len(kept):])
	t.tables = kept
}

// take takes out what was counted; last: for the last time.
func (t *tallyTable) take(last bool, each func(campaign, arm, market string, reason Reason, n uint32)) {
	if t.spare == nil {
		t.spare = make([]uint32, len(t.cells))
	}
	for !t.busy.CompareAndSwap(false, true) {
		runtime.Gosched()
	}
	t.cells, t.spare = t.spare, t.cells
	t.gone = last
	t.busy.Store(false)
	r := t.rules
	arm := Arm(t.at / r.tallies.stripes % int(arms)).String()
	market := r.markets[t.at/r.tallies.stripes/int(arms)].Name
	t.idle++
	for i, n := range t.spare {
		if n == 0 {
			continue
		}
		t.idle = 0
		campaign := ""
		if row := i / tallyRow; row > 0 {
			campaign = r.Campaigns[row-1].ID
		}
		each(campaign, arm, market, Reason(i%tallyRow), n)
		t.spare[i] = 0
	}
}
