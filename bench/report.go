package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// printTable writes one line for each figure.
func printTable(w io.Writer, results []result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nFIGURE\tVALUE\tUNIT\tGOAL\tVERDICT\tRUNS\tWHAT")
	for _, r := range results {
		value, goal, runs := "-", r.goal, "-"
		if r.reason == "" {
			value = number(r.value)
			runs = spread(r.runs)
		}
		if goal == "" {
			goal = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.key, value, r.unit, goal, r.verdict, runs, r.what)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, reason := range reasons(results) {
		fmt.Fprintf(w, "\n%s\n", reason)
	}
	return nil
}

// reasons says once for each reason which figures have no value because of it.
func reasons(results []result) []string {
	var order []string
	keys := map[string][]string{}
	for _, r := range results {
		if r.reason == "" {
			continue
		}
		why := string(r.verdict) + ": " + r.reason
		if keys[why] == nil {
			order = append(order, why)
		}
		keys[why] = append(keys[why], r.key)
	}
	for i, why := range order {
		order[i] = why + "\n  " + strings.Join(keys[why], " ")
	}
	return order
}

// spread writes how many runs there were and what lies between the extremes.
func spread(runs []float64) string {
	if len(runs) == 1 {
		return "1"
	}
	return fmt.Sprintf("%d: %s to %s", len(runs), number(slices.Min(runs)), number(slices.Max(runs)))
}

// number writes a value with four significant digits, and thousands whole.
func number(v float64) string {
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

func summary(results []result) string {
	count := map[verdict]int{}
	goals := 0
	for _, r := range results {
		count[r.verdict]++
		if r.goal != "" {
			goals++
		}
	}
	s := fmt.Sprintf("%d of %d goals met, %d missed", count[met], goals, count[missed])
	for _, v := range []verdict{failed, skipped} {
		if count[v] > 0 {
			s += fmt.Sprintf(", %d %s", count[v], strings.ToLower(string(v)))
		}
	}
	return s
}

// record is a result as results.json holds it, below its key. A value of null has
// its reason beside it.
type record struct {
	Value   *float64  `json:"value"`
	Unit    string    `json:"unit"`
	Goal    string    `json:"goal"`
	Verdict string    `json:"verdict"`
	Runs    []float64 `json:"runs"`
	Reason  string    `json:"reason,omitempty"`
}

// writeResults replaces the file of results. It holds this run and nothing else,
// so that no figure of another day stands among them.
func writeResults(name string, results []result) error {
	all := make(map[string]record, len(results))
	for _, r := range results {
		j := record{Unit: r.unit, Goal: r.goal, Verdict: strings.ToLower(string(r.verdict)), Runs: r.runs, Reason: r.reason}
		if r.reason == "" {
			j.Value = &r.value
		} else {
			j.Runs = nil // there may be an infinity among them, which JSON lacks
		}
		if j.Runs == nil {
			j.Runs = []float64{}
		}
		all[r.key] = j
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // goals have < and >
	e.SetIndent("", "  ")
	if err := e.Encode(all); err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, text.Bytes(), 0o644)
}
