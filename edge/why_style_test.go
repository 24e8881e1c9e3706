package edge_test

import (
	"math"
	"regexp"
	"strconv"
	"testing"
)

// Every pair of text and ground has the contrast that WCAG 2.2 asks for at level AA
// (4.5 to 1, success criterion 1.4.3), in the light and in the dark.
func TestWhyContrast(t *testing.T) {
	n := startNode(t, "", whyPolicy, nil)
	text := n.page(t, 200, "GET", "/v1/why?campaign=shoes&t="+n.link(t, `"user":{"id":"u-1"}`, "shoes"), "")
	schemes := regexp.MustCompile(`:root \{([^}]*)\}`).FindAllStringSubmatch(text, -1)
	if len(schemes) != 2 {
		t.Fatalf("%d sets of colours, want light and dark", len(schemes))
	}
	for i, scheme := range schemes {
		colour := map[string]float64{}
		for _, c := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6})`).FindAllStringSubmatch(scheme[1], -1) {
			colour[c[1]] = luminance(t, c[2])
		}
		for _, pair := range [][2]string{
			{"ink", "ground"}, {"ink", "card"}, {"ink", "tint"}, {"soft", "ground"}, {"soft", "card"}, {"on-strong", "strong"}, {"strong", "card"},
		} {
			a, okA := colour[pair[0]]
			b, okB := colour[pair[1]]
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); !okA || !okB || ratio < 4.5 {
				t.Errorf("scheme %d: %s on %s: %.2f", i, pair[0], pair[1], ratio)
			}
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
		if v := float64(c&255) / 255; v > 0.04045 {
			return math.Pow((v+0.055)/1.055, 2.4)
		} else {
			return v / 12.92
		}
	}
	return 0.2126*linear(rgb>>16) + 0.7152*linear(rgb>>8) + 0.0722*linear(rgb)
}
