package outputs

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"eunomia/event"
)

// Settings are the keys that every output has.
type Settings struct {
	// MinSeverity is the least severity that is delivered (info).
	MinSeverity event.Severity `toml:"min_severity"`
	// Queue bounds the alerts that wait (10000), QueueBytes their documents (32 MiB).
	Queue      int `toml:"queue"`
	QueueBytes int `toml:"queue_bytes"`
	// WhenFull is what a full queue gives up: drop_newest keeps how it began
	// (the default), drop_oldest keeps how it goes on.
	WhenFull string `toml:"when_full"`
	// RetryFor is how long one alert is tried before it is given up (1h), and
	// MaxAttempts how often (0: no limit). Neither runs while the output cannot
	// even be opened.
	RetryFor    Duration `toml:"retry_for"`
	MaxAttempts int      `toml:"max_attempts"`
	// Backoff and MaxBackoff are the first and the longest pause between two
	// attempts (500ms, 30s); each is varied at random by half.
	Backoff    Duration `toml:"backoff"`
	MaxBackoff Duration `toml:"max_backoff"`
}

// The values of Settings.WhenFull.
const (
	DropNewest = "drop_newest"
	DropOldest = "drop_oldest"
)

func (s *Settings) settings() *Settings { return s }

func (s Settings) withDefaults() Settings {
	s.MinSeverity = cmp.Or(s.MinSeverity, event.Info)
	s.Queue = cmp.Or(s.Queue, 10_000)
	s.QueueBytes = cmp.Or(s.QueueBytes, 32<<20)
	s.WhenFull = cmp.Or(s.WhenFull, DropNewest)
	s.RetryFor = cmp.Or(s.RetryFor, Duration(time.Hour))
	s.Backoff = cmp.Or(s.Backoff, Duration(500*time.Millisecond))
	s.MaxBackoff = cmp.Or(s.MaxBackoff, Duration(30*time.Second))
	return s
}

func (s *Settings) check(report reporter) {
	if s.WhenFull != "" && s.WhenFull != DropNewest && s.WhenFull != DropOldest {
		report("when_full", fmt.Sprintf("%q is not a policy", s.WhenFull), "use drop_newest or drop_oldest")
	}
	for _, n := range []struct {
		key   string
		value int
	}{{"queue", s.Queue}, {"queue_bytes", s.QueueBytes}, {"max_attempts", s.MaxAttempts}} {
		if n.value < 0 {
			report(n.key, "a negative number", "leave it out for the default")
		}
	}
	for _, d := range []struct {
		key   string
		value Duration
	}{{"retry_for", s.RetryFor}, {"backoff", s.Backoff}, {"max_backoff", s.MaxBackoff}} {
		checkDuration(report, d.key, d.value)
	}
}

func checkDuration(report reporter, key string, d Duration) {
	if d < 0 {
		report(key, "a negative duration", "leave it out for the default")
	}
}

// Problem is a mistake in the configuration, or a condition that the
// configuration can remedy.
type Problem struct {
	Key     string // "outputs.webhook[0].url"; may be empty
	Message string
	Hint    string // the remedy
	Err     error  // the cause; may be nil
}

func (p *Problem) Error() string {
	if p.Key == "" {
		return p.Message
	}
	return p.Key + ": " + p.Message
}

func (p *Problem) Unwrap() error { return p.Err }

// reporter notes a mistake at a key of the output that is being checked.
type reporter func(key, message, hint string)

// Validate returns every mistake in the configuration. It reads the files that
// the configuration names, and connects to nothing.
func (c *Config) Validate() []*Problem {
	var problems []*Problem
	at := func(prefix string) reporter {
		return func(key, message, hint string) {
			problems = append(problems, &Problem{Key: prefix + "." + key, Message: message, Hint: hint})
		}
	}
	keys, list := c.configs()
	first := make(map[string]string)
	for i, s := range list {
		report := at("outputs." + keys[i])
		s.settings().check(report)
		s.check(report)
		if other, taken := first[s.label()]; taken {
			report("name", "the same name as outputs."+other, "give each a name of its own; it is the output's name in metrics and logs")
		}
		first[s.label()] = keys[i]
	}
	return problems
}

// Duration is a time.Duration that configuration files write as "1m30s".
type Duration time.Duration

// UnmarshalText parses a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration: write it as 500ms, 30s, 1h", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the duration as UnmarshalText reads it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d Duration) String() string { return time.Duration(d).String() }

// Secret is a string that no log, error or JSON shows. Reveal is for the one place
// that sends it. (go-toml writes strings of any type as they are: configurations
// are read from TOML, never written to it.)
type Secret string

const redacted = "[redacted]"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string               { return redacted }
func (s Secret) GoString() string             { return redacted }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
