package outputs

import (
	"strings"
	"sync"
	"sync/atomic"

	"eunomia/event"

	"github.com/prometheus/client_golang/prometheus"
)

// Matches counts alerts by rule. Its label sets are those of the rules given to
// SetRules, each present at zero; an alert cannot add one.
type Matches struct {
	mu    sync.RWMutex
	rules map[ruleKey]*atomic.Uint64
}

type ruleKey struct {
	rule     string
	severity event.Severity
}

var matchesDesc = prometheus.NewDesc("eunomia_rule_matches_total", "Alerts raised, by rule.", []string{"rule", "severity"}, nil)

// SetRules replaces the rules that are counted. A rule that stays keeps its count.
func (m *Matches) SetRules(rules []event.RuleInfo) {
	next := make(map[ruleKey]*atomic.Uint64, len(rules))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rules {
		key := ruleKey{r.ID, r.Severity}
		if next[key] = m.rules[key]; next[key] == nil {
			next[key] = new(atomic.Uint64)
		}
	}
	m.rules = next
}

// Count counts one alert, unless its rule has been removed since.
func (m *Matches) Count(a *event.Alert) {
	m.mu.RLock()
	counter := m.rules[ruleKey{a.Rule.ID, a.Rule.Severity}]
	m.mu.RUnlock()
	if counter != nil {
		counter.Add(1)
	}
}

// Describe implements prometheus.Collector.
func (m *Matches) Describe(out chan<- *prometheus.Desc) { out <- matchesDesc }

// Collect implements prometheus.Collector.
func (m *Matches) Collect(out chan<- prometheus.Metric) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for key, counter := range m.rules {
		out <- prometheus.MustNewConstMetric(matchesDesc, prometheus.CounterValue, float64(counter.Load()),
			strings.ToValidUTF8(key.rule, "\ufffd"), key.severity.String())
	}
}
