package loadtest

import (
	"math"
	"regexp"
	"strconv"
	"testing"
)

// Text has the contrast to its ground that WCAG 2.2 asks for at level AA (4.5 to 1,
// success criterion 1.4.3), and lines and bars theirs (3 to 1, 1.4.11), in the light and
// in the dark.
func TestPageContrast(t *testing.T) {
	schemes := regexp.MustCompile(`:root \{([^}]*)\}`).FindAllStringSubmatch(asset("page.css"), -1)
	if len(schemes) != 2 {
		t.Fatalf("%d sets of colours, want light and dark", len(schemes))
	}
	for i, scheme := range schemes {
		colour := map[string]float64{}
		for _, c := range regexp.MustCompile(`--([a-z0-9-]+): #([0-9a-f]{6})`).FindAllStringSubmatch(scheme[1], -1) {
			colour[c[1]] = luminance(t, c[2])
		}
		check := func(a, b string, least float64) {
			one, okA := colour[a]
			two, okB := colour[b]
			if ratio := (max(one, two) + 0.05) / (min(one, two) + 0.05); !okA || !okB || ratio < least {
				t.Errorf("scheme %d: %s on %s: %.2f, want %v", i, a, b, ratio, least)
			}
		}
		for _, ground := range []string{"ground", "card", "tint", "bad-tint", "warn-tint"} {
			check("ink", ground, 4.5)
		}
		for _, text := range []string{"soft", "strong", "bad", "warn"} {
			check(text, "card", 4.5)
		}
		check("soft", "ground", 4.5)
		for _, line := range []string{"c1", "c2", "c3", "c4", "c5", "c6"} {
			check(line, "card", 3)
		}
	}
}

// luminance is the relative luminance of a colour of sRGB, as WCAG 2.2 defines it.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	rgb, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(c uint64) float64 {
		v := float64(c&255) / 255
		if v > 0.04045 {
			return math.Pow((v+0.055)/1.055, 2.4)
		}
		return v / 12.92
	}
	return 0.2126*linear(rgb>>16) + 0.7152*linear(rgb>>8) + 0.0722*linear(rgb)
}
