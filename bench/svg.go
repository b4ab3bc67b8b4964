package main

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A chart shows how the cost of a message grows along an axis: both scales are
// logarithmic, so that what grows in proportion is a straight line.
type chart struct {
	Title  string
	Axis   axis
	Ticks  []tick
	Series []series
	y      scale
	x      scale
}

// A tick is a place on the horizontal axis.
type tick struct {
	Label string
	value float64
}

// series is the line of one peer.
type series struct {
	peer   string
	points []point
}

type point struct {
	x             float64
	y, least, top float64 // the median and the range of the rounds
}

// A scale maps values to places, in proportion to their logarithms.
type scale struct{ min, max, from, to float64 }

func (s scale) at(v float64) float64 {
	return s.from + (s.to-s.from)*math.Log(v/s.min)/math.Log(s.max/s.min)
}

// The measures of a chart, in units of its view box.
const (
	chartWidth  = 640
	chartHeight = 400
	chartLeft   = 64
	chartRight  = 540
	chartTop    = 40
	chartBottom = 350
)

// chartColors are those of the lines; what comes later repeats them.
var chartColors = []string{"#c2571a", "#4a7ba6", "#5b8c3a", "#8a5aa0", "#777777"}

// charts are those for which there are at least two points.
func (r *report) charts() []*chart {
	var found []*chart
	for _, a := range []axis{alongConns, alongSize} {
		if c := r.chart(a); c != nil {
			found = append(found, c)
		}
	}
	return found
}

func (r *report) chart(a axis) *chart {
	c := &chart{Axis: a, Title: "Server CPU of an echo of 125 B, by connections"}
	if a == alongSize {
		c.Title = "Server CPU of an echo on 4 connections, by size"
	}
	lines := map[string]int{}
	for _, res := range r.Results {
		s := &res.Scenario
		if s.Growth != a {
			continue
		}
		t := tick{fmt.Sprint(s.Conns), float64(s.Conns)}
		if a == alongSize {
			t = tick{bytesText(s.Size), float64(s.Size)}
		}
		c.Ticks = append(c.Ticks, t)
		for _, p := range res.Peers {
			m, ok := p.Metrics[cpuPerMessage.Key]
			if !ok || m.Min <= 0 {
				continue
			}
			i, known := lines[p.Peer]
			if !known {
				i = len(c.Series)
				lines[p.Peer] = i
				c.Series = append(c.Series, series{peer: p.Peer})
			}
			c.Series[i].points = append(c.Series[i].points, point{t.value, m.Median, m.Min, m.Max})
		}
	}
	if len(c.Ticks) < 2 || len(c.Series) == 0 {
		return nil
	}
	c.fit()
	if c.x.min == c.x.max {
		return nil
	}
	return c
}

// fit chooses the scales: from power of ten to power of ten on the vertical one.
func (c *chart) fit() {
	slices.SortFunc(c.Ticks, func(a, b tick) int { return cmp.Compare(a.value, b.value) })
	low, high := math.Inf(1), 0.0
	for _, s := range c.Series {
		slices.SortFunc(s.points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
		for _, p := range s.points {
			low, high = min(low, p.least), max(high, p.top)
		}
	}
	low = math.Pow(10, math.Floor(math.Log10(low)))
	high = math.Pow(10, math.Ceil(math.Log10(high)))
	c.y = scale{low, max(high, low*10), chartBottom, chartTop}
	c.x = scale{c.Ticks[0].value, c.Ticks[len(c.Ticks)-1].value, chartLeft + 10, chartRight - 10}
}

// SVG is the chart as a file of its own, on a ground of its own: pages are dark or
// light.
func (c *chart) SVG() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s" font-family="system-ui, sans-serif" font-size="12">`+"\n",
		chartWidth, chartHeight, html.EscapeString(c.Title))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", chartWidth, chartHeight)
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14">%s</text>`+"\n", chartLeft, html.EscapeString(c.Title))
	c.grid(&b)
	for i, s := range c.Series {
		s.draw(&b, c, chartColors[i%len(chartColors)])
	}
	c.names(&b)
	b.WriteString("</svg>\n")
	return template.HTML(b.String()) // all text in it was escaped
}

func (c *chart) grid(b *strings.Builder) {
	for v := c.y.min; v <= c.y.max*1.001; v *= 10 {
		y := c.y.at(v)
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", chartLeft, chartRight, y, y)
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end" dominant-baseline="middle">%s</text>`+"\n", chartLeft-6, y, timeText(v))
	}
	for _, t := range c.Ticks {
		x := c.x.at(t.value)
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/>`+"\n", x, x, chartTop, chartBottom)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x, chartBottom+18, html.EscapeString(t.Label))
	}
	below := "connections"
	if c.Axis == alongSize {
		below = "size of a message"
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle" fill="#555">%s; CPU per message, both scales logarithmic</text>`+"\n",
		(chartLeft+chartRight)/2, chartBottom+40, below)
}

// draw makes the line of a peer, with whiskers from the least to the most.
func (s *series) draw(b *strings.Builder, c *chart, color string) {
	var path strings.Builder
	for i, p := range s.points {
		x, y := c.x.at(p.x), c.y.at(p.y)
		if i > 0 {
			path.WriteByte(' ')
		}
		fmt.Fprintf(&path, "%.1f,%.1f", x, y)
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x, x, c.y.at(p.least), c.y.at(p.top), color)
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s: %s µs</title></circle>`+"\n",
			x, y, color, html.EscapeString(s.peer), number(p.y))
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), color)
}

// labelHeight is how far names are from each other at least.
const labelHeight = 15

// names are written where the lines end, one below the other where these are close, but
// none below the chart.
func (c *chart) names(b *strings.Builder) {
	type label struct {
		y           float64
		name, color string
	}
	var labels []label
	for i, s := range c.Series {
		last := s.points[len(s.points)-1]
		labels = append(labels, label{c.y.at(last.y), s.peer, chartColors[i%len(chartColors)]})
	}
	slices.SortFunc(labels, func(a, b label) int { return cmp.Compare(a.y, b.y) })
	y := math.Inf(-1)
	for i, l := range labels {
		below := len(labels) - 1 - i
		y = min(max(l.y, y+labelHeight), float64(chartBottom-below*labelHeight))
		fmt.Fprintf(b, `<text x="%d" y="%.1f" dominant-baseline="middle" fill="%s" font-weight="600">%s</text>`+"\n",
			chartRight+4, y, l.color, html.EscapeString(l.name))
	}
}

// timeText is a power of ten of µs, in a unit that keeps it short.
func timeText(µs float64) string {
	switch {
	case µs >= 999:
		return strconv.FormatFloat(µs/1e3, 'g', 6, 64) + " ms"
	default:
		return strconv.FormatFloat(µs, 'g', 3, 64) + " µs"
	}
}

// svgFile is the name of a chart's file.
func svgFile(prefix string, c *chart) string { return prefix + "-" + string(c.Axis) + ".svg" }

// writeSVG does nothing without a prefix.
func (r *report) writeSVG(prefix string) error {
	if prefix == "" {
		return nil
	}
	for _, c := range r.charts() {
		if err := os.WriteFile(svgFile(prefix, c), []byte(c.SVG()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
