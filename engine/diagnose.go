package engine

import (
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"

	"eunomia/rules"
)

// diagnostic places a problem of an expression in the rule's file.
func diagnostic(rule string, e rules.Expr, p problem) rules.Diagnostic {
	d := e.Diagnose(p.offset, p.check, p.message, p.hint)
	d.Rule = rule
	return d
}

// offsetOf returns the byte at which CEL places an expression: a selection at its
// dot, an operator at its sign, a call at its parenthesis.
func offsetOf(text string, info *ast.SourceInfo, id int64) int {
	r, ok := info.GetOffsetRange(id)
	if !ok {
		return 0
	}
	return byteOffset(text, int(r.Start))
}

func byteOffset(text string, characters int) int {
	at := 0
	for range max(characters, 0) {
		if at >= len(text) {
			break
		}
		_, n := utf8.DecodeRuneInString(text[at:])
		at += n
	}
	return at
}

// nameOffset returns where the name of a called function begins.
func nameOffset(text string, info *ast.SourceInfo, id int64) int {
	at := strings.TrimRight(text[:offsetOf(text, info, id)], " \t\n")
	return strings.LastIndexFunc(at, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) + 1
}

// leftmost returns the expression that the text of e begins with.
func leftmost(e ast.Expr) ast.Expr {
	for {
		switch {
		case e.Kind() == ast.SelectKind:
			e = e.AsSelect().Operand()
		case e.Kind() == ast.CallKind && e.AsCall().IsMemberFunction():
			e = e.AsCall().Target()
		case e.Kind() == ast.CallKind && len(e.AsCall().Args()) > 1 && !isWord(e.AsCall().FunctionName()):
			e = e.AsCall().Args()[0]
		default:
			return e
		}
	}
}

// written returns the source of an expression, shortened.
func written(tree *ast.AST, e ast.Expr) string {
	s, err := cel.ExprToString(e, tree.SourceInfo())
	if err != nil {
		return "this"
	}
	return shorten(s, 60)
}

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

func find(root ast.Expr, id int64) (found ast.Expr) {
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == id && found == nil {
			found = e
		}
	}))
	return found
}
