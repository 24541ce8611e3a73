package engine

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// closure is a condition compiled to Go closures over the event. It holds no CEL
// values, so that an event that does not match costs no allocation.
//
// Closures and celProgram agree on every event: compile_test.go compares them on
// generated expressions and events, errors and unknowns included.
type closure func(*input) truth

func (c closure) test(in *input) truth {
	t := c(in)
	if t == isError {
		in.err = in.failure
	}
	return t
}

// compiler turns a checked tree into closures. A part that it does not cover runs
// on cel-go's own program, alone: the parts around it do not.
type compiler struct {
	tree *ast.AST
	vars []loopVar // of the loops around, innermost last
	slow int       // parts left to cel-go
	err  error     // the first part that cannot be planned
}

// loopVar is a variable of exists or all. Its value lies in input.loop at the
// variable's depth.
type loopVar struct {
	name    string
	process bool // an element of process.ancestors; else a string
}

// compileCondition compiles a condition; slow is the number of parts that run on
// cel-go.
func compileCondition(tree *ast.AST) (p predicate, slow int, err error) {
	c := &compiler{tree: tree}
	run, _ := c.condition(tree.Expr())
	if c.err != nil {
		return nil, 0, c.err
	}
	return run, c.slow, nil
}

// condition compiles a boolean expression. Inside a loop it fails where a part is
// not covered, because cel-go's program would not see the loop's variable; the
// whole loop is then the part that is left to cel-go.
func (c *compiler) condition(e ast.Expr) (closure, bool) {
	if run := c.covered(e); run != nil {
		return run, true
	}
	if len(c.vars) > 0 {
		return nil, false
	}
	return c.leave(e), true
}

// leave runs an expression on cel-go's own program.
func (c *compiler) leave(e ast.Expr) closure {
	c.slow++
	program, err := planProgram(ast.NewCheckedAST(ast.NewAST(e, c.tree.SourceInfo()), c.tree.TypeMap(), c.tree.ReferenceMap()))
	if err != nil {
		if c.err == nil {
			c.err = err
		}
		return nil
	}
	p := celProgram{program}
	return func(in *input) truth {
		before := in.err // of an exception that failed earlier
		t := p.test(in)
		if t == isError {
			in.failure, in.err = in.err, before
		}
		return t
	}
}

// covered compiles a boolean expression, or returns nil.
func (c *compiler) covered(e ast.Expr) closure {
	switch e.Kind() {
	case ast.LiteralKind:
		if b, ok := e.AsLiteral().(types.Bool); ok {
			return constant(bool(b))
		}
	case ast.SelectKind:
		if f := c.field(e); f != nil && f.Bool != nil {
			return readBool(f)
		}
	case ast.ComprehensionKind:
		return c.loop(e.AsComprehension())
	case ast.CallKind:
		return c.call(e.AsCall())
	}
	return nil
}

func constant(b bool) closure {
	t := isFalse
	if b {
		t = isTrue
	}
	return func(*input) truth { return t }
}

func (c *compiler) call(call ast.CallExpr) closure {
	args := call.Args()
	switch f := call.FunctionName(); f {
	case operators.LogicalAnd, operators.LogicalOr:
		var parts []closure
		for _, a := range chain(f, args) {
			run, ok := c.condition(a)
			if !ok || run == nil {
				return nil
			}
			parts = append(parts, run)
		}
		if f == operators.LogicalAnd {
			return fold(parts, isFalse)
		}
		return fold(parts, isTrue)
	case operators.LogicalNot:
		run, ok := c.condition(args[0])
		if !ok || run == nil {
			return nil
		}
		return func(in *input) truth { return not(run(in)) }
	case operators.Conditional:
		test, ok1 := c.condition(args[0])
		yes, ok2 := c.condition(args[1])
		no, ok3 := c.condition(args[2])
		if !ok1 || !ok2 || !ok3 || test == nil || yes == nil || no == nil {
			return nil
		}
		return func(in *input) truth {
			switch t := test(in); t {
			case isTrue:
				return yes(in)
			case isFalse:
				return no(in)
			default:
				return t
			}
		}
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return c.compare(f, args[0], args[1])
	case operators.In, operators.OldIn:
		return c.in(args[0], args[1])
	case "startsWith", "endsWith", "contains", "matches", "glob":
		return c.stringTest(f, call.Target(), args)
	}
	return nil
}

