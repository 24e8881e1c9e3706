package plot

import "html/template"

// Columns is a picture of stacked columns, one beside another.
type Columns struct {
	Title string
	// Text says in words what the picture shows, for those who do not see it.
	Text   string
	XLabel string
	YLabel string
	// At names the columns, in order. Where there are many, not each is written.
	At    []string
	Parts []Part // from the bottom up
}

// Part is one part of every column.
type Part struct {
	Name   string
	Colour int
	Values []int // one for each column
}

// block is one part of one column in the picture.
type block struct {
	Colour              int
	X, Y, Width, Height float64
	Title               string
}

// stacked is what svg.html draws of Columns.
type stacked struct {
	*Columns
	frame
	XTicks, YTicks []tick
	Stacks         [][]block
}

// mostNames is how many columns are named at most, of names like 2026-01-05 15:00.
const mostNames = 6

// SVG is the columns as a picture with its text.
func (c *Columns) SVG() (template.HTML, error) {
	p := stacked{Columns: c, frame: newFrame(columnsWidth)}
	sums := make([]float64, len(c.At))
	for _, part := range c.Parts {
		for i, n := range part.Values {
			sums[i] += float64(n)
		}
	}
	y := Axis{Unit: Plain}
	y.fit(sums, true, true)
	for _, v := range y.ticks() {
		p.YTicks = append(p.YTicks, tick{tenth(p.Bottom - (p.Bottom-p.Top)*y.place(v)), Plain.Format(v)})
	}
	wide := (p.Right - p.Left) / float64(max(1, len(c.At)))
	gap := min(wide*0.15, 4)
	every := (len(c.At) + mostNames - 1) / mostNames
	for i, name := range c.At {
		from := p.Left + float64(i)*wide
		if i%every == 0 {
			p.XTicks = append(p.XTicks, tick{tenth(from + wide/2), name})
		}
		var stack []block
		ground := p.Bottom
		for _, part := range c.Parts {
			if n := part.Values[i]; n > 0 {
				tall := (p.Bottom - p.Top) * y.place(float64(n))
				stack = append(stack, block{
					Colour: part.Colour, X: tenth(from + gap/2), Width: max(0.5, tenth(wide-gap)),
					Y: ground - tall, Height: tall, Title: name + ": " + part.Name + " " + Plain.Format(float64(n)),
				})
				ground -= tall
			}
		}
		p.Stacks = append(p.Stacks, stack)
	}
	return execute("columns", &p)
}
