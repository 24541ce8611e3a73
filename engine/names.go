package engine

import (
	"fmt"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"

	"eunomia/event"
	"eunomia/rules"
)

// problem is a mistake at a byte of an expression's text.
type problem struct {
	offset               int
	check, message, hint string
}

// names checks what an expression names, before its types are checked: fields
// against the kinds of the rule, functions against the table, constants that are
// patterns against their grammar. Its findings replace CEL's own, which know
// neither kinds nor what was meant.
type names struct {
	text     string
	info     *ast.SourceInfo
	scope    scope
	problems []problem
	judged   map[int64]bool // expressions whose name is settled, so that CEL need not say it again
	calls    int
	kind     bool // event.kind is used
}

func (n *names) report(id int64, check, hint, format string, args ...any) {
	n.reportAt(offsetOf(n.text, n.info, id), check, hint, format, args...)
}

func (n *names) reportAt(offset int, check, hint, format string, args ...any) {
	n.problems = append(n.problems, problem{offset: offset, check: check, message: fmt.Sprintf(format, args...), hint: hint})
}

// walk checks e; scope holds the variables of the loops around it.
func (n *names) walk(e ast.Expr, scope []string) {
	switch e.Kind() {
	case ast.LiteralKind:
		n.literal(e)
	case ast.IdentKind, ast.SelectKind:
		n.reference(e, scope)
	case ast.CallKind:
		n.call(e, scope)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			n.walk(item, scope)
		}
	case ast.MapKind, ast.StructKind:
		n.report(e.ID(), "syntax", "", "{…} has no meaning in a condition")
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		n.walk(c.IterRange(), scope)
		n.walk(c.AccuInit(), scope)
		inner := append(slices.Clip(scope), c.IterVar(), c.AccuVar())
		n.walk(c.LoopCondition(), inner)
		n.walk(c.LoopStep(), inner)
		n.walk(c.Result(), inner)
	}
}

func (n *names) literal(e ast.Expr) {
	switch e.AsLiteral().(type) {
	case types.String, types.Int, types.Bool:
	case types.Double:
		n.report(e.ID(), "type", "use a whole number", "there are no decimal numbers in rules")
	case types.Uint:
		n.report(e.ID(), "type", "leave out the u", "there are no unsigned numbers in rules")
	default:
		n.report(e.ID(), "type", "", "rules have strings, whole numbers, true and false only")
	}
}

// reference checks an identifier or a chain of selections that begins with one.
func (n *names) reference(e ast.Expr, scope []string) {
	var path []string
	root := e
	for root.Kind() == ast.SelectKind {
		n.judged[root.ID()] = true
		path = append(path, root.AsSelect().FieldName())
		root = root.AsSelect().Operand()
	}
	if root.Kind() != ast.IdentKind || slices.Contains(scope, root.AsIdent()) {
		for at := e; at.Kind() == ast.SelectKind; at = at.AsSelect().Operand() {
			delete(n.judged, at.ID()) // a member of a process: CEL knows its type
		}
		if root.Kind() != ast.IdentKind {
			n.walk(root, scope)
		}
		return
	}
	n.judged[root.ID()] = true
	path = append(path, root.AsIdent())
	slices.Reverse(path)
	at := schema()
	for i, part := range path {
		if !at.isGroup() {
			if at.field().Type != event.Map {
				n.report(root.ID(), "unknown-field", "", "%s is a %s; it has no %s", at.name, at.field().Type, strings.Join(path[i:], "."))
			}
			break
		}
		next := at.children[part]
		if next == nil {
			n.unknownField(root.ID(), strings.Join(path, "."))
			return
		}
		at = next
	}
	if at.isGroup() {
		hint := ""
		if name := at.name + ".name"; event.FieldNamed(name) != nil {
			hint = "did you mean " + name + "?"
		}
		n.report(root.ID(), "unknown-field", hint, "%s is a group of fields, not a value", at.name)
		return
	}
	n.kinds(root.ID(), at.field())
}

func (n *names) unknownField(id int64, name string) {
	hint := "`eunomia fields` lists the fields of each event kind"
	if s := rules.Suggest(name, n.known()); s != "" {
		hint = "did you mean " + s + "?"
	} else if !strings.Contains(name, ".") {
		hint = "fields have a family, as in process.name; lists and macros are defined under lists: and macros:"
	}
	n.report(id, "unknown-field", hint, "no field %s on %s", name, kindList(n.scope.on))
}

