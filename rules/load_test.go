package rules_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eunomia/rules"
)

var update = flag.Bool("update", false, "write what is reported to the .txt beside each file of testdata/err")

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// load loads sources given as name, text, name, text, …
func load(t *testing.T, sources ...string) (*rules.Set, []rules.Diagnostic) {
	t.Helper()
	var list []rules.Source
	for i := 0; i < len(sources); i += 2 {
		list = append(list, rules.Source{Name: sources[i], Data: []byte(sources[i+1])})
	}
	return rules.LoadSources(list, rules.Options{Now: now})
}

func mustLoad(t *testing.T, sources ...string) *rules.Set {
	t.Helper()
	set, diagnostics := load(t, sources...)
	for _, d := range diagnostics {
		t.Errorf("unexpected: %s", d)
	}
	return set
}

func ruleNamed(t *testing.T, set *rules.Set, id string) *rules.Rule {
	t.Helper()
	for _, r := range set.Rules {
		if r.ID == id {
			return r
		}
	}
	t.Fatalf("the set has no rule %s", id)
	return nil
}

func TestGoodFilesLoadWithoutAnyDiagnostic(t *testing.T) {
	files, _ := filepath.Glob("testdata/ok/*.yaml")
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			_, diagnostics := rules.Load([]string{name}, rules.Options{Now: now})
			for _, d := range diagnostics {
				t.Error(d)
			}
		})
	}
}

func TestMistakesAreReportedAsInTheTextBesideEachFile(t *testing.T) {
	files, _ := filepath.Glob("testdata/err/*.yaml")
	if len(files) < 20 {
		t.Fatalf("only %d files in testdata/err", len(files))
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, diagnostics := load(t, filepath.Base(name), string(data))
			var b strings.Builder
			if err := rules.Print(&b, diagnostics); err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(name, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, _ := os.ReadFile(golden)
			if b.Len() == 0 || b.String() != string(want) {
				t.Errorf("have:\n%s\nwant:\n%s", b.String(), want)
			}
		})
	}
}

func TestTheExamplesOfThePackageCommentLoad(t *testing.T) {
	comment, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var examples []rules.Source
	inside := false
	for line := range strings.Lines(string(comment)) {
		code, found := strings.CutPrefix(line, "//\t")
		if found && !inside {
			examples = append(examples, rules.Source{Name: "example.yaml"})
		}
		if inside = found; found {
			last := &examples[len(examples)-1]
			last.Data = append(last.Data, code...)
		}
	}
	set, diagnostics := rules.LoadSources(examples, rules.Options{Now: now})
	for _, d := range diagnostics {
		if d.Check != "no-match" {
			t.Error(d)
		}
	}
	if len(examples) != 2 || len(set.Rules) != 1 || len(set.Rules[0].Exceptions) != 2 {
		t.Errorf("%d examples made %+v", len(examples), set.Rules)
	}
}
