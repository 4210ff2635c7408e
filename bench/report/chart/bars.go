package chart

import "math"

// Bars are groups of rows of bars that lie beside each other.
type Bars struct {
	Text
	Series []string // names, in the order of the bars of each group; at most four
	Groups []Group
	Log    bool                 // powers of ten along the axis
	Number func(float64) string // writes a value
}

// A Group is what is compared.
type Group struct {
	Name string
	Bars []Bar
}

// A Bar is a value with its range. One whose Value is 0 is left out.
type Bar struct {
	Value, Min, Max float64
	Target          float64 // what is to be reached; 0 is nothing
}

const (
	labels   = 240 // wide, left of the bars
	values   = 70  // wide, right of them
	row      = 14
	groupGap = 10
	top      = 30 // for the names of the series
	bottom   = 44 // for the axis
)

// SVG draws the chart.
func (b Bars) SVG() []byte {
	height := float64(top + bottom)
	for _, g := range b.Groups {
		height += float64(len(g.Bars)*row + groupGap)
	}
	c := open(b.Text, height)
	x := labels + 0.0
	for i, name := range b.Series {
		c.bar(x, 8, 10, 10, i)
		c.text(x+15, 17, "", name)
		x += 35 + 6.5*float64(len(name))
	}
	s := b.scale()
	for _, tick := range s.ticks {
		c.line(s.at(tick), top-4, s.at(tick), height-bottom, "g")
		c.text(s.at(tick), height-bottom+16, "m", b.Number(tick))
	}
	c.text(s.from+s.length/2, height-8, "m", b.X)
	y := float64(top)
	for _, g := range b.Groups {
		c.text(labels-8, y+float64(len(g.Bars)*row)/2+4, "e", g.Name)
		for i, bar := range g.Bars {
			b.bar(c, s, bar, i, y)
			y += row
		}
		y += groupGap
	}
	return c.close()
}

// bar draws one bar with its range, its value and its target.
func (b Bars) bar(c *canvas, s scale, bar Bar, series int, y float64) {
	if bar.Value > 0 {
		end := s.at(bar.Value)
		c.bar(s.from, y+1, end-s.from, row-2, series)
		if bar.Max > bar.Min {
			c.line(s.at(bar.Min), y+row/2, s.at(bar.Max), y+row/2, "w")
			end = s.at(bar.Max)
		}
		c.text(end+5, y+row-3, "", b.Number(bar.Value))
	}
	if bar.Target > 0 {
		c.line(s.at(bar.Target), y-1, s.at(bar.Target), y+row+1, "t")
	}
}

// scale has room for everything that is drawn.
func (b Bars) scale() scale {
	least, most := math.Inf(1), 0.0
	for _, g := range b.Groups {
		for _, bar := range g.Bars {
			most = math.Max(most, math.Max(bar.Target, math.Max(bar.Value, bar.Max)))
			for _, v := range []float64{bar.Value, bar.Min, bar.Target} {
				if v > 0 {
					least = math.Min(least, v)
				}
			}
		}
	}
	if b.Log && most > 0 {
		return decades(labels, width-labels-values, least, most)
	}
	return linear(labels, width-labels-values, most)
}
