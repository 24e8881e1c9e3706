package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a server that was started here. It dies with this program, however that
// ends.
type process struct {
	name  string
	cmd   *exec.Cmd
	lines chan string   // of its stderr or stdout, as asked for; closed at its end
	ended chan struct{} // it has ended and was waited for
	last  tail
}

// tail is the end of what a process said, for the message when it fails.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	t.lines = t.lines[max(0, len(t.lines)-10):]
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

// start starts a program in dir. Its output, both streams, is read to its end.
func start(name, dir, path string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(path, args...), lines: make(chan string, 64), ended: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.SysProcAttr = diesWithParent()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	err = p.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(p.ended)
		p.read(r)
		r.Close()
		_ = p.cmd.Wait() // how it ended does not matter: its lines say why
	}()
	return p, nil
}

// read passes the lines on until nobody takes them, and reads the rest.
func (p *process) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.last.add(lines.Text())
		select {
		case p.lines <- lines.Text():
		default:
		}
	}
	_, _ = io.Copy(io.Discard, r)
	close(p.lines)
}

// says waits for a line that has mark in it.
func (p *process) says(ctx context.Context, mark string) (string, error) {
	for {
		select {
		case line, open := <-p.lines:
			if !open {
				return "", fmt.Errorf("%s ended before it said %q; its last lines:\n%s", p.name, mark, &p.last)
			}
			if strings.Contains(line, mark) {
				return line, nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("%s did not say %q: %w; its last lines:\n%s", p.name, mark, context.Cause(ctx), &p.last)
		}
	}
}

// stop ends the process and waits for its end: by SIGTERM, and by SIGKILL when that
// takes longer than grace.
func (p *process) stop(grace time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
		return
	case <-time.After(grace):
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// settle waits until a process is idle: less than a twentieth of a core over half a
// second. It gives up, without an error, after at most: what the process still does
// then is part of what is measured.
func settle(ctx context.Context, pid int, most time.Duration) error {
	const look = 500 * time.Millisecond
	deadline := time.Now().Add(most)
	for last := time.Duration(-1); time.Now().Before(deadline); {
		used, err := processTime(pid)
		if err != nil {
			return err
		}
		if last >= 0 && used-last <= look/20 {
			return nil
		}
		last = used
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(look):
		}
	}
	return nil
}
