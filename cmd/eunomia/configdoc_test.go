package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"eunomia/outputs"

	"github.com/nats-io/nkeys"
)

const configurationPage = "../../docs/configuration.md"

func page(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// block is a fenced block of a page.
type block struct {
	info string // what stands behind the fence, e.g. yaml
	text string
	line int
}

var fence = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")

func blocks(page string) []block {
	var all []block
	for _, m := range fence.FindAllStringSubmatchIndex(page, -1) {
		all = append(all, block{page[m[2]:m[3]], page[m[4]:m[5]], strings.Count(page[:m[0]], "\n") + 2})
	}
	return all
}

var documentedKey = regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| ([^|]+) \\| [^|]+ \\|$")

// documentedKeys returns the keys of the page with their defaults.
func documentedKeys(t *testing.T) map[string]string {
	t.Helper()
	keys := map[string]string{}
	for _, m := range documentedKey.FindAllStringSubmatch(page(t, configurationPage), -1) {
		if _, twice := keys[m[1]]; twice {
			t.Errorf("%s is there twice", m[1])
		}
		keys[m[1]] = strings.Trim(m[2], "`")
	}
	return keys
}

// settingsKeys are the keys that every output has; the page lists them once.
func settingsKeys() []string {
	var names []string
	for f := range reflect.TypeFor[outputs.Settings]().Fields() {
		names = append(names, f.Tag.Get("toml"))
	}
	return names
}

func TestEveryKeyIsDocumentedAndNoOther(t *testing.T) {
	documented := documentedKeys(t)
	known := map[string]bool{}
	for _, k := range configKeys() {
		name := k.name
		if last := name[strings.LastIndexByte(name, '.')+1:]; strings.HasPrefix(name, "outputs.") && slices.Contains(settingsKeys(), last) {
			name = last
		}
		known[name] = true
		if documented[name] == "" {
			t.Errorf("docs/configuration.md does not list %s: add | `%s` | default | meaning |", name, name)
		}
	}
	for name := range documented {
		if !known[name] && !strings.HasPrefix(name, "eunomia_") { // those are metrics
			t.Errorf("docs/configuration.md lists %s, which is no key", name)
		}
	}
}

func TestTheDocumentedDefaultsHold(t *testing.T) {
	documented := documentedKeys(t)
	var walk func(reflect.Value, string)
	walk = func(v reflect.Value, name string) {
		if v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				part := v.Type().Field(i).Tag.Get("toml")
				if part != "" {
					walk(v.Field(i), strings.TrimPrefix(name+"."+part, "."))
				}
			}
			return
		}
		if v.IsZero() {
			return // empty, or known to the output alone
		}
		want := fmt.Sprint(v.Interface())
		if d, ok := v.Interface().(outputs.Duration); ok {
			want = time.Duration(d).String()
		}
		got := documented[name]
		if d, err := time.ParseDuration(got); err == nil {
			got = d.String() // 168h0m0s
		}
		if got != want {
			t.Errorf("%s: docs/configuration.md says %q, it is %q", name, got, want)
		}
	}
	walk(reflect.ValueOf(defaultConfig()), "")
}

// etc makes the files that the example names, and returns the directory that takes
// the place of /etc/eunomia.
func etc(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must := func(data []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example"}, NotAfter: time.Now().Add(time.Hour)}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))})
	write("ca.pem", certificate)
	write("client.pem", certificate)
	write("client.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}))
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed := must(user.Seed())
	write("eunomia.creds", fmt.Appendf(nil, "-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n", seed))
	write("eunomia.nk", seed)
	write("nats-password", []byte("password\n"))
	write("reader-token", []byte("token\n"))
	return dir
}

func TestTheExampleLoads(t *testing.T) {
	dir := etc(t)
	getenv := environment("NATS_TOKEN=t", "PAGER_KEY=k", "PAGER_TOKEN=p")
	found := false
	for _, b := range blocks(page(t, configurationPage)) {
		if b.info != "toml" {
			continue
		}
		found = true
		text := strings.ReplaceAll(b.text, "/etc/eunomia", dir)
		c, err := loadConfig(configFile(t, text), getenv)
		if err != nil {
			t.Fatalf("line %d: %v", b.line, err)
		}
		if c.Outputs.NATS.Embedded.Token.Reveal() != "token" || c.Outputs.Webhook[0].URL.Reveal() != "https://pager.example.org/hooks/k" {
			t.Error("its secrets are not expanded")
		}
		// The other ways to authenticate, one at a time.
		for _, other := range []string{"# token", "# user|# password", "# nkey_seed_file"} {
			lines := strings.Split(text, "\n")
			for i, l := range lines {
				if strings.HasPrefix(l, "credentials_file") {
					lines[i] = ""
				}
				for _, key := range strings.Split(other, "|") {
					if strings.HasPrefix(l, key+" ") {
						lines[i] = strings.TrimPrefix(l, "# ")
					}
				}
			}
			if _, err := loadConfig(configFile(t, strings.Join(lines, "\n")), getenv); err != nil {
				t.Errorf("with %s: %v", other, err)
			}
		}
	}
	if !found {
		t.Fatal("docs/configuration.md has no example")
	}
}

func TestTheExampleHasEveryKey(t *testing.T) {
	var text string
	for _, b := range blocks(page(t, configurationPage)) {
		if b.info == "toml" {
			text = regexp.MustCompile(`(?m)^# ([a-z_]+ = )`).ReplaceAllString(b.text, "$1")
		}
	}
	places := keyPlaces([]byte(text))
	have := map[string]bool{}
	for key := range places {
		have[withoutIndices(key)] = true
	}
	for _, k := range configKeys() {
		last := k.name[strings.LastIndexByte(k.name, '.')+1:]
		if slices.Contains(settingsKeys(), last) && strings.HasPrefix(k.name, "outputs.") {
			continue // once is enough
		}
		if !have[k.name] {
			t.Errorf("the example in docs/configuration.md lacks %s", k.name)
		}
	}
	for _, name := range settingsKeys() {
		if !have["outputs.webhook."+name] {
			t.Errorf("the example in docs/configuration.md lacks %s", name)
		}
	}
}

func TestEveryMetricIsDocumented(t *testing.T) {
	p := startServer(t, "[outputs]\nstdout.enabled = false\nnats = { events = true, embedded.port = -1 }\n[[outputs.webhook]]\nurl = \"http://127.0.0.1:1/\"\n")
	body, err := p.page("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	series := regexp.MustCompile(`(?m)^# TYPE (eunomia_\w+) `)
	rows := regexp.MustCompile("(?m)^\\| `(eunomia_\\w+)` \\|([^|]*)\\|")
	documented := map[string]string{}
	for _, m := range rows.FindAllStringSubmatch(page(t, configurationPage), -1) {
		documented[m[1]] = m[2]
	}
	live := map[string]bool{}
	for _, m := range series.FindAllStringSubmatch(body, -1) {
		live[m[1]] = true
		if _, ok := documented[m[1]]; !ok {
			t.Errorf("docs/configuration.md does not list %s", m[1])
		}
		one := regexp.MustCompile(`(?m)^` + m[1] + `(?:_bucket)?\{([^}]*)\}`).FindStringSubmatch(body)
		if one == nil {
			continue
		}
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(one[1], -1) {
			if l[1] != "le" && !strings.Contains(documented[m[1]], "`"+l[1]+"`") {
				t.Errorf("docs/configuration.md does not list the label %s of %s", l[1], m[1])
			}
		}
	}
	for name := range documented {
		if !live[name] {
			t.Errorf("docs/configuration.md lists %s, which a detector does not show", name)
		}
	}
}
