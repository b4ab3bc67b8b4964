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
	Error     string             `json:"error,omitempty"`
	runs      []values
}

func newResult(s *scenario) *result { return &result{Scenario: *s, Metrics: s.metrics()} }

func (r *result) of(p *peer) *peerResult {
	for _, pr := range r.Peers {
		if pr.Peer == p.name {
			return pr
		}
	}
	pr := &peerResult{Peer: p.name, Ours: p.ours, Reference: p.reference}
	r.Peers = append(r.Peers, pr)
	return pr
}

// failed tells whether a peer has failed before; it gets no further turn.
func (r *result) failed(p *peer) bool { return r.of(p).Error != "" }

func (r *result) add(p *peer, v values, err error) {
	pr := r.of(p)
	if err != nil {
		pr.Error = err.Error()
		fmt.Fprintf(os.Stderr, "bench: %s, %s: %v\n", r.Scenario.Name, p.name, err)
		return
	}
	pr.runs = append(pr.runs, v)
}

// finish computes medians and ratios.
func (r *result) finish() *result {
	for _, p := range r.Peers {
		p.Metrics = map[string]summary{}
		for _, m := range r.Metrics {
			var samples []float64
			for _, v := range p.runs {
				if x, ok := v[m.Key]; ok {
					samples = append(samples, x)
				}
			}
			if len(samples) > 0 {
				p.Metrics[m.Key] = summarize(samples)
			}
		}
	}
	for _, m := range r.Metrics {
		best := r.best(m)
		if m.Plain || best == nil {
			continue
		}
		to := best.Metrics[m.Key]
		for _, p := range r.Peers {
			if s, ok := p.Metrics[m.Key]; ok {
				s.compare(&to)
				// The best is 1 by definition, however noisy.
				s.Worthless = s.Worthless && p != best
				p.Metrics[m.Key] = s
			}
		}
	}
	return r
}

// best is the peer that ratios are to: none of ours, and none that is shown for
// reference only.
func (r *result) best(m metric) *peerResult {
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
