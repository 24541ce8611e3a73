package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/checker"

	"eunomia/event"
)

// DefaultMaxCost is the bound on the estimated cost of one condition. A unit is
// about one simple operation, some ten nanoseconds.
const DefaultMaxCost = 250_000

// sizes tells CEL's cost estimate how large the values of fields can be. Arguments
// are bounded together, so that count times length is what the sensor reads.
type sizes struct{}

// The bounds that the sensor and enrichment put on values, in characters or
// elements.
const (
	maxString    = 4096
	maxArgs      = 512
	maxArg       = 8
	maxLabels    = 128
	maxLabel     = 256
	maxListItems = 64
)

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	path := n.Path()
	if path == nil {
		return nil
	}
	last := path[len(path)-1]
	upTo := func(n uint64) *checker.SizeEstimate { return &checker.SizeEstimate{Max: n} }
	in := slices.Index(path, "@items")
	switch {
	case last == "@keys", last == "@values":
		return upTo(maxLabel)
	case last == "@items" && len(path) > 1 && path[len(path)-2] == "args":
		return upTo(maxArg)
	case last == "@items":
		return upTo(maxLabel)
	case in > 0 && last == "args":
		return upTo(maxArgs)
	case in > 0 && last == "name":
		return upTo(maxLabel)
	case in > 0:
		return upTo(maxString)
	}
	f := event.FieldNamed(strings.Join(path, "."))
	if f == nil {
		return upTo(maxLabel) // container.labels.app
	}
	switch f.Type {
	case event.Strings:
		if last == "args" {
			return upTo(maxArgs)
		}
		return upTo(maxListItems)
	case event.Map:
		return upTo(maxLabels)
	case event.Processes:
		return upTo(event.MaxAncestors)
	case event.IP:
		return upTo(45)
	default:
		if last == "name" {
			return upTo(maxLabel)
		}
		return upTo(maxString)
	}
}

// EstimateCallCost implements checker.CostEstimator.
func (s sizes) EstimateCallCost(_, overload string, target *checker.AstNode, _ []checker.AstNode) *checker.CallEstimate {
	if overload != globOverload || target == nil {
		return nil
	}
	size := (*target).ComputedSize()
	if size == nil {
		size = s.EstimateSize(*target)
	}
	if size == nil {
		size = &checker.SizeEstimate{Max: maxString}
	}
	return &checker.CallEstimate{CostEstimate: size.MultiplyByCostFactor(0.1).Add(checker.FixedCostEstimate(1))}
}

func costProblem(text string, cost, limit uint64) problem {
	hint := "replace a loop or a long pattern by a simpler test"
	if strings.Count(text, "exists")+strings.Count(text, ".all(") > 1 {
		hint = "avoid a loop inside a loop"
	}
	return problem{check: "cost", hint: hint,
		message: fmt.Sprintf("could take %d steps for a single event; at most %d are allowed", cost, limit)}
}
