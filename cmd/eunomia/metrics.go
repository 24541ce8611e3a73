package main

import (
	"time"

	"eunomia/event"
	"eunomia/probes"

	"github.com/prometheus/client_golang/prometheus"
)

// registerMetrics registers what the server knows of itself and returns the
// observer of alert latency.
func registerMetrics(s *server) func(time.Duration) {
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "eunomia_alert_latency_seconds",
		Help:    "Time from the act to the alert, before outputs.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
	})
	s.registry.MustRegister(latency, &serverCollector{server: s})
	if s.config.Sensor.Counters {
		s.registry.MustRegister(newContainerCollector(s.sensor.CgroupStats, s.enricher.ContainerOf))
	}
	return func(d time.Duration) { latency.Observe(max(d, 0).Seconds()) }
}

// desc describes a metric in one line.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("eunomia_"+name, help, labels, nil)
}

var (
	buildInfo        = desc("build_info", "Always 1; the version of the detector.", "version")
	eventsTotal      = desc("events_total", "Events by kind and stage: seen by the kernel programs, delivered to user space, evaluated against rules.", "kind", "stage")
	eventsLost       = desc("events_lost_total", "Events that were lost, by kind and reason.", "kind", "reason")
	countersOverflow = desc("counter_overflow_total", "System calls counted under \"other\" because the kernel's table of control groups was full.")
	sensorLag        = desc("sensor_lag_seconds", "Age of the oldest record in the last round of the reader.")
	selfTestOK       = desc("self_test_ok", "Whether the sensor saw the last self-test.")
	selfTestFailures = desc("self_test_failures_total", "Self-tests that the sensor did not see.")
	syscallsTotal    = desc("syscalls_total", "System calls made on this host, by name and entry.", "syscall", "abi")

	ruleEvaluations = desc("rule_evaluations_total", "Times that a rule was evaluated.", "rule")
	ruleSuppressed  = desc("rule_suppressed_total", "Matches withheld by the rule's throttle.", "rule")
	ruleEvicted     = desc("rule_throttle_evictions_total", "Throttle windows forgotten for want of room: what they withheld may alert again.", "rule")
	ruleExcepted    = desc("rule_excepted_total", "Matches silenced by an exception.", "rule")
	ruleErrors      = desc("rule_errors_total", "Evaluations that ended in an error.", "rule")
	ruleUnknowns    = desc("rule_unknowns_total", "Evaluations that had to wait for metadata.", "rule")
	ruleSeconds     = desc("rule_sampled_seconds_total", "Time of the sampled evaluations.", "rule")
	ruleSamples     = desc("rule_samples_total", "Evaluations whose time was taken.", "rule")
	rulesLoaded     = desc("rules_loaded", "Rules that run.")
	rulesMistakes   = desc("rules_mistakes", "Mistakes in the rule files that were read last.")
	rulesReloads    = desc("rules_reloads_total", "Reloads of the rules, by result.", "result")

	parkedEvents   = desc("parked_events", "Events that wait for container metadata.")
	parkedTotal    = desc("parked_events_total", "Events that waited for container metadata, or could not, by outcome.", "outcome")
	processes      = desc("processes", "Processes in the tree, ended ones included.")
	processBytes   = desc("process_tree_bytes", "Estimated memory of the process tree.")
	processEvicted = desc("process_evictions_total", "Processes dropped from the tree, by reason.", "reason")
	processMissing = desc("process_missing_total", "Events of processes that were not in the tree, by how they were made up.", "from")
	containers     = desc("containers", "Containers known, by state of their metadata.", "state")
	dockerUp       = desc("docker_connected", "Whether the Docker API answers.")
	dockerFailures = desc("docker_failures_total", "Connections to the Docker API that ended or did not begin.")
	cgroupUnknown  = desc("cgroup_unknown_total", "Control groups whose path was not found.")
	metadataLate   = desc("container_metadata_timeouts_total", "Containers whose metadata did not arrive in time.")
)

// serverCollector reads the figures of the parts when they are scraped.
type serverCollector struct{ server *server }

// Describe sends nothing: the collector is unchecked, since its label values vary.
func (c *serverCollector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the figures.
func (c *serverCollector) Collect(out chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	seconds := func(d *prometheus.Desc, v time.Duration, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v.Seconds(), labels...)
	}
	gauge(buildInfo, 1, version)
	c.sensor(counter, gauge)
	c.rules(counter, gauge, seconds)
	c.enrichment(counter, gauge)
}

