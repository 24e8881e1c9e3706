package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// result is bench.json.
type result struct {
	Machine machine `json:"machine"`
	Begun   moment  `json:"begun"`
	Ended   moment  `json:"ended"`
	// Failed says why the run ended early; what was measured before is there.
	Failed     string     `json:"failed,omitempty"`
	Sizes      sizes      `json:"sizes"`
	Rows       []row      `json:"rows"`
	Pairs      []httpPair `json:"pairs"`
	Benchmarks []goRun    `json:"benchmarks"`
}

// httpPair is the slices behind some rows: A is the node, B what stands beside it.
type httpPair struct {
	Shape        shape  `json:"shape"`
	Against      string `json:"against"`
	RequestBytes int    `json:"request_bytes"` // mean, of A, with its head
	// Capped is the share of `cap` among the verdicts.
	Capped float64 `json:"capped"`
	pair
}

// goRun is what a run of Go benchmarks printed.
type goRun struct {
	Package   string    `json:"package"`
	Arguments []string  `json:"arguments"`
	Results   goResults `json:"results"`
}

// machine is what it was measured on, and with what.
type machine struct {
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Kernel     string `json:"kernel"`
	CPU        string `json:"cpu"`
	CPUs       int    `json:"cpus"`
	MemoryMB   int64  `json:"memory_mb"`
	Go         string `json:"go"`
	Fasthttp   string `json:"fasthttp"`
	Redis      string `json:"redis,omitempty"` // "": none was measured
	Restraint  string `json:"restraint"`
	GOGC       string `json:"gogc"`       // of this process and those it started
	GOMEMLIMIT string `json:"gomemlimit"` // "": not set
	GOMAXPROCS int    `json:"gomaxprocs"`
	// Nice is the priority of this process and those it started.
	Nice int `json:"nice"`
}

// moment is a time, and how busy the machine was.
type moment struct {
	At time.Time `json:"at"`
	// Load are the averages of 1, 5 and 15 minutes.
	Load []float64 `json:"load_average"`
}

func momentNow() moment {
	m := moment{At: time.Now().UTC().Truncate(time.Second), Load: []float64{}}
	for i, field := range strings.Fields(fileText("/proc/loadavg")) {
		if v, err := strconv.ParseFloat(field, 64); err == nil && i < 3 {
			m.Load = append(m.Load, v)
		}
	}
	return m
}

// fileText is what a file of /proc says; "" where there is none.
func fileText(path string) string {
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text))
}

// afterColon is the value of the first line of a file that begins with the name.
func afterColon(path, name string) string {
	for line := range strings.Lines(fileText(path)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// memoryMB is a line of /proc/meminfo in MB (10^6 bytes); 0: not known.
func memoryMB(name string) int64 {
	kib, _ := strconv.ParseInt(strings.TrimSuffix(afterColon("/proc/meminfo", name), " kB"), 10, 64)
	return kib * 1024 / 1e6
}

func describeMachine() machine {
	m := machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: fileText("/proc/sys/kernel/osrelease"), CPU: afterColon("/proc/cpuinfo", "model name"),
		CPUs: runtime.NumCPU(), MemoryMB: memoryMB("MemTotal"), Go: runtime.Version(),
		GOGC: os.Getenv("GOGC"), GOMEMLIMIT: os.Getenv("GOMEMLIMIT"), GOMAXPROCS: runtime.GOMAXPROCS(0), Nice: niceness(),
	}
	if m.GOGC == "" {
		m.GOGC = "100"
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == "github.com/valyala/fasthttp" {
				m.Fasthttp = dependency.Version
			}
		}
	}
	return m
}

// niceness is the priority of this process, from -20 (first) to 19.
func niceness() int {
	_, rest, _ := strings.Cut(fileText("/proc/self/stat"), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 17 {
		return 0
	}
	n, _ := strconv.Atoi(fields[16])
	return n
}

// write writes bench.json, whole or not at all.
func (r *result) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	temp := path + ".tmp"
	if err := os.WriteFile(temp, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// buildNode builds the program that is measured and asks it its version.
func (b *bench) buildNode(ctx context.Context) (err error) {
	b.say("building restraint")
	b.binary = filepath.Join(b.dir, "restraint")
	if _, err = b.runProgram(ctx, b.root, 10*time.Minute, "go", "build", "-trimpath", "-o", b.binary, "./cmd/restraint"); err != nil {
		return fmt.Errorf("build restraint: %w", err)
	}
	version, err := b.runProgram(ctx, b.root, time.Minute, b.binary, "version")
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(version), "\n")
	b.result.Machine.Restraint = strings.Join(strings.Fields(first), " ")
	return nil
}
