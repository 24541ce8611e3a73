// Package outputs decides how alerts leave the detector: to the terminal, to NATS,
// to webhooks, and how often as Prometheus counters. Publishing never blocks:
// every output has a bounded queue and a goroutine of its own, so a dead or slow
// receiver delays nobody else, and whatever cannot be kept is counted with its
// reason (results in metrics.go).
//
// One shape serves the sinks and everything wrapped around them. An alert walks
//
//	Publish → fanout → filter → queue ‖ retry → meter → lazy → sink
//
// where ‖ is the change of goroutine: filter drops what is below the output's
// minimum severity, queue bounds memory, retry waits between attempts and gives
// up, meter counts and times deliveries, lazy opens the sink and tries again when
// that fails. A durable spool is one more Output, between Publish and the
// fanout; Send's count tells it what it may forget.
//
// To add an output, write one file: its configuration with Settings embedded (the
// methods of sinkConfig) and its sink (the methods of Output); add its field to
// Config and its row to Table; pass the suite in conformance_test.go. Sinks do not
// retry, queue or count; they mark what no repetition would change with permanent
// and keep secrets out of their errors with scrub.
package outputs

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"eunomia/event"

	"github.com/prometheus/client_golang/prometheus"
)

// Output takes alerts and hands them on. One goroutine at a time calls Send, and
// Close may be called while a Send hangs.
type Output interface {
	// Send hands on alerts in their order and returns how many, from the first,
	// are settled: the caller may forget them. If not all are, the error tells
	// why the first of the others is not. An empty list only makes the output
	// ready.
	Send(ctx context.Context, alerts []*event.Alert) (int, error)
	// Close releases what the output holds, by ctx's deadline.
	Close(ctx context.Context) error
}

// Config is the section [outputs] of the configuration file. Begin with
// DefaultConfig, so that absent keys keep their defaults.
type Config struct {
	Stdout  StdoutConfig    `toml:"stdout"`
	NATS    NATSConfig      `toml:"nats"`
	Webhook []WebhookConfig `toml:"webhook"`
}

// Table lists the outputs there are, in the order in which they are opened.
var Table = []Row{
	{"stdout", "standard output: readable on a terminal, JSON lines otherwise", false, func(c *Config) []sinkConfig { return single(c.Stdout.Enabled, &c.Stdout) }},
	{"nats", "NATS, the embedded server unless servers are named; JetStream where a stream covers the subject", false, func(c *Config) []sinkConfig { return single(c.NATS.Enabled, &c.NATS) }},
	{"webhook", "one HTTP POST of JSON per alert; any number of them", true, func(c *Config) []sinkConfig { return several(c.Webhook) }},
}

// Row is one kind of output.
type Row struct {
	Name, Doc string // the key below [outputs], and what it does
	Array     bool   // [[outputs.name]]: any number of them, each with its own name
	of        func(*Config) []sinkConfig
}

// sinkConfig is the configuration of one output that is to run.
type sinkConfig interface {
	label() string // value of the metrics' label "output": from the configuration, never from an alert
	settings() *Settings
	check(report reporter)
	open(ctx context.Context, env Env) (Output, error)
}

// Env is what outputs need of the process they run in.
type Env struct {
	Stdout   io.Writer
	Terminal bool // Stdout is a terminal
	NoColor  bool // the environment sets NO_COLOR
	Log      *slog.Logger
	Metrics  prometheus.Registerer // may be nil
	Node     string                // name of this host
	Version  string                // of the detector
	StateDir string                // for the embedded NATS server; "" keeps alerts in memory
}

// DefaultConfig is what runs without a configuration file: standard output and
// the embedded NATS server.
func DefaultConfig() Config {
	return Config{
		Stdout: StdoutConfig{Enabled: true, Format: FormatAuto},
		NATS:   NATSConfig{Enabled: true, Prefix: "eunomia", Embedded: defaultEmbedded()},
	}
}

// configs returns the outputs that are to run, with the key of each.
func (c *Config) configs() (keys []string, list []sinkConfig) {
	for _, row := range Table {
		of := row.of(c)
		for i, s := range of {
			key := row.Name
			if row.Array {
				key = fmt.Sprintf("%s[%d]", key, i)
			}
			keys, list = append(keys, key), append(list, s)
		}
	}
	return keys, list
}

func single(enabled bool, c sinkConfig) []sinkConfig {
	if !enabled {
		return nil
	}
	return []sinkConfig{c}
}

func several[T any, P interface {
	*T
	sinkConfig
}](list []T) []sinkConfig {
	of := make([]sinkConfig, len(list))
	for i := range list {
		of[i] = P(&list[i])
	}
	return of
}
