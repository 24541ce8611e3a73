package main

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"time"

	"eunomia/outputs"
	"eunomia/rules"

	"github.com/pelletier/go-toml/v2"
)

// config is the detector's configuration file. The zero values are not the
// defaults: defaultConfig is.
type config struct {
	Node         string   `toml:"node"`          // name of this host in events and subjects; its hostname when empty
	Listen       string   `toml:"listen"`        // HTTP address; "" turns HTTP off
	StateDir     string   `toml:"state_dir"`     // where the embedded NATS server keeps its streams
	Rules        []string `toml:"rules"`         // files and directories, merged in order after the default rules
	DefaultRules bool     `toml:"default_rules"` // start from the embedded rules
	LogLevel     logLevel `toml:"log_level"`     // debug, info, warn, error

	Sensor     sensorConfig     `toml:"sensor"`
	Containers containersConfig `toml:"containers"`
	Outputs    outputs.Config   `toml:"outputs"`
}

type sensorConfig struct {
	PriorityRing int   `toml:"priority_ring_bytes"` // ring of process events; a power of two
	BulkRing     int   `toml:"bulk_ring_bytes"`     // ring of file and network events; a power of two
	Counters     bool  `toml:"counters"`            // count system calls and bytes per container in the kernel
	ProcessBytes int64 `toml:"process_bytes"`       // bound of the process tree's memory
}

type containersConfig struct {
	Docker       bool             `toml:"docker"`        // ask the Docker API for names, images and labels
	DockerHost   string           `toml:"docker_host"`   // e.g. unix:///run/user/1000/docker.sock; the usual socket when empty
	MetadataWait outputs.Duration `toml:"metadata_wait"` // how long a verdict may wait for them
}

const (
	defaultListen   = "127.0.0.1:8527"
	defaultStateDir = "/var/lib/eunomia"
)

func defaultConfig() config {
	return config{
		Listen:       defaultListen,
		StateDir:     defaultStateDir,
		DefaultRules: true,
		Sensor:       sensorConfig{PriorityRing: 1 << 20, BulkRing: 8 << 20, Counters: true, ProcessBytes: 64 << 20},
		Containers:   containersConfig{Docker: true, MetadataWait: outputs.Duration(3 * time.Second)},
		Outputs:      outputs.DefaultConfig(),
	}
}

// loadConfig reads a configuration file over the defaults. Its error is mistakes.
func loadConfig(path string, getenv func(string) string) (config, error) {
	c := defaultConfig()
	if path == "" {
		return c, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return c, mistakes{{Pos: rules.Position{File: path}, Check: "file", Message: "cannot be read: " + cause(err),
			Hint: "give --config the path of a TOML file, or leave it out for the defaults"}}
	}
	d := toml.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, tomlMistakes(path, data, err)
	}
	report := &configReport{path: path, data: data}
	report.wantText(reflect.TypeOf(c), data)
	expand(reflect.ValueOf(&c).Elem(), "", getenv, report)
	if len(report.found) == 0 {
		c.validate(report)
	}
	if len(report.found) > 0 {
		return c, report.found
	}
	return c, nil
}

func (c *config) validate(report *configReport) {
	for _, r := range []struct {
		key  string
		size int
	}{{"sensor.priority_ring_bytes", c.Sensor.PriorityRing}, {"sensor.bulk_ring_bytes", c.Sensor.BulkRing}} {
		if r.size < 64<<10 || r.size > 1<<30 || r.size&(r.size-1) != 0 {
			report.add(r.key, "value", fmt.Sprintf("%d is not a size for a ring", r.size), "use a power of two from 65536 to 1073741824")
		}
	}
	if c.Sensor.ProcessBytes < 1<<20 {
		report.add("sensor.process_bytes", "value", fmt.Sprintf("%d is too small", c.Sensor.ProcessBytes), "use at least 1048576")
	}
	if w := time.Duration(c.Containers.MetadataWait); w < 0 || w > time.Minute {
		report.add("containers.metadata_wait", "value", fmt.Sprintf("%s is out of range", w), "use 0s to 1m")
	}
	for _, p := range c.Outputs.Validate() {
		report.add(p.Key, "value", p.Message, p.Hint)
	}
}
