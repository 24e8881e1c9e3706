//go:build !linux

package main

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// diesWithParent: only Linux can do it.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

// killGroup kills a process; what it started must end by itself.
func killGroup(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}

// processTime can be read on Linux only.
func processTime(int) (time.Duration, error) {
	return 0, errors.New("the processor time of another process can be read on Linux only")
}
