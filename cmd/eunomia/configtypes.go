package main

import (
	"fmt"
	"log/slog"
)

// logLevel is a slog.Level written as a word in the configuration.
type logLevel slog.Level

// UnmarshalText parses debug, info, warn or error.
func (l *logLevel) UnmarshalText(text []byte) error {
	var v slog.Level
	if err := v.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is not a log level: want debug, info, warn or error", text)
	}
	*l = logLevel(v)
	return nil
}
