package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"eunomia/event"
)

// generator makes well-typed expressions and events that are likely to meet: both
// draw on the same few strings and numbers.
type generator struct {
	*rand.Rand
	kind  event.Kind
	texts []string // loop variables in scope, by type
	procs []string
}

// pool holds what strings are made of: literals of rules, near misses, and what
// trips implementations: empty, not UTF-8, upper case, several bytes a character.
var pool = []string{"", "sh", "bash", "/bin/sh", "/etc/shadow", "/etc/", "shadow", "SH", "ÄÖ", "a\xffb", "é", "-c", "/tmp/x.so", ".so", "10.0.0.1", "::1", "4f1c", "key", "a/b", "KELVIN K"}

var numbers = []int64{0, 1, -1, 7, 443, 1000, math.MaxInt64, math.MinInt64, math.MaxUint32}

func (g *generator) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g *generator) literal() string {
	for {
		if s := pool[g.IntN(len(pool))]; !strings.ContainsRune(s, '\uFFFD') && s != "a\xffb" {
			return fmt.Sprintf("%q", s)
		}
	}
}

func (g *generator) number() string {
	n := numbers[g.IntN(len(numbers))]
	return fmt.Sprint(n)
}

func (g *generator) fieldOf(types ...event.Type) string {
	var names []string
	for _, f := range event.FieldsOn(g.kind) {
		for _, t := range types {
			if f.Type == t && f.Name != "event.kind" {
				names = append(names, f.Name)
			}
		}
	}
	return names[g.IntN(len(names))]
}

func (g *generator) text(depth int) string {
	if len(g.texts) > 0 && g.IntN(3) > 0 {
		return g.pick(g.texts...)
	}
	if len(g.procs) > 0 && g.IntN(3) > 0 {
		return g.pick(g.procs...) + g.pick(".name", ".executable", ".command_line", ".entity_id")
	}
	if depth <= 0 {
		return g.fieldOf(event.String, event.IP)
	}
	switch g.IntN(16) {
	case 0:
		return g.literal()
	case 1:
		return g.text(depth-1) + ".lowerAscii()"
	case 2:
		return fmt.Sprintf("container.labels[%s]", g.literal())
	case 3:
		return fmt.Sprintf("%s[%s]", g.fieldOf(event.Strings), g.pick("0", "1", "-1"))
	case 4:
		return fmt.Sprintf("(%s + %s)", g.text(depth-1), g.text(depth-1))
	case 5:
		return fmt.Sprintf("(%s ? %s : %s)", g.truth(depth-1), g.text(depth-1), g.text(depth-1))
	case 6:
		return fmt.Sprintf("string(%s)", g.integer(depth-1))
	case 7, 8:
		return g.fieldOf(event.IP, event.String)
	default:
		return g.fieldOf(event.String)
	}
}

func (g *generator) integer(depth int) string {
	if len(g.procs) > 0 && g.IntN(3) == 0 {
		return g.pick(g.procs...) + g.pick(".pid", ".user_id")
	}
	if depth <= 0 {
		return g.fieldOf(event.Int)
	}
	switch g.IntN(9) {
	case 0:
		return g.number()
	case 1:
		return fmt.Sprintf("size(%s)", g.text(depth-1))
	case 2:
		return fmt.Sprintf("size(%s)", g.fieldOf(event.Strings, event.Map, event.Processes))
	case 3:
		return fmt.Sprintf("(%s %s %s)", g.integer(depth-1), g.pick("+", "-", "*", "/", "%"), g.integer(depth-1))
	case 4:
		return fmt.Sprintf("-(%s)", g.integer(depth-1))
	default:
		return g.fieldOf(event.Int)
	}
}

// loop makes exists or all over a list whose elements are strings or processes.
func (g *generator) loop(depth int) string {
	if len(g.texts)+len(g.procs) >= maxNestedLoops {
		return g.fieldOf(event.Bool)
	}
	name := fmt.Sprint("v", len(g.texts)+len(g.procs))
	list, kind := g.fieldOf(event.Strings), &g.texts
	switch {
	case g.IntN(3) == 0:
		list, kind = "process.ancestors", &g.procs
	case len(g.procs) > 0:
		list = g.pick(g.procs...) + ".args"
	}
	before := *kind
	*kind = slices.Concat(before, []string{name})
	body := g.truth(depth - 1)
	*kind = before
	return fmt.Sprintf("%s.%s(%s, %s)", list, g.pick("exists", "exists", "all", "exists_one"), name, body)
}

