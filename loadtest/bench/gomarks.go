package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	sectionProcess  = "In process"
	sectionLists    = "Suppression lists"
	sectionState    = "State"
	sectionResident = "Resident"
)

// goBenches are the Go benchmarks that are run, with their marks.
func (z *sizes) goBenches() []goBench {
	all := []goBench{decideBench(z), consentBench(), residentBench(z), listsBench(z), memoryBench(z), restoreBench(z), applyBench()}
	if !z.Quick {
		all = slices.Insert(all, 4, listsTogether()) // builds 400 lists
	}
	return all
}

// line is a line of the table that is one figure of one benchmark.
type line struct {
	name, benchmark, unit string
	shown                 string  // unit in the table
	scale                 float64 // from unit to shown; 0 is 1
	mark                  *mark
	note                  string
}

// turns are the figure of each run, in the unit of the table.
func (l *line) turns(results goResults) ([]float64, error) {
	values, err := results.values(l.benchmark, l.unit)
	for i := range values {
		if l.scale != 0 {
			values[i] *= l.scale
		}
	}
	return values, err
}

// linesOf makes rows of figures.
func linesOf(section string, lines ...line) func(goResults) ([]row, error) {
	return func(results goResults) (rows []row, err error) {
		for _, l := range lines {
			turns, err := l.turns(results)
			if err != nil {
				return nil, err
			}
			r := plainRow(section, l.name, l.shown, turns, l.mark)
			r.Note = l.note
			rows = append(rows, r)
		}
		return rows, nil
	}
}

// besideRow is a figure beside another one, with their ratio as the benchmark took it,
// turn by turn, in itself.
func besideRow(section string, results goResults, a, b, ratio line) (row, error) {
	measured, aerr := a.turns(results)
	beside, berr := b.turns(results)
	ratios, rerr := ratio.turns(results)
	if err := errors.Join(aerr, berr, rerr); err != nil {
		return row{}, err
	}
	r := row{
		Section: section, Name: a.name, Measured: median(measured), Unit: a.shown, Beside: median(beside), BesideWhat: b.shown,
		Ratio: median(ratios), Turns: ratios, Mark: ratio.mark,
	}
	r.judge()
	return r, nil
}

// decideBench is decisions beside dependent random reads of memory over as many bytes
// as the counters take.
func decideBench(z *sizes) goBench {
	users, histories := 1_000_000, 10_000
	if z.Quick {
		users, histories = 10_000, 200
	}
	return goBench{
		pkg: "edge", match: "^BenchmarkDecide(InReads|LongHistory)$", args: []string{"-test.benchtime", "150x"}, count: 7, most: 10 * time.Minute,
		rows: func(results goResults) (rows []row, err error) {
			for _, c := range []struct {
				candidates int
				mark       *mark
			}{{1, atMost(5)}, {20, nil}, {50, atMost(25)}, {200, atMost(80)}} {
				name := fmt.Sprintf("DecideInReads/users=%d/candidates=%d", users, c.candidates)
				r, err := besideRow(sectionProcess, results,
					line{name: fmt.Sprintf("decision, %s, %s users", candidates(c.candidates), short(float64(users))), benchmark: name, unit: "ns/decision", shown: "ns"},
					line{benchmark: name, unit: "ns/read", shown: "ns a memory read"},
					line{benchmark: name, unit: "reads/decision", mark: c.mark})
				if err != nil {
					return nil, err
				}
				none, err := linesOf(sectionProcess, line{
					name: fmt.Sprintf("allocations, %s", candidates(c.candidates)), benchmark: name, unit: "allocs/decision", shown: "a decision", mark: atMost(0),
				})(results)
				if err != nil {
					return nil, err
				}
				rows = append(append(rows, r), none...)
			}
			long := fmt.Sprintf("DecideLongHistory/users=%d/candidates=50", histories)
			r, err := besideRow(sectionProcess, results,
				line{name: "50 candidates, user with 1,000 exposures", benchmark: long, unit: "ns/long", shown: "ns"},
				line{benchmark: long, unit: "ns/short", shown: "ns with 20"},
				line{benchmark: long, unit: "long/short", mark: atMost(1)})
			return append(rows, r), err
		},
	}
}

func candidates(n int) string {
	if n == 1 {
		return "1 candidate"
	}
	return fmt.Sprintf("%d candidates", n)
}