// chain returns the operands of a nest of && or of ||, which the parser writes in
// pairs, from left to right.
func chain(operator string, args []ast.Expr) []ast.Expr {
	var out []ast.Expr
	for _, a := range args {
		if a.Kind() == ast.CallKind && a.AsCall().FunctionName() == operator {
			out = append(out, chain(operator, a.AsCall().Args())...)
		} else {
			out = append(out, a)
		}
	}
	return out
}

// fold combines conditions by && (absorbing isFalse) or || (absorbing isTrue) as
// CEL does: the absorbing value wins over everything, unknown over errors.
func fold(parts []closure, absorbing truth) closure {
	neutral := isTrue
	if absorbing == isTrue {
		neutral = isFalse
	}
	return func(in *input) truth {
		result := neutral
		for _, p := range parts {
			switch t := p(in); {
			case t == absorbing:
				return t
			case t == isUnknown || t == isError && result == neutral:
				result = t
			}
		}
		return result
	}
}

func not(t truth) truth {
	switch t {
	case isTrue:
		return isFalse
	case isFalse:
		return isTrue
	}
	return t
}

// stringTest compiles startsWith, endsWith, contains, matches and glob.
func (c *compiler) stringTest(name string, target ast.Expr, args []ast.Expr) closure {
	if target == nil || len(args) != 1 {
		return nil // e.g. matches(s, re)
	}
	s := c.text(target)
	if s == nil {
		return nil
	}
	literal, isLiteral := stringLiteral(args[0])
	switch name {
	case "matches", "glob":
		if !isLiteral {
			return nil
		}
		match, err := matcher(name, literal)
		if err != nil {
			if c.err == nil {
				c.err = err
			}
			return nil
		}
		return func(in *input) truth {
			v, t := s(in)
			if t != isTrue {
				return t
			}
			return truthOf(match(v))
		}
	}
	test := map[string]func(s, part string) bool{"startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix, "contains": strings.Contains}[name]
	if isLiteral {
		return func(in *input) truth {
			v, t := s(in)
			if t != isTrue {
				return t
			}
			return truthOf(test(v, literal))
		}
	}
	part := c.text(args[0])
	if part == nil {
		return nil
	}
	return func(in *input) truth {
		v, p, t := two(in, s, part)
		if t != isTrue {
			return t
		}
		return truthOf(test(v, p))
	}
}

func matcher(name, pattern string) (func(string) bool, error) {
	if name == "glob" {
		g, err := compileGlob(pattern)
		if err != nil {
			return nil, err
		}
		return g.match, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("compile %q: %w", pattern, err)
	}
	return re.MatchString, nil
}

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// two reads two operands. As in CEL's calls, an error wins over unknown, and after
// an error the second operand is not read.
func two[A, B any](in *input, a func(*input) (A, truth), b func(*input) (B, truth)) (x A, y B, t truth) {
	x, t = a(in)
	if t == isError {
		return x, y, t
	}
	y, u := b(in)
	return x, y, calls(t, u)
}

// calls is the state of a call whose operands are in these.
func calls(t, u truth) truth {
	switch {
	case t == isError || u == isError:
		return isError
	case t == isUnknown || u == isUnknown:
		return isUnknown
	}
	return isTrue
}

func stringLiteral(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

func intLiteral(e ast.Expr) (int64, bool) {
	if e.Kind() != ast.LiteralKind {
		return 0, false
	}
	n, ok := e.AsLiteral().(types.Int)
	return int64(n), ok
}
