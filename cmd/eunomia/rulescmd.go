package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"eunomia/engine"
	"eunomia/event"
	"eunomia/rules"

	"github.com/spf13/cobra"
)

func rulesCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "rules",
		Short: "Check, list, show and test rules",
		Args:  verb,
		RunE: func(*cobra.Command, []string) error {
			return usageError{hinted{errors.New("rules wants a verb"), "check, list, show or test"}}
		},
	}
	c.AddCommand(rulesCheckCommand(e), rulesListCommand(e), rulesShowCommand(e), rulesTestCommand(e))
	return c
}

// withSources adds the flags that say where rules come from. Paths given as
// arguments are checked by themselves, on top of the embedded rules with --defaults.
func withSources(c *cobra.Command) func(args []string) ruleSources {
	defaults := c.Flags().Bool("defaults", false, "also read the embedded rules, before PATHs (they alone are read without PATHs)")
	return func(args []string) ruleSources {
		return ruleSources{paths: args, defaults: *defaults || len(args) == 0}
	}
}

func rulesCheckCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "check [PATH…]",
		Short: "Check rule files and name every mistake",
		Long: `Check rule files and directories of them, merged in the order given, and name every
mistake with its place and remedy. Without PATHs, check the embedded rules.

Exit status: 0 when all is well, 3 when there are mistakes.`,
	}
	sources := withSources(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		_, program, diagnostics := sources(args).load()
		if err := rules.Print(e.stdout, diagnostics); err != nil {
			return err
		}
		mistakes := broken(diagnostics)
		fmt.Fprintf(e.stderr, "%s, %s, %s\n", count(len(program.Rules()), "good rule"), count(mistakes, "mistake"), count(len(diagnostics)-mistakes, "warning"))
		if mistakes > 0 {
			return errFindings
		}
		return nil
	}
	return c
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// loadOrFail loads rules for verbs that need them right.
func loadOrFail(e *env, s ruleSources) (*rules.Set, *engine.Program, error) {
	set, program, diagnostics := s.load()
	if n := broken(diagnostics); n > 0 {
		if err := rules.Print(e.stderr, diagnostics); err != nil {
			return nil, nil, err
		}
		return nil, nil, errFindings
	}
	return set, program, nil
}

