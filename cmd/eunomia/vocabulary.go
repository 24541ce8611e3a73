package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"eunomia/event"

	"github.com/spf13/cobra"
)

// fieldRow is a field as `eunomia fields` shows it.
type fieldRow struct {
	Name  string   `json:"name"`
	Type  string   `json:"type"`
	Kinds []string `json:"kinds"` // empty: all
	Doc   string   `json:"doc"`
}

func fieldRows(kind string) ([]fieldRow, error) {
	var only event.Kind
	if kind != "" {
		k, ok := event.KindNamed(kind)
		if !ok {
			return nil, usageError{hinted{fmt.Errorf("no event kind %q", kind), `"eunomia events" lists the kinds`}}
		}
		only = k
	}
	var rows []fieldRow
	for _, f := range event.Fields() {
		if only != event.KindNone && !f.On(only) {
			continue
		}
		row := fieldRow{Name: f.Name, Type: f.Type.String(), Doc: f.Doc}
		if f.Kinds != 0 {
			for _, k := range f.Kinds.Kinds() {
				row.Kinds = append(row.Kinds, k.String())
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

//go:generate sh -c "go run . fields --output markdown > ../../docs/fields.md"
//go:generate sh -c "go run . events --output markdown > ../../docs/events.md"

func fieldsCommand(e *env) *cobra.Command {
	var kind string
	output := formatFlag{value: "table", allowed: []string{"table", "json", "markdown"}}
	c := &cobra.Command{
		Use:   "fields",
		Short: "List the fields that rules can use",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			rows, err := fieldRows(kind)
			if err != nil {
				return err
			}
			switch output.value {
			case "json":
				return printJSON(e.stdout, rows)
			case "markdown":
				return fieldsMarkdown(e.stdout, rows)
			}
			w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "FIELD\tTYPE\tKINDS\tMEANING")
			for _, r := range rows {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Name, r.Type, kindsText(r.Kinds), r.Doc)
			}
			return w.Flush()
		},
	}
	c.Flags().StringVar(&kind, "kind", "", "only the fields that events of this kind have")
	c.Flags().Var(&output, "output", output.usage())
	return c
}

func kindsText(kinds []string) string {
	if len(kinds) == 0 {
		return "all"
	}
	return strings.Join(kinds, ", ")
}

func fieldsMarkdown(w io.Writer, rows []fieldRow) error {
	fmt.Fprint(w, "# Fields\n\nGenerated from the field table by `make generate`. Rules use these names in conditions, exceptions, messages and tests.\n\n| field | type | kinds | meaning |\n|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", r.Name, r.Type, kindsText(r.Kinds), strings.ReplaceAll(r.Doc, "|", `\|`))
	}
	fmt.Fprint(w, "\nEach element of `process.ancestors` has:\n\n| member | type | meaning |\n|---|---|---|\n")
	for _, f := range event.AncestorFields {
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", f.Name, f.Type, f.Doc)
	}
	return nil
}

type eventRow struct {
	Name   string   `json:"name"`
	Doc    string   `json:"doc"`
	Hook   string   `json:"hook"`
	Fields []string `json:"fields"`
}

func eventRows() []eventRow {
	var rows []eventRow
	for _, i := range event.Kinds {
		if i.Internal {
			continue
		}
		row := eventRow{Name: i.Name, Doc: i.Doc, Hook: i.Hook}
		for _, f := range event.FieldsOn(i.Kind) {
			if f.Kinds != 0 {
				row.Fields = append(row.Fields, f.Name)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func eventsCommand(e *env) *cobra.Command {
	output := formatFlag{value: "table", allowed: []string{"table", "json", "markdown"}}
	c := &cobra.Command{
		Use:   "events",
		Short: "List the kinds of events",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			rows := eventRows()
			switch output.value {
			case "json":
				return printJSON(e.stdout, rows)
			case "markdown":
				return eventsMarkdown(e.stdout, rows)
			}
			w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "KIND\tMEANING")
			for _, r := range rows {
				fmt.Fprintf(w, "%s\t%s\n", r.Name, r.Doc)
			}
			return w.Flush()
		},
	}
	c.Flags().Var(&output, "output", output.usage())
	return c
}

func eventsMarkdown(w io.Writer, rows []eventRow) error {
	fmt.Fprint(w, "# Event kinds\n\nGenerated from the kinds table by `make generate`. Every kind also has the fields that [fields.md](fields.md) marks \"all\".\n")
	for _, r := range rows {
		fmt.Fprintf(w, "\n## %s\n\n%s\n\n- hook: `%s`\n", r.Name, r.Doc, r.Hook)
		if len(r.Fields) > 0 {
			fmt.Fprintf(w, "- fields of its own: `%s`\n", strings.Join(r.Fields, "`, `"))
		}
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// formatFlag is a flag with a fixed set of values.
type formatFlag struct {
	value   string
	allowed []string
}

func (f *formatFlag) String() string { return f.value }
func (f *formatFlag) Type() string   { return "format" }
func (f *formatFlag) usage() string  { return "format: " + strings.Join(f.allowed, ", ") }

func (f *formatFlag) Set(v string) error {
	for _, a := range f.allowed {
		if v == a {
			f.value = v
			return nil
		}
	}
	return fmt.Errorf("want one of %s", strings.Join(f.allowed, ", "))
}
