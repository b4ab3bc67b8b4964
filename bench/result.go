package main

import (
	"fmt"
	"math"
	"os"
)

// A result is one scenario, with all that took part.
type result struct {
	Scenario scenario      `json:"scenario"`
	Metrics  []metric      `json:"metrics"`
	Peers    []*peerResult `json:"peers"`
	// Best is the name of the peer that ratios are to, by the keys of metrics.
	Best map[string]string `json:"best,omitempty"`
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
	r.Best = map[string]string{}
	for _, m := range r.Metrics {
		best := r.best(m)
		if m.Plain || best == nil {
			continue
		}
		r.Best[m.Key] = best.Peer
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

// best is the peer that ratios are to: the one that the scenario names, or the one
// that no rival beats in a ratio as it is printed, the median of those of the rounds.
// Where they beat each other in a circle, it is the one that is beaten by least.
func (r *result) best(m metric) *peerResult {
	if r.Scenario.Base != "" {
		return r.peer(r.Scenario.Base)
	}
	var best *peerResult
	least := math.Inf(1)
	rivals := r.rivals(m)
	for _, p := range rivals {
		if by := p.beaten(rivals, m); best == nil || by < least {
			best, least = p, by
		}
	}
	return best
}

// rivals are the peers with a metric: none of ours, and none that is shown for
// reference only.
func (r *result) rivals(m metric) []*peerResult {
	var found []*peerResult
	for _, p := range r.Peers {
		if _, ok := p.Metrics[m.Key]; ok && !p.Ours && !p.Reference {
			found = append(found, p)
		}
	}
	return found
}

// beaten is how much better the best of the others is: more than 1 if it is.
func (p *peerResult) beaten(others []*peerResult, m metric) float64 {
	most := 0.0
	for _, o := range others {
		ratios := o.ratios(p, m)
		if o == p || len(ratios) == 0 {
			continue
		}
		by := median(ratios)
		if !m.MoreBetter {
			by = 1 / by
		}
		most = max(most, by)
	}
	return most
}