// ruleRow is a rule as `eunomia rules list` shows it.
type ruleRow struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Severity string   `json:"severity"`
	Kinds    []string `json:"kinds"`
	Attack   []string `json:"attack"`
	Tags     []string `json:"tags"`
	Enabled  bool     `json:"enabled"`
	Cost     uint64   `json:"cost"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
}

func rowOf(r *engine.Rule) ruleRow {
	row := ruleRow{
		ID: r.Info.ID, Title: r.Info.Title, Severity: r.Info.Severity.String(), Attack: r.Info.Attack, Tags: r.Info.Tags,
		Enabled: r.Enabled, Cost: r.Cost, File: r.Source.Pos.File, Line: r.Source.Pos.Line,
	}
	for _, k := range r.Kinds.Kinds() {
		row.Kinds = append(row.Kinds, k.String())
	}
	return row
}

func rulesListCommand(e *env) *cobra.Command {
	output := formatFlag{value: "table", allowed: []string{"table", "json"}}
	var tag string
	c := &cobra.Command{Use: "list [PATH…]", Short: "List rules"}
	sources := withSources(c)
	c.Flags().Var(&output, "output", output.usage())
	c.Flags().StringVar(&tag, "tag", "", "only rules with this tag")
	c.RunE = func(_ *cobra.Command, args []string) error {
		_, program, err := loadOrFail(e, sources(args))
		if err != nil {
			return err
		}
		rows := []ruleRow{}
		for _, r := range program.Rules() {
			if tag == "" || slices.Contains(r.Info.Tags, tag) {
				rows = append(rows, rowOf(r))
			}
		}
		if output.value == "json" {
			return printJSON(e.stdout, rows)
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "RULE\tSEVERITY\tON\tATT&CK\tTITLE")
		for _, r := range rows {
			id := r.ID
			if !r.Enabled {
				id += " (disabled)"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", id, r.Severity, strings.Join(r.Kinds, " "), strings.Join(r.Attack, " "), r.Title)
		}
		return w.Flush()
	}
	return c
}

func rulesShowCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "show RULE [PATH…]",
		Short: "Show one rule as it is after merging and expansion",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{hinted{errors.New("which rule?"), `"eunomia rules list" lists them`}}
			}
			return nil
		},
	}
	sources := withSources(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		set, program, err := loadOrFail(e, sources(args[1:]))
		if err != nil {
			return err
		}
		for _, r := range program.Rules() {
			if r.Info.ID == args[0] {
				return showRule(e, r)
			}
		}
		var ids []string
		for _, r := range set.Rules {
			ids = append(ids, r.ID)
		}
		hint := `"eunomia rules list" lists them`
		if s := rules.Suggest(args[0], ids); s != "" {
			hint = "did you mean " + s + "?"
		}
		return hinted{fmt.Errorf("no rule %q", args[0]), hint}
	}
	return c
}

func showRule(e *env, r *engine.Rule) error {
	s := r.Source
	row := rowOf(r)
	w := e.stdout
	fmt.Fprintf(w, "%s: %s\n", s.ID, s.Title)
	if s.Description != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(s.Description))
	}
	fmt.Fprintf(w, "\nseverity   %s\non         %s\nattack     %s\ntags       %s\nenabled    %t\ncost       %d of at most %d\ndefined    %s\nversion    %s\n",
		row.Severity, strings.Join(row.Kinds, ", "), strings.Join(row.Attack, ", "), strings.Join(row.Tags, ", "), r.Enabled, r.Cost, engine.DefaultMaxCost, s.Pos, s.Version)
	if t := s.Throttle; t != nil {
		fmt.Fprintf(w, "throttle   once in %s by %s\n", t.Every, strings.Join(t.By, ", "))
	}
	fmt.Fprintf(w, "\ncondition, macros and lists expanded:\n  %s\n", s.Condition.Text)
	for _, x := range s.Exceptions {
		fmt.Fprintf(w, "\nexception %s: %s\n  %s\n", x.Name, x.Reason, x.Condition.Text)
		if !x.Expires.IsZero() {
			fmt.Fprintf(w, "  until %s\n", x.Expires.Format(time.DateOnly))
		}
	}
	for _, p := range s.Extra.FalsePositives {
		fmt.Fprintf(w, "\nfalse positive: %s\n", p)
	}
	for _, p := range s.Extra.References {
		fmt.Fprintf(w, "reference: %s\n", p)
	}
	return nil
}

func rulesTestCommand(e *env) *cobra.Command {
	output := formatFlag{value: "table", allowed: []string{"table", "json"}}
	var verbose bool
	c := &cobra.Command{
		Use:   "test [PATH…]",
		Short: "Run the tests that rules carry",
		Long: `Run the tests that rules carry. No kernel and no privileges are needed.

Exit status: 0 when all tests pass, 3 when one does not.`,
	}
	sources := withSources(c)
	c.Flags().Var(&output, "output", output.usage())
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "also show the tests that pass")
	c.RunE = func(_ *cobra.Command, args []string) error {
		_, program, err := loadOrFail(e, sources(args))
		if err != nil {
			return err
		}
		results := program.RunTests(time.Now())
		failed := 0
		for _, r := range results {
			if !r.Passed {
				failed++
			}
		}
		if output.value == "json" {
			if err := printTests(e, results); err != nil {
				return err
			}
		} else {
			for _, r := range results {
				if r.Passed && !verbose {
					continue
				}
				verdict := "ok"
				if !r.Passed {
					verdict = "FAIL"
				}
				want := "silent"
				if r.Fires {
					want = "fires"
				}
				if r.Name != "" {
					want += " (" + event.Printable(r.Name) + ")"
				}
				fmt.Fprintf(e.stdout, "%s: %s: %s, %s: %s: %s\n", r.Pos, verdict, r.Rule, want, r.Outcome, r.Why)
			}
			fmt.Fprintf(e.stdout, "%s, %d failed\n", count(len(results), "test"), failed)
		}
		if failed > 0 {
			return errFindings
		}
		return nil
	}
	return c
}

func printTests(e *env, results []engine.TestResult) error {
	type row struct {
		Rule     string `json:"rule"`
		Name     string `json:"name,omitempty"`
		Position string `json:"position"`
		Fires    bool   `json:"fires"`
		Passed   bool   `json:"passed"`
		Outcome  string `json:"outcome"`
		Why      string `json:"why"`
	}
	enc := json.NewEncoder(e.stdout)
	for _, r := range results {
		if err := enc.Encode(row{r.Rule, r.Name, r.Pos.String(), r.Fires, r.Passed, r.Outcome.String(), r.Why}); err != nil {
			return err
		}
	}
	return nil
}

// infos returns what alerts and metrics say of a program's enabled rules.
func infos(p *engine.Program) []event.RuleInfo {
	var out []event.RuleInfo
	for _, r := range p.Rules() {
		if r.Enabled {
			out = append(out, r.Info)
		}
	}
	return out
}
