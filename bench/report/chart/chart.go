// Package chart draws the two charts that the report of the benchmark needs, rows
// of bars and lines over time, as small SVG files without scripts. They take their
// colours from the reader's scheme, light or dark, have no background of their own,
// and say in a title and a description what they show, for those who do not see
// them.
package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
)

// width is that of every chart, in the units of all sizes here.
const width = 760

// style makes colours; a class s0, s1, ... is that of a series. The colours differ
// in lightness, too, so that they can be told apart without seeing hues.
const style = `<style>
svg{color:#1f2328}text{fill:currentColor;font:12px system-ui,sans-serif}.e{text-anchor:end}.m{text-anchor:middle}
.g{stroke:currentColor;stroke-opacity:.2}.w{stroke:currentColor}.t{stroke:#cf222e;stroke-width:2}
.s0{fill:#0550ae}.s1{fill:#d4a72c}.s2{fill:#8c959f}.s3{fill:#953800}.l{fill:none;stroke:#0550ae;stroke-width:1.5}
@media(prefers-color-scheme:dark){svg{color:#e6edf3}.t{stroke:#ff7b72}
.s0{fill:#58a6ff}.s1{fill:#f2cc60}.s2{fill:#6e7681}.s3{fill:#db6d28}.l{stroke:#58a6ff}}
</style>
`

// colours is how many series can be told apart.
const colours = 4

// Text is what both charts say of themselves.
type Text struct {
	Title string
	Desc  string // what the chart says, in a sentence or two
	X     string // label of the horizontal axis
}

// canvas collects the elements of a chart.
type canvas struct{ bytes.Buffer }

// open begins a file of a height.
func open(t Text, height float64) *canvas {
	c := &canvas{}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %s" role="img" aria-labelledby="t d">`+"\n", width, num(height))
	fmt.Fprintf(c, `<title id="t">%s</title><desc id="d">%s</desc>`+"\n", escape(t.Title), escape(t.Desc))
	c.WriteString(style)
	return c
}

func (c *canvas) close() []byte {
	c.WriteString("</svg>\n")
	return c.Bytes()
}

func (c *canvas) text(x, y float64, class, text string) {
	fmt.Fprintf(c, `<text x="%s" y="%s"`, num(x), num(y))
	if class != "" {
		fmt.Fprintf(c, ` class="%s"`, class)
	}
	fmt.Fprintf(c, ">%s</text>\n", escape(text))
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(c, `<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s"/>`+"\n", num(x1), num(y1), num(x2), num(y2), class)
}

func (c *canvas) bar(x, y, w, h float64, series int) {
	fmt.Fprintf(c, `<rect x="%s" y="%s" width="%s" height="%s" class="s%d"/>`+"\n", num(x), num(y), num(w), num(h), series%colours)
}

// num writes a length to a tenth.
func num(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}

// A scale places values along an axis.
type scale struct {
	from, length float64 // on the canvas
	low, high    float64 // values at its ends
	log          bool
	ticks        []float64
}

// linear is a scale from 0 to a round number that no value exceeds.
func linear(from, length, most float64) scale {
	step := niceStep(most / 5)
	s := scale{from: from, length: length, high: step * math.Max(1, math.Ceil(most/step-1e-9))}
	for n := 0.0; n*step <= s.high*(1+1e-9); n++ {
		s.ticks = append(s.ticks, n*step)
	}
	return s
}

// niceStep is 1, 2 or 5 times a power of ten, and at least v.
func niceStep(v float64) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// decades is a logarithmic scale between powers of ten.
func decades(from, length, least, most float64) scale {
	low := math.Floor(math.Log10(least))
	high := math.Max(low+1, math.Ceil(math.Log10(most)))
	s := scale{from: from, length: length, low: math.Pow(10, low), high: math.Pow(10, high), log: true}
	for n := low; n <= high; n++ {
		s.ticks = append(s.ticks, math.Pow(10, n))
	}
	return s
}

// at is where a value lies; those beyond the ends lie at the ends.
func (s scale) at(v float64) float64 {
	part := (v - s.low) / (s.high - s.low)
	if s.log {
		part = math.Log(math.Max(v, s.low)/s.low) / math.Log(s.high/s.low)
	}
	return s.from + s.length*math.Min(1, math.Max(0, part))
}
