package plot

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		unit Unit
		v    float64
		want string
	}{
		{Micros, 0, "0"},
		{Micros, 0.064, "< 0.1 µs"},
		{Micros, 0.1, "0.1 µs"},
		{Micros, 12.3456, "12.3 µs"},
		{Micros, 999.4, "999 µs"},
		{Micros, 999.6, "1 ms"},
		{Micros, 1000, "1 ms"},
		{Micros, 123_456, "123 ms"},
		{Micros, 999_600, "1 s"},
		{Micros, 3.6e9, "3,600 s"},
		{Plain, 0, "0"},
		{Plain, 1234567, "1,234,567"},
		{Plain, 1000, "1,000"},
		{Plain, 100, "100"},
		{Plain, 0.00012345, "0.000123"},
		{Plain, 12.5, "12.5"},
		{Plain, -1234, "-1,234"},
		{Plain, 120_000.7, "120,001"},
		{Seconds, 30.4, "30.4 s"},
		{Seconds, 3600, "3,600 s"},
		{Quantile, 1, "0 %"},
		{Quantile, 2, "50 %"},
		{Quantile, 10, "90 %"},
		{Quantile, 40, "97.5 %"},
		{Quantile, 100, "99 %"},
		{Quantile, 1000, "99.9 %"},
		{Quantile, 1e6, "99.9999 %"},
		{Quantile, 1e5, "99.999 %"},
	} {
		if got := c.unit.Format(c.v); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.unit, c.v, got, c.want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		name     string
		axis     Axis
		figures  []float64
		round    bool
		from, to float64
		ticks    int
	}{
		{"rates from zero", Axis{Unit: Plain}, []float64{3200, 4000}, true, 0, 4500, 5},
		{"rates apart", Axis{Unit: Plain}, []float64{2667, 4000}, true, 2600, 4200, 3},
		{"nothing", Axis{Unit: Plain}, nil, true, 0, 12, 7},
		{"only zero", Axis{Unit: Plain}, []float64{0}, true, 0, 1.2, 3},
		{"below zero", Axis{Unit: Plain}, []float64{-3, 3}, true, -3, 4, 4},
		{"seconds", Axis{Unit: Seconds}, []float64{0, 30.4}, false, 0, 30.4, 4},
		{"log", Axis{Unit: Micros, Log: true}, []float64{11, 203_000}, true, 10, 500_000, 5},
		{"log of little", Axis{Unit: Micros, Log: true}, []float64{120, 130}, true, 100, 200, 2},
		{"log of one", Axis{Unit: Micros, Log: true}, []float64{100}, true, 100, 1000, 4},
		{"log without what it has not", Axis{Unit: Micros, Log: true}, []float64{0, -5, 20, 300}, true, 20, 500, 5},
		{"quantiles", Axis{Unit: Quantile, Log: true}, []float64{1, 124_000}, false, 1, 124_000, 6},
	} {
		a := c.axis
		a.fit(c.figures, c.round, c.name != "rates apart")
		if math.Abs(a.From-c.from) > 1e-9 || math.Abs(a.To-c.to) > 1e-9*a.To {
			t.Errorf("%s: %v to %v, want %v to %v", c.name, a.From, a.To, c.from, c.to)
		}
		ticks := a.ticks()
		if len(ticks) != c.ticks || !slices.IsSorted(ticks) {
			t.Errorf("%s: ticks %v, want %d", c.name, ticks, c.ticks)
		}
		for _, v := range append(ticks, a.From, a.To) {
			if p := a.place(v); p < -1e-9 || p > 1+1e-9 {
				t.Errorf("%s: %v at %v", c.name, v, p)
			}
		}
	}
}

func chart() *Chart {
	c := &Chart{
		ID: "c", Title: "T", Text: "What it shows.", X: Axis{Unit: Seconds}, Y: Axis{Unit: Micros, Log: true}, At: []float64{0, 1, 2, 3, 4},
		Lines: []Line{
			{Name: "a", Style: Solid, Colour: 1, Values: []Value{10, 100, None, 0, 1000}},
			{Name: "b", Style: Points, Colour: 2, Values: []Value{None, 50, None, None, None}},
			{Name: "c", Style: Dashed, Colour: 3, Values: []Value{10, 10, 10, 10, 10}},
		},
		Marks: []Mark{{OnX: true, At: 2.5, Label: "<b>here"}, {At: 5000, Label: "limit"}},
	}
	c.Fit()
	return c
}

