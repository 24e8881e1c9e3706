package faults

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	faultsFlag   = flag.Bool("faults", false, "run the scenarios: real nodes, real faults")
	seedFlag     = flag.Uint64("seed", 0, "seed of the scenarios; 0: the time")
	figuresFlag  = flag.Bool("figures", false, "with -faults: measure a cluster (TestFigures)")
	brokerFlag   = flag.String("broker", "", "another NATS server than the linked one: a program that takes --config, such as nats-server")
	durationFlag = flag.Duration("duration", 0, "length of the scheduled faults, and more rounds of the others; 0: the short form")
)

// program is what is under test, built once from this source; "" without -faults.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	if *seedFlag == 0 {
		*seedFlag = uint64(time.Now().UnixNano())
	}
	code := 1
	func() {
		dir, err := os.MkdirTemp("", "faults-")
		if err == nil {
			defer os.RemoveAll(dir)
			if *faultsFlag {
				program, err = built(dir, "restraint")
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		code = m.Run()
	}()
	os.Exit(code)
}

// built builds the program into dir.
func built(dir, name string, flags ...string) (string, error) {
	to := filepath.Join(dir, name)
	args := append(append([]string{"build", "-o", to}, flags...), "restraint/cmd/restraint")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return to, nil
}

// scenario skips unless -faults is given, and returns the choices of this scenario: those of the seed and of its name.
func scenario(t *testing.T) *rand.Rand {
	t.Helper()
	if !*faultsFlag {
		t.Skip("a scenario with real nodes: run it with -faults (make faults)")
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again: go test ./edge/replica/faults -faults -run '^%s$' -seed %d", strings.ReplaceAll(t.Name(), "/", "$/^"), *seedFlag)
		}
	})
	t.Parallel() // most of a scenario is waiting
	name := uint64(0)
	for _, c := range t.Name() {
		name = name*31 + uint64(c)
	}
	return rand.New(rand.NewPCG(*seedFlag, name))
}

// rounds is how often a scenario repeats itself.
func rounds(short, long int) int {
	if *durationFlag > 0 {
		return long
	}
	return short
}
