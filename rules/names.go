package rules

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"eunomia/event"

	"gopkg.in/yaml.v3"
)

// A list with what it refers to comes to at most maxListItems items.
const maxListItems = 100_000

var (
	snakeCase      = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	decimalInteger = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
)

// celWords are the words that CEL gives a meaning.
var celWords = []string{"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
	"import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
	"bool", "int", "uint", "double", "string", "bytes", "list", "map", "type", "null_type", "dyn", "duration", "timestamp",
	"cel", "math", "strings", "optional", "google", "size", "has"}

// list is a named list of literals.
type list struct {
	name   string
	at     place
	items  []item
	broken bool // its mistakes are reported

	literals []literal // what it comes to; valid once resolved
	resolved bool
}

// item is one element of a list: a literal, or all elements of another list.
type item struct {
	text
	list    bool
	integer bool
}

// literal is an element as CEL.
type literal struct {
	code string
	from text
}

// macro is a named piece of CEL.
type macro struct {
	name    string
	at      place
	clauses []clause
	broken  bool
}

// clause is an expression, and how it joins those before it.
type clause struct {
	operator string // "&&", "||", or empty for the first
	program
}

// checkName reports whether a list or macro may have the name.
func (l *loader) checkName(s *scope, key node, what string) bool {
	name := key.Value
	switch {
	case !snakeCase.MatchString(name):
		s.err(key.at(), "name", fmt.Sprintf("%s is no name for a %s", quoted(name), what), "use lower-case letters, digits and _, as in my_"+what)
	case slices.Contains(celWords, name):
		s.err(key.at(), "shadow", fmt.Sprintf("%s has a meaning in CEL", name), "call the "+what+" "+name+"_"+what)
	case fieldRoots()[name]:
		s.err(key.at(), "shadow", fmt.Sprintf("the %s %s would hide the fields %s.…", what, name, name), "call it my_"+name)
	case what == "list" && l.macros[name] != nil:
		s.err(key.at(), "duplicate", fmt.Sprintf("%s is a macro, at %s", name, l.macros[name].at.position()), "choose another name")
	case what == "macro" && l.lists[name] != nil:
		s.err(key.at(), "duplicate", fmt.Sprintf("%s is a list, at %s", name, l.lists[name].at.position()), "choose another name")
	default:
		return true
	}
	return false
}

// fieldRoots holds the first word of every field.
var fieldRoots = sync.OnceValue(func() map[string]bool {
	roots := map[string]bool{}
	for _, f := range event.Fields() {
		root, _, _ := strings.Cut(f.Name, ".")
		roots[root] = true
	}
	return roots
})

// readLists reads the lists of one document.
func (l *loader) readLists(s *scope, n node) {
	for _, p := range s.mapping(n, "lists") {
		l.readList(&scope{report: s.report}, p)
	}
}

func (l *loader) readList(s *scope, p pair) {
	if !l.checkName(s, p.key, "list") {
		return
	}
	old := l.lists[p.name]
	if p.Kind != yaml.MappingNode {
		if old != nil {
			s.err(p.key.at(), "duplicate", fmt.Sprintf("the list %s is defined twice, first at %s", p.name, old.at.position()),
				fmt.Sprintf("add to it with %s: {append: […]}, or replace it with %s: {override: […]}", p.name, p.name))
			return
		}
		l.lists[p.name] = &list{name: p.name, at: p.key.at(), items: s.items(p.node, p.name), broken: s.failed}
		return
	}
	changes := s.mapping(p.node, "the list "+p.name)
	if old == nil {
		s.err(p.key.at(), "unknown-name", fmt.Sprintf("there is no list %s to change", p.name),
			s.didYouMean(p.name, l.listNames(), "define it with "+p.name+": […], in this file or an earlier one"))
		return
	}
	s.one(changes, "append", "override")
	for _, c := range changes {
		switch c.name {
		case "append":
			if items := s.items(c.node, p.name); !s.failed {
				old.items = append(old.items, items...)
			}
		case "override":
			if items := s.items(c.node, p.name); !s.failed {
				old.items, old.broken = items, false
			}
		default:
			s.unknownKey(c, "a change to a list", []string{"append", "override"})
		}
	}
}

// items reads the elements of a list.
func (s *scope) items(n node, name string) []item {
	var out []item
	for _, v := range s.sequence(n, "the list "+name) {
		if v.Kind == yaml.MappingNode {
			for _, p := range s.mapping(v, "an item") {
				if p.name != "list" {
					s.unknownKey(p, "an item of a list", []string{"list"})
				} else if t, ok := s.str(p.node, "list"); ok {
					out = append(out, item{text: t, list: true})
				}
			}
			continue
		}
		if v.Kind != yaml.ScalarNode || v.Style&yaml.TaggedStyle != 0 || v.isNull() {
			s.err(v.at(), "type", fmt.Sprintf("an item of a list must be a string or an integer, not %s", v.what()),
				"put a word that YAML takes for something else in quotes")
			continue
		}
		integer := v.ShortTag() == "!!int"
		if integer && !isInteger(v.Value) {
			s.err(v.at(), "type", fmt.Sprintf("%s is not a decimal integer", quoted(v.Value)), "put it in quotes if a string is meant")
			continue
		}
		out = append(out, item{text: v.text(), integer: integer})
	}
	return out
}

func isInteger(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil && decimalInteger.MatchString(s)
}

// readMacros reads the macros of one document.
func (l *loader) readMacros(s *scope, n node) {
	for _, p := range s.mapping(n, "macros") {
		l.readMacro(&scope{report: s.report}, p)
	}
}

func (l *loader) readMacro(s *scope, p pair) {
	if !l.checkName(s, p.key, "macro") {
		return
	}
	old := l.macros[p.name]
	if p.Kind != yaml.MappingNode {
		if old != nil {
			s.err(p.key.at(), "duplicate", fmt.Sprintf("the macro %s is defined twice, first at %s", p.name, old.at.position()),
				fmt.Sprintf("change it with %s: {and: …}, {or: …} or {override: …}", p.name))
			return
		}
		e, _ := s.expression(p.node, "the macro "+p.name)
		l.macros[p.name] = &macro{name: p.name, at: p.key.at(), clauses: []clause{{"", e}}, broken: s.failed}
		return
	}
	changes := s.mapping(p.node, "the macro "+p.name)
	if old == nil {
		s.err(p.key.at(), "unknown-name", fmt.Sprintf("there is no macro %s to change", p.name),
			s.didYouMean(p.name, l.macroNames(), "define it as a string, in this file or an earlier one; a macro that starts with { must be in quotes"))
		return
	}
	s.one(changes, "and", "or", "override")
	for _, c := range changes {
		operator, known := map[string]string{"and": "&&", "or": "||", "override": ""}[c.name]
		if !known {
			s.unknownKey(c, "a change to a macro", []string{"and", "or", "override"})
			continue
		}
		e, ok := s.expression(c.node, "the macro "+p.name)
		switch {
		case !ok || s.failed:
		case operator == "":
			old.clauses, old.broken = []clause{{"", e}}, false
		default:
			old.clauses = append(old.clauses, clause{operator, e})
		}
	}
}

// Names returns every name that rules may use besides fields, sorted.
func (s *Set) Names() []string {
	return slices.Sorted(maps.Keys(mergeKeys(s.Lists, s.Macros)))
}

func mergeKeys[A, B any](a map[string]A, b map[string]B) map[string]bool {
	out := map[string]bool{}
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}
