package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"eunomia/engine"
	"eunomia/enrich"
	"eunomia/event"
	"eunomia/outputs"
	"eunomia/probes"
	"eunomia/rules"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// flushTime bounds how long a stopping detector waits for its outputs.
const flushTime = 5 * time.Second

func serverCommand(e *env) *cobra.Command {
	var path, listen, stateDir string
	var paths []string
	c := &cobra.Command{
		Use:   "server",
		Short: "Run the detector",
		Long: `Run the detector: watch this host and its containers, evaluate rules, send alerts.

Without flags or configuration: the embedded rules, alerts on standard output
(readable on a terminal, JSON lines otherwise), NATS with JetStream embedded on
127.0.0.1:4222, metrics and health on 127.0.0.1:8527. SIGHUP, or a change of a
rule file, reloads the rules.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := loadConfig(path, e.getenv)
			if err != nil {
				return err
			}
			if c.Flags().Changed("listen") {
				conf.Listen = listen
			}
			if c.Flags().Changed("state-dir") {
				conf.StateDir = stateDir
			}
			conf.Rules = append(conf.Rules, paths...)
			return serve(e, conf)
		},
	}
	c.Flags().StringVar(&path, "config", "", "configuration file (TOML)")
	c.Flags().StringArrayVar(&paths, "rules", nil, "rule file or directory, merged after the embedded rules; may be given again")
	c.Flags().StringVar(&listen, "listen", defaultListen, "HTTP address; empty turns HTTP off")
	c.Flags().StringVar(&stateDir, "state-dir", defaultStateDir, "directory for state")
	return c
}

// server is a running detector with everything around it.
type server struct {
	env      *env
	config   config
	hangup   <-chan os.Signal // asks for a reload of the rules
	logger   *slog.Logger
	sources  ruleSources
	sensor   *probes.Sensor
	enricher *enrich.Enricher
	outputs  *outputs.Dispatcher
	detector *detector
	registry *prometheus.Registry
	reloads  reloads
	test     selfTest
	lost     atomic.Uint64 // events lost, as of the last look
}

// serve runs the detector until it is told to stop.
func serve(e *env, conf config) (err error) {
	log := newSteadyLog(e.stderr)
	defer log.close()
	steady := *e
	steady.stderr = log
	e = &steady
	ctx, stop := e.untilInterrupted()
	defer stop()
	// From the first to the last: a hangup that nobody takes would end the detector.
	hangup, ignore := e.signals(syscall.SIGHUP)
	defer ignore()
	s := &server{env: e, config: conf, hangup: hangup, logger: e.logger(slog.Level(conf.LogLevel))}

	// First everything that can be wrong without touching the kernel.
	program, err := s.loadRules()
	if err != nil {
		return err
	}
	if err := probes.Check(ctx).Err(); err != nil {
		return err
	}
	listener, err := listen(conf.Listen)
	if err != nil {
		return err
	}
	if listener != nil {
		defer listener.Close()
	}
	if s.config.StateDir, err = s.stateDir(); err != nil {
		return err
	}
	if s.config.Node == "" {
		if s.config.Node, err = os.Hostname(); err != nil {
			return fmt.Errorf("find the host's name: %w", err)
		}
	}
	s.registry = prometheus.NewRegistry()
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := s.openOutputs(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.closeOutputs()) }()

	if err := s.openSensor(program); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.sensor.Close()) }()
	return s.run(ctx, listener)
}

// loadRules loads the first rule set: the good rules run, the others are named.
func (s *server) loadRules() (*engine.Program, error) {
	s.sources = ruleSources{paths: s.config.Rules, defaults: s.config.DefaultRules}
	_, program, diagnostics := s.sources.load()
	if err := rules.Print(s.env.stderr, diagnostics); err != nil {
		return nil, err
	}
	mistakes := broken(diagnostics)
	s.reloads.record(program, mistakes)
	if len(infos(program)) == 0 {
		return nil, hinted{errors.New("no rule can be used"), `mend the rule files ("eunomia rules check" names every mistake), or leave out --rules and default_rules for the embedded ones`}
	}
	if mistakes > 0 {
		s.logger.Error("rules with mistakes are left out; the others run", "mistakes", mistakes, "rules", len(infos(program)))
	}
	return program, nil
}

// listen binds the HTTP address; nil when HTTP is off.
func listen(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		hint := "give --listen host:port with an address of this machine, as in 127.0.0.1:8527, or '' for no HTTP"
		if errors.Is(err, syscall.EADDRINUSE) {
			hint = "another detector may be running; choose another --listen address, or --listen '' for none"
		}
		return nil, hinted{fmt.Errorf("serve HTTP: %w", err), hint}
	}
	return l, nil
}

// stateDir returns a directory that can be written: the configured one, or loudly
// a temporary one.
func (s *server) stateDir() (string, error) {
	dir := s.config.StateDir
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(dir, ".writable-"); err == nil {
			return dir, errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
	}
	fallback, tempErr := os.MkdirTemp("", "eunomia-")
	if tempErr != nil {
		return "", errors.Join(err, tempErr)
	}
	s.logger.Error("the state directory cannot be written: alerts kept by the embedded NATS server will not survive a reboot",
		"dir", dir, "error", err, "using", fallback, "hint", "give --state-dir a directory that can be written")
	return fallback, nil
}

func (s *server) openOutputs() (err error) {
	s.outputs, err = outputs.New(s.config.Outputs, outputs.Env{
		Stdout: s.env.stdout, Terminal: s.env.terminal, NoColor: s.env.getenv("NO_COLOR") != "",
		Log: s.logger, Metrics: s.registry, Node: s.config.Node, Version: version, StateDir: s.config.StateDir,
	})
	return err
}

func (s *server) closeOutputs() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	return s.outputs.Close(ctx)
}

// openSensor attaches the probes, then reads what exists, so that nothing falls
// between.
func (s *server) openSensor(program *engine.Program) error {
	sensor, err := probes.Open(probes.Options{
		PriorityBytes: s.config.Sensor.PriorityRing, BulkBytes: s.config.Sensor.BulkRing,
		NoCounters: !s.config.Sensor.Counters, Logger: s.logger,
	})
	if err != nil {
		return err
	}
	s.sensor = sensor
	parked := newParking(time.Duration(s.config.Containers.MetadataWait))
	if s.enricher, err = newEnricher(sensor, s.config, s.logger, parked.notify); err != nil {
		return errors.Join(err, sensor.Close())
	}
	s.detector = &detector{
		enricher: s.enricher, publish: s.outputs.Publish, lost: s.lost.Load,
		engine: engine.New(program), parked: parked,
	}
	parked.decide = s.detector.decide
	parked.refresh = func(e *event.Event) {
		if c := s.enricher.Container(e.Container.ID); c != nil {
			e.Container = c
		}
	}
	s.outputs.SetRules(infos(program))
	if s.outputs.WantsEvents() {
		s.detector.raw = func(e *event.Event) { s.outputs.PublishEvent(e.Kind, e.AppendDocument(nil)) }
	}
	s.detector.latency = registerMetrics(s)
	return nil
}

// newEnricher reads the host's processes; the sensor must be attached.
func newEnricher(sensor *probes.Sensor, conf config, logger *slog.Logger, onContainer func(string)) (*enrich.Enricher, error) {
	groups, err := sensor.Cgroups()
	if err != nil {
		logger.Warn("not every control group could be listed: containers that run already may be named late", "error", err)
	}
	paths := make(map[uint64]string, len(groups))
	for _, g := range groups {
		paths[g.ID] = g.Path
	}
	v1, v2 := sensor.CgroupMounts()
	return enrich.New(enrich.Options{
		Node:         conf.Node,
		MaxBytes:     conf.Sensor.ProcessBytes,
		Cgroups:      enrich.Cgroups{V1: v1, V2: v2, Paths: paths},
		Logger:       logger,
		NoDocker:     !conf.Containers.Docker,
		DockerHost:   conf.Containers.DockerHost,
		MetadataWait: time.Duration(conf.Containers.MetadataWait),
		OnContainer:  onContainer,
	})
}

// run lives as long as the detector. Stopping goes with the stream: the sensor ends
// and delivers what its rings hold, parked events are decided, outputs are flushed.
func (s *server) run(ctx context.Context, listener net.Listener) error {
	around, stopAround := context.WithCancel(context.Background())
	defer stopAround()
	g, failed := errgroup.WithContext(around)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(failed, cancel)

	g.Go(func() error { return s.enricher.Run(failed) })
	g.Go(func() error { s.detector.parked.run(failed); return nil })
	g.Go(func() error { return s.watchRules(failed) })
	g.Go(func() error { s.watchLosses(failed); return nil })
	g.Go(func() error { s.test.run(failed, s.detector, s.logger); return nil })
	if listener != nil {
		g.Go(func() error { return s.serveHTTP(failed, listener) })
	}
	s.announce(listener)
	defer returnGarbage().Stop()
	err := s.sensor.Run(ctx, s.detector.handle)
	s.logger.Info("stopping")
	stopAround()
	waited := g.Wait()
	s.detector.parked.decideAll() // what came after the lot had ended with a part that failed
	if !errors.Is(waited, context.Canceled) {
		err = errors.Join(err, waited)
	}
	return err
}

// returnGarbage gives back what starting or compiling rules has left on the heap, tens
// of megabytes that an idle detector would otherwise hold until its next collection.
func returnGarbage() *time.Timer { return time.AfterFunc(5*time.Second, debug.FreeOSMemory) }

// announce tells the operator what runs, in one line each.
func (s *server) announce(listener net.Listener) {
	attrs := []any{"version", version, "node", s.config.Node, "rules", len(infos(s.detector.engine.Program()))}
	if listener != nil {
		attrs = append(attrs, "http", "http://"+listener.Addr().String())
	}
	s.logger.Info("detecting", attrs...)
}

// watchLosses keeps the number that alerts state, and says when it grows.
func (s *server) watchLosses(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var logged uint64
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			st, err := s.sensor.Stats()
			if err != nil {
				continue
			}
			var sum uint64
			for _, l := range st.Losses {
				if l.Reason != probes.LostMapFull { // that loses a label, not an event
					sum += l.Count
				}
			}
			s.lost.Store(sum)
			if sum > logged && now.Sub(last) >= 10*time.Second {
				s.logger.Warn("events were lost", "since_last_report", sum-logged, "total", sum,
					"hint", "raise sensor.bulk_ring_bytes, or see eunomia_events_lost_total for kind and reason")
				logged, last = sum, now
			}
		}
	}
}