// residentBench is a decision's tail while showings are applied and a snapshot rolls.
func residentBench(z *sizes) goBench {
	users := 1_000_000
	switch {
	case z.Quick:
		users = 2000
	case z.Large:
		users = 5_000_000
	}
	flags := []string{"-resident-users", fmt.Sprint(users)}
	return goBench{
		pkg: "edge", match: "^BenchmarkResident$", args: append(flags, "-test.benchtime", "8s"), quickArgs: flags, count: 3, most: 20 * time.Minute,
		rows: func(results goResults) (rows []row, err error) {
			for _, candidates := range []int{20, 50} {
				name := fmt.Sprintf("Resident/users=%d/candidates=%d", users, candidates)
				for _, q := range []string{"p50", "p99", "p99.9"} {
					ours := line{name: fmt.Sprintf("decision, %d candidates, %s users, %s", candidates, short(float64(users)), q), benchmark: name, unit: "decision-" + q + "-ns", shown: "us", scale: 1e-3}
					clock := line{benchmark: name, unit: "clock-" + q + "-ns", shown: "a clock alone", scale: 1e-3}
					measured, merr := ours.turns(results)
					beside, berr := clock.turns(results)
					if err := errors.Join(merr, berr); err != nil {
						return nil, err
					}
					r := ratioRow(sectionResident, ours.name, ours.shown, measured, beside, clock.shown, nil)
					if q == "p99.9" {
						// The mark is for the time itself, not for its ratio to the clock's.
						r.Turns = measured
						r.Note = "beside it is a loop that in the same run read the clock for as long as a median decision takes, and did nothing else: the machine's own share"
						if z.Large {
							r.Mark = atMost(20)
							r.judge()
						} else {
							r.Note += "; the mark, at most 20 us, is for 5,000,000 users: -large"
						}
					}
					rows = append(rows, r)
				}
			}
			more, err := linesOf(sectionResident,
				line{name: "impressions recorded meanwhile", benchmark: fmt.Sprintf("Resident/users=%d/candidates=20", users), unit: "applied/s", shown: "/s"},
				line{name: "of the time, a snapshot was being written", benchmark: fmt.Sprintf("Resident/users=%d/candidates=20", users), unit: "%snapshot", shown: "%"},
				line{name: "heap", benchmark: fmt.Sprintf("Resident/users=%d/candidates=20", users), unit: "heap-MB", shown: "MB"},
				line{name: "garbage collections meanwhile", benchmark: fmt.Sprintf("Resident/users=%d/candidates=20", users), unit: "GCs", shown: ""},
			)(results)
			return append(rows, more...), err
		},
	}
}

// consentBench is the whole consent step with strings that repeat.
func consentBench() goBench {
	return goBench{
		pkg: "edge/consent", match: "^BenchmarkJudgeInGets$", args: []string{"-test.benchtime", "400x"}, count: 7, most: 5 * time.Minute,
		rows: func(results goResults) (rows []row, err error) {
			for _, kind := range []string{"tcf", "gpp"} {
				name := "JudgeInGets/strings=" + kind + "/distinct=10000"
				r, err := besideRow(sectionProcess, results,
					line{name: "consent step, " + kind + ", 10,000 strings", benchmark: name, unit: "ns/judge", shown: "ns"},
					line{benchmark: name, unit: "ns/get", shown: "ns a Get of ristretto"},
					line{benchmark: name, unit: "gets/judge"})
				if err != nil {
					return nil, err
				}
				// The mark is for the time itself.
				if r.Turns, err = results.values(name, "ns/judge"); err != nil {
					return nil, err
				}
				r.Mark = atMost(400)
				r.judge()
				rows = append(rows, r)
			}
			return rows, nil
		},
	}
}