func (g *generator) truth(depth int) string {
	if depth <= 0 {
		return g.pick(g.fieldOf(event.Bool), g.text(0)+" == "+g.literal(), g.integer(0)+" == "+g.number())
	}
	switch g.IntN(22) {
	case 0, 1, 2, 3:
		return fmt.Sprintf("(%s && %s)", g.truth(depth-1), g.truth(depth-1))
	case 4, 5, 6, 7:
		return fmt.Sprintf("(%s || %s)", g.truth(depth-1), g.truth(depth-1))
	case 8:
		return fmt.Sprintf("!(%s)", g.truth(depth-1))
	case 9:
		return fmt.Sprintf("(%s ? %s : %s)", g.truth(depth-1), g.truth(depth-1), g.truth(depth-1))
	case 10:
		return fmt.Sprintf("(%s %s %s)", g.truth(depth-1), g.pick("==", "!="), g.truth(depth-1))
	case 11, 12:
		return fmt.Sprintf("%s %s %s", g.text(depth-1), g.pick("==", "!=", "<", "<=", ">", ">="), g.pick(g.literal(), g.text(depth-1)))
	case 13, 14:
		return fmt.Sprintf("%s.%s(%s)", g.text(depth-1), g.pick("startsWith", "endsWith", "contains"), g.pick(g.literal(), g.text(depth-1)))
	case 15:
		return fmt.Sprintf("%s.%s(%s)", g.text(depth-1), g.pick("matches", "glob"), g.pick(`"^/etc"`, `"sh$"`, `"[a-z]+"`, `"/etc/*"`, `"**sh"`, `"?h"`))
	case 16:
		return fmt.Sprintf("%s in [%s, %s, %s]", g.text(depth-1), g.literal(), g.literal(), g.literal())
	case 17:
		return fmt.Sprintf("%s in [%s, %s]", g.integer(depth-1), g.number(), g.number())
	case 18:
		return fmt.Sprintf("%s in %s", g.pick(g.literal(), g.text(depth-1)), g.fieldOf(event.Strings, event.Map))
	case 19:
		return fmt.Sprintf("%s %s %s", g.integer(depth-1), g.pick("==", "!=", "<", "<=", ">", ">="), g.pick(g.number(), g.integer(depth-1)))
	case 20:
		return fmt.Sprintf("has(%s)", g.fieldOf(event.String, event.Int, event.Bool, event.Strings, event.Map, event.IP, event.Time, event.Processes))
	default:
		return g.loop(depth)
	}
}

// event makes an event of the generator's kind; some wait for their container's
// metadata.
func (g *generator) event() *event.Event {
	e := event.New(g.kind)
	text := func() string { return pool[g.IntN(len(pool))] }
	for _, f := range event.FieldsOn(g.kind) {
		if g.IntN(3) == 0 {
			continue
		}
		var v any
		switch f.Type {
		case event.String:
			v = text()
		case event.Int:
			v = numbers[g.IntN(len(numbers))]
		case event.Bool:
			v = g.IntN(2) == 0
		case event.Strings:
			v = []string{text(), text(), text()}[:g.IntN(4)]
		case event.Map:
			v = map[string]string{text(): text(), "key": text()}
		case event.IP:
			v = g.pick("10.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "")
		case event.Processes:
			list := []any{}
			for range g.IntN(4) {
				list = append(list, map[string]any{"name": text(), "executable": text(), "pid": g.IntN(3), "user_id": g.IntN(2), "args": []any{text(), text()}, "command_line": text()})
			}
			v = list
		default:
			continue
		}
		_ = f.Set(e, v) // out of range or not one of a few values: left empty
	}
	e.Network.Dest.IP = []netip.Addr{{}, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::ffff:10.0.0.1")}[g.IntN(3)]
	switch g.IntN(4) {
	case 0:
		e.Container.State = event.MetadataPending
	case 1:
		e.Container = nil
	}
	return e
}
