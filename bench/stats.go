package main

import (
	"math"
	"slices"
)

// values are what one run of one peer has given, by the keys of metrics.
type values map[string]float64

// A summary is a metric of one peer over all rounds.
type summary struct {
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Samples []float64 `json:"samples"`
	// Ratio is to the best peer: the median of the ratios of the rounds.
	// 0 where there is none.
	Ratio float64 `json:"ratio,omitempty"`
	// RatioSpread is (max-min)/median of those ratios, without the outlier.
	RatioSpread float64 `json:"ratioSpread,omitempty"`
	RatioMin    float64 `json:"ratioMin,omitempty"` // the least of them, without the outlier
	RatioMax    float64 `json:"ratioMax,omitempty"` // and the most
	// Worthless marks a ratio that says nothing.
	Worthless bool `json:"worthless,omitempty"`
}

// Ratios whose rounds differ by more than this are worthless, as are those of
// too few rounds to tell.
const (
	maxRatioSpread = 0.25
	minRounds      = 3
)

// outlierRounds is from how many rounds on one of them may be off: what is the
// farthest from the median then does not count for the spread of ratios. The
// median does not care for it anyway, so it should not make it worthless.
const outlierRounds = 5

func summarize(samples []float64) summary {
	return summary{
		Median:  median(samples),
		Min:     slices.Min(samples),
		Max:     slices.Max(samples),
		Samples: samples,
	}
}

func median(samples []float64) float64 {
	s := slices.Clone(samples)
	slices.Sort(s)
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// spread is (max-min)/median.
func (s *summary) spread() float64 {
	if s.Median == 0 {
		return 0
	}
	return (s.Max - s.Min) / math.Abs(s.Median)
}

// withoutOutlier leaves out the value farthest from the median, where there are
// enough.
func withoutOutlier(samples []float64) []float64 {
	if len(samples) < outlierRounds {
		return samples
	}
	s := slices.Sorted(slices.Values(samples))
	if m := median(s); m-s[0] > s[len(s)-1]-m {
		return s[1:]
	}
	return s[:len(s)-1]
}

// compare sets the ratio to the best peer from those of the rounds.
func (s *summary) compare(ratios []float64) {
	if len(ratios) == 0 {
		return
	}
	s.Ratio = median(ratios)
	kept := summarize(withoutOutlier(ratios))
	s.RatioMin, s.RatioMax = kept.Min, kept.Max
	s.RatioSpread = (kept.Max - kept.Min) / math.Abs(s.Ratio)
	s.Worthless = len(ratios) < minRounds || s.RatioSpread > maxRatioSpread
}