type (
	counterFunc func(*prometheus.Desc, uint64, ...string)
	gaugeFunc   func(*prometheus.Desc, float64, ...string)
	secondsFunc func(*prometheus.Desc, time.Duration, ...string)
)

func (c *serverCollector) sensor(counter counterFunc, gauge gaugeFunc) {
	s := c.server
	if st, err := s.sensor.Stats(); err == nil {
		lost := map[[2]string]uint64{}
		for _, info := range event.Kinds {
			counter(eventsTotal, st.Seen[info.Kind], info.Name, "seen")
			counter(eventsTotal, st.Delivered[info.Kind], info.Name, "delivered")
			if !info.Internal {
				counter(eventsTotal, s.detector.evaluated[info.Kind].Load(), info.Name, "evaluated")
			}
			for _, reason := range []string{probes.LostRingFull, probes.LostReadFault} {
				lost[[2]string{info.Name, reason}] = 0
			}
		}
		for _, reason := range []string{probes.LostDecode, probes.LostRecursion} {
			lost[[2]string{"unknown", reason}] = 0
		}
		var overflow uint64
		for _, l := range st.Losses {
			if l.Reason == probes.LostMapFull {
				overflow += l.Count
				continue
			}
			lost[[2]string{l.Kind.String(), l.Reason}] += l.Count
		}
		for k, n := range lost {
			counter(eventsLost, n, k[0], k[1])
		}
		counter(countersOverflow, overflow)
		gauge(sensorLag, st.Lag.Seconds())
	}
	gauge(selfTestOK, oneIf(s.test.ok.Load()))
	counter(selfTestFailures, s.test.failures.Load())
	if s.config.Sensor.Counters {
		if calls, err := s.sensor.SyscallCounts(); err == nil {
			sum := map[[2]string]uint64{}
			for _, n := range calls {
				abi := "native"
				if n.Compat {
					abi = "compat"
				}
				sum[[2]string{n.Name, abi}] += n.Count
			}
			for k, n := range sum {
				counter(syscallsTotal, n, k[0], k[1])
			}
		}
	}
}

func (c *serverCollector) rules(counter counterFunc, gauge gaugeFunc, seconds secondsFunc) {
	s := c.server
	for _, r := range s.detector.engine.Stats() {
		if !r.Rule.Enabled {
			continue
		}
		id := r.Rule.Info.ID
		counter(ruleEvaluations, r.Evaluations, id)
		counter(ruleSuppressed, r.Suppressed, id)
		counter(ruleEvicted, r.Evicted, id)
		counter(ruleExcepted, r.Excepted, id)
		counter(ruleErrors, r.Errors, id)
		counter(ruleUnknowns, r.Unknowns, id)
		counter(ruleSamples, r.Samples, id)
		seconds(ruleSeconds, r.SampledTime, id)
	}
	_, mistakes := s.reloads.state()
	gauge(rulesLoaded, float64(len(infos(s.detector.engine.Program()))))
	gauge(rulesMistakes, float64(mistakes))
	counter(rulesReloads, s.reloads.good.Load(), "success")
	counter(rulesReloads, s.reloads.bad.Load(), "refused")
}

func (c *serverCollector) enrichment(counter counterFunc, gauge gaugeFunc) {
	p := c.server.detector.parked
	gauge(parkedEvents, float64(p.waiting()))
	counter(parkedTotal, p.total.Load(), "parked")
	counter(parkedTotal, p.timeouts.Load(), "timeout")
	counter(parkedTotal, p.overflow.Load(), "no_room")
	st := c.server.enricher.Stats()
	gauge(processes, float64(st.Processes))
	gauge(processBytes, float64(st.Bytes))
	for reason, n := range st.Evicted {
		counter(processEvicted, n, reason)
	}
	counter(processMissing, st.ProcReads, "proc")
	counter(processMissing, st.Stubs, "header")
	for state, n := range st.Containers {
		gauge(containers, float64(n), state)
	}
	gauge(dockerUp, oneIf(st.DockerConnected))
	counter(dockerFailures, st.DockerFailures)
	counter(cgroupUnknown, st.CgroupUnknown)
	counter(metadataLate, st.MetadataTimeouts)
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
