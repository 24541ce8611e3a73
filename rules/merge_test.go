package rules_test

import (
	"slices"
	"strings"
	"testing"

	"eunomia/event"
	"eunomia/rules"
)

const base = `
lists: {shells: [bash, sh]}
macros: {typed: process.interactive}
rules:
  - id: shell
    title: Shell
    on: [exec]
    condition: typed && process.name in shells
    severity: medium
    tags: [shell]
    exceptions: [{name: one, condition: "false", reason: r}]
    tests: [{fires: {process.name: bash}}, {silent: {process.name: ls}}]
  - {id: shadow_read, title: x, on: [open], condition: file.path == "/etc/shadow", severity: high, tags: [files, quiet]}
  - {id: shadow_write, title: x, on: [open], condition: file.flags.write, severity: high, tags: [files], enabled: false}
`

func TestLaterFilesChangeEarlierDefinitions(t *testing.T) {
	const condition = `(process.interactive) && process.name in ["bash", "sh"]`
	shell := func(t *testing.T, set *rules.Set) *rules.Rule { return ruleNamed(t, set, "shell") }
	for _, c := range []struct {
		name, change string
		have         func(*rules.Rule) any
		want         any
	}{
		{"unchanged", ``, func(r *rules.Rule) any { return r.Condition.Text }, condition},
		{"list append", `lists: {shells: {append: [sh, zsh]}}`, func(r *rules.Rule) any { return r.Condition.Text },
			`(process.interactive) && process.name in ["bash", "sh", "zsh"]`},
		{"list override", `lists: {shells: {override: [zsh]}}`, func(r *rules.Rule) any { return r.Condition.Text },
			`(process.interactive) && process.name in ["zsh"]`},
		{"macro or, and", "macros: {typed: {or: a || b}}\n---\nmacros: {typed: {and: c}}", func(r *rules.Rule) any { return r.Condition.Text },
			`((((process.interactive) || (a || b)) && (c))) && process.name in ["bash", "sh"]`},
		{"macro override", `macros: {typed: {override: "true // yes"}}`, func(r *rules.Rule) any { return r.Condition.Text },
			`(true ) && process.name in ["bash", "sh"]`},
		{"condition and", `rules: [{id: shell, append: {and: a || b}}]`, func(r *rules.Rule) any { return r.Condition.Text },
			`((` + condition + `) && (a || b))`},
		{"condition or", `rules: [{id: shell, append: {or: typed}}]`, func(r *rules.Rule) any { return r.Condition.Text },
			`((` + condition + `) || ((process.interactive)))`},
		{"condition override", `rules: [{id: shell, override: {condition: "false"}}]`, func(r *rules.Rule) any { return r.Condition.Text }, `false`},
		{"override then append", `rules: [{id: shell, append: {tags: [b, a]}, override: {tags: [a]}}]`, func(r *rules.Rule) any { return strings.Join(r.Tags, " ") }, "a b"},
		{"tags append", `rules: [{id: shell, append: {tags: [b, shell]}}]`, func(r *rules.Rule) any { return strings.Join(r.Tags, " ") }, "shell b"},
		{"severity", `rules: [{id: shell, override: {severity: critical}}]`, func(r *rules.Rule) any { return r.Severity }, event.Critical},
		{"exceptions append", `rules: [{id: shell, append: {exceptions: [{name: two, condition: typed, reason: r}]}}]`, func(r *rules.Rule) any {
			return r.Exceptions[0].Name + r.Exceptions[1].Name + r.Exceptions[1].Condition.Text
		}, "onetwo(process.interactive)"},
		{"exceptions override", `rules: [{id: shell, override: {exceptions: }}]`, func(r *rules.Rule) any { return len(r.Exceptions) }, 0},
		{"kinds append", `rules: [{id: shell, append: {on: [fork, exec]}}]`, func(r *rules.Rule) any { return len(r.On)*10 + len(r.Tests) }, 22},
		{"kinds override drops tests of other kinds", "rules: [{id: shell, override: {tests: [{fires: {event.kind: exec}}]}}, {id: shell, override: {on: [fork]}}]",
			func(r *rules.Rule) any { return len(r.On)*10 + len(r.Tests) }, 10},
		{"disable by id", `disable: [shell]`, func(r *rules.Rule) any { return r.Enabled }, false},
		{"disable by pattern", `disable: ["s?el*"]`, func(r *rules.Rule) any { return r.Enabled }, false},
		{"disable by tag", `disable: ["tag:shell"]`, func(r *rules.Rule) any { return r.Enabled }, false},
		{"disable by another tag", `disable: ["tag:fi*"]`, func(r *rules.Rule) any { return r.Enabled }, true},
		{"enable after disable", "enable: [shell]\ndisable: [\"*\"]", func(r *rules.Rule) any { return r.Enabled }, true},
		{"disable by override", `rules: [{id: shell, override: {enabled: false}}]`, func(r *rules.Rule) any { return r.Enabled }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if have := c.have(shell(t, mustLoad(t, "base.yaml", base, "change.yaml", "macros: {}\n---\n"+c.change))); have != c.want {
				t.Errorf("have %v, want %v", have, c.want)
			}
		})
	}
}

