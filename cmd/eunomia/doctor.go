package main

import (
	"fmt"
	"text/tabwriter"

	"eunomia/probes"

	"github.com/spf13/cobra"
)

func doctorCommand(e *env) *cobra.Command {
	output := formatFlag{value: "table", allowed: []string{"table", "json"}}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this kernel and host offer the sensor, and what it costs to lack it",
		Long: `Tell what this kernel and host offer the sensor, and what it costs to lack it.

Exit status: 0 when the detector can run here, 3 when it cannot.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r := probes.Check(c.Context())
			if output.value == "json" {
				if err := printJSON(e.stdout, reportDocument(r)); err != nil {
					return err
				}
			} else if err := printReport(e, r); err != nil {
				return err
			}
			if r.Err() != nil {
				return errFindings
			}
			return nil
		},
	}
	c.Flags().Var(&output, "output", output.usage())
	return c
}

type (
	reportRow struct {
		Kernel   string       `json:"kernel"`
		Arch     string       `json:"arch"`
		OK       bool         `json:"ok"` // the detector can run here
		Features []featureRow `json:"features"`
	}
	featureRow struct {
		Name     string `json:"name"`
		OK       bool   `json:"ok"`
		Required bool   `json:"required"`
		Detail   string `json:"detail"`
		Remedy   string `json:"remedy,omitempty"`
	}
)

func reportDocument(r probes.Report) reportRow {
	doc := reportRow{Kernel: r.Kernel, Arch: r.Arch, OK: r.Err() == nil}
	for _, f := range r.Features {
		doc.Features = append(doc.Features, featureRow{f.Name, f.OK, f.Required, f.Detail, f.Remedy})
	}
	return doc
}

func printReport(e *env, r probes.Report) error {
	fmt.Fprintf(e.stdout, "kernel %s, %s\n\n", r.Kernel, r.Arch)
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FEATURE\tSTATE\tDETAIL")
	for _, f := range r.Features {
		state := "ok"
		switch {
		case !f.OK && f.Required:
			state = "MISSING"
		case !f.OK:
			state = "absent"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.Name, state, f.Detail)
		if f.Remedy != "" {
			fmt.Fprintf(w, "\t\thint: %s\n", f.Remedy)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := r.Err(); err != nil {
		_, err = fmt.Fprintf(e.stdout, "\nthe detector cannot run here: %v\n", err)
		return err
	}
	_, err := fmt.Fprintln(e.stdout, "\nthe detector can run here")
	return err
}
