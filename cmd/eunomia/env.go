package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"eunomia/rules"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Exit codes.
const (
	exitOK       = 0
	exitFailure  = 1
	exitUsage    = 2
	exitFindings = 3 // the command worked and found something wrong
)

// env is the world that commands act on; tests give them another one.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	terminal       bool            // stdout is one
	ctx            context.Context //nolint:containedctx // the process's own, handed to every command
	signals        func(...os.Signal) (<-chan os.Signal, func())
}

func systemEnv() *env {
	return &env{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv,
		terminal: term.IsTerminal(int(os.Stdout.Fd())),
		ctx:      context.Background(),
		signals: func(s ...os.Signal) (<-chan os.Signal, func()) {
			c := make(chan os.Signal, 4)
			signal.Notify(c, s...)
			return c, func() { signal.Stop(c) }
		},
	}
}

// untilInterrupted returns a context that ends at SIGINT or SIGTERM.
func (e *env) untilInterrupted() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(e.ctx)
	signals, stop := e.signals(os.Interrupt, syscall.SIGTERM)
	go func() {
		defer stop()
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (e *env) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: level}))
}

// hinted is an error with a remedy.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// findings says that the command worked and found something wrong; what, it has
// printed already.
var errFindings = errors.New("findings")

// usageError is a mistake on the command line or in the configuration file.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// run executes the command line and returns the exit code.
func run(e *env, args []string) int {
	root := newRoot(e)
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	err := root.ExecuteContext(e.ctx)
	var usage usageError
	var config mistakes
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE): // whoever read the output has enough
		return exitOK
	case errors.Is(err, errFindings):
		return exitFindings
	case errors.As(err, &config):
		_ = rules.Print(e.stderr, config) // where else to complain
		return exitUsage
	}
	for _, one := range each(err) {
		fmt.Fprintf(e.stderr, "error: %v\n", one)
		if hint := hintOf(one); hint != "" {
			fmt.Fprintf(e.stderr, "hint: %s\n", hint)
		}
	}
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "eunomia",
		Short: "Runtime security detector for Linux hosts and containers",
		Long: `Eunomia watches a Linux host and its containers with eBPF, evaluates rules
written in CEL, and sends alerts to stdout, NATS, webhooks and Prometheus.

Start the detector with "eunomia server"; look at live events with "eunomia run".`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          verb,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{hinted{err, fmt.Sprintf("see %q", c.CommandPath()+" --help")}}
	})
	for _, command := range commands {
		root.AddCommand(command(e))
	}
	return root
}

// commands lists the verbs, in the order of the help text.
var commands = []func(*env) *cobra.Command{
	serverCommand,
	runCommand,
	rulesCommand,
	fieldsCommand,
	eventsCommand,
	doctorCommand,
	versionCommand,
	completionCommand,
}

// verb refuses a subcommand that does not exist.
func verb(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	hint := "one of " + strings.Join(names, ", ")
	if s := rules.Suggest(args[0], names); s != "" {
		hint = fmt.Sprintf("did you mean %q?", c.CommandPath()+" "+s)
	}
	return usageError{hinted{fmt.Errorf("%s has no command %q", c.CommandPath(), args[0]), hint}}
}

// noArgs refuses arguments as a mistake of usage.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{hinted{fmt.Errorf("unexpected argument %q", args[0]), fmt.Sprintf("see %q", c.CommandPath()+" --help")}}
	}
	return nil
}
