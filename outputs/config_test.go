package outputs

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"eunomia/event"

	"github.com/pelletier/go-toml/v2"
)

const everyKey = `
[stdout]
enabled = true
format = "json"
min_severity = "low"
[nats]
enabled = true
servers = ["tls://a:4222", "nats://b"]
prefix = "acme"
timeout = "2s"
events = true
user = "u"
password = "hidden"
min_severity = "critical"
queue = 5
queue_bytes = 1000
when_full = "drop_oldest"
retry_for = "10m"
max_attempts = 3
backoff = "1s"
max_backoff = "1m"
[nats.tls]
server_name = "nats.test"
[nats.embedded]
port = 4333
token = "hidden"
max_bytes = 10000000
max_age = "24h"
[[webhook]]
name = "ops"
url = "https://example.test/hidden"
timeout = "3s"
headers = { Authorization = "Bearer hidden" }
min_severity = "high"
[[webhook]]
name = "soc"
url = "https://soc.test"
`

func TestConfigDecodesStrictlyAndIsValid(t *testing.T) {
	c := DefaultConfig()
	if err := toml.NewDecoder(strings.NewReader(everyKey)).DisallowUnknownFields().Decode(&c); err != nil {
		t.Fatal(err)
	}
	if problems := c.Validate(); len(problems) > 0 {
		t.Fatal(problems)
	}
	n := c.NATS
	if n.MinSeverity != event.Critical || n.WhenFull != DropOldest || n.RetryFor != Duration(10*time.Minute) || n.Password.Reveal() != "hidden" ||
		n.Embedded.MaxAge != Duration(24*time.Hour) || len(n.Servers) != 2 || c.Stdout.MinSeverity != event.Low {
		t.Errorf("%+v", c)
	}
	if len(c.Webhook) != 2 || c.Webhook[0].Headers["Authorization"].Reveal() != "Bearer hidden" || c.Webhook[0].MinSeverity != event.High {
		t.Errorf("%+v", c.Webhook)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "password", n.Password, "all", c)
	for _, text := range []string{string(asJSON), log.String(), fmt.Sprintf("%v %+v %#v %s", c, c, c, n.Password)} {
		if strings.Contains(text, "hidden") {
			t.Errorf("a secret is in %s", text)
		}
	}
}

func TestDefaultConfigIsValid(t *testing.T) {
	c := DefaultConfig()
	if problems := c.Validate(); len(problems) > 0 {
		t.Error(problems)
	}
	if keys, _ := c.configs(); !slices.Equal(keys, []string{"stdout", "nats"}) {
		t.Error(keys)
	}
}

