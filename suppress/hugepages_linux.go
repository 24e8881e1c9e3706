package suppress

import (
	"syscall"
	"unsafe"
)

// hugePage is the size of a huge page of amd64 and of arm64 with 4 KiB pages.
const hugePage = 2 << 20

// adviseHugePages asks the kernel to back the whole huge pages within words by
// huge pages: a look-up in a filter of tens of megabytes then misses the cache
// but not the page table too. It is advice; an error changes nothing.
func adviseHugePages[T uint16 | uint32 | uint64](words []T) {
	if len(words) == 0 {
		return
	}
	size := uintptr(len(words)) * unsafe.Sizeof(words[0])
	from := uintptr(unsafe.Pointer(&words[0]))
	first := (from + hugePage - 1) &^ (hugePage - 1)
	last := (from + size) &^ (hugePage - 1)
	if first >= last {
		return
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size)
	_ = syscall.Madvise(b[first-from:last-from], syscall.MADV_HUGEPAGE)
}
