package main

import (
	"fmt"
	"math"
)

// A goal is a row of the table of targets that the design of this library has under
// "Speed". It is judged by what a run has measured.
type goal struct {
	work     string
	scenario string
	metric   metric
	// to is the peer that the goal is relative to: the best one if empty.
	to string
	// absolute goals are for the value itself.
	absolute bool
	limit    float64
	forms    []string // of ours; both that users write if nil
}

// bothForms are the ways in which users write it.
var bothForms = []string{"ours", "ours-select"}

var goals = []goal{
	{work: "echo 125 B, 100 connections: CPU a message", scenario: "pingpong-100", metric: cpuPerMessage, limit: 1},
	{work: "echo 125 B, 1000 connections: CPU a message", scenario: "pingpong-1000", metric: cpuPerMessage, limit: 1},
	{work: "pipelined echo 32 B: messages/s", scenario: "pipelined-32", metric: messages, limit: 8},
	{work: "pipelined echo 1 KiB: messages/s", scenario: "pipelined-1k", metric: messages, limit: 2.5},
	{work: "pipelined echo 32 B: p99 of a burst", scenario: "pipelined-32", metric: p99, limit: 1},
	{work: "pipelined echo 1 KiB: p99 of a burst", scenario: "pipelined-1k", metric: p99, limit: 1},
	{work: "echo 64 KiB: MB/s", scenario: "large-64k", metric: throughput, limit: 1},
	{work: "echo 1 MiB: MB/s", scenario: "large-1m", metric: throughput, limit: 1.3},
	{work: "broadcast 1 KiB to 1000, one round: deliveries/s", scenario: "broadcast-1", metric: messages, limit: 1},
	{work: "broadcast 1 KiB to 1000, eight rounds in flight: deliveries/s", scenario: "broadcast-8", metric: messages, limit: 1.5},
	{work: "deflate with takeover: CPU a message, to gorilla without", scenario: "deflate-takeover", metric: cpuPerMessage, to: "gorilla", limit: 1},
	{work: "deflate with takeover: bytes on the wire, to gws", scenario: "deflate-takeover", metric: wireBytes, to: "gws", limit: 1.05},
	{work: "deflate with takeover: live memory, to gorilla without", scenario: "deflate-takeover", metric: liveKB, to: "gorilla", limit: 1},
	{work: "idle connection: resident memory, KB", scenario: "idle", metric: rssKB, absolute: true, limit: 6},
	{work: "idle connection with deflate: resident memory, KB", scenario: "idle-deflate", metric: rssKB, absolute: true, limit: 9},
	{work: "handshake, one echo, close: CPU", scenario: "churn", metric: cpuPerMessage, limit: 1},
	{work: "client: echo, 1 connection: CPU a message", scenario: "client-echo-1", metric: cpuPerMessage, limit: 1},
	{work: "client: echo, 100 connections: CPU a message", scenario: "client-echo-100", metric: cpuPerMessage, limit: 1},
	{work: "client: dial: CPU", scenario: "client-dial", metric: cpuPerMessage, limit: 1.1, forms: []string{"ours"}},
	{work: "allocations a message, with Release", scenario: "pingpong-100", metric: allocs, absolute: true, limit: noAllocs},
	{work: "allocations a message in a pipeline, with Release", scenario: "pipelined-32", metric: allocs, absolute: true, limit: noAllocs},
}

// noAllocs is no allocation a message, as it is printed: what a process does beside
// messages, such as answering the harness, is counted too.
const noAllocs = 0.005

// A verdict is what a run says about a goal for one form of ours.
type verdict string

const (
	met     verdict = "met"
	notMet  verdict = "not met"
	unclear verdict = "unclear" // the rounds do not agree
	absent  verdict = "not run"
)

// A judgement is what a goal came to.
type judgement struct {
	verdict
	value       float64
	least, most float64 // of the rounds, without the outlier
	doubtful    bool    // as the ratio is that the tables mark with "?"
	tooFew      bool    // rounds, for a ratio
}

// judge compares what a form of ours has reached with the goal.
func (g *goal) judge(r *report, form string) judgement {
	j, ok := g.measured(r, form)
	switch {
	case !ok:
		j.verdict = absent
	case g.undecided(&j):
		j.verdict = unclear
	case g.reached(j.value):
		j.verdict = met
	default:
		j.verdict = notMet
	}
	return j
}

// measured is the value to judge, if there is one.
func (g *goal) measured(r *report, form string) (j judgement, ok bool) {
	res := r.scenario(g.scenario)
	if res == nil {
		return j, false
	}
	s, ok := res.to(form, g.metric)
	if !ok {
		return j, false
	}
	if g.absolute {
		kept := summarize(withoutOutlier(s.Samples))
		return judgement{value: s.Median, least: kept.Min, most: kept.Max}, true
	}
	if g.to != "" {
		to, ok := res.to(g.to, g.metric)
		if !ok {
			return j, false
		}
		s.compare(pairs(s.Samples, to.Samples))
	}
	return judgement{
		value: s.Ratio, least: s.RatioMin, most: s.RatioMax,
		doubtful: s.Worthless, tooFew: len(s.Samples) < minRounds,
	}, s.Ratio != 0
}

// near is how far from the goal a value may be, as a part of it, for a few more rounds
// to put it on the other side.
const near = 0.02

// undecided tells whether the rounds leave the verdict open: they are on both sides of
// the goal, and the value is doubtful or near it; or they are too few.
func (g *goal) undecided(j *judgement) bool {
	bothSides := g.reached(j.least) != g.reached(j.most)
	isNear := math.Abs(j.value-g.limit) <= near*g.limit
	return j.tooFew || bothSides && (j.doubtful || isNear)
}

// to is what a peer did.
func (r *result) to(name string, m metric) (summary, bool) {
	p := r.peer(name)
	if p == nil {
		return summary{}, false
	}
	s, ok := p.Metrics[m.Key]
	return s, ok
}

// pairs are the ratios of rounds. A report that was read has samples only, and where a
// round has failed they do not tell which; then all are taken to the median.
func pairs(a, b []float64) []float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		to := median(b)
		if len(a) == len(b) {
			to = b[i]
		}
		if to > 0 {
			ratios[i] = a[i] / to
		}
	}
	return ratios
}

// reached compares as the numbers are printed, to two digits.
func (g *goal) reached(value float64) bool {
	value = float64(int(value*100+0.5)) / 100
	if g.moreBetter() {
		return value >= g.limit
	}
	return value <= g.limit
}

func (g *goal) moreBetter() bool { return g.metric.MoreBetter }

// text is the goal as the table has it.
func (g *goal) text() string {
	sign := "≤"
	if g.moreBetter() {
		sign = "≥"
	}
	if g.absolute {
		if g.limit == noAllocs {
			return "0"
		}
		return fmt.Sprintf("%s %g", sign, g.limit)
	}
	return fmt.Sprintf("%s %g×", sign, g.limit)
}

// base says what the goal is relative to, and what that did.
func (g *goal) base(r *report) string {
	res := r.scenario(g.scenario)
	if g.absolute || res == nil {
		return ""
	}
	name := g.to
	if name == "" {
		name = res.Best[g.metric.Key]
	}
	s, ok := res.to(name, g.metric)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s, %s %s", name, number(s.Median), g.metric.Unit)
}

// formsOf are those that are judged.
func (g *goal) formsOf() []string {
	if g.forms != nil {
		return g.forms
	}
	return bothForms
}
