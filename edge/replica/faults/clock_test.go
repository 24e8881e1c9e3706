package faults

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A process has no wall clock of its own that could be stepped, and stepping the machine's is not ours to do. So the program is built a
// second time with a package time whose wall clock, and nothing else, is off by what a mapped file says (go build -overlay). The monotonic
// clock goes on as it is, as it does when a real clock is stepped. No code of the node is another.
const steppedClock = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var steppedBy = func() *int64 {
	name, ok := syscall.Getenv("FAULTS_CLOCK")
	if !ok {
		return new(int64)
	}
	fd, err := syscall.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		panic("FAULTS_CLOCK: " + err.Error())
	}
	b, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic("FAULTS_CLOCK: " + err.Error())
	}
	return (*int64)(unsafe.Pointer(&b[0]))
}()

func steppedNow() (sec int64, nsec int32, mono int64) {
	sec, nsec, mono = runtimeNow()
	return sec + atomic.LoadInt64(steppedBy), nsec, mono
}
`

// steppable is the program with that clock, built once.
var steppable = sync.OnceValues(func() (string, error) {
	dir := filepath.Dir(program)
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		return "", err
	}
	const read = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	stepped := strings.Replace(string(text), read, strings.Replace(read, "runtimeNow", "steppedNow", 1), 1)
	if stepped == string(text) {
		return "", errOtherTime
	}
	replace := map[string]string{}
	for name, content := range map[string]string{"time.go": stepped, "stepped.go": steppedClock} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(source, name)] = file
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return "", err
	}
	return built(dir, "restraint-stepped", "-overlay", file)
})

var errOtherTime = errors.New("package time of this Go is not the one that is known: time.Now no longer begins with runtimeNow")

// stepClock gives a node that is not running the clock that can be stepped, and returns the step.
func (n *node) stepClock(t testing.TB) (step func(by time.Duration)) {
	t.Helper()
	stepped, err := steppable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(n.dir, "clock")
	step = func(by time.Duration) {
		t.Helper()
		b := binary.LittleEndian.AppendUint64(nil, uint64(by/time.Second))
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o600)
		if err == nil {
			_, err = f.WriteAt(b, 0)
			f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	step(0)
	n.argv[0] = stepped
	n.env = append(n.env, "FAULTS_CLOCK="+file)
	return step
}

// loggedAt asserts that the log has a line of a time so far from now, so that the step took place.
func (n *node) loggedAt(t testing.TB, by time.Duration) {
	t.Helper()
	if day := time.Now().Add(by).UTC().Format("2006-01-02T15"); n.logged(`"time":"`+day) == 0 {
		t.Errorf("nothing in the log is of %s: the clock was not stepped", day)
	}
}

// The clock steps back by days, while the node runs and over a restart: no cap opens, nothing is lost, and events count on.
func TestClockStepsBack(t *testing.T) {
	random := scenario(t)
	n := newNode(t, t.TempDir(), "single")
	step := n.stepClock(t)
	n.start(t)
	l := newLoad([]*node{n}, random.Uint64(), 4, 25)
	l.during(t, func() { l.awaitMore(t, 500) })
	for _, back := range []time.Duration{-48 * time.Hour, -100 * 24 * time.Hour} {
		l.during(t, func() {
			step(back)
			l.awaitMore(t, 300)
		})
		l.verify(t)
		l.during(t, func() { n.kill(t) })
		n.start(t)
		n.loggedAt(t, back)
		l.verify(t)
		l.during(t, func() { l.awaitMore(t, 300) })
		l.verify(t)
	}
	step(0)
	l.during(t, func() { l.awaitMore(t, 300) })
	l.verify(t)
	l.summary(t)
}

// The clock steps forward by hours and comes back, over restarts: whatever was counted meanwhile counts.
func TestClockStepsForwardAndBack(t *testing.T) {
	random := scenario(t)
	n := newNode(t, t.TempDir(), "single")
	step := n.stepClock(t)
	n.start(t)
	l := newLoad([]*node{n}, random.Uint64(), 4, 25)
	for range rounds(2, 10) {
		l.during(t, func() {
			step(20 * time.Hour)
			l.awaitMore(t, 300)
			n.kill(t)
		})
		n.start(t)
		n.loggedAt(t, 20*time.Hour)
		l.verify(t)
		step(0)
		l.during(t, func() { n.kill(t) })
		n.start(t)
		l.verify(t)
	}
	l.summary(t)
}

// The clock of one node of a cluster is wrong by more than any window: it says that it is not ready, and when it is right again nothing has
// been destroyed, there or elsewhere.
func TestClusterClockSteps(t *testing.T) {
	for name, by := range map[string]time.Duration{"forward": 200 * 24 * time.Hour, "back": -200 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			n := c.nodes[2]
			n.terminate(t)
			step := n.stepClock(t)
			n.start(t)
			c.during(t, func() { c.awaitMore(t, 300) })
			c.verify(t)
			c.during(t, func() {
				step(by)
				until(t, n.name+" is not ready", func() bool { ready, _ := n.ready(t); return !ready })
				c.awaitMore(t, 200)
				step(0)
			})
			n.awaitReady(t)
			c.verify(t)
			c.summary(t)
		})
	}
}
