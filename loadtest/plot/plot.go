// Package plot draws charts for pages that stand by themselves.
//
// A Chart is drawn twice from the same figures: by SVG, as a picture that is in the page,
// is printed and needs no script; and by Script, which lays an interactive one over it
// (uPlot, whose licence is Licence). Columns is a picture only. Everything that comes from
// outside, such as names of lines, goes through html/template or JSON; nothing here makes
// markup of it.
//
// # What a page has to do
//
// StyleSheet goes into its style element and Script into its last script element, both as
// they are, so that their hashes can stand in a content security policy. Before Script
// stands the list of charts, as JSON in
//
//	<script type="application/json" id="charts">
//
// and each chart has, with ID being Chart.ID,
//
//	<div class="chart" id="ID"> the SVG </div>
//
// The colours are the page's: --ink, --soft, --line, --card, and --c1 to --c6 of lines.
package plot

import (
	"embed"
	"encoding/json"
	"math"
)

// Chart is lines over a common axis. It is not for concurrent use.
type Chart struct {
	// ID is the chart's own on its page: letters.
	ID    string `json:"id"`
	Title string `json:"title"`
	// Text says in words what the chart shows, for those who do not see it.
	Text string `json:"text"`
	X    Axis   `json:"x"`
	Y    Axis   `json:"y"`
	// At are the places on X, rising. Each line has a value at each.
	At    []float64 `json:"at"`
	Lines []Line    `json:"lines"`
	Marks []Mark    `json:"marks"`
	// Sync names charts whose cursors move together; "" for none.
	Sync string `json:"sync,omitempty"`
}

// Axis is one axis of a chart. Its ends are From and To, which Fit sets.
type Axis struct {
	Label string  `json:"label"`
	Short string  `json:"short"` // Label in a word, beside one figure
	Unit  Unit    `json:"unit"`
	Log   bool    `json:"log"`
	From  float64 `json:"from"`
	To    float64 `json:"to"`
}

// Line is the values of one thing.
type Line struct {
	Name  string `json:"name"`
	Style Style  `json:"style"`
	// Colour is 1 to 6.
	Colour int     `json:"colour"`
	Values []Value `json:"values"`
}

// Style is how a line is drawn.
type Style string

// Styles.
const (
	Solid  Style = "solid"
	Dashed Style = "dashed"
	Points Style = "points" // no line
)

// Mark is a line right across the chart, at a place of X or Y.
type Mark struct {
	OnX   bool    `json:"on_x"`
	At    float64 `json:"at"`
	Label string  `json:"label"`
}

// Value is a figure; NaN is none, and null in JSON.
type Value float64

// None is no figure.
var None = Value(math.NaN())

// IsNone says whether there is no figure, or none that can be drawn.
func (v Value) IsNone() bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }

// MarshalJSON writes a number, or null.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.IsNone() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(v))
}

//go:embed uplot
var uplot embed.FS

//go:embed plot.js
var ownScript string

// StyleSheet, Script and Licence are those of the interactive charts. Script has nothing in it
// that ends a script element, and both are without carriage returns, so a browser
// hashes the same bytes.
var (
	StyleSheet = asset("uPlot.min.css")
	Script     = asset("uPlot.iife.min.js") + "\n" + ownScript
	Licence    = asset("LICENSE")
)

func asset(name string) string {
	text, err := uplot.ReadFile("uplot/" + name)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(text)
}
