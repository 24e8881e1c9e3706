package plot

import (
	"math"
	"strconv"
	"strings"
)

// Unit is how figures of an axis are written.
type Unit string

// Units.
const (
	Micros   Unit = "us"       // microseconds, written as µs, ms or s
	Seconds  Unit = "s"        // seconds
	Plain    Unit = "plain"    // a number
	Quantile Unit = "quantile" // 1/(1-q) of a quantile q, written as a percentage
)

// Format writes a figure with its unit, to three significant digits; a plain one from
// 1,000 up as a whole number.
func (u Unit) Format(v float64) string {
	switch u {
	case Micros:
		switch {
		case v == 0:
			return "0"
		case v > 0 && v < 0.1: // finer than a clock tells
			return "< 0.1 µs"
		case math.Abs(v) < 999.5:
			return significant(v) + " µs"
		case math.Abs(v) < 999.5e3:
			return significant(v/1e3) + " ms"
		}
		return significant(v/1e6) + " s"
	case Seconds:
		return significant(v) + " s"
	case Quantile:
		decimals := max(1, int(math.Ceil(math.Log10(v)-1e-9)))
		return trimmed(strconv.FormatFloat(100*(1-1/v), 'f', decimals, 64)) + " %"
	}
	return significant(v)
}

// significant writes three significant digits, but no fewer than there are before the
// point, in groups of three.
func significant(v float64) string {
	if v == 0 {
		return "0"
	}
	before := int(math.Floor(math.Log10(math.Abs(v)))) + 1
	return grouped(trimmed(strconv.FormatFloat(v, 'f', max(0, 3-before), 64)))
}

// trimmed is a decimal number without zeros at its end.
func trimmed(number string) string {
	if !strings.Contains(number, ".") {
		return number
	}
	return strings.TrimSuffix(strings.TrimRight(number, "0"), ".")
}

// grouped puts commas between thousands.
func grouped(number string) string {
	end := strings.IndexByte(number, '.')
	if end < 0 {
		end = len(number)
	}
	for i := end - 3; i > 0 && number[i-1] != '-'; i -= 3 {
		number = number[:i] + "," + number[i:]
	}
	return number
}
