package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"strings"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"number": number,
	"plots":  (*result).plots,
	"charts": (*report).charts,
	"cell":   htmlCell,
	"join":   func(s []string) string { return strings.Join(s, "; ") },
}).Parse(pageText))

// writeHTML does nothing without a name.
func (r *report) writeHTML(file string) error {
	if file == "" {
		return nil
	}
	var b bytes.Buffer
	if err := page.Execute(&b, r); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// htmlCell is a metric of a peer in the table.
func htmlCell(p *peerResult, m metric) string {
	s, ok := p.Metrics[m.Key]
	if !ok {
		return "–"
	}
	text := number(s.Median)
	if m.Plain || s.Ratio == 0 {
		return text
	}
	return text + " (" + s.ratioText() + ")"
}

// A plot is one metric of all peers: bars for medians, whiskers from the least
// to the most.
type plot struct {
	Title  string
	Note   string
	Height int
	Bars   []bar
}

type bar struct {
	Name, Value, Class string
	Y, Middle          int
	Width, Min, Max    float64
}

// The measures of a plot, in units of its view box.
const (
	barsLeft   = 110
	barsWidth  = 420
	rowHeight  = 20
	barsMargin = 4
)

// plots are those of all metrics that have ratios, the most telling first.
func (r *result) plots() []plot {
	var ps []plot
	for _, m := range r.Metrics {
		if m.Plain {
			continue
		}
		if p := r.plot(m); len(p.Bars) > 0 {
			ps = append(ps, p)
		}
	}
	return ps
}

func (r *result) plot(m metric) plot {
	p := plot{Title: m.Key + ", " + m.Unit, Note: "less is better"}
	if m.MoreBetter {
		p.Note = "more is better"
	}
	// A bar may be so much longer than the others that these can not be told
	// apart: then it is cut off, and its number says how long it is.
	top := r.plotTop(m)
	scale := func(x float64) float64 { return barsLeft + min(max(x, 0)/top, 1)*barsWidth }
	for _, pr := range r.Peers {
		s, ok := pr.Metrics[m.Key]
		if !ok {
			continue
		}
		y := len(p.Bars) * rowHeight
		p.Bars = append(p.Bars, bar{
			Name: pr.Peer, Value: number(s.Median), Class: barClass(pr),
			Y: y + barsMargin/2, Middle: y + rowHeight/2,
			Width: scale(s.Median) - barsLeft, Min: scale(s.Min), Max: scale(s.Max),
		})
	}
	p.Height = len(p.Bars) * rowHeight
	return p
}

// plotTop is the value at the right end: the greatest, but at most eight times
// the median of all peers.
func (r *result) plotTop(m metric) float64 {
	var medians []float64
	top := 0.0
	for _, p := range r.Peers {
		if s, ok := p.Metrics[m.Key]; ok {
			medians = append(medians, s.Median)
			top = max(top, s.Max)
		}
	}
	if len(medians) > 0 && median(medians) > 0 {
		top = min(top, 8*median(medians))
	}
	if top <= 0 {
		return 1
	}
	return top
}

func barClass(p *peerResult) string {
	switch {
	case p.Ours:
		return "ours"
	case p.Reference:
		return "reference"
	default:
		return "peer"
	}
}

// Label tells what a bar shows to those who do not see it.
func (b bar) Label() string { return fmt.Sprintf("%s: %s", b.Name, b.Value) }