// parts are the elements of a picture, with their attributes.
func parts(t *testing.T, svg string) (list []map[string]string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, svg)
		}
		if e, is := token.(xml.StartElement); is {
			part := map[string]string{"": e.Name.Local}
			for _, a := range e.Attr {
				part[a.Name.Local] = a.Value
			}
			list = append(list, part)
		}
	}
}

func TestSVG(t *testing.T) {
	svg, err := chart().SVG()
	if err != nil {
		t.Fatal(err)
	}
	var lines, dots []string
	for _, p := range parts(t, string(svg)) {
		switch {
		case p["class"] == "solid" || p["class"] == "dashed":
			lines = append(lines, p["class"]+" "+p["d"])
		case p[""] == "circle":
			dots = append(dots, p["cx"]+" "+p["cy"])
		}
	}
	// From 10 at the bottom (274) to 5000 at the top (14), over 0 to 4 from 74 to 734: a gap where
	// there is no figure, and where there is none that a logarithm has.
	want := []string{"solid M74 274L239 177.7M734 81.3", "dashed M74 274L239 274L404 274L569 274L734 274"}
	if !slices.Equal(lines, want) || !slices.Equal(dots, []string{"74 274", "239 177.7", "734 81.3", "239 206.7"}) {
		t.Errorf("lines %q\ndots %q", lines, dots)
	}
	for _, text := range []string{`aria-label="T. What it shows."`, "&lt;b&gt;here", ">limit<", "10 µs", "1 ms", ">4 s<"} {
		if !strings.Contains(string(svg), text) {
			t.Errorf("no %s in\n%s", text, svg)
		}
	}
}

func TestColumnsSVG(t *testing.T) {
	c := Columns{Title: "T", Text: "What it shows.", At: []string{"one", "two", "<b>"}, Parts: []Part{
		{"low", 3, []int{60, 0, 0}}, {"high", 2, []int{20, 0, 10}},
	}}
	svg, err := c.SVG()
	if err != nil {
		t.Fatal(err)
	}
	var rects []map[string]string
	for _, p := range parts(t, string(svg)) {
		if p[""] == "rect" {
			rects = append(rects, p)
		}
	}
	// 90 is the top of the scale: 260 units high.
	if len(rects) != 3 {
		t.Fatalf("%d rectangles", len(rects))
	}
	tall := func(i int, key string) (v float64) {
		if _, err := fmt.Sscan(rects[i][key], &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if math.Abs(tall(0, "height")-3*tall(1, "height")) > 0.01 || math.Abs(tall(1, "height")-2*tall(2, "height")) > 0.01 {
		t.Errorf("heights %v", rects)
	}
	if math.Abs(tall(0, "y")+tall(0, "height")-274) > 0.01 || math.Abs(tall(1, "y")+tall(1, "height")-tall(0, "y")) > 0.01 || rects[0]["x"] != rects[1]["x"] {
		t.Errorf("not one upon the other: %v", rects)
	}
	if !strings.Contains(string(svg), "<title>one: low 60</title>") || !strings.Contains(string(svg), "<title>&lt;b&gt;: high 10</title>") {
		t.Errorf("%s", svg)
	}
	if _, err := (&Columns{}).SVG(); err != nil {
		t.Error(err)
	}
}

func TestValueAsJSON(t *testing.T) {
	text, err := json.Marshal([]Value{1.5, None, Value(math.Inf(1)), 0})
	if err != nil || string(text) != "[1.5,null,null,0]" {
		t.Errorf("%s %v", text, err)
	}
	empty := Chart{}
	empty.Fit()
	if text, err := json.Marshal(&empty); err != nil || !strings.Contains(string(text), `"lines":[],"marks":[]`) {
		t.Errorf("%s %v", text, err)
	}
}

// What stands in a page as it is must not end its element, nor be changed by a browser
// before it is hashed.
func TestAssets(t *testing.T) {
	for name, asset := range map[string]string{"script": Script, "style": StyleSheet, "licence": Licence} {
		if strings.Contains(strings.ToLower(asset), "</s") || strings.Contains(asset, "<!--") || strings.ContainsAny(asset, "\r\x00") || len(asset) < 1000 {
			t.Errorf("the %s cannot stand in a page", name)
		}
	}
	if !strings.Contains(Script, "uPlot (v1.6.32)") || !strings.Contains(Licence, "MIT License") {
		t.Error("another uPlot than the licence and the pages say")
	}
}
