package main

import (
	"fmt"
	"log/slog"
	"time"
)

// duration is a time.Duration written as "3s" in the configuration.
type duration time.Duration

// UnmarshalText parses a duration such as 3s.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 3s", text)
	}
	*d = duration(v)
	return nil
}

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
