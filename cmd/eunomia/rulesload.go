package main

import (
	"eunomia"
	"eunomia/engine"
	"eunomia/rules"
)

// defaultRulesName is how diagnostics call the embedded rules.
const defaultRulesName = "default_rules.yaml"

// ruleSources says where rules come from.
type ruleSources struct {
	paths    []string
	defaults bool // the embedded rules come first
}

// load reads and compiles the rules. The program holds every good rule; the
// diagnostics every mistake.
func (s ruleSources) load() (*rules.Set, *engine.Program, []rules.Diagnostic) {
	o := rules.Options{}
	if s.defaults {
		o.Before = []rules.Source{{Name: defaultRulesName, Data: eunomia.DefaultRules}}
	}
	set, diagnostics := rules.Load(s.paths, o)
	program, more := engine.Compile(set, engine.Limits{})
	return set, program, append(diagnostics, more...)
}

// broken returns the number of mistakes, warnings left out.
func broken(diagnostics []rules.Diagnostic) int {
	n := 0
	for _, d := range diagnostics {
		if !d.Warning {
			n++
		}
	}
	return n
}
