package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"eunomia/engine"
	"eunomia/rules"
)

const rulesPage = "../../docs/rules.md"

// The examples of the manual are executed. A block is
//
//	yaml          a rule file by itself
//	yaml after    a later file, read after the blocks before it back to the last of the first sort
//	yaml wrong    a file with mistakes, which the text block behind it shows
func TestTheExamplesOfTheManual(t *testing.T) {
	var files []rules.Source
	all := blocks(page(t, rulesPage))
	if len(all) < 10 {
		t.Fatalf("docs/rules.md has %d blocks", len(all))
	}
	for i, b := range all {
		kind, isYAML := strings.CutPrefix(b.info, "yaml")
		if !isYAML {
			continue
		}
		t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) {
			file := rules.Source{Name: "my.yaml", Data: []byte(b.text)}
			switch strings.TrimSpace(kind) {
			case "wrong":
				if i+1 == len(all) || all[i+1].info != "text" {
					t.Fatal("no text block shows its mistakes")
				}
				_, _, diagnostics := loadSources(file)
				var shown strings.Builder
				if err := rules.Print(&shown, diagnostics); err != nil {
					t.Fatal(err)
				}
				if got := shown.String(); got != all[i+1].text {
					t.Errorf("line %d shows\n%s\nit is\n%s", all[i+1].line, all[i+1].text, got)
				}
				return
			case "after":
				file.Name = fmt.Sprintf("later-%d.yaml", len(files))
				files = append(files, file)
			case "":
				files = []rules.Source{file}
			default:
				t.Fatalf("what is %q?", b.info)
			}
			_, program, diagnostics := loadSources(files...)
			for _, d := range diagnostics {
				t.Errorf("%s\n%s\n%s", d, d.Source, d.Hint)
			}
			for _, r := range program.RunTests(time.Now()) {
				if !r.Passed {
					t.Errorf("%s: %s: %s: %s", r.Pos, r.Rule, r.Outcome, r.Why)
				}
			}
		})
	}
}

func loadSources(files ...rules.Source) (*rules.Set, *engine.Program, []rules.Diagnostic) {
	set, diagnostics := rules.LoadSources(files, rules.Options{})
	program, more := engine.Compile(set, engine.Limits{})
	return set, program, append(diagnostics, more...)
}

func TestTheManualListsEveryFunction(t *testing.T) {
	var table strings.Builder
	escape := strings.NewReplacer("|", `\|`)
	for _, f := range engine.Functions() {
		constant := ""
		if f.Constant {
			constant = " The pattern must be written out."
		}
		fmt.Fprintf(&table, "| `%s` | `%s` | %s%s |\n", f.Name, escape.Replace(f.Example), escape.Replace(f.Doc), constant)
	}
	if !strings.Contains(page(t, rulesPage), "| function | example | meaning |\n|---|---|---|\n"+table.String()+"\n") {
		t.Errorf("the table of functions in docs/rules.md must be\n%s", &table)
	}
}
