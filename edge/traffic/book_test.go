package traffic

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// noon is 1 November 2026, 12:00 UTC.
const noon = 1_793_534_400

func TestTimesOfTests(t *testing.T) {
	if got := time.Unix(noon, 0).UTC().Format(time.RFC3339); got != "2026-11-01T12:00:00Z" {
		t.Fatal(got)
	}
}

// at is the begin of the hour so many hours after noon.
func at(hours int) uint32 { return uint32(noon + hours*hourSeconds) }

func cell(start uint64, begin uint32, level Level, campaign, measure string, n uint64) Cell {
	return Cell{Start: start, Begin: begin, Level: level, Row: Row{Campaign: campaign, Arm: "all", Market: "eu"}, Measure: measure, N: n}
}

// randomBook is a state that a node could have been in: of few starts and hours, so that books meet.
func randomBook(random *rand.Rand) *Book {
	var cells []Cell
	for range random.IntN(30) {
		cells = append(cells, Cell{
			Start: 1 + random.Uint64N(3), Begin: at(random.IntN(96) - 48), Level: Level(random.IntN(8) / 6),
			Row: Row{Campaign: string(rune('a' + random.IntN(3))), Arm: "all", Market: []string{"", "eu"}[random.IntN(2)]}, Measure: []string{"show", "click"}[random.IntN(2)],
			N: random.Uint64N(20),
		})
	}
	from := uint32(0)
	if random.IntN(3) == 0 {
		from = at(random.IntN(96) - 60)
	}
	return NewBook("n", from, cells)
}

