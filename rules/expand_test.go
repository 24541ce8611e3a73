package rules_test

import (
	"strings"
	"testing"
)

func TestMacrosAndListsExpandWhereTheyStandAloneAsNames(t *testing.T) {
	const lib = "lists: {li: [a, 'b\"\\', \"é\\n\"], nums: [1, -2], none: []}\nmacros: {m: 'x || y', nested: '!m', commented: 'a // m'}\n"
	for condition, want := range map[string]string{
		`m`:                          `(x || y)`,
		`nested && m`:                `(!(x || y)) && (x || y)`,
		`a in li`:                    `a in ["a", "b\"\\", "é\n"]`,
		`a in nums || a in none`:     `a in [1, -2] || a in []`,
		`a.m`:                        `a.m`,
		`a . m && a.?m`:              `a . m && a.?m`,
		`.m`:                         `.m`,
		`m(1) && m (2)`:              `m(1) && m (2)`,
		`"m" + 'm' + b"m"`:           `"m" + 'm' + b"m"`,
		`r"\" + m`:                   `r"\" + (x || y)`,
		`"\"m" + m`:                  `"\"m" + (x || y)`,
		`br'm' + R"m" + Br"""m"m"""`: `br'm' + R"m" + Br"""m"m"""`,
		`'''m'm''' + """m" m"""`:     `'''m'm''' + """m" m"""`,
		`mm && m1 && _m`:             `mm && m1 && _m`,
		`a["m"][m]`:                  `a["m"][(x || y)]`,
		`1.0e5m`:                     `1.0e5(x || y)`,
		`a // m`:                     `a `,
		`commented && m`:             `(a ) && (x || y)`,
		"`m` + a.`m`":                "`m` + a.`m`",
		`a ? m : nested`:             `a ? (x || y) : (!(x || y))`,
		`x.exists(v, m)`:             `x.exists(v, (x || y))`,
	} {
		text := head + "    condition: |-\n      " + condition + "\n"
		if e := ruleNamed(t, mustLoad(t, "lib", lib, "a.yaml", text), "a").Condition; e.Text != want {
			t.Errorf("%s expands to\n%s, want\n%s", condition, e.Text, want)
		}
	}
}

func TestVariablesMayNotHaveTheNameOfAMacro(t *testing.T) {
	const lib = "macros: {a: 'true', b: 'true'}\n"
	for condition, bad := range map[string]bool{
		`x.exists(a, true)`:          true,
		`x.all(v, b, true)`:          true,
		`x.map(v, b)`:                false,
		`x.map(v, b, true)`:          false,
		`cel.bind(a, 1, a)`:          true,
		`x.exists(v, b && v == "a")`: false,
		`x.startsWith(a)`:            false,
	} {
		_, diagnostics := load(t, "lib", lib, "a.yaml", head+"    condition: |-\n      "+condition+"\n")
		if bad != (len(diagnostics) == 1 && diagnostics[0].Check == "shadow") {
			t.Errorf("%s: %v", condition, diagnostics)
		}
	}
}

func TestNamesListsEveryMacroAndList(t *testing.T) {
	set := mustLoad(t, "a", "lists: {z: [b], a: []}\nmacros: {m: x}\n")
	if got := strings.Join(set.Names(), " "); got != "a m z" {
		t.Errorf("names are %s", got)
	}
	if set.Macros["m"] != "x" || len(set.Lists["z"]) != 1 {
		t.Errorf("have %v, %v", set.Macros, set.Lists)
	}
}
