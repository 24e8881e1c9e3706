package faults

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program that can be started and ended again and again. Only processes that it started are ever signalled, by their id.
type process struct {
	name string
	dir  string // its working folder; its log is in it
	argv []string
	env  []string // beside the environment of the tests

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
	state  error         // of Wait, once exited
	pids   []int
}

// launches are started from one thread that lives as long as the tests: Pdeathsig goes by the thread, not by the process.
var launches = func() chan func() {
	c := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range c {
			f()
		}
	}()
	return c
}()

// launch starts the process; it must not be running.
func (p *process) launch(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(p.logFile(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.Env = append(os.Environ(), p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	launches <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.exited = cmd, exited
	p.pids = append(p.pids, cmd.Process.Pid)
	p.mu.Unlock()
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		p.state = err
		p.mu.Unlock()
		close(exited)
	}()
}

func (p *process) logFile() string { return filepath.Join(p.dir, p.name+".log") }

// pid of the running process, or of the last.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pids[len(p.pids)-1]
}

func (p *process) running() bool {
	p.mu.Lock()
	exited := p.exited
	p.mu.Unlock()
	if exited == nil {
		return false
	}
	select {
	case <-exited:
		return false
	default:
		return true
	}
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	p.mu.Lock()
	cmd := p.cmd
	p.mu.Unlock()
	if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("signal %v to %s: %v", s, p.name, err)
	}
}

// kill is kill -9, and asserts that it was that which ended the process.
func (p *process) kill(t testing.TB) {
	t.Helper()
	if !p.running() {
		t.Fatalf("%s ended before it was killed: %v\n%s", p.name, p.state, p.tail())
	}
	p.signal(t, syscall.SIGKILL)
	<-p.exited
	var exit *exec.ExitError
	if !errors.As(p.state, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%s did not end by kill -9: %v", p.name, p.state)
	}
}

// terminate is SIGTERM, and wants a clean end.
func (p *process) terminate(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	select {
	case <-p.exited:
		if p.state != nil {
			t.Errorf("%s after SIGTERM: %v\n%s", p.name, p.state, p.tail())
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not end after SIGTERM\n%s", p.name, p.tail())
	}
}

// freeze is SIGSTOP, and waits until the kernel says that it stands.
func (p *process) freeze(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
	until(t, p.name+" stopped", func() bool { return processState(p.pid()) == 'T' })
}

func (p *process) thaw(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGCONT)
	until(t, p.name+" goes on", func() bool { return processState(p.pid()) != 'T' })
}

// processState is the letter in /proc/PID/stat; 0 when there is no such process.
func processState(pid int) byte {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	i := bytes.LastIndexByte(stat, ')')
	if err != nil || i < 0 || i+2 >= len(stat) {
		return 0
	}
	return stat[i+2]
}

// end makes sure that the process is gone; for the end of a test.
func (p *process) end() {
	if p.running() {
		_ = p.cmd.Process.Kill() // it may have just ended
		<-p.exited
	}
}

// tail is the end of the log, for failures.
func (p *process) tail() string {
	log, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-4000):])
}

// logged is how often the log has these words.
func (p *process) logged(words string) int {
	log, _ := os.ReadFile(p.logFile())
	return bytes.Count(log, []byte(words))
}

// freePort is a port of the loopback that nobody has, below those that the kernel gives to clients, so that a server can be started
// there again.
var freePort = func() func(testing.TB) int {
	var mu sync.Mutex
	next := 20000 + os.Getpid()%9000
	return func(t testing.TB) int {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		for range 2000 {
			if next++; next >= 32000 {
				next = 20000
			}
			l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", next))
			if err == nil {
				l.Close()
				return next
			}
		}
		t.Fatal("no free port")
		return 0
	}
}()
