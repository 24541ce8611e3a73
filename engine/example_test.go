package engine_test

import (
	"fmt"

	"eunomia/engine"
	"eunomia/event"
	"eunomia/rules"
)

func Example() {
	set, mistakes := rules.LoadSources([]rules.Source{{Name: "shells.yaml", Data: []byte(`
lists:
  shells: [bash, sh, zsh]
rules:
  - id: shell_in_container
    title: Interactive shell in a container
    on: [exec]
    condition: container.id != "" && process.name in shells && process.interactive
    message: "{process.name} in {container.name}, started by {process.parent.name}"
    severity: medium
`)}}, rules.Options{})
	program, more := engine.Compile(set, engine.Limits{})
	for _, m := range append(mistakes, more...) {
		fmt.Println(m.Pos, m.Message)
	}

	e, _ := event.FromFields(map[string]any{
		"event.kind": "exec", "process.name": "bash", "process.interactive": true,
		"process.parent.name": "containerd-shim", "container.id": "4f1c", "container.name": "web",
	})
	matches, _ := engine.New(program).Evaluate(e)
	for _, m := range matches {
		fmt.Println(m.Rule.Info.Severity, m.Rule.Info.ID+":", m.Message)
	}
	// Output:
	// medium shell_in_container: bash in web, started by containerd-shim
}

func ExampleCompile_mistake() {
	_, mistakes := engine.Compile(&rules.Set{Rules: []*rules.Rule{{
		ID: "typo", On: []event.Kind{event.Exec}, Condition: rules.Expr{Text: `process.nmae == "bash"`},
	}}}, engine.Limits{})
	for _, m := range mistakes {
		fmt.Println(m.Message + "; " + m.Hint)
	}
	// Output:
	// no field process.nmae on exec; did you mean process.name?
}
