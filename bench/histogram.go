package main

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets that are at most 1/16 wide: cheap to
// add to, and small enough to have one for each connection.
type histogram struct {
	n       uint64
	buckets [40 * 16]uint32
}

const histogramSteps = 16

// bucketOf finds the place of d: the position of its first bit and the four
// bits after it.
func bucketOf(d time.Duration) int {
	n := uint64(max(d, histogramSteps))
	shift := bits.Len64(n) - 5 // leaves five bits, the first of them set
	return min(shift*histogramSteps+int(n>>shift)-histogramSteps, len(histogram{}.buckets)-1)
}

// bucketMiddle is the inverse, in µs.
func bucketMiddle(i int) float64 {
	shift := i / histogramSteps
	return (float64(i%histogramSteps+histogramSteps) + 0.5) * float64(uint64(1)<<shift) / 1e3
}

func (h *histogram) add(d time.Duration) {
	h.n++
	h.buckets[bucketOf(d)]++
}

func (h *histogram) merge(o *histogram) {
	h.n += o.n
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
}

// quantile is in µs; 0 if there is nothing.
func (h *histogram) quantile(q float64) float64 {
	rank := uint64(q * float64(h.n))
	var n uint64
	for i, k := range h.buckets {
		if n += uint64(k); n > rank {
			return bucketMiddle(i)
		}
	}
	return 0
}