// kinds checks that the rule's kinds have the field.
func (n *names) kinds(id int64, f *event.Field) {
	n.kind = n.kind || f.Name == "event.kind"
	var lacking []event.Kind
	for _, k := range n.scope.on {
		if !f.On(k) {
			lacking = append(lacking, k)
		}
	}
	if lacking == nil {
		return
	}
	hint := fmt.Sprintf("take %s out of `on`, or make it a rule of its own", kindList(lacking))
	if len(lacking) == len(n.scope.on) {
		hint = fmt.Sprintf("`on: [%s]` would have it; `eunomia fields` lists what %s has", kindList(f.Kinds.Kinds()), kindList(n.scope.on))
	}
	n.report(id, "unknown-field", hint, "%s exists on %s, not on %s", f.Name, kindList(f.Kinds.Kinds()), kindList(lacking))
}

// known returns what could have been meant: fields, macros and lists.
func (n *names) known() []string {
	all := slices.Clone(n.scope.macros)
	fields := event.Fields()
	for i := range fields {
		if slices.ContainsFunc(n.scope.on, fields[i].On) {
			all = append(all, fields[i].Name)
		}
	}
	return all
}

func (n *names) call(e ast.Expr, scope []string) {
	c := e.AsCall()
	name, args := c.FunctionName(), c.Args()
	operator := !isWord(name)
	n.calls++
	qualified := false
	if c.IsMemberFunction() {
		if t := c.Target(); t.Kind() == ast.IdentKind && functionNamed(t.AsIdent()+"."+name) != nil {
			name, qualified = t.AsIdent()+"."+name, true
		}
		if !qualified {
			n.walk(c.Target(), scope)
		}
	}
	if f := functionNamed(name); f == nil && !operator {
		n.judged[e.ID()] = true
		var all []string
		for _, f := range functions {
			all = append(all, f.Name)
		}
		hint := "docs/rules.md lists the functions"
		if s := rules.Suggest(name, all); s != "" {
			hint = "did you mean " + s + "?"
		} else if name == "not" {
			hint = "write ! for not"
		}
		n.reportAt(nameOffset(n.text, n.info, e.ID()), "unknown-function", hint, "no function %s", name)
	} else if f != nil && f.Constant {
		n.constant(e, name, args)
	}
	for _, a := range args {
		n.walk(a, scope)
	}
}

// constant checks a pattern that must be written out.
func (n *names) constant(e ast.Expr, name string, args []ast.Expr) {
	if len(args) == 0 {
		return // CEL reports the missing argument
	}
	arg := args[len(args)-1]
	if arg.Kind() != ast.LiteralKind {
		n.reportAt(nameOffset(n.text, n.info, e.ID()), "pattern", "write the string out, so that it can be checked before any event comes", "%s needs a constant", name)
		return
	}
	s, ok := arg.AsLiteral().(types.String)
	if !ok {
		return
	}
	if err := checkPattern(name, string(s)); err != nil {
		n.judged[arg.ID()] = true
		n.report(arg.ID(), "pattern", "", "%s: %v", name, err)
	}
}

func checkPattern(function, s string) (err error) {
	switch function {
	case "matches":
		if _, err = regexp.Compile(s); err != nil {
			return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		if size := regexSteps(s); size > maxRegexProgram {
			return fmt.Errorf("the expression compiles to %d steps; at most %d are allowed", size, maxRegexProgram)
		}
	case "glob":
		_, err = compileGlob(s)
	case "cidr":
		var p netip.Prefix
		if p, err = netip.ParsePrefix(s); err != nil || p.Addr().Is4In6() {
			err = fmt.Errorf("%q is not an address range such as 10.0.0.0/8", s)
		}
	case "duration":
		if _, err = time.ParseDuration(s); err != nil {
			err = fmt.Errorf("%q is not a length of time such as 10m or 1h30m", s)
		}
	case "timestamp":
		if _, err = time.Parse(time.RFC3339, s); err != nil {
			err = fmt.Errorf("%q is not a time such as 2026-01-31T12:00:00Z", s)
		}
	}
	return err
}

// regexSteps is the size of a valid expression's program. types.RegexProgramSize
// does not simplify the expression first, and panics on a repetition such as a{2,3}.
func regexSteps(s string) int {
	re, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return 0
	}
	program, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	return len(program.Inst)
}

// isWord reports whether a function's name is one that a rule can write, which
// CEL's operators are not: _==_, @in.
func isWord(name string) bool {
	return name != "" && !strings.HasPrefix(name, "_") && !strings.HasPrefix(name, "@") && !strings.HasPrefix(name, "!") && !strings.HasPrefix(name, "-")
}

func kindList(kinds []event.Kind) string {
	var b strings.Builder
	for i, k := range kinds {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(k.String())
	}
	return b.String()
}
