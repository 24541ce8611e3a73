package engine

import (
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"eunomia/event"
)

// loopValue is the element that a loop is at.
type loopValue struct {
	text    string
	process *event.Ancestor
}

// loop compiles exists and all over a list field, or returns nil. Both are chains
// of || and && over the elements, and end early as CEL's loops do: at the first
// element that decides.
func (c *compiler) loop(e ast.ComprehensionExpr) closure {
	absorbing, test := quantifier(e)
	if test == nil || e.HasIterVar2() || len(c.vars) >= maxNestedLoops {
		return nil
	}
	over := e.IterRange()
	f := c.field(over)
	member, depth := c.member(over)
	if f == nil && member == nil {
		return nil
	}
	process := f != nil && f.Processes != nil
	if !process && (f == nil || f.Strs == nil) && (member == nil || member.Strs == nil) {
		return nil
	}
	at := len(c.vars)
	c.vars = append(c.vars, loopVar{e.IterVar(), process})
	body, ok := c.condition(test)
	c.vars = c.vars[:at]
	if !ok || body == nil {
		return nil
	}
	if process {
		return each(read(f, f.Processes), body, absorbing, func(in *input, a *event.Ancestor) { in.loop[at].process = a })
	}
	setText := func(in *input, s string) { in.loop[at].text = s }
	if f != nil {
		return each(read(f, f.Strs), body, absorbing, setText)
	}
	get := member.Strs
	return each(func(in *input) ([]string, truth) { return get(in.loop[depth].process), isTrue }, body, absorbing, setText)
}

// quantifier recognizes exists, which isTrue ends, and all, which isFalse ends.
func quantifier(e ast.ComprehensionExpr) (absorbing truth, test ast.Expr) {
	start, step, result := e.AccuInit(), e.LoopStep(), e.Result()
	if start.Kind() != ast.LiteralKind || step.Kind() != ast.CallKind || len(step.AsCall().Args()) != 2 ||
		result.Kind() != ast.IdentKind || result.AsIdent() != e.AccuVar() {
		return 0, nil
	}
	init, ok := start.AsLiteral().(types.Bool)
	accu := step.AsCall().Args()[0]
	if !ok || accu.Kind() != ast.IdentKind || accu.AsIdent() != e.AccuVar() {
		return 0, nil
	}
	test = step.AsCall().Args()[1]
	switch f := step.AsCall().FunctionName(); {
	case f == operators.LogicalOr && !bool(init):
		return isTrue, test
	case f == operators.LogicalAnd && bool(init):
		return isFalse, test
	}
	return 0, nil
}

func each[T any](list func(*input) ([]T, truth), body closure, absorbing truth, set func(*input, T)) closure {
	neutral := not(absorbing)
	return func(in *input) truth {
		items, t := list(in)
		if t != isTrue {
			return t
		}
		result := neutral
		for _, item := range items {
			set(in, item)
			switch t := body(in); {
			case t == absorbing:
				return t
			case t == isUnknown || t == isError && result == neutral:
				result = t
			}
		}
		return result
	}
}