func TestDisabledRulesStayInTheSet(t *testing.T) {
	set := mustLoad(t, "base.yaml", base, "b.yaml", "disable: [\"tag:files\"]\nenable: [shadow_write]\n")
	var states []string
	for _, r := range set.Rules {
		if r.Enabled {
			states = append(states, r.ID)
		}
	}
	if len(set.Rules) != 3 || !slices.Equal(states, []string{"shell", "shadow_write"}) {
		t.Errorf("%d rules, enabled: %v", len(set.Rules), states)
	}
}

func TestALaterFileIsNotReachedByAnEarlierDisable(t *testing.T) {
	_, diagnostics := load(t, "a.yaml", "disable: [\"*\", shell]", "base.yaml", base)
	if len(diagnostics) != 2 || !diagnostics[0].Warning || diagnostics[0].Check != "no-match" {
		t.Errorf("have %v", diagnostics)
	}
}

func TestAMistakeTakesDownOnlyItsOwnRule(t *testing.T) {
	set, diagnostics := load(t,
		"broken.yaml", "rules: [",
		"base.yaml", base,
		"more.yaml", `
rules:
  - {id: bad, title: x, on: [exce], condition: "true", severity: low}
  - {id: shell, override: {severity: hgih}}
  - {id: bad, append: {tags: [x]}}
  - {id: shell, title: again, on: [exec], condition: "true", severity: low}
disable: [bad]
`)
	if len(set.Rules) != 3 || ruleNamed(t, set, "shell").Severity != event.Medium {
		t.Errorf("have %d rules", len(set.Rules))
	}
	var checks []string
	for _, d := range diagnostics {
		checks = append(checks, d.Pos.File+" "+d.Check+" "+d.Rule)
	}
	want := []string{"broken.yaml yaml ", "more.yaml unknown-kind bad", "more.yaml severity ", "more.yaml duplicate "}
	if !slices.Equal(checks, want) {
		t.Errorf("have %q, want %q", checks, want)
	}
}

func TestTheVersionIsStableOverFormattingAndFollowsMeaning(t *testing.T) {
	versions := func(change string) (string, string) {
		set := mustLoad(t, "base.yaml", base, "change.yaml", change)
		return ruleNamed(t, set, "shell").Version, set.Hash
	}
	version, hash := versions("lists: {}")
	reformatted := strings.NewReplacer("typed && process.name", "|\n      typed // who\n      &&   process.name", "[shell]", "\n    - 'shell'").Replace(base)
	if set := mustLoad(t, "other.yaml", "# moved\n"+reformatted); set.Hash != hash || ruleNamed(t, set, "shell").Version != version {
		t.Error("formatting changes the version")
	}
	if v, h := versions("rules: [{id: shell, override: {tests: [], references: [https://example.org], false_positives: [x]}}]"); v != version || h != hash {
		t.Error("tests and documentation change the version")
	}
	for _, change := range []string{
		"lists: {shells: {append: [zsh]}}",
		"rules: [{id: shell, override: {severity: low}}]",
		"rules: [{id: shell, override: {message: other}}]",
		"rules: [{id: shell, override: {exceptions: [{name: one, condition: 'false', reason: r, expires: 2099-01-01}]}}]",
		"rules: [{id: shell, override: {throttle: {every: 1m}}}]",
	} {
		if v, h := versions(change); v == version || h == hash {
			t.Errorf("%s does not change the version", change)
		}
	}
	if v, h := versions("disable: [shell]"); v != version || h == hash {
		t.Error("disabling must change the hash of the set and not the version of the rule")
	}
}
