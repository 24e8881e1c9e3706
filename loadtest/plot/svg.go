package plot

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strconv"
	"strings"
)

// Size of a picture in its own units, and the room beside what is drawn.
const (
	chartWidth, columnsWidth = 760, 600
	height                   = 320
	left, right, top, bottom = 74, 26, 14, 46
)

var (
	//go:embed svg.html
	svgText string

	svgs = template.Must(template.New("svg").Parse(svgText))
)

// tick is one figure at an axis, at its place in the picture.
type tick struct {
	At    float64
	Label string
}

// path is one line of a picture: D is SVG path data, Dots are places of points.
type path struct {
	Colour int
	Dashed bool
	D      string
	Dots   []dot
}

type dot struct{ X, Y float64 }

// guide is a mark's place.
type guide struct {
	OnX    bool
	At     float64
	Label  string
	Anchor string // of the label's text
	Shift  float64
}

// frame is a picture's size and the ends of what is drawn in it.
type frame struct{ Width, Height, Left, Right, Top, Bottom float64 }

func newFrame(width float64) frame {
	return frame{Width: width, Height: height, Left: left, Right: width - right, Top: top, Bottom: height - bottom}
}

// Middle is where what names the horizontal axis stands.
func (f *frame) Middle() float64 { return (f.Left + f.Right) / 2 }

// picture is what svg.html draws of a Chart.
type picture struct {
	*Chart
	frame
	XTicks, YTicks []tick
	Paths          []path
	Guides         []guide
}

// SVG is the chart as a picture with its text. Fit has been called.
func (c *Chart) SVG() (template.HTML, error) {
	p := picture{Chart: c, frame: newFrame(chartWidth)}
	for _, v := range c.X.ticks() {
		p.XTicks = append(p.XTicks, tick{p.x(v), c.X.Unit.Format(v)})
	}
	for _, v := range c.Y.ticks() {
		p.YTicks = append(p.YTicks, tick{p.y(v), c.Y.Unit.Format(v)})
	}
	for _, line := range c.Lines {
		p.Paths = append(p.Paths, p.path(&line))
	}
	for _, m := range c.Marks {
		g := guide{OnX: m.OnX, Label: m.Label, At: p.y(m.At)}
		if m.OnX {
			g.At, g.Anchor, g.Shift = p.x(m.At), "start", 5
			if g.At > (p.Left+p.Right)/2 {
				g.Anchor, g.Shift = "end", -5
			}
		}
		p.Guides = append(p.Guides, g)
	}
	return execute("chart", &p)
}

func execute(name string, data any) (template.HTML, error) {
	var out bytes.Buffer
	if err := svgs.ExecuteTemplate(&out, name, data); err != nil {
		return "", fmt.Errorf("draw %s: %w", name, err)
	}
	return template.HTML(out.String()), nil
}

func (p *picture) x(v float64) float64 { return tenth(p.Left + (p.Right-p.Left)*p.X.place(v)) }
func (p *picture) y(v float64) float64 { return tenth(p.Bottom - (p.Bottom-p.Top)*p.Y.place(v)) }

func tenth(v float64) float64 { return float64(int(v*10+0.5)) / 10 }

// mostDots is up to how many points a line shows each by itself.
const mostDots = 60

// path draws a line, with a gap where there is no figure or one that a logarithmic axis
// does not have.
func (p *picture) path(line *Line) path {
	out := path{Colour: line.Colour, Dashed: line.Style == Dashed}
	var d strings.Builder
	pen := byte('M')
	for i, v := range line.Values {
		if v.IsNone() || p.Y.Log && v <= 0 {
			pen = 'M'
			continue
		}
		at := dot{p.x(p.At[i]), p.y(float64(v))}
		if line.Style == Points || len(p.At) <= mostDots && line.Style == Solid {
			out.Dots = append(out.Dots, at)
		}
		d.WriteByte(pen)
		d.WriteString(strconv.FormatFloat(at.X, 'f', -1, 64) + " " + strconv.FormatFloat(at.Y, 'f', -1, 64))
		pen = 'L'
	}
	if line.Style != Points {
		out.D = d.String()
	}
	return out
}
