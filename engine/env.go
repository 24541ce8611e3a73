package engine

import (
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"

	"eunomia/rules"
)

// The bounds of a single expression, after macros and lists are expanded.
const (
	maxExpressionLength = rules.MaxExpanded // characters
	maxExpressionNodes  = 32768
	maxExpressionCalls  = 1000 // operators included; the type checker's time grows with the square
	maxExpressionDepth  = 100
	maxNestedLoops      = 2 // exists in exists
	maxRegexProgram     = 2000
)

// environment is the CEL environment of all rules: the variables are the groups
// of the schema, the functions those of the libraries below, of which only the
// ones listed in functions may be called. It is built once and shared.
var environment = sync.OnceValue(func() *cel.Env {
	registry, err := types.NewRegistry()
	if err != nil {
		panic(err)
	}
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(registry),
		cel.CustomTypeProvider(registry), // the libraries add their types to it
		cel.StdLib(),
		ext.Strings(),
		ext.Sets(),
		ext.Network(),
		globOption(),
		cel.EnableMacroCallTracking(), // so that expressions can be written out again
		cel.ParserExpressionSizeLimit(maxExpressionLength),
		cel.ParserRecursionLimit(maxExpressionDepth),
		cel.ExpressionNodeLimit(maxExpressionNodes),
		cel.CustomTypeProvider(provider{registry}),
		cel.ASTValidators(cel.ValidateComprehensionNestingLimit(maxNestedLoops)),
	}
	for name, n := range schema().children {
		options = append(options, cel.Variable(name, n.typ))
	}
	env, err := cel.NewCustomEnv(options...)
	if err != nil {
		panic(err) // depends on the field table alone; every test would fail
	}
	return env
})
