package engine

import (
	"cmp"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// bucket is the rules of one event kind, with an index over the clauses that their
// conditions have in common. A clause is an operand of a condition's outermost &&:
// when it is false, so is the condition, whatever the rest is, errors and unknowns
// included. Each distinct clause is evaluated at most once, and every rule that has
// a false one is ruled out at once.
type bucket struct {
	entries []entry
	guards  []guard
}

// guard is a clause and the rules that it rules out when it is false.
type guard struct {
	test  closure
	rules []uint64 // a bit for each entry
	count int      // of its rules
}

// clause is an operand of a condition's outermost &&, compiled by itself.
type clause struct {
	text string // written out, the same for the same clause
	test closure
}

func (b *bucket) add(e entry) { b.entries = append(b.entries, e) }

// index builds the guards: those that rule out the most come first.
func (b *bucket) index() {
	words := (len(b.entries) + 63) / 64
	place := map[string]int{}
	for i, e := range b.entries {
		for _, c := range e.plan.clauses {
			at, ok := place[c.text]
			if !ok {
				at = len(b.guards)
				place[c.text] = at
				b.guards = append(b.guards, guard{test: c.test, rules: make([]uint64, words)})
			}
			b.guards[at].rules[i/64] |= 1 << (i % 64)
			b.guards[at].count++
		}
	}
	slices.SortStableFunc(b.guards, func(x, y guard) int { return cmp.Compare(y.count, x.count) })
}

// candidates returns a bit for each entry that no guard rules out, in the given
// storage where it is large enough.
func (b *bucket) candidates(in *input, storage []uint64) []uint64 {
	words := (len(b.entries) + 63) / 64
	alive := slices.Grow(storage[:0], words)[:words]
	left := len(b.entries)
	for i := range alive {
		alive[i] = ^uint64(0)
		if left < 64 {
			alive[i] = 1<<left - 1
		}
		left -= 64
	}
	for i := range b.guards {
		g := &b.guards[i]
		if !meet(alive, g.rules) || g.test(in) != isFalse {
			continue
		}
		var left uint64
		for w := range alive {
			alive[w] &^= g.rules[w]
			left |= alive[w]
		}
		if left == 0 {
			break
		}
	}
	return alive
}

func meet(a, b []uint64) bool {
	for w := range a {
		if a[w]&b[w] != 0 {
			return true
		}
	}
	return false
}

// clausesOf returns the clauses of a condition that make good guards: cheap ones,
// that are compiled whole.
func clausesOf(tree *ast.AST) []clause {
	root := tree.Expr()
	operands := []ast.Expr{root}
	if root.Kind() == ast.CallKind && root.AsCall().FunctionName() == operators.LogicalAnd {
		operands = chain(operators.LogicalAnd, root.AsCall().Args())
	}
	var out []clause
	for _, o := range operands {
		if !cheap(o) {
			continue
		}
		c := &compiler{tree: tree}
		run, _ := c.condition(o)
		text, err := cel.ExprToString(o, tree.SourceInfo())
		if c.slow == 0 && c.err == nil && err == nil {
			out = append(out, clause{text, run})
		}
	}
	return out
}

// cheap reports whether an expression has no loop, regular expression or glob.
func cheap(e ast.Expr) bool {
	ok := true
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case e.Kind() == ast.ComprehensionKind:
			ok = false
		case e.Kind() == ast.CallKind:
			f := e.AsCall().FunctionName()
			ok = ok && f != "matches" && f != "glob"
		}
	}))
	return ok
}
