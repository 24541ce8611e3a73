package engine

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"

	"eunomia/rules"
)

var (
	settled     = regexp.MustCompile(`^(undeclared reference|undefined field|type .* does not support|invalid .* argument)`)
	noField     = regexp.MustCompile(`^undefined field '(.*)'`)
	noOverload  = regexp.MustCompile(`(?s)^found no matching overload for '(.*)' applied to '(.*)'$`)
	wrongType   = regexp.MustCompile(`^expected type '(.*)' but found '(.*)'$`)
	noRange     = regexp.MustCompile(`^expression of type '(.*)' cannot be range`)
	noSelection = regexp.MustCompile(`^type '(.*)' does not support field selection`)
)

// isSettled reports whether the type checker complains of what names has judged.
func isSettled(message string) bool { return settled.MatchString(message) }

// typeProblem explains what the type checker found in plain words.
func typeProblem(text string, tree *ast.AST, e *cel.Error) problem {
	at := find(tree.Expr(), e.ExprID)
	p := problem{check: "type", offset: locate(text, e), message: e.Message}
	if at == nil {
		return p
	}
	p.offset = offsetOf(text, tree.SourceInfo(), leftmost(at).ID())
	if at.Kind() == ast.CallKind && !at.AsCall().IsMemberFunction() && isWord(at.AsCall().FunctionName()) {
		p.offset = nameOffset(text, tree.SourceInfo(), at.ID())
	}
	write := func(e ast.Expr) string { return written(tree, e) }
	switch {
	case noField.MatchString(e.Message):
		name := noField.FindStringSubmatch(e.Message)[1]
		p.check = "unknown-field"
		p.message = fmt.Sprintf("a process in process.ancestors has no %s", name)
		p.hint = "it has " + strings.Join(ancestorNames(), ", ")
		if s := rules.Suggest(name, ancestorNames()); s != "" {
			p.hint = "did you mean " + s + "?"
		}
	case noSelection.MatchString(e.Message):
		p.message = fmt.Sprintf("a %s has no members", plainType(noSelection.FindStringSubmatch(e.Message)[1]))
	case noRange.MatchString(e.Message):
		p.message = fmt.Sprintf("%s is a %s; only a list or map can be gone through", write(at), plainType(noRange.FindStringSubmatch(e.Message)[1]))
	case wrongType.MatchString(e.Message):
		m := wrongType.FindStringSubmatch(e.Message)
		p.message = fmt.Sprintf("%s is a %s where a %s is needed", write(at), plainType(m[2]), plainType(m[1]))
		if m[1] == "bool" {
			p.message = fmt.Sprintf("%s is a %s where true or false is needed", write(at), plainType(m[2]))
			p.hint = remedyForTruth(write(at), m[2])
		}
	case noOverload.MatchString(e.Message) && at.Kind() == ast.CallKind:
		m := noOverload.FindStringSubmatch(e.Message)
		p.message, p.hint = mismatch(at.AsCall(), signature(m[2]), write)
	case strings.Contains(e.Message, "nesting"):
		p.check = "cost"
		p.message = fmt.Sprintf("more than %d loops in one another", maxNestedLoops)
	}
	return p
}

func remedyForTruth(written, typ string) string {
	switch {
	case typ == "string":
		return fmt.Sprintf("compare it, as in %s == \"…\"", written)
	case typ == "int":
		return fmt.Sprintf("compare it, as in %s != 0", written)
	case strings.HasPrefix(typ, "list"):
		return fmt.Sprintf("test its elements, as in \"…\" in %s", written)
	}
	return ""
}

