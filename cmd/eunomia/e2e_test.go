package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"eunomia/internal/testutil"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestE2E runs the real binary against the real kernel and the real Docker daemon, with a receiver at the end of every
// output. The detectors it starts are few, and its topics share them; each topic is a file of its own.
func TestE2E(t *testing.T) {
	testutil.Require(t, "bpf", "docker")
	binary := buildDetector(t)
	t.Run("with every output", func(t *testing.T) {
		s := newStage(t, binary)
		t.Run("an alert arrives at each of them", s.alertArrivesEverywhere)
		t.Run("every act of a container carries it", s.actsCarryTheirContainer)
		t.Run("nothing a container says breaks a line", s.hostileTextIsHarmless)
		t.Run("every default rule fires", s.everyDefaultRuleFires)
		t.Run("nothing went wrong unsaid", s.nothingWentWrong)
		t.Run("it stops without a trace", func(t *testing.T) { s.stopsWithoutTrace(t, binary) })
	})
	t.Run("with broken receivers and without Docker", func(t *testing.T) {
		s := newBrokenStage(t, binary)
		t.Run("the good receivers get every alert at once", s.goodReceiversAreServed)
		t.Run("a container has its id and no name", s.containerWithoutDocker)
		t.Run("what was not delivered is said at the end", s.undeliveredIsSaid)
	})
}

// ownRules are beside the default rules: marked acts, wherever they happen, decided at once and thus in their order; and
// those of the test image, which must wait for its name.
const ownRules = `
rules:
  - id: e2e_act
    title: Marked act
    on: [exec, fork, exit, open]
    condition: process.args.exists(a, a.contains("MARK"))
    message: "{event.kind} {process.command_line} in {container.id}"
    severity: info
  - id: e2e_named
    title: Marked act in the test image
    on: [exec, fork, exit, open]
    condition: process.args.exists(a, a.contains("MARK")) && container.image.name.endsWith("eunomia-test/busybox")
    message: "{event.kind} {process.command_line} in {container.name}"
    severity: info
`

// stage is a detector with a receiver at the end of every output.
type stage struct {
	*liveDetector
	config      string // what it was started with
	natsURL     string
	subscribed  inbox // by a plain subscription
	stored      inbox // by a consumer of the embedded server's stream
	webhook     *testutil.Webhook
	node, rules string
}

func newStage(t *testing.T, binary string) *stage {
	s := &stage{webhook: testutil.WebhookServer(t), node: "e2e-node", rules: writeRules(t)}
	s.config = fmt.Sprintf(`
node = %q
listen = "127.0.0.1:0"
state_dir = %q
[outputs.stdout]
format = "json"
[outputs.nats.embedded]
port = -1
[[outputs.webhook]]
url = %q
`, s.node, t.TempDir(), s.webhook.URL+"/alerts")
	s.liveDetector = startDetector(t, binary, s.config, "--rules", s.rules)
	s.natsURL = s.said(t, `\burl=(nats://\S+)`)
	s.receive(t)
	return s
}

// receive subscribes on the embedded server.
func (s *stage) receive(t *testing.T) {
	t.Helper()
	connection, err := nats.Connect(s.natsURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	if _, err := connection.Subscribe("eunomia.alerts.>", func(m *nats.Msg) { s.subscribed.put(m.Subject, m.Header, m.Data) }); err != nil {
		t.Fatal(err)
	}
	if err := connection.Flush(); err != nil {
		t.Fatal(err)
	}
	consumeStream(t, connection, &s.stored)
}

// consumeStream reads the stream of alerts from its beginning.
func consumeStream(t *testing.T, connection *nats.Conn, to *inbox) {
	t.Helper()
	js, err := jetstream.New(connection)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(t.Context(), "EUNOMIA_ALERTS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	consuming, err := consumer.Consume(func(m jetstream.Msg) { to.put(m.Subject(), m.Headers(), m.Data()) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consuming.Stop)
}

func writeRules(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "e2e.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(ownRules, "MARK", markPrefix)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// inbox keeps messages by their Nats-Msg-Id.
type inbox struct {
	mu   sync.Mutex
	byID map[string]message
}

type message struct{ subject, body string }

func (i *inbox) put(subject string, header nats.Header, body []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.byID == nil {
		i.byID = map[string]message{}
	}
	i.byID[header.Get("Nats-Msg-Id")] = message{subject, string(body)}
}

func (i *inbox) get(id string) (message, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	m, ok := i.byID[id]
	return m, ok
}
