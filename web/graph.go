package web

import (
	"strconv"
	"time"
)

// Measures of a graph's picture. It is stretched to the page's width: whatever
// has letters stands beside it.
const (
	graphWidth  = 1000
	graphHeight = 100
	// leastBarHeight is that of anything at all, badHeight that of the mark at the
	// foot of a bar in whose time something failed.
	leastBarHeight = 1.5
	badHeight      = 6
)

// graph is a picture of figures in a row, with its meaning in words.
type graph struct {
	Title, Summary string
	Top            string // what the full height is
	Bars           []graphBar
	First, Last    string // what the ends of the row are, when they are no times
	From, To       time.Time
}

// graphBar is a bar, in the units of the picture.
type graphBar struct {
	X, Y, Width, Height string
	Title               string // what the pointer is told
	Class               string // barBad, barBlank, or ""
}

// Classes of bars: something failed, and nothing is known.
const (
	barBad   = "bad"
	barBlank = "blank"
)

// figure is one figure of a row.
type figure struct {
	Value float64
	Title string
	Bad   bool
}

// highest returns the highest of the figures.
func highest(figures []figure) float64 {
	top := 0.0
	for _, f := range figures {
		top = max(top, f.Value)
	}
	return top
}

// bars draws figures as bars beside each other. What is not nothing is seen.
func (c *graph) bars(figures []figure) {
	top := highest(figures)
	width := float64(graphWidth) / float64(len(figures))
	for i, f := range figures {
		if f.Value > 0 {
			c.bar(i, width, max(leastBarHeight, f.Value/top*graphHeight), f.Title, "")
		}
		if f.Bad {
			c.bar(i, width, badHeight, f.Title, barBad)
		}
	}
}

func (c *graph) bar(at int, width, height float64, title, class string) {
	c.Bars = append(c.Bars, graphBar{
		X: decimal(float64(at) * width), Y: decimal(graphHeight - height), Width: decimal(width * 0.85), Height: decimal(height), Title: title, Class: class,
	})
}

// blank marks the places of figures from one to before another, of so many, as
// those of which nothing is known.
func (c *graph) blank(from, end, of int, title string) {
	width := float64(graphWidth) / float64(of)
	c.Bars = append(c.Bars, graphBar{
		X: decimal(float64(from) * width), Y: decimal(0), Width: decimal(float64(end-from) * width), Height: decimal(graphHeight), Title: title, Class: barBlank,
	})
}

// Empty reports whether there is nothing to draw.
func (c *graph) Empty() bool { return len(c.Bars) == 0 }

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