// listsBench is look-ups in one list beside plain bloom/v3.
func listsBench(z *sizes) goBench {
	keys := "1000000"
	if z.Large {
		keys = "10000000"
	}
	g := goBench{pkg: "suppress", match: "^BenchmarkContains$", args: []string{"-test.benchtime", "300x", "-keys", keys}, quickArgs: []string{"-keys", "20000"}, count: 3, most: 15 * time.Minute}
	if z.Quick {
		keys = "20000"
	}
	bound := func(most float64) *mark {
		if !z.Large {
			return nil
		}
		return atMost(most)
	}
	g.rows = func(results goResults) (rows []row, err error) {
		if len(results) == 0 {
			return nil, fmt.Errorf("%w: BenchmarkContains printed nothing", errBenchmark)
		}
		name := results[0].Name
		for _, c := range []struct {
			filter, what string
			most         float64
		}{{"bloom", "hit", 0.65}, {"bloom", "miss", 0.5}, {"fuse", "hit", 1. / 3}, {"fuse", "miss", 1. / 3}} {
			r, err := besideRow(sectionLists, results,
				line{name: fmt.Sprintf("%s, %s, %s members", c.filter, c.what, keys), benchmark: name, unit: c.filter + "-" + c.what + "-ns", shown: "ns"},
				line{benchmark: name, unit: "plain-" + c.what + "-ns", shown: "ns plain bloom/v3"},
				line{benchmark: name, unit: c.filter + "-" + c.what + "/plain", mark: bound(c.most)})
			if err != nil {
				return nil, err
			}
			if r.Mark == nil {
				r.Note = fmt.Sprintf("the mark, at most %s of plain bloom/v3, is for 10,000,000 members: -large", short(c.most))
			}
			rows = append(rows, r)
		}
		more, err := linesOf(sectionLists,
			line{name: "bloom, memory a member", benchmark: name, unit: "bloom-bytes/key", shown: "bytes"},
			line{name: "fuse, memory a member", benchmark: name, unit: "fuse-bytes/key", shown: "bytes"},
			line{name: "bloom, strangers skipped in a million", benchmark: name, unit: "bloom-false/million", shown: "", mark: atMost(100)},
			line{name: "fuse, strangers skipped in a million", benchmark: name, unit: "fuse-false/million", shown: "", mark: atMost(100)},
		)(results)
		return append(rows, more...), err
	}
	return g
}

// listsTogether is 200 lists asked about one user.
func listsTogether() goBench {
	return goBench{
		pkg: "suppress", match: "^BenchmarkLists$", args: []string{"-test.benchtime", "0.3s"}, count: 7, most: 5 * time.Minute,
		rows: linesOf(sectionLists,
			line{name: "200 lists of 100,000, bloom", benchmark: "Lists/bloom/lists=200", unit: "ns/op", shown: "us a user", scale: 1e-3, mark: atMost(20)},
			line{name: "200 lists of 100,000, fuse", benchmark: "Lists/fuse/lists=200", unit: "ns/op", shown: "us a user", scale: 1e-3, mark: atMost(20)}),
	}
}

// memoryBench is the memory of a counter by the runtime's accounting.
func memoryBench(z *sizes) goBench {
	of, match := "1e+05", "^BenchmarkMemoryPerCounter$"
	args := []string{"-test.benchtime", "1x"}
	if z.Large {
		of = "1e+06"
		args = append(args, "-large")
	}
	counter := func(name, users, shape string) line {
		return line{name: "memory a counter, " + name, benchmark: "MemoryPerCounter/users=" + users + "/" + shape, unit: "bytes/counter", shown: "bytes", mark: atMost(20)}
	}
	lines := []line{
		counter("users grown at once", "1e+06", "at-once"),
		counter("one user after the other", of, "one-by-one"),
		counter("all users in step", of, "in-step"),
	}
	if z.Quick {
		lines, match = lines[1:2], match+"/users/^one-by-one$"
	}
	return goBench{pkg: "caps", match: match, args: args, count: 3, most: 10 * time.Minute, rows: linesOf(sectionState, lines...)}
}

// restoreBench is a start from a snapshot.
func restoreBench(z *sizes) goBench {
	l := line{name: "restore 1,000,000 users of 20 counters", benchmark: "Restore/users=1e+06/counters=20", unit: "ns/op", shown: "s", scale: 1e-9, mark: atMost(3)}
	if z.Quick {
		l.name, l.benchmark = "restore 100,000 users of 20 counters", "Restore/users=1e+05/counters=20"
	}
	return goBench{
		pkg: "edge/replica", match: "^BenchmarkRestore$", args: []string{"-test.benchtime", "1x", "-large"}, count: 5, most: 10 * time.Minute,
		rows: linesOf(sectionState, l),
	}
}

// applyBench is changes of other nodes, applied on one core.
func applyBench() goBench {
	return goBench{
		pkg: "edge/replica", match: "^BenchmarkApplyRemote$", args: []string{"-test.cpu", "1", "-test.benchtime", "0.5s"}, count: 7, most: 5 * time.Minute,
		rows: linesOf(sectionState, line{name: "changes of other nodes applied, one core", benchmark: "ApplyRemote", unit: "exposures/s", shown: "exposures/s", mark: atLeast(1_000_000)}),
	}
}
