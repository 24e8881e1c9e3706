//go:build unix

package client

import "syscall"

// quiet says whether a socket is open and has nothing to read. It does not wait: Go's
// sockets never do. A byte that is read is lost, and the connection with it.
func quiet(fd uintptr) bool {
	var b [1]byte
	_, err := syscall.Read(int(fd), b[:])
	return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
}
