//go:build amd64 || arm64

package suppress

import "unsafe"

// prefetch asks the processor to bring the two cache lines from p on nearer, and does
// not wait for them. It never faults, whatever p is.
//
//go:noescape
func prefetch(p unsafe.Pointer)