func TestValidateReportsEachMistakeWithItsRemedy(t *testing.T) {
	dir := t.TempDir()
	junk, missing := filepath.Join(dir, "junk"), filepath.Join(dir, "missing")
	write(t, junk, []byte("junk hidden"))
	hook := func(change func(*WebhookConfig)) func(*Config) {
		return func(c *Config) {
			w := WebhookConfig{URL: "https://example.test/hidden"}
			change(&w)
			c.Webhook = append(c.Webhook, w)
		}
	}
	server := func(change func(*NATSConfig)) func(*Config) {
		return func(c *Config) {
			c.NATS.Enabled, c.NATS.Servers = true, []Secret{"nats://example.test"}
			change(&c.NATS)
		}
	}
	for want, change := range map[string]func(*Config){
		`outputs.stdout.format: "xml" is not a format`:                             func(c *Config) { c.Stdout.Enabled, c.Stdout.Format = true, "xml" },
		`outputs.webhook[0].url: not the URL of a web server`:                      hook(func(w *WebhookConfig) { w.URL = "hidden" }),
		`outputs.webhook[0].name: "a b" is not a name`:                             hook(func(w *WebhookConfig) { w.Name = "a b" }),
		`outputs.webhook[0].headers.Content-Type: set by Eunomia itself`:           hook(func(w *WebhookConfig) { w.Headers = map[string]Secret{"Content-Type": "hidden"} }),
		`outputs.webhook[0].headers.a b: not the name of an HTTP header`:           hook(func(w *WebhookConfig) { w.Headers = map[string]Secret{"a b": "hidden"} }),
		`outputs.webhook[0].headers.A: its value has a control character`:          hook(func(w *WebhookConfig) { w.Headers = map[string]Secret{"A": "hidden\nB: c"} }),
		`outputs.webhook[0].when_full: "block" is not a policy`:                    hook(func(w *WebhookConfig) { w.WhenFull = "block" }),
		`outputs.webhook[0].queue: a negative number`:                              hook(func(w *WebhookConfig) { w.Queue = -1 }),
		`outputs.webhook[0].timeout: a negative duration`:                          hook(func(w *WebhookConfig) { w.Timeout = -1 }),
		`outputs.webhook[0].tls.cert_file: a certificate needs its key`:            hook(func(w *WebhookConfig) { w.TLS.CertFile = junk }),
		`outputs.webhook[0].tls: read ca_file ` + junk + `: no PEM certificate`:    hook(func(w *WebhookConfig) { w.TLS.CAFile = junk }),
		`outputs.webhook[0].tls: read ca_file: open ` + missing:                    hook(func(w *WebhookConfig) { w.TLS.CAFile = missing }),
		`outputs.webhook[1].name: the same name as outputs.webhook[0]`:             func(c *Config) { hook(func(*WebhookConfig) {})(c); hook(func(*WebhookConfig) {})(c) },
		`outputs.nats.servers[0]: not the URL of a NATS server`:                    server(func(n *NATSConfig) { n.Servers[0] = "http://hidden:hidden@x" }),
		`outputs.nats.prefix: "a.*" is not the beginning of a NATS subject`:        server(func(n *NATSConfig) { n.Prefix = "a.*" }),
		`outputs.nats.token: more than one way to authenticate`:                    server(func(n *NATSConfig) { n.Token, n.User = "hidden", "u" }),
		`outputs.nats.servers: authentication or TLS is configured, but no server`: server(func(n *NATSConfig) { n.Servers, n.Token = nil, "hidden" }),
		`outputs.nats.credentials_file: open ` + missing:                           server(func(n *NATSConfig) { n.CredentialsFile = missing }),
		`outputs.nats.credentials_file: no user's seed in ` + junk:                 server(func(n *NATSConfig) { n.CredentialsFile = junk }),
		`outputs.nats.nkey_seed_file: no user's seed in ` + junk:                   server(func(n *NATSConfig) { n.NKeySeedFile = junk }),
		`outputs.nats.nkey_seed_file: open ` + missing:                             server(func(n *NATSConfig) { n.NKeySeedFile = missing }),
		`outputs.nats.embedded.port: 70000 is not a port`:                          func(c *Config) { c.NATS.Enabled, c.NATS.Embedded.Port = true, 70000 },
		`outputs.nats.embedded.max_bytes: too little`:                              func(c *Config) { c.NATS.Enabled, c.NATS.Embedded.MaxBytes = true, 1 },
		`outputs.nats.embedded.max_age: too short`:                                 func(c *Config) { c.NATS.Enabled, c.NATS.Embedded.MaxAge = true, 1 },
	} {
		c := only(change)
		problems := c.Validate()
		if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), want) || problems[0].Hint == "" {
			t.Errorf("want %q, got %q", want, problems)
		}
		if strings.Contains(fmt.Sprint(problems), "hidden") {
			t.Errorf("a secret is in %v", problems)
		}
	}
}

func TestScrubHidesEveryPartOfAURLThatMayBeSecret(t *testing.T) {
	const raw = "https://user:p%40ss-word@example.test/hooks/T000/B000?key=qu%2Fery-secret"
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	inner := fmt.Errorf("post %q: %s and %s, %s: %w", raw, u.String(), u.Path, "p@ss-word", errAway)
	got := scrub(inner, urlSecrets(raw))
	for _, secret := range []string{"p%40ss-word", "p@ss-word", "T000", "qu%2Fery-secret"} {
		if strings.Contains(got.Error(), secret) {
			t.Errorf("%s is in %s", secret, got)
		}
	}
	if !errors.Is(got, errAway) {
		t.Error("the cause is lost")
	}
	if place(raw) != "https://example.test" || place("://") != redacted {
		t.Errorf("place: %s", place(raw))
	}
}

func TestMatchesCountOnlyKnownRulesAndKeepCountsOverAReload(t *testing.T) {
	w := newWorld()
	d := w.start(t, only(func(*Config) {}))
	count := func() map[string]float64 {
		all := make(map[string]float64)
		for _, rule := range []string{"test_rule", "other", "third"} {
			for _, s := range []string{"high", "low"} {
				if m := w.metric(t, "eunomia_rule_matches_total", "rule="+rule, "severity="+s); m != nil {
					all[rule+" "+s] = m.GetCounter().GetValue()
				}
			}
		}
		return all
	}
	d.SetRules([]event.RuleInfo{{ID: "test_rule", Severity: event.High}, {ID: "other", Severity: event.Low}})
	if got := count(); !maps.Equal(got, map[string]float64{"test_rule high": 0, "other low": 0}) {
		t.Errorf("at start: %v", got)
	}
	d.Publish(alert(1, event.High))
	d.Publish(alert(2, event.High))
	d.SetRules([]event.RuleInfo{{ID: "test_rule", Severity: event.High}, {ID: "third", Severity: event.Low}})
	d.Publish(alert(3, event.Low)) // of a rule that is gone
	if got := count(); !maps.Equal(got, map[string]float64{"test_rule high": 2, "third low": 0}) {
		t.Errorf("after a reload: %v", got)
	}
}
