package engine

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// truth is what an event makes of a condition.
type truth uint8

const (
	isFalse truth = iota
	isTrue
	isUnknown // it depends on a field whose value has not arrived
	isError   // e.g. a label that does not exist was read; the error is in input.err
)

// predicate is a condition ready to be evaluated. It is the only thing that the
// rest of the package knows of a condition, so that a faster one can take the
// place of celProgram as long as both agree on every event.
type predicate interface {
	test(*input) truth
}

// celProgram is a condition evaluated by cel-go itself.
type celProgram struct{ cel.Program }

func (p celProgram) test(in *input) truth {
	v, _, err := p.Eval(in.frame)
	if err != nil {
		in.err = err
		return isError
	}
	switch v := v.(type) {
	case types.Bool:
		if v {
			return isTrue
		}
		return isFalse
	case *types.Unknown:
		return isUnknown
	}
	in.err = types.MaybeNoSuchOverloadErr(v).(*types.Err)
	return isError
}

// planProgram prepares a checked tree for evaluation. An error means that a
// constant part of it cannot be computed, e.g. int("x").
func planProgram(tree *ast.AST) (cel.Program, error) {
	return environment().PlanProgram(tree, cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(foldConstants))
}

// foldConstants computes calls on constants once, which cel-go does for sets and
// regular expressions only: cidr("10.0.0.0/8"), a glob's pattern. A call that
// fails is left to fail in its place, where an || may absorb it.
func foldConstants(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	args := call.Args()
	constants := 0
	for _, a := range args {
		if _, ok := a.(interpreter.InterpretableConst); ok {
			constants++
		}
	}
	if constants > 0 && constants == len(args) {
		if v := call.Eval(interpreter.EmptyActivation()); !types.IsUnknownOrError(v) {
			return interpreter.NewConstValue(i.ID(), v), nil
		}
		return i, nil
	}
	if call.OverloadID() == globOverload && constants == 1 {
		if pattern, ok := args[1].(interpreter.InterpretableConst); ok {
			g, err := compileGlob(string(pattern.Value().(types.String)))
			if err != nil {
				return nil, err
			}
			return &globNode{id: i.ID(), of: args[0], glob: g}, nil
		}
	}
	return i, nil
}

// globNode is a call of glob whose pattern is compiled.
type globNode struct {
	id   int64
	of   interpreter.InterpretableV2
	glob *glob
}

// ID implements interpreter.Interpretable.
func (n *globNode) ID() int64 { return n.id }

// Eval implements interpreter.Interpretable.
func (n *globNode) Eval(a interpreter.Activation) ref.Val { return n.Exec(interpreter.AsFrame(a)) }

// Exec implements interpreter.InterpretableV2.
func (n *globNode) Exec(f *interpreter.ExecutionFrame) ref.Val {
	v := n.of.Exec(f)
	if s, ok := v.(types.String); ok {
		return types.Bool(n.glob.match(string(s)))
	}
	return types.MaybeNoSuchOverloadErr(v) // an unknown or an error stays what it is
}
