package suppress_test

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restraint/suppress"
)

var (
	seed  = flag.Uint64("seed", 0, "seed of the random operations; 0 takes one from the clock and prints it")
	steps = flag.Int("steps", 80, "random operations of the model test")
)

func testHash(source string, id []byte) suppress.Key {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(source), source, id))
	return suppress.Key(sum[:16])
}

func options(dir string) suppress.Options {
	return suppress.Options{
		Dir: dir, Fingerprint: "0123456789abcdef", Hash: testHash, MaxChanges: 300, MaxRejected: 0.01, MaxShrink: 0.5,
		Item: func(list string, item []byte) uint64 {
			k := testHash("item of "+list, item)
			return uint64(k[0]) | uint64(k[1])<<8 | uint64(k[2])<<16 | uint64(k[3])<<24
		},
	}
}

func open(t testing.TB, o suppress.Options) *suppress.Store {
	t.Helper()
	s, err := suppress.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func declare(t testing.TB, s *suppress.Store, d ...suppress.Declaration) {
	t.Helper()
	if err := s.Declare(d); err != nil {
		t.Fatal(err)
	}
}

func people(name string) suppress.Declaration {
	return suppress.Declaration{Name: name, Sources: []string{"user.id"}}
}

var plain = suppress.Import{Format: suppress.Plain, ID: "user.id"}

const population = 1500

type model struct {
	t     *testing.T
	rng   *rand.Rand
	clock *testClock
	dir   string
	s     *suppress.Store
	lists map[string]*modelList
	decls []suppress.Declaration
	log   []string
}

func (m *model) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

func (m *model) some(most int) []int {
	ids := make([]int, m.rng.IntN(most)+1)
	for i := range ids {
		ids[i] = m.rng.IntN(population)
	}
	return ids
}

func body(ids []int) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "u%d\n", id)
	}
	return b.String()
}

// duringRead runs do once, in the middle of the upload.
type duringRead struct {
	io.Reader
	do func()
}

func (d *duringRead) Read(p []byte) (int, error) {
	if d.do != nil {
		d.do()
		d.do = nil
	}
	return d.Reader.Read(p)
}

