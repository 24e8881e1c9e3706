//go:build !amd64 && !arm64

package suppress

import "unsafe"

func prefetch(unsafe.Pointer) {}
