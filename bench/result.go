package main

import (
	"fmt"
	"os"
)

// A result is one scenario, with all that took part.
type result struct {
	Scenario scenario      `json:"scenario"`
	Metrics  []metric      `json:"metrics"`
	Peers    []*peerResult `json:"peers"`
}

// A peerResult has what one peer did in a scenario.
type peerResult struct {
	Peer      string             `json:"peer"`
	Ours      bool               `json:"ours,omitempty"`
	Reference bool               `json:"reference,omitempty"`
	Metrics   map[string]summary `json:"metrics,omitempty"`
	Failures  []string           `json:"failures,omitempty"`
	runs      []values           // of each round; nil where it failed
}

func newResult(s *scenario) *result { return &result{Scenario: *s, Metrics: s.metrics()} }

// peer is what a peer did, nil if it has not taken part.
func (r *result) peer(name string) *peerResult {
	for _, pr := range r.Peers {
		if pr.Peer == name {
			return pr
		}
	}
	return nil
}

func (r *result) of(p *peer) *peerResult {
	if pr := r.peer(p.name); pr != nil {
		return pr
	}
	pr := &peerResult{Peer: p.name, Ours: p.ours, Reference: p.reference}
	r.Peers = append(r.Peers, pr)
	return pr
}

// maxFailures is after how many a peer gets no further turn in a scenario.
const maxFailures = 2

func (r *result) failed(p *peer) bool { return len(r.of(p).Failures) >= maxFailures }

func (r *result) add(p *peer, v values, err error) {
	pr := r.of(p)
	pr.runs = append(pr.runs, v)
	if err != nil {
		pr.Failures = append(pr.Failures, err.Error())
		fmt.Fprintf(os.Stderr, "bench: %s, %s: %v\n", r.Scenario.Name, p.name, err)
	}
}

// samples are the values of a metric in those rounds that have one.
func (p *peerResult) samples(m metric) []float64 {
	var s []float64
	for _, v := range p.runs {
		if x, ok := v[m.Key]; ok {
			s = append(s, x)
		}
	}
	return s
}

// ratios are those of each round in which both peers have a value, and so ran
// one shortly after the other.
func (p *peerResult) ratios(to *peerResult, m metric) []float64 {
	var rs []float64
	for i := range min(len(p.runs), len(to.runs)) {
		x, ok := p.runs[i][m.Key]
		y, has := to.runs[i][m.Key]
		if ok && has && y > 0 {
			rs = append(rs, x/y)
		}
	}
	return rs
}

// finish computes medians and ratios.
func (r *result) finish() *result {
	for _, p := range r.Peers {
		p.Metrics = map[string]summary{}
		for _, m := range r.Metrics {
			if samples := p.samples(m); len(samples) > 0 {
				p.Metrics[m.Key] = summarize(samples)
			}
		}
	}
	for _, m := range r.Metrics {
		best := r.best(m)
		if m.Plain || best == nil {
			continue
		}
		for _, p := range r.Peers {
			s, ok := p.Metrics[m.Key]
			if !ok {
				continue
			}
			s.compare(p.ratios(best, m))
			// The best is 1 by definition, however noisy.
			s.Worthless = s.Worthless && p != best
			p.Metrics[m.Key] = s
		}
	}
	return r
}

// best is the peer that ratios are to: none of ours, and none that is shown for
// reference only; or the one that the scenario names.
func (r *result) best(m metric) *peerResult {
	if r.Scenario.Base != "" {
		return r.peer(r.Scenario.Base)
	}
	var best *peerResult
	for _, p := range r.Peers {
		s, ok := p.Metrics[m.Key]
		if !ok || p.Ours || p.Reference {
			continue
		}
		if best == nil || better(m, s.Median, best.Metrics[m.Key].Median) {
			best = p
		}
	}
	return best
}

func better(m metric, a, b float64) bool {
	if m.MoreBetter {
		return a > b
	}
	return a < b
}
