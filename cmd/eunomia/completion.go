package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// completionCommand replaces cobra's own, which takes a misspelt shell for a call
// for help.
func completionCommand(e *env) *cobra.Command {
	scripts := map[string]func(*cobra.Command, io.Writer) error{
		"bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
		"zsh":  (*cobra.Command).GenZshCompletion,
	}
	shells := []string{"bash", "fish", "zsh"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script for a shell: " + strings.Join(shells, ", "),
		Long: `Print the completion script for a shell: ` + strings.Join(shells, ", ") + `.

  bash  source <(eunomia completion bash)
  fish  eunomia completion fish | source
  zsh   source <(eunomia completion zsh)`,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && scripts[args[0]] != nil {
				return nil
			}
			err := errors.New("completion wants one shell")
			if len(args) == 1 {
				err = fmt.Errorf("no completion for %q", args[0])
			}
			return usageError{hinted{err, "one of " + strings.Join(shells, ", ")}}
		},
		RunE: func(c *cobra.Command, args []string) error { return scripts[args[0]](c.Root(), e.stdout) },
	}
}
