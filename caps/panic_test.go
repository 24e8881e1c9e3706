package caps

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// doors are the calls that lock shards, each about the key.
func doors(s *Store, key Key, other []byte) map[string]func() {
	keys := []Key{key}
	counted := []Counted{{scopeTag(1, 1), 3}}
	return map[string]func(){
		"Expose":   func() { s.Expose(keys, Exposure{Identity: 9, At: benchNow}, []uint32{4}, counted, benchNow) },
		"Release":  func() { s.Release(keys, 9, 0, benchNow) },
		"Hold":     func() { s.hold(keys, 9, benchNow+60, counted, 0, benchNow) },
		"Purchase": func() { s.Purchase(keys, []uint64{2}, benchNow, benchNow) },
		"Erase":    func() { s.Erase(keys, benchNow-1, benchNow) },
		"Reapply": func() {
			s.Reapply(&Change{Kind: ChangeChoice, Keys: keys, Now: benchNow, Field: 2, Stamp: benchNow, Value: 1})
		},
		"Person": func() {
			var p Person
			s.Lock(&p, keys, benchNow)
			defer p.Unlock()
			p.Full(counted[0].Scope, 1, 1)
			p.Take(9, benchNow+60, counted)
			p.Hold(0)
		},
		"Lookup":         func() { s.Lookup(key, benchNow) },
		"MergeExposures": func() { s.MergeExposures(other, benchNow) },
		"MergeSnapshot":  func() { s.MergeSnapshot(other, benchNow) },
		"Join":           func() { s.NewJoin().Merge(other, benchNow) },
		"Append":         func() { s.AppendExposures(nil, key, benchNow); s.AppendRefusals(nil, key, benchNow) },
	}
}

// broken is a store of one shard with a user, somebody else, and the user's encoded record.
func broken() (s *Store, user, other Key, enc []byte) {
	s = New(Options{Memory: 1 << 20, RefusalMemory: 1 << 20, Shards: 1})
	user, other = Key{1, 15: 7}, Key{2, 15: 9}
	for i, key := range []Key{user, other} {
		s.Expose([]Key{key}, Exposure{Identity: uint32(i + 1), At: benchNow}, nil, []Counted{{scopeTag(1, 1), 3}}, benchNow)
		if err := s.Purchase([]Key{key}, []uint64{2}, benchNow, benchNow); err != nil {
			panic(err)
		}
	}
	return s, user, other, s.AppendExposures(nil, user, benchNow)
}

// recordOf is the user's record, in place.
func recordOf(t *table, key Key) []uint32 {
	w := wordsOf(&key)
	_, record := t.find(hashOf(&w), &w)
	return record
}

// A panic while a record is read or joined costs that call and no other: whoever shares the shard goes on, with all that was there.
func TestPanicLeavesNoShardLocked(t *testing.T) {
	for fault, inject := range map[string]func(s *Store, user Key){
		"entry beyond its record": func(s *Store, user Key) { recordOf(&s.shards[0].exposures, user)[headWords+1] |= 1<<metaCount - 1 },
		"records beyond the log": func(s *Store, user Key) {
			w := wordsOf(&user)
			for _, table := range []*table{&s.shards[0].exposures, &s.shards[0].refusals} {
				slot, _ := table.find(hashOf(&w), &w)
				table.slots[slot] |= 1<<32 - 1
			}
		},
	} {
		panics := 0
		for name := range doors(New(roomy), Key{}, nil) {
			s, user, other, enc := broken()
			before := s.Lookup(other, benchNow)
			inject(s, user)
			func() {
				defer func() {
					if recover() != nil {
						panics++
					}
				}()
				doors(s, user, enc)[name]()
			}()
			if !s.shards[0].mu.TryLock() {
				t.Fatalf("%s, %s: the shard stays locked", fault, name)
			}
			s.shards[0].mu.Unlock()
			after := s.Lookup(other, benchNow)
			if len(after.Counters) != 1 || after.Counters[0].Exposures[0] != before.Counters[0].Exposures[0] || len(after.Purchases) != 1 {
				t.Errorf("%s, %s: somebody else is %+v, was %+v", fault, name, after, before)
			}
			for name, call := range doors(s, other, enc) {
				if !strings.HasPrefix(name, "Merge") && name != "Join" {
					call()
				}
			}
		}
		if panics < 7 {
			t.Errorf("%s: %d calls panicked; the test has no effect", fault, panics)
		}
	}
}

// halfWritten is set in the process that is to end.
const halfWritten = "CAPS_TEST_HALF_WRITTEN"

// A panic while a table is written ends the process, whoever recovers: nobody is answered from a record that was left half written.
func TestPanicHalfWrittenEnds(t *testing.T) {
	if name := os.Getenv(halfWritten); name != "" {
		s, user, _, enc := broken()
		call := func() { s.Sweep(benchNow, 1) }
		if name != "Sweep" {
			call = doors(s, user, enc)[name]
		}
		for _, table := range []*table{&s.shards[0].exposures, &s.shards[0].refusals} {
			table.active = 1 << 20 // what is appended to is not there
			for i := range table.segments {
				table.segments[i].end = 1 << 30 // nor what is walked
			}
		}
		func() {
			defer func() { recover() }()
			call()
		}()
		os.Stdout.WriteString("it went on\n")
		os.Exit(0)
	}
	for _, name := range []string{"Expose", "Release", "Hold", "Person", "MergeExposures", "Sweep"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPanicHalfWrittenEnds$")
		cmd.Env = append(os.Environ(), halfWritten+"="+name)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		text := out.String()
		if err == nil || strings.Contains(text, "it went on") {
			t.Errorf("%s: a process with a half-written record goes on: %v\n%s", name, err, text)
			continue
		}
		if !strings.Contains(text, "half written") || !strings.Contains(text, "index out of range") && !strings.Contains(text, "(*table)") {
			t.Errorf("%s: it does not say why:\n%s", name, text)
		}
	}
}
