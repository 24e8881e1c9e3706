package edge

import (
	"runtime/debug"
	"strconv"
)

func itoa(n int) string { return strconv.Itoa(n) }

func quote(b []byte) string { return strconv.Quote(string(b)) }

func stack() string { return string(debug.Stack()) }
