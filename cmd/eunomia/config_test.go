package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// configFile writes a configuration and returns its path.
func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "eunomia.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func environment(vars ...string) func(string) string {
	return func(name string) string {
		for _, v := range vars {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestWithoutAFileTheDefaultsHold(t *testing.T) {
	for _, path := range []string{"", configFile(t, ""), configFile(t, "[sensor]\n[outputs.nats.embedded]\n")} {
		c, err := loadConfig(path, environment())
		if err != nil {
			t.Fatal(err)
		}
		if c.Listen != "127.0.0.1:8527" || !c.DefaultRules || !c.Sensor.Counters || !c.Containers.Docker ||
			!c.Outputs.Stdout.Enabled || !c.Outputs.NATS.Enabled || c.Outputs.NATS.Embedded.Port != 4222 ||
			time.Duration(c.Containers.MetadataWait) != 3*time.Second {
			t.Errorf("%q: %+v", path, c)
		}
	}
}

func TestAFileChangesWhatItNames(t *testing.T) {
	c, err := loadConfig(configFile(t, `
node = "web-1"
rules = ["/etc/eunomia/rules", "extra.yaml"]
[outputs.nats]
enabled = false
[[outputs.webhook]]
url = "https://example.org/a"
min_severity = "high"
[[outputs.webhook]]
name = "b"
url = "https://example.org/b"
`), environment())
	if err != nil {
		t.Fatal(err)
	}
	if c.Node != "web-1" || !slices.Equal(c.Rules, []string{"/etc/eunomia/rules", "extra.yaml"}) || c.Outputs.NATS.Enabled || len(c.Outputs.Webhook) != 2 {
		t.Errorf("%+v", c)
	}
	if c.Listen != defaultListen || !c.Outputs.Stdout.Enabled {
		t.Error("what is not named has changed")
	}
}

func TestSecretsAreExpandedEverywhere(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from a file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(configFile(t, `
node = "${NODE}-1"
rules = ["${DIR}/rules", "plain"]
[outputs.nats]
servers = ["nats://${NODE}:4222", "nats://other:4222"]
token = "${file:`+secret+`}"
[[outputs.webhook]]
url = "https://example.org/${A}/${B}"
headers = { Authorization = "Bearer ${A}", X-Plain = "$A {B}" }
`), environment("NODE=web", "DIR=/etc", "A=one", "B=${A}"))
	if err != nil {
		t.Fatal(err)
	}
	hook := c.Outputs.Webhook[0]
	for what, got := range map[string][2]string{
		"a part of a string":         {c.Node, "web-1"},
		"an element of a list":       {c.Rules[0], "/etc/rules"},
		"a secret of a list":         {c.Outputs.NATS.Servers[0].Reveal(), "nats://web:4222"},
		"a file, without line break": {c.Outputs.NATS.Token.Reveal(), "from a file"},
		"two, what they hold as is":  {hook.URL.Reveal(), "https://example.org/one/${A}"},
		"a header":                   {hook.Headers["Authorization"].Reveal(), "Bearer one"},
		"what only looks like one":   {hook.Headers["X-Plain"].Reveal(), "$A {B}"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %q, want %q", what, got[0], got[1])
		}
	}
}

func TestEveryMistakeIsNamedAtItsKey(t *testing.T) {
	path := configFile(t, `
[sensor]
priority_ring_bytes = 3
process_bytes = 1
[outputs]
stdout.when_full = "drop_all"
nats = { queue = -1, embedded = { port = 99999 } }
[[outputs.webhook]]
url = "https://example.org"
[[outputs.webhook]]
url = "https://example.org"
timeout = "-1s"
`)
	_, err := loadConfig(path, environment())
	var found mistakes
	if !errors.As(err, &found) {
		t.Fatalf("%v", err)
	}
	var got []string
	for _, d := range found {
		key, _, _ := strings.Cut(d.Message, ": ")
		got = append(got, strings.TrimPrefix(d.Pos.String(), path)+" "+key)
		if d.Hint == "" {
			t.Errorf("%s: no remedy", d)
		}
	}
	want := []string{
		":3:1 sensor.priority_ring_bytes",
		":4:1 sensor.process_bytes",
		":6:8 outputs.stdout.when_full",
		":7:10 outputs.nats.queue",
		":7:35 outputs.nats.embedded.port",
		":12:1 outputs.webhook[1].timeout",
		":10:11 outputs.webhook[1].name",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAConfigurationIsStrict(t *testing.T) {
	for name, text := range map[string]string{
		"an unknown key":              "color = true",
		"an unknown table":            "[colors]",
		"an unknown key of a webhook": "[[outputs.webhook]]\nurl = \"https://example.org\"\nmethod = \"PUT\"",
		"a key given twice":           "listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"",
		"a number for a string":       "listen = 8527",
		"a string for a number":       "[sensor]\nprocess_bytes = \"64M\"",
		"a string for a list":         "rules = \"rules.yaml\"",
		"a bare duration":             "[containers]\nmetadata_wait = 3",
		"one of an output":            "[[outputs.webhook]]\nurl = \"https://example.org\"\ntimeout = 10",
		"one in another case":         "[outputs.nats]\nTimeout = 10",
		"a severity's number":         "[outputs.stdout]\nmin_severity = 3",
		"a log level's number":        "log_level = -4",
		"an unknown severity":         "[outputs.stdout]\nmin_severity = \"urgent\"",
		"an unknown log level":        "log_level = \"chatty\"",
		"no TOML":                     "listen: 127.0.0.1:8527",
		"bytes that are no text":      "node = \"\xff\"",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(configFile(t, text), environment())
			var found mistakes
			if !errors.As(err, &found) {
				t.Fatalf("accepted, or another error: %v", err)
			}
			if found[0].Pos.Line == 0 || strings.Contains(found[0].Message, "toml:") || strings.Contains(found[0].Message, "main.") {
				t.Errorf("%s", found[0])
			}
		})
	}
}

// A secret must not come out with an error, whichever key it is at and however wrong
// it is.
func TestNoMistakeShowsASecret(t *testing.T) {
	const secret = "hunter2"
	for _, k := range configKeys() {
		if !k.secret {
			continue
		}
		table, key := k.name[:strings.LastIndex(k.name, ".")], k.name[strings.LastIndex(k.name, ".")+1:]
		if table == "outputs.webhook" {
			table = "[outputs.webhook]"
		}
		for what, value := range map[string]string{
			"without quotes":   secret,
			"badly quoted":     `"` + secret + `" x`,
			"a list":           `["` + secret + `", "nats://u:` + secret + `@%zz"]`,
			"a list of lines":  "[\n\"" + secret + "\"\n" + secret + "]",
			"a table":          `{ Name = "` + secret + `", Host = "` + secret + `" }`,
			"a bad table":      `{ Name = "` + secret + `", ` + secret + ` }`,
			"half a reference": `"${` + secret + `"`,
			"a bad URL":        `"ht tp://u:` + secret + `@/x\u0000"`,
			"many lines":       "\"\"\"\n" + secret + "\n\"\"\" " + secret,
		} {
			_, err := loadConfig(configFile(t, "["+table+"]\n"+key+" = "+value+"\n"), environment())
			var found mistakes
			if err != nil && !errors.As(err, &found) {
				t.Errorf("%s, %s: %v", k.name, what, err)
			}
			for _, d := range found {
				if strings.Contains(d.String()+d.Source+d.Hint, secret) {
					t.Errorf("%s, %s: %s\n%s\n%s", k.name, what, d, d.Source, d.Hint)
				}
			}
		}
	}
}

func TestKeysOfSecretsAreKnown(t *testing.T) {
	secret := map[string]bool{}
	for _, k := range configKeys() {
		secret[k.name] = k.secret
	}
	for name, want := range map[string]bool{
		"listen": false, "rules": false, "outputs.nats.servers": true, "outputs.nats.token": true, "outputs.nats.password": true,
		"outputs.nats.embedded.token": true, "outputs.webhook.url": true, "outputs.webhook.headers": true, "outputs.webhook.min_severity": false,
	} {
		got, known := secret[name]
		if !known || got != want {
			t.Errorf("%s: known %t, secret %t", name, known, got)
		}
	}
}

func TestTheDefaultConfigurationIsValid(t *testing.T) {
	c := defaultConfig()
	report := &configReport{}
	c.validate(report)
	if len(report.found) > 0 {
		t.Error(report.found)
	}
}
