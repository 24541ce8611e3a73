package rules

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// resolveLists works out what every list comes to.
func (l *loader) resolveLists() {
	for _, x := range inOrder(l.lists, func(x *list) place { return x.at }) {
		l.resolveList(x, nil)
	}
}

// resolveList works out x, which the lists in trail lead to.
func (l *loader) resolveList(x *list, trail []*list) {
	if x.resolved || x.broken {
		return
	}
	x.resolved = true
	trail = append(trail, x)
	seen := map[string]bool{}
	for _, i := range x.items {
		add := []literal{{code: i.value, from: i.text}}
		if !i.integer {
			add[0].code = strconv.Quote(i.value)
		}
		if i.list {
			inner := l.lists[i.value]
			if inner == nil {
				l.err(i.at(0), "unknown-name", "there is no list "+quoted(i.value), l.didYouMean(i.value, l.listNames(), ""))
				x.broken = true
				continue
			}
			if at := slices.Index(trail, inner); at >= 0 {
				l.reportCycle("list", inner.name, namesOf(trail[at:], func(x *list) string { return x.name }), i.at(0))
				for _, y := range trail[at:] {
					y.broken = true
				}
				continue
			}
			l.resolveList(inner, trail)
			x.broken = x.broken || inner.broken
			add = inner.literals
		} else if other := l.lists[i.value]; other != nil && other != x && i.scalar.plain {
			l.warn(i.at(0), "list-name", quoted(i.value)+" is also the name of a list; as an item it stands only for itself",
				fmt.Sprintf("write {list: %s} for the items of that list, or put the item in quotes", i.value))
		}
		for _, a := range add {
			if seen[a.code] {
				continue
			}
			if len(x.literals) > 0 && isString(x.literals[0]) != isString(a) {
				l.err(i.at(0), "type", fmt.Sprintf("the list %s holds both strings and integers", x.name), "put the integers in quotes if strings are meant")
				x.broken = true
				return
			}
			seen[a.code] = true
			x.literals = append(x.literals, a)
		}
		l.items += len(add)
		if len(x.literals) > maxListItems || l.items > 10*maxListItems {
			l.err(i.at(0), "limit", fmt.Sprintf("the list %s comes to more than %d items", x.name, maxListItems), "")
			x.broken = true
			return
		}
	}
}

func isString(a literal) bool { return strings.HasPrefix(a.code, `"`) }

// checkMacros finds the macros that use themselves, and the variables that a macro
// or list would hide.
func (l *loader) checkMacros() {
	done := map[*macro]bool{}
	for _, m := range inOrder(l.macros, func(m *macro) place { return m.at }) {
		l.checkMacro(m, nil, done)
	}
}

func (l *loader) checkMacro(m *macro, trail []*macro, done map[*macro]bool) {
	if done[m] || m.broken {
		return
	}
	done[m] = true
	trail = append(trail, m)
	for _, c := range m.clauses {
		if s := (&scope{report: l.report}); !l.checkVariables(s, c.program) {
			m.broken = true
		}
		for i, t := range c.tokens {
			inner := l.macros[c.token(i)]
			if inner == nil || !c.names(i) {
				continue
			}
			if at := slices.Index(trail, inner); at >= 0 {
				l.reportCycle("macro", inner.name, namesOf(trail[at:], func(m *macro) string { return m.name }), c.at(t.start))
				for _, y := range trail[at:] {
					y.broken = true
				}
				continue
			}
			l.checkMacro(inner, trail, done)
		}
	}
}

// checkVariables reports comprehension variables that a macro or list would hide.
func (l *loader) checkVariables(s *scope, p program) bool {
	for _, i := range p.declared() {
		name := p.token(i)
		what := "macro"
		if l.lists[name] != nil {
			what = "list"
		} else if l.macros[name] == nil {
			continue
		}
		s.err(p.at(p.tokens[i].start), "shadow", fmt.Sprintf("the variable %s has the name of a %s", name, what), "choose another name for the variable")
	}
	return !s.failed
}

func (l *loader) reportCycle(what, name string, trail []string, at place) {
	const longest = 10
	if len(trail) > longest {
		trail = append(trail[:longest:longest], "…")
	}
	l.err(at, "cycle", fmt.Sprintf("the %s %s uses itself: %s → %s", what, name, strings.Join(trail, " → "), name), "break the circle")
}

func namesOf[T any](list []T, name func(T) string) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = name(x)
	}
	return out
}

// inOrder returns the values of a map by place, so that reports do not depend on
// the map's order.
func inOrder[T any](m map[string]T, at func(T) place) []T {
	return slices.SortedFunc(maps.Values(m), func(a, b T) int {
		p, q := at(a), at(b)
		return cmp.Or(cmp.Compare(p.file.name, q.file.name), cmp.Compare(p.offset, q.offset))
	})
}
