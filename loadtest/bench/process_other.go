//go:build !linux

package main

import "syscall"

// diesWithParent: only Linux can do it, and the processor times are Linux's too.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
