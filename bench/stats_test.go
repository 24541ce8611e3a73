package main

import (
	"math"
	"testing"
)

func TestMedianIsTheMiddleValue(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
		{[]float64{7}, 7},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestStatisticsLeaveTheirRunsInOrder(t *testing.T) {
	runs := []float64{3, 1, 2}
	median(runs)
	percentile(runs, 0.5, 3)
	if runs[0] != 3 || runs[2] != 2 {
		t.Errorf("runs are now %v", runs)
	}
}

func TestRatiosCancelDrift(t *testing.T) {
	// The machine grows slower by a tenth each time; the detector costs half.
	bare := []float64{1.0, 1.2, 1.4}
	with := []float64{1.1 * 1.5, 1.3 * 1.5}
	for _, r := range ratios(with, bare) {
		if math.Abs(r-1.5) > 1e-9 {
			t.Errorf("ratio %v, want 1.5", r)
		}
	}
	if got := ratios(with, bare[:2]); len(got) != 1 {
		t.Errorf("a run without a bare one after it has a ratio: %v", got)
	}
}

func TestPercentileCountsWhatNeverArrivedAsSlow(t *testing.T) {
	values := make([]float64, 100)
	for i := range values {
		values[i] = float64(100 - i)
	}
	for _, c := range []struct {
		p    float64
		n    int
		want float64
	}{
		{0.99, 100, 99},
		{0.5, 100, 50},
		{1, 100, 100},
		{0.99, 101, 100},
		{0.99, 102, math.Inf(1)},
		{0.5, 1000, math.Inf(1)},
	} {
		if got := percentile(values, c.p, c.n); got != c.want {
			t.Errorf("percentile(1..100, %v of %d) = %v, want %v", c.p, c.n, got, c.want)
		}
	}
	if !math.IsNaN(percentile(nil, 0.99, 0)) {
		t.Error("a percentile of nothing is a number")
	}
}
