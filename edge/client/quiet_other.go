//go:build !unix

package client

// quiet cannot look here: a connection that was closed is noticed when it is used.
func quiet(uintptr) bool { return true }
