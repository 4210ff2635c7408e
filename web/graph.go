package web

import (
	"strconv"
	"strings"
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
	Line           string // points of a line, "" without one
	First, Last    string // what the ends of the row are, when they are no times
	From, To       time.Time
}

// graphBar is a bar, in the units of the picture.
type graphBar struct {
	X, Y, Width, Height string
	Title               string // what the pointer is told
	Bad                 bool
}

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
			c.bar(i, width, max(leastBarHeight, f.Value/top*graphHeight), f.Title, false)
		}
		if f.Bad {
			c.bar(i, width, badHeight, f.Title, true)
		}
	}
}

func (c *graph) bar(at int, width, height float64, title string, bad bool) {
	c.Bars = append(c.Bars, graphBar{
		X: decimal(float64(at) * width), Y: decimal(graphHeight - height), Width: decimal(width * 0.85), Height: decimal(height), Title: title, Bad: bad,
	})
}

// line draws figures as a line.
func (c *graph) line(figures []figure) {
	top := highest(figures)
	if top == 0 || len(figures) < 2 {
		return
	}
	var b strings.Builder
	step := float64(graphWidth) / float64(len(figures)-1)
	for i, f := range figures {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(decimal(float64(i)*step) + "," + decimal(graphHeight-1-f.Value/top*(graphHeight-3)))
	}
	c.Line = b.String()
}

// Empty reports whether there is nothing to draw.
func (c *graph) Empty() bool { return len(c.Bars) == 0 && c.Line == "" }

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
