// Package eunomia holds the default rules of the detector, so that its program
// needs no file to run. It decides nothing: package rules reads them, package engine
// runs them, and cmd/eunomia puts the user's files after them.
//
// A default rule is added in default_rules.yaml alone; the tests beside it say what
// a rule needs.
package eunomia

import _ "embed"

// DefaultRules is the rule file default_rules.yaml. The caller must not change it.
//
//go:embed default_rules.yaml
var DefaultRules []byte