// replace uploads; now and then a change is made meanwhile, or the upload fails.
func (m *model) replace(name string, l *modelList) {
	ids := m.some(900)
	m.note("replace %s %d ids", name, len(ids))
	im := plain
	im.Force, im.Until = true, m.clock.until(m.rng)
	base := &modelBase{ids: make(map[int]bool), start: m.s.Sequence(), leaves: leavesAt(im.Until)}
	for _, id := range ids {
		base.ids[id] = true
	}
	r := &duringRead{Reader: strings.NewReader(body(ids))}
	if m.rng.IntN(3) == 0 {
		r.do = func() { m.change(name, l, 20) }
	}
	fail := m.rng.IntN(5) == 0
	if fail {
		r.Reader = io.MultiReader(r.Reader, &brokenReader{})
	}
	rep, err := m.s.Replace(name, r, im)
	if fail {
		if !errors.Is(err, suppress.ErrTruncated) {
			m.t.Fatalf("replace cut off: %v", err)
		}
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	if rep.Keys != uint64(len(base.ids)) || rep.Keys+rep.Duplicates != uint64(len(ids)) {
		m.t.Fatalf("replace %s: %+v for %d ids, %d different", name, rep, len(ids), len(base.ids))
	}
	if l.cur == nil && l.changed(base.start) {
		l.cur = &modelBase{}
	}
	l.prev, l.cur = l.cur, base
}

// changed says that there were changes by then.
func (m *modelList) changed(by uint64) bool {
	for _, c := range m.changes {
		if c.seq <= by {
			return true
		}
	}
	return false
}

type brokenReader struct{}

func (*brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (m *model) change(name string, l *modelList, most int) {
	ids, op := m.some(most), suppress.Op(1+m.rng.IntN(2))
	im := plain
	if op == suppress.Add {
		im.Until = m.clock.until(m.rng)
	}
	m.note("change %s op %d %v until %d", name, op, ids, im.Until)
	_, err := m.s.Change(name, op, strings.NewReader(body(ids)), im)
	if errors.Is(err, suppress.ErrBusy) {
		m.note("busy") // too many for memory, beside an upload
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	l.changes = append(l.changes, modelChange{m.s.Sequence(), op, ids, leavesAt(im.Until)})
}

// apply joins changes in with sequences out of order, and some twice.
func (m *model) apply(name string, l *modelList) {
	st, err := m.s.Status(name)
	if err != nil {
		m.t.Fatal(err)
	}
	if st.Changes > 200 {
		return
	}
	from := m.s.Sequence()
	var batch []modelChange
	for i := range uint64(4) {
		c := modelChange{from + 1 + i, suppress.Op(1 + m.rng.IntN(2)), m.some(8), never}
		if c.op == suppress.Add {
			c.leaves = leavesAt(m.clock.until(m.rng))
		}
		batch = append(batch, c)
	}
	m.note("apply %s %v", name, batch)
	l.changes = append(l.changes, batch...)
	batch = append(batch, batch[m.rng.IntN(len(batch))])
	m.rng.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
	for _, c := range batch {
		var keys []suppress.Key
		for _, id := range c.ids {
			keys = append(keys, testHash("user.id", fmt.Appendf(nil, "u%d", id)))
		}
		change := &suppress.Change{List: name, Fingerprint: options("").Fingerprint, Op: c.op, Keys: keys}
		if c.leaves != never {
			change.Until = c.leaves
		}
		if err := m.s.ApplyChange(c.seq, change); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *model) open() {
	o := options(m.dir)
	o.Now = m.clock.now
	m.s = open(m.t, o)
}

func (m *model) step() {
	m.clock.pass(m.rng)
	name := m.decls[m.rng.IntN(len(m.decls))].Name
	l := m.lists[name]
	switch n := m.rng.IntN(20); {
	case n < 5:
		m.replace(name, l)
	case n < 9:
		m.change(name, l, 40)
	case n < 10:
		m.change(name, l, 800)
	case n < 14:
		m.apply(name, l)
	case n < 15:
		m.note("rollback %s", name)
		_, err := m.s.Rollback(name)
		if (l.prev == nil) != errors.Is(err, suppress.ErrNoPrevious) || l.prev != nil && err != nil {
			m.t.Fatalf("rollback %s: %v, previous in the model: %v", name, err, l.prev != nil)
		}
		if err == nil {
			l.cur, l.prev = l.prev, l.cur
		}
	case n < 16:
		m.note("delete %s", name)
		if err := m.s.Delete(name); err != nil {
			m.t.Fatal(err)
		}
		*l = modelList{}
	case n < 18:
		m.note("compact %s", name)
		if err := m.s.Compact(name, m.s.Sequence()-uint64(m.rng.IntN(3))); err != nil {
			m.t.Fatal(err)
		}
	case n < 19 && m.rng.IntN(2) == 0:
		m.note("forget")
		if err := m.s.Forget(m.s.Sequence()); err != nil {
			m.t.Fatal(err)
		}
	case n < 19:
		m.note("declare anew")
		m.redeclare()
	default:
		m.note("reopen")
		if err := m.s.Close(); err != nil {
			m.t.Fatal(err)
		}
		m.open()
		if n := m.s.Notices(); len(n) > 0 {
			m.t.Fatalf("notices: %v", n)
		}
		declare(m.t, m.s, m.decls...)
	}
}

func (m *model) redeclare() {
	for i := range m.decls {
		d := &m.decls[i]
		d.Filter = []string{suppress.FilterBloom, suppress.FilterFuse}[m.rng.IntN(2)]
		d.Rate = []float64{0, 1e-3, 1e-7}[m.rng.IntN(3)]
		d.Exact = m.rng.IntN(2) == 0
	}
	declare(m.t, m.s, m.decls[1:]...)
	if m.s.View().List(m.decls[0].Name) != -1 {
		m.t.Fatal("an undeclared list is in the view")
	}
	declare(m.t, m.s, m.decls...)
}

// compare looks everybody up in every list.
func (m *model) compare() {
	v := m.s.View()
	var p suppress.Probe
	for i, d := range m.decls {
		now := uint32(m.clock.at)
		want := m.lists[d.Name].members(now)
		at := v.List(d.Name)
		wrong := 0
		for id := range population {
			p.Reset(testHash("user.id", fmt.Appendf(nil, "u%d", id)))
			switch in := v.Contains(at, &p, now); {
			case want[id] && !in:
				m.t.Fatalf("list %d: member u%d is let through", i, id)
			case in && !want[id]:
				wrong++
			}
		}
		if wrong > 5 || d.Exact && wrong > 0 {
			m.t.Fatalf("list %d: %d of %d strangers are taken for members", i, wrong, population)
		}
		if st, err := m.s.Status(d.Name); err != nil || st.Keys != int64(len(want)) {
			m.t.Fatalf("list %d has %d keys, want %d (%v)", i, st.Keys, len(want), err)
		}
	}
}

func TestModel(t *testing.T) {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed=%d", s)
	m := &model{t: t, rng: rand.New(rand.NewPCG(s, 1)), clock: newTestClock(), dir: t.TempDir(), lists: make(map[string]*modelList)}
	for _, name := range []string{"customers", "Opt.Outs ü", "third"} {
		m.decls = append(m.decls, people(name))
		m.lists[name] = new(modelList)
	}
	m.open()
	declare(t, m.s, m.decls...)
	defer func() {
		if t.Failed() {
			t.Logf("last operations:\n%s", strings.Join(m.log[max(0, len(m.log)-12):], "\n"))
		}
	}()
	for range *steps {
		m.step()
		m.compare()
	}
	if left, _ := filepath.Glob(filepath.Join(m.dir, "tmp", "*")); len(left) > 0 {
		t.Fatalf("left behind: %q", left)
	}
}