// mismatch explains a call whose arguments have types that it does not take.
func mismatch(c ast.CallExpr, types []string, write func(ast.Expr) string) (message, hint string) {
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	name := c.FunctionName()
	if len(args) != len(types) || len(args) == 0 {
		return fmt.Sprintf("%s does not take these arguments: %s", name, strings.Join(types, ", ")), exampleOf(name)
	}
	described := make([]string, len(args))
	for i := range args {
		described[i] = fmt.Sprintf("%s (%s)", write(args[i]), types[i])
	}
	switch sign, _ := operators.FindReverseBinaryOperator(name); {
	case name == operators.In:
		message = fmt.Sprintf("in needs a list on its right, of what stands on its left: %s in %s", described[0], described[1])
		if types[1] == "string" && args[1].Kind() == ast.LiteralKind {
			hint = fmt.Sprintf("did you mean %s == %s?", write(args[0]), write(args[1]))
		} else if types[1] == "string" {
			hint = fmt.Sprintf("did you mean %s.contains(%s)?", write(args[1]), write(args[0]))
		}
	case sign == "==" || sign == "!=" || sign == "<" || sign == "<=" || sign == ">" || sign == ">=":
		message = fmt.Sprintf("cannot compare %s with %s", described[0], described[1])
		hint = comparisonHint(args, types, write)
	case sign != "":
		message = fmt.Sprintf("cannot compute %s %s %s", described[0], sign, described[1])
	case name == operators.Index:
		message = fmt.Sprintf("%s cannot be indexed by %s", described[0], described[1])
	case c.IsMemberFunction() && strings.HasPrefix(types[0], "list"):
		message = fmt.Sprintf("%s does not work on %s", name, described[0])
		hint = fmt.Sprintf("test the elements: %s.exists(x, x.%s(…))", write(args[0]), name)
	case c.IsMemberFunction():
		message = fmt.Sprintf("%s does not work on %s with %s", name, described[0], strings.Join(described[1:], ", "))
		hint = exampleOf(name)
	default:
		message = fmt.Sprintf("%s does not take %s", name, strings.Join(described, ", "))
		hint = exampleOf(name)
	}
	return message, hint
}

func exampleOf(name string) string {
	if f := functionNamed(name); f != nil {
		return "used as " + f.Example
	}
	return ""
}

func comparisonHint(args []ast.Expr, types []string, write func(ast.Expr) string) string {
	for i, other := range []int{1, 0} {
		literal := args[i].Kind() == ast.LiteralKind
		switch {
		case literal && types[i] == "int" && types[other] == "string":
			return fmt.Sprintf("write \"%s\" in quotes", write(args[i]))
		case literal && types[i] == "string" && types[other] == "int":
			if s, err := strconv.Unquote(write(args[i])); err == nil {
				if _, err := strconv.Atoi(s); err == nil {
					return fmt.Sprintf("write %s without quotes", s)
				}
			}
		case literal && types[i] == "string" && types[other] == "bool":
			return fmt.Sprintf("write %s or !%s", write(args[other]), write(args[other]))
		case strings.HasPrefix(types[i], "list") && !strings.HasPrefix(types[other], "list"):
			return fmt.Sprintf("did you mean %s in %s?", write(args[other]), write(args[i]))
		}
	}
	return ""
}

// signature splits "(string, int)" or "string.(int)" into plain type names.
func signature(s string) []string {
	receiver, s, found := strings.Cut(s, "(")
	if !found {
		return nil
	}
	s = strings.TrimSuffix(s, ")")
	if before, ok := strings.CutSuffix(receiver, "."); ok {
		s = before + ", " + s
	} else if receiver != "" { // list(string).(string): the first ( was the receiver's
		return signatureOfCompound(receiver + "(" + s + ")")
	}
	return splitTypes(s)
}

func signatureOfCompound(s string) []string {
	receiver, args, ok := strings.Cut(s, ".(")
	if !ok {
		return nil
	}
	return splitTypes(receiver + ", " + strings.TrimSuffix(args, ")"))
}

func splitTypes(s string) []string {
	var out []string
	depth, start := 0, 0
	for i, r := range s {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			out = append(out, plainType(s[start:i]))
			start = i + 1
		}
	}
	if rest := strings.TrimSpace(s[start:]); rest != "" {
		out = append(out, plainType(rest))
	}
	return out
}

var typeWords = strings.NewReplacer("google.protobuf.Timestamp", "timestamp", "google.protobuf.Duration", "duration", "net.IP", "ip", "net.CIDR", "cidr")

func plainType(s string) string { return typeWords.Replace(strings.TrimSpace(s)) }
