package main

import (
	"math"
	"slices"
)

// median returns the middle of the values, NaN of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// worst returns the largest value.
func worst(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return slices.Max(values)
}

// percentile returns the smallest value that at least a share of p of n samples
// does not exceed. Samples that are missing up to n count as infinitely large:
// what never arrived was not fast.
func percentile(values []float64, p float64, n int) float64 {
	n = max(n, len(values))
	if n == 0 {
		return math.NaN()
	}
	i := max(int(math.Ceil(p*float64(n)))-1, 0)
	if i >= len(values) {
		return math.Inf(1)
	}
	return slices.Sorted(slices.Values(values))[i]
}

// ratios divides each value by the mean of the two around it: without[i] was
// measured just before with[i] and without[i+1] just after. What drifts steadily
// over the measurement cancels out.
func ratios(with, without []float64) []float64 {
	var out []float64
	for i := range with {
		if i+1 < len(without) {
			out = append(out, with[i]/((without[i]+without[i+1])/2))
		}
	}
	return out
}
