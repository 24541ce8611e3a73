package engine

import (
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"

	"eunomia/event"
)

// checked is an expression whose names, types and cost are in order. Its syntax
// tree is the one that everything is planned from.
type checked struct {
	text string
	tree *ast.AST
	typ  *types.Type
	kind bool   // it reads event.kind and is planned for each kind
	cost uint64 // bound of CEL's cost units
}

// scope is what an expression is checked against.
type scope struct {
	on      []event.Kind
	macros  []string // and lists, to suggest when a name is misspelt
	maxCost uint64
}

// check parses and checks an expression.
func check(text string, s scope) (*checked, []problem) {
	if strings.TrimSpace(text) == "" {
		return nil, []problem{{check: "syntax", message: "the expression is empty"}}
	}
	env := environment()
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		return nil, []problem{syntaxProblem(text, issues)}
	}
	n := names{text: text, info: parsed.NativeRep().SourceInfo(), scope: s, judged: map[int64]bool{}}
	n.walk(parsed.NativeRep().Expr(), nil)
	if n.calls > maxExpressionCalls {
		return nil, append(n.problems, problem{check: "cost", hint: "split the rule; compare with many values by `in`, with many paths by glob",
			message: fmt.Sprintf("the expression is too large: %d operators and calls; at most %d are allowed", n.calls, maxExpressionCalls)})
	}
	typed, issues := env.Check(parsed)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			if !n.judged[e.ExprID] || !isSettled(e.Message) {
				n.problems = append(n.problems, typeProblem(text, parsed.NativeRep(), e))
			}
		}
	}
	if len(n.problems) > 0 {
		return nil, n.problems
	}
	cost, err := env.EstimateCost(typed, sizes{})
	if err != nil {
		return nil, []problem{{check: "cost", message: "estimate the cost: " + err.Error()}}
	}
	if cost.Max > s.maxCost {
		return nil, []problem{costProblem(text, cost.Max, s.maxCost)}
	}
	tree := ast.Copy(typed.NativeRep())
	rewritePresence(tree)
	return &checked{text: text, tree: tree, typ: typed.OutputType(), kind: n.kind, cost: cost.Max}, nil
}

// rewritePresence turns has(field) into a comparison with the empty value, which
// is unknown as long as the field is; CEL's own presence test cannot be. Tests
// for a key of a map stay.
func rewritePresence(tree *ast.AST) {
	factory := ast.NewExprFactory()
	next := ast.MaxID(tree)
	id := func() int64 { next++; return next }
	var found []ast.Expr
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() &&
			tree.GetType(e.AsSelect().Operand().ID()).Kind() == types.StructKind {
			found = append(found, e)
		}
	}))
	for _, e := range found {
		sel := e.AsSelect()
		typ := memberType(tree.GetType(sel.Operand().ID()), sel.FieldName())
		value := factory.NewSelect(id(), sel.Operand(), sel.FieldName())
		tree.SetType(value.ID(), typ)
		left, empty := value, factory.NewLiteral(id(), types.IntZero)
		switch typ.Kind() {
		case types.BoolKind:
			e.SetKindCase(value)
			continue
		case types.StringKind:
			empty = factory.NewLiteral(empty.ID(), types.String(""))
			tree.SetType(empty.ID(), types.StringType)
		case types.TimestampKind:
			left = call(tree, factory, id(), "int", overloads.TimestampToInt, types.IntType, value)
			tree.SetType(empty.ID(), types.IntType)
		case types.ListKind, types.MapKind:
			overload := overloads.SizeList
			if typ.Kind() == types.MapKind {
				overload = overloads.SizeMap
			}
			left = call(tree, factory, id(), overloads.Size, overload, types.IntType, value)
			tree.SetType(empty.ID(), types.IntType)
		default:
			tree.SetType(empty.ID(), types.IntType)
		}
		e.SetKindCase(factory.NewCall(e.ID(), operators.NotEquals, left, empty))
		tree.SetReference(e.ID(), ast.NewFunctionReference(overloads.NotEquals))
	}
}

func call(tree *ast.AST, factory ast.ExprFactory, id int64, function, overload string, typ *types.Type, arg ast.Expr) ast.Expr {
	e := factory.NewCall(id, function, arg)
	tree.SetType(id, typ)
	tree.SetReference(id, ast.NewFunctionReference(overload))
	return e
}

func memberType(object *types.Type, name string) *types.Type {
	f, ok := environment().CELTypeProvider().FindStructFieldType(object.TypeName(), name)
	if !ok {
		return types.ErrorType // the checker has accepted the selection
	}
	return f.Type
}

// forKind returns the tree with event.kind written out.
func (c *checked) forKind(k event.Kind) *ast.AST {
	if !c.kind {
		return c.tree
	}
	tree := ast.Copy(c.tree)
	factory := ast.NewExprFactory()
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.SelectKind || e.AsSelect().FieldName() != "kind" {
			return
		}
		if o := e.AsSelect().Operand(); o.Kind() == ast.IdentKind && o.AsIdent() == "event" && tree.GetType(o.ID()).Kind() == types.StructKind {
			e.SetKindCase(factory.NewLiteral(e.ID(), types.String(k.String())))
		}
	}))
	return tree
}

// clauses splits a condition at its outermost && and returns each part.
func (c *checked) clauses() []*checked {
	var out []*checked
	var split func(ast.Expr)
	split = func(e ast.Expr) {
		if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.LogicalAnd {
			for _, a := range e.AsCall().Args() {
				split(a)
			}
			return
		}
		text, err := cel.ExprToString(e, c.tree.SourceInfo())
		if err != nil {
			text = fmt.Sprintf("clause %d", len(out)+1)
		}
		tree := ast.NewCheckedAST(ast.NewAST(e, c.tree.SourceInfo()), c.tree.TypeMap(), c.tree.ReferenceMap())
		out = append(out, &checked{text: text, tree: tree, typ: types.BoolType, kind: c.kind})
	}
	split(c.tree.Expr())
	return out
}
