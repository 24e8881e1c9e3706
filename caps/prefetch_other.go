//go:build !amd64 && !arm64

package caps

import "unsafe"

func prefetch(unsafe.Pointer) {}
