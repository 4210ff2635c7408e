package chart

import (
	"math"
	"strings"
)

// Lines are panels below each other, one line over time in each.
type Lines struct {
	Text
	Panels []Panel
	Number func(float64) string // writes a value
}

// A Panel is one line.
type Panel struct {
	Name   string       // with its unit
	Points [][2]float64 // time and value
}

const (
	panel     = 100 // high
	panelGap  = 34  // above each, for its name
	yLabels   = 80  // wide
	maxPoints = 240 // of a line; more become the means of neighbours
)

// SVG draws the chart.
func (l Lines) SVG() []byte {
	height := float64(len(l.Panels)*(panel+panelGap) + bottom)
	c := open(l.Text, height)
	last := 0.0
	for _, p := range l.Panels {
		for _, point := range p.Points {
			last = math.Max(last, point[0])
		}
	}
	x := linear(yLabels, width-yLabels-20, last)
	y := 0.0
	for _, p := range l.Panels {
		y += panelGap
		l.panel(c, x, p, y)
		y += panel
	}
	for _, tick := range x.ticks {
		c.text(x.at(tick), y+16, "m", l.Number(tick))
	}
	c.text(x.from+x.length/2, height-8, "m", l.X)
	return c.close()
}

// panel draws one line with its grid, from y downwards.
func (l Lines) panel(c *canvas, x scale, p Panel, y float64) {
	most := 0.0
	for _, point := range p.Points {
		most = math.Max(most, point[1])
	}
	s := linear(y+panel, -panel, most)
	c.text(yLabels, y-8, "", p.Name)
	for i, tick := range s.ticks {
		c.line(x.from, s.at(tick), x.from+x.length, s.at(tick), "g")
		if i%2 == 0 {
			c.text(yLabels-6, s.at(tick)+4, "e", l.Number(tick))
		}
	}
	var at strings.Builder
	for _, point := range thin(p.Points) {
		at.WriteString(num(x.at(point[0])) + "," + num(s.at(point[1])) + " ")
	}
	c.WriteString(`<polyline class="l" points="` + strings.TrimSpace(at.String()) + "\"/>\n")
}

// thin leaves at most maxPoints points.
func thin(points [][2]float64) [][2]float64 {
	each := (len(points) + maxPoints - 1) / maxPoints
	if each <= 1 {
		return points
	}
	var out [][2]float64
	for len(points) > 0 {
		n := min(each, len(points))
		var sum [2]float64
		for _, p := range points[:n] {
			sum[0], sum[1] = sum[0]+p[0], sum[1]+p[1]
		}
		out = append(out, [2]float64{sum[0] / float64(n), sum[1] / float64(n)})
		points = points[n:]
	}
	return out
}