// mustJoin joins forms.
func mustJoin(t *testing.T, a, b []byte) []byte {
	t.Helper()
	out, err := JoinForms(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestJoinOnForms(t *testing.T) {
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		a, b, c := Append(nil, randomBook(random)), Append(nil, randomBook(random)), Append(nil, randomBook(random))
		if got := mustJoin(t, a, a); !bytes.Equal(got, a) {
			t.Fatalf("seed %d: not idempotent", seed)
		}
		ab := mustJoin(t, a, b)
		if !bytes.Equal(ab, mustJoin(t, b, a)) {
			t.Fatalf("seed %d: not commutative", seed)
		}
		if !bytes.Equal(mustJoin(t, ab, c), mustJoin(t, a, mustJoin(t, b, c))) {
			t.Fatalf("seed %d: not associative", seed)
		}
		if !bytes.Equal(mustJoin(t, ab, a), ab) {
			t.Fatalf("seed %d: a join has not all that was joined", seed)
		}
	}
}

// sum is all that a book counts of a measure.
func sum(b *Book, measure string) (n uint64) {
	b.Each(0, math.MaxUint32, func(c *Cell) {
		if c.Measure == measure {
			n += c.N
		}
	})
	return n
}

func TestCountersJoinByTheLarger(t *testing.T) {
	old := NewBook("n", 0, []Cell{cell(1, at(0), Hour, "a", "show", 5), cell(2, at(0), Hour, "a", "show", 1)})
	newer := NewBook("n", 0, []Cell{cell(1, at(0), Hour, "a", "show", 7), cell(1, at(1), Hour, "a", "show", 2)})
	if got := sum(Join(old, newer), "show"); got != 7+1+2 {
		t.Errorf("%d", got)
	}
}

// A copy that still has the hours does not count beside one that has the day, nor a day
// beside its month.
func TestFoldedBucketsStandForTheirParts(t *testing.T) {
	hours := NewBook("n", 0, []Cell{
		cell(1, at(-40), Hour, "a", "show", 1), cell(1, at(-39), Hour, "a", "show", 2), cell(1, at(-39), Hour, "b", "show", 4),
		cell(1, at(0), Hour, "a", "show", 8), cell(2, at(-39), Hour, "a", "click", 16),
	})
	folded := hours.Fold(at(-12), 0, 0)
	if len(folded.Cells) != 4 || sum(folded, "show") != 15 || sum(folded, "click") != 16 {
		t.Fatalf("folded: %+v", folded.Cells)
	}
	if got := Join(folded, hours); !bytes.Equal(Append(nil, got), Append(nil, folded)) {
		t.Errorf("joined with what it was folded of: %+v", got.Cells)
	}
	// A stale copy lacks an hour: it takes nothing away.
	stale := NewBook("n", 0, []Cell{cell(1, at(-39), Hour, "a", "show", 1), cell(3, at(-39), Hour, "a", "show", 32)})
	if got := Join(stale, folded); sum(got, "show") != 15+32 {
		t.Errorf("joined with a stale copy: %+v", got.Cells)
	}
	months := folded.Fold(at(36), at(36), 0) // October is over
	if len(months.Cells) != 4 || months.Cells[0].Level != Month || sum(months, "show") != 15 {
		t.Fatalf("folded again: %+v", months.Cells)
	}
	if got := Join(Join(stale, months), Join(folded, hours)); sum(got, "show") != 15+32 {
		t.Errorf("three levels joined: %+v", got.Cells)
	}
	// What is not over is not folded.
	if got := hours.Fold(at(11), at(11), 0); sum(got, "show") != 15 || got.Cells[len(got.Cells)-2].Level == Day && got.Cells[len(got.Cells)-2].Begin == at(-12) {
		t.Errorf("today is folded: %+v", got.Cells)
	}
}

func TestPastIsDroppedOnEveryCopy(t *testing.T) {
	b := NewBook("n", 0, []Cell{cell(1, at(-24), Hour, "a", "show", 1), cell(1, at(0), Hour, "a", "show", 2)})
	dropped := Join(b, &Book{Node: "n", From: at(0)})
	if sum(dropped, "show") != 2 || sum(Join(dropped, b), "show") != 2 {
		t.Errorf("%+v", dropped.Cells)
	}
	before, rest := b.Split(at(0))
	if sum(before, "show") != 1 || sum(rest, "show") != 2 || rest.From != at(0) || sum(Join(rest, b), "show") != 2 {
		t.Errorf("split: %+v, %+v", before, rest)
	}
	if b.Newest() != int64(at(1)) || b.Last() != 1 || new(Book).Last() != 0 || new(Book).Newest() != 0 {
		t.Errorf("newest %d, last %d", b.Newest(), b.Last())
	}
}

func TestEachTakesBucketsThatASpanTouches(t *testing.T) {
	b := NewBook("n", 0, []Cell{cell(1, at(-48), Day, "a", "show", 1), cell(1, at(0), Hour, "a", "show", 2), cell(1, at(1), Hour, "a", "show", 4)})
	for _, c := range []struct {
		from, to uint32
		want     uint64
	}{{0, math.MaxUint32, 7}, {at(0), at(1), 2}, {at(0) + 1, at(1), 2}, {at(1), at(2), 4}, {at(0), at(1) + 1, 6}, {at(-40), at(0), 1}, {at(-36), at(0), 0}, {at(2), at(3), 0}} {
		got := uint64(0)
		b.Each(c.from, c.to, func(c *Cell) { got += c.N })
		if got != c.want {
			t.Errorf("%d to %d: %d, want %d", c.from, c.to, got, c.want)
		}
	}
}

func TestSumsDoNotWrap(t *testing.T) {
	b := NewBook("n", 0, []Cell{cell(1, at(0), Hour, "a", "show", math.MaxUint64), cell(1, at(0)+5, Hour, "a", "show", 2)})
	if len(b.Cells) != 1 || b.Cells[0].N != math.MaxUint64 {
		t.Errorf("%+v", b.Cells)
	}
}

func TestFormGoesRound(t *testing.T) {
	for seed := range uint64(500) {
		b := randomBook(rand.New(rand.NewPCG(seed, 2)))
		form := Append([]byte("x"), b)[1:]
		got, err := Parse(form)
		if err != nil || got.Node != b.Node || got.From != b.From || !slices.Equal(got.Cells, b.Cells) {
			t.Fatalf("seed %d: %v\n%+v\n%+v", seed, err, got, b)
		}
	}
}

func TestBrokenFormsAreRefused(t *testing.T) {
	form := Append(nil, NewBook("n", at(-100), []Cell{cell(1, at(0), Hour, "a", "show", 300), cell(1, at(0), Hour, "b", "show", 1), cell(2, at(-24), Day, "a", "click", 2)}))
	if _, err := Parse(form); err != nil {
		t.Fatal(err)
	}
	for i := range form {
		for bit := range 8 {
			broken := bytes.Clone(form)
			broken[i] ^= 1 << bit
			if _, err := Parse(broken); err == nil {
				t.Fatalf("bit %d of byte %d", bit, i)
			}
			if i >= len(form)-4 {
				continue
			}
			if b, err := Parse(resealed(broken)); err == nil && !bytes.Equal(Append(nil, b), resealed(broken)) {
				t.Fatalf("bit %d of byte %d, sealed again, is read as another", bit, i)
			}
		}
		if _, err := Parse(form[:i]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut at %d: %v", i, err)
		}
		if _, err := Parse(resealed(form[:i])); err == nil {
			t.Fatalf("cut at %d, sealed again", i)
		}
	}
	if _, err := Parse(resealed(append(bytes.Clone(form), 0, 0, 0, 0))); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
	newer := bytes.Clone(form)
	newer[4] = 2
	if _, err := Parse(resealed(newer)); !errors.Is(err, ErrVersion) {
		t.Errorf("newer: %v", err)
	}
	long := Append(nil, NewBook("n", 0, []Cell{cell(1, at(0), Hour, strings.Repeat("a", maxName+1), "show", 1)}))
	if _, err := Parse(long); !errors.Is(err, ErrMalformed) {
		t.Errorf("a long name: %v", err)
	}
	if _, err := JoinForms(form, Append(nil, &Book{Node: "m"})); !errors.Is(err, ErrMalformed) {
		t.Errorf("another node's: %v", err)
	}
}

// resealed is the form with the checksum that it should have.
func resealed(form []byte) []byte {
	if len(form) < 4 {
		return form
	}
	body := bytes.Clone(form[:len(form)-4])
	return binary.LittleEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
}

func FuzzParse(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(Append(nil, randomBook(rand.New(rand.NewPCG(seed, 3)))))
	}
	f.Fuzz(func(t *testing.T, form []byte) {
		for _, form := range [][]byte{form, resealed(form)} {
			b, err := Parse(form)
			if err != nil {
				continue
			}
			if got := Append(nil, b); !bytes.Equal(got, form) {
				t.Fatalf("%x is %x", form, got)
			}
			if got, err := JoinForms(form, form); err != nil || !bytes.Equal(got, form) {
				t.Fatalf("joined with itself: %x, %v", got, err)
			}
			folded := Append(nil, b.Fold(math.MaxUint32, math.MaxUint32, 0))
			if again, err := JoinForms(form, folded); err != nil || !bytes.Equal(again, folded) {
				t.Fatalf("joined with what it is folded to: %x, want %x, %v", again, folded, err)
			}
		}
	})
}

// A day of a deployment, for the bounds stated: see MaxBytes.
func TestBytesOfADay(t *testing.T) {
	var cells []Cell
	random := rand.New(rand.NewPCG(1, 4))
	for hour := range 24 {
		for campaign := range 100 {
			for _, market := range []string{"eu", "us", "rest"} {
				for _, measure := range []string{"show", "skip.cap", "skip.no_consent", "skip.suppressed", "impression", "click"} {
					c := cell(noon*1e9, at(hour-12), Hour, fmt.Sprintf("campaign-%03d", campaign), measure, 1+random.Uint64N(5000))
					c.Market = market
					cells = append(cells, c)
				}
			}
		}
	}
	b := NewBook("edge-1", 0, cells)
	form := Append(nil, b)
	t.Logf("24 hours of 100 campaigns in 3 markets, 6 measures each: %d bytes; folded: %d", len(form), len(Append(nil, b.Fold(at(12), 0, 0))))
	if len(form) > MaxBytes/2 {
		t.Errorf("%d bytes", len(form))
	}
}
