package openrtb

import (
	"bytes"
	"testing"
)

// Every byte, at every place of a word and of the rest behind the last word, before bytes
// that are special as well.
func TestSpecialFindsEveryByte(t *testing.T) {
	for c := range 256 {
		want := c < ' ' || c == '"' || c == '\\' || c >= 0x80
		for size := 1; size <= 20; size++ {
			for at := range size {
				buf := bytes.Repeat([]byte("z"), size)
				buf[at] = byte(c)
				end := size
				if want {
					end = at
				}
				if got := special(buf, 0); got != end {
					t.Fatalf("%#x at %d of %d: found at %d", c, at, size, got)
				}
				if at+1 < size {
					buf[at+1] = 0
					if end > at {
						end = at + 1
					}
					if got := special(buf, 0); got != end {
						t.Fatalf("%#x at %d of %d, before a NUL: found at %d", c, at, size, got)
					}
				}
			}
		}
	}
}
