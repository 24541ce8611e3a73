package rules_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"eunomia/rules"
)

// within fails the test if f takes unreasonably long; the race detector slows it down.
func within(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > limit {
		t.Errorf("took %s, more than %s", took, limit)
	}
}

// chain returns n macros or lists each of which holds what body makes of the next.
func chain(what string, n int, body func(next string) string) string {
	var b strings.Builder
	b.WriteString(what + ":\n")
	for i := range n {
		fmt.Fprintf(&b, "  n%d: %s\n", i, body(fmt.Sprintf("n%d", i+1)))
	}
	return b.String()
}

func TestHostileFilesAreRefusedInBoundedTime(t *testing.T) {
	uses := "rules: [{id: a, title: x, on: [exec], condition: n0, severity: low}]\n"
	for _, c := range []struct{ name, text, check, message string }{
		{"condition of 1 MB", "rules: [{id: a, title: x, on: [exec], severity: low, condition: '" + strings.Repeat("true || ", 1<<17) + "true'}]",
			"limit", "the condition is 1048580 bytes long; at most 65536 are allowed"},
		{"flow nesting", "lists: {a: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}", "limit", "values nest more than 32 deep"},
		{"unclosed nesting", strings.Repeat("[", 100_000), "yaml", "this is not YAML"},
		{"block nesting", strings.Repeat("- ", 100_000), "yaml", "this is not YAML"},
		{"mapping nesting", strings.Repeat("{a: ", 100_000), "yaml", "this is not YAML"},
		{"too many values", "lists: {a: [" + strings.Repeat("x,", 3<<20) + "]}", "file", "the file has too many values"},
		{"macro bomb", chain("macros", 30, func(next string) string { return next + " && " + next + " && " + next }) + "  n30: x\n" + uses,
			"limit", "with macros and lists written out the expression is longer than 256 KiB"},
		{"macro chain", chain("macros", 1000, func(next string) string { return next }) + "  n1000: x\n" + uses, "limit", "macros nest more than 32 deep"},
		{"macro cycle", chain("macros", 5000, func(next string) string { return next }) + "  n5000: n0\n" + uses, "cycle", "the macro n0 uses itself: n0 → n1"},
		{"list bomb", chain("lists", 60, func(next string) string {
			return "[{list: " + next + "}, " + numbered(next, 3000) + "]"
		}) + "  n60: [x]\n", "limit", "comes to more than 100000 items"},
		{"long list in a condition", "lists: {l: [" + numbered("long_enough_to_matter", 20_000) + "]}\nrules: [{id: a, title: x, on: [exec], condition: process.name in l, severity: low}]",
			"limit", "with macros and lists written out the expression is longer than 256 KiB"},
		{"many mistakes", "rules:\n" + strings.Repeat("  - {id: x, condiction: y}\n", 20_000), "limit", "more mistakes are not shown"},
		{"brackets", head + "    condition: '" + strings.Repeat("(", 60_000) + "'", "syntax", "this ( is not closed"},
		{"braces", head + "    condition: a\n    message: '" + strings.Repeat("{[", 2000) + "'", "message", "this { is not closed"},
		{"a long line", "{rules: [" + strings.Repeat("{id: é}, ", 100_000) + "]}", "name", "is no rule id"},
		{"patterns", "disable: [" + strings.Repeat("\"*a\", ", 50_000) + "]", "limit", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			within(t, 20*time.Second, func() {
				set, diagnostics := load(t, "a.yaml", c.text)
				if len(set.Rules) > 0 {
					t.Errorf("have %d rules", len(set.Rules))
				}
				found := false
				for _, d := range diagnostics {
					found = found || d.Check == c.check && strings.Contains(d.Message, c.message)
				}
				if !found {
					t.Errorf("no %s: %s in %d diagnostics, the first %v", c.check, c.message, len(diagnostics), diagnostics[:min(3, len(diagnostics))])
				}
				var b strings.Builder
				if err := rules.Print(&b, diagnostics); err != nil || b.Len() > 1<<20 {
					t.Errorf("printed %d bytes, %v", b.Len(), err)
				}
			})
		})
	}
}

func numbered(name string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s_%d, ", name, i)
	}
	return b.String()
}

// manyRules returns n rules of an ordinary size.
func manyRules(n int) string {
	var b strings.Builder
	b.WriteString("lists:\n  shells: [ash, bash, csh, dash, fish, ksh, sh, tcsh, zsh]\nmacros:\n  in_container: container.id != \"\"\nrules:\n")
	for i := range n {
		fmt.Fprintf(&b, `  - id: rule_%d
    title: Interactive shell in a container, number %d
    description: Why it matters, in a sentence or two.
    on: [exec]
    condition: in_container && process.name in shells && process.parent.name != "p%d"
    exceptions:
      - {name: debug_pod, condition: 'container.image.name.endsWith("/debug-tools")', reason: on call}
    message: "shell {process.name} in {container.name}, started by {process.parent.name}"
    severity: medium
    attack: [T1059.004]
    tags: [container, shell]
    tests:
      - fires: {process.name: bash, process.interactive: true, container.id: 4f1c}
      - silent: {process.name: bash}
`, i, i, i)
	}
	return b.String()
}

func TestTenThousandRulesLoadInBoundedTimeAndMemory(t *testing.T) {
	text := manyRules(10_000)
	within(t, 30*time.Second, func() {
		set := mustLoad(t, "a.yaml", text)
		if len(set.Rules) != 10_000 {
			t.Errorf("have %d rules", len(set.Rules))
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		if m.HeapAlloc > 300<<20 {
			t.Errorf("the set holds %d MB", m.HeapAlloc>>20)
		}
		runtime.KeepAlive(set)
	})
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{100, 1000} {
		text := []byte(manyRules(n))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rules.LoadSources([]rules.Source{{Name: "a.yaml", Data: text}}, rules.Options{})
			}
		})
	}
}
