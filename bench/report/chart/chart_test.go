package chart

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

// maxBytes is what a chart may have.
const maxBytes = 20_000

// element is one of a chart.
type element struct {
	name  string
	attrs map[string]string
	text  string
}

func (e element) number(t *testing.T, name string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(e.attrs[name], 64)
	if err != nil {
		t.Fatalf("%s of %s: %v", name, e.name, err)
	}
	return v
}

// parse reads a chart, which must be whole and small, and nothing outside of it.
func parse(t *testing.T, svg []byte) (list []element) {
	t.Helper()
	if len(svg) > maxBytes {
		t.Errorf("size: got %d bytes, want at most %d", len(svg), maxBytes)
	}
	dec := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("chart: %v\n%s", err, svg)
		}
		switch v := token.(type) {
		case xml.StartElement:
			e := element{name: v.Name.Local, attrs: map[string]string{}}
			for _, a := range v.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			list = append(list, e)
		case xml.CharData:
			if len(list) > 0 {
				list[len(list)-1].text += string(v)
			}
		}
	}
}

func pick(list []element, name, class string) (out []element) {
	for _, e := range list {
		if e.name == name && (class == "" || e.attrs["class"] == class) {
			out = append(out, e)
		}
	}
	return out
}

func text(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

func TestBars(t *testing.T) {
	b := Bars{Text: Text{"Rates & <more>", "What is seen.", "events"}, Series: []string{"floor", "sluice"}, Number: text,
		Groups: []Group{{"one", []Bar{{Value: 50}, {Value: 100, Min: 80, Max: 120, Target: 90}}}, {"two", []Bar{{}, {Value: 25}}}}}
	list := parse(t, b.SVG())
	bars := append(pick(list, "rect", "s0"), pick(list, "rect", "s1")...)
	var widths []float64
	for _, e := range bars {
		if e.attrs["height"] != "10" { // not of the names
			widths = append(widths, e.number(t, "width"))
		}
	}
	if len(widths) != 3 || math.Abs(widths[1]/widths[0]-2) > 0.01 || math.Abs(widths[2]/widths[0]-0.5) > 0.01 {
		t.Errorf("bars: got widths %v, want 50, 100 and 25 to scale, and none for what is 0", widths)
	}
	target, whisker := pick(list, "line", "t"), pick(list, "line", "w")
	if len(target) != 1 || len(whisker) != 1 {
		t.Fatalf("marks: got %d targets and %d ranges, want one of each", len(target), len(whisker))
	}
	unit := widths[0] / 50
	if got, want := target[0].number(t, "x1"), labels+90*unit; math.Abs(got-want) > 0.2 {
		t.Errorf("target: got at %v, want at %v", got, want)
	}
	if got, want := whisker[0].number(t, "x2")-whisker[0].number(t, "x1"), 40*unit; math.Abs(got-want) > 0.2 {
		t.Errorf("range: got %v wide, want %v", got, want)
	}
	if got := pick(list, "title", "")[0].text + pick(list, "desc", "")[0].text; strings.TrimSpace(got) != "Rates & <more>What is seen." {
		t.Errorf("title and description: got %q", got)
	}
	all := string(b.SVG())
	for _, want := range []string{"prefers-color-scheme:dark", "currentColor", ">floor<", ">sluice<", ">two<", ">events<"} {
		if !strings.Contains(all, want) {
			t.Errorf("chart: want %q in it", want)
		}
	}
}

func TestLogarithmicBars(t *testing.T) {
	b := Bars{Log: true, Number: text, Series: []string{"x"}, Groups: []Group{{"a", []Bar{{Value: 1}}}, {"b", []Bar{{Value: 10}}}, {"c", []Bar{{Value: 1000}}}}}
	var widths []float64
	for _, e := range pick(parse(t, b.SVG()), "rect", "s0") {
		if e.attrs["height"] != "10" {
			widths = append(widths, e.number(t, "width"))
		}
	}
	if len(widths) != 3 || widths[0] != 0 || math.Abs(widths[2]/widths[1]-3) > 0.01 {
		t.Errorf("bars: got widths %v, want 0, 1 and 3 decades", widths)
	}
}

func TestLines(t *testing.T) {
	l := Lines{Text: Text{"Growth", "It grows.", "minutes"}, Number: text}
	for n := range 4 {
		p := Panel{Name: fmt.Sprintf("panel %d", n)}
		for i := range 5000 {
			p.Points = append(p.Points, [2]float64{float64(i), float64(i) * 1234.567})
		}
		l.Panels = append(l.Panels, p)
	}
	list := pick(parse(t, l.SVG()), "polyline", "l")
	if len(list) != 4 {
		t.Fatalf("lines: got %d, want 4", len(list))
	}
	points := strings.Fields(list[0].attrs["points"])
	if n := len(points); n < maxPoints/2 || n > maxPoints {
		t.Errorf("points: got %d, want at most %d", n, maxPoints)
	}
	var first, last [2]float64
	for text, to := range map[string]*[2]float64{points[0]: &first, points[len(points)-1]: &last} {
		if _, err := fmt.Sscanf(text, "%f,%f", &to[0], &to[1]); err != nil {
			t.Fatal(err)
		}
	}
	if first[0] >= last[0] || first[1] <= last[1] {
		t.Errorf("line: got from %v to %v, want it to go right and up", first, last)
	}
}

// TestEmptyCharts must not divide by nothing.
func TestEmptyCharts(t *testing.T) {
	for _, svg := range [][]byte{Bars{Number: text}.SVG(), Bars{Number: text, Log: true, Groups: []Group{{"a", []Bar{{}}}}}.SVG(),
		Lines{Number: text}.SVG(), Lines{Number: text, Panels: []Panel{{}, {Points: [][2]float64{{0, 0}}}}}.SVG()} {
		if parse(t, svg); strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
			t.Errorf("chart: got\n%s\nwant numbers", svg)
		}
	}
}

func TestTicksAreRound(t *testing.T) {
	for most, want := range map[float64]string{1.29: "[0 0.5 1 1.5]", 158000: "[0 50000 100000 150000 200000]", 0: "[0 1]", 10: "[0 2 4 6 8 10]"} {
		var ticks []string
		for _, v := range linear(0, 100, most).ticks {
			ticks = append(ticks, text(v))
		}
		if got := fmt.Sprint(ticks); got != strings.NewReplacer("50000", "5e+04", "100000", "1e+05", "150000", "1.5e+05", "200000", "2e+05").Replace(want) {
			t.Errorf("ticks to %v: got %v, want %s", most, got, want)
		}
	}
}
