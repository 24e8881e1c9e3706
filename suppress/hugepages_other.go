//go:build !linux

package suppress

// adviseHugePages has no advice to give here.
func adviseHugePages[T uint16 | uint32 | uint64]([]T) {}
