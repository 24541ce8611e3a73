package outputs

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/internal/testutil"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const natsSecret = "s3cret-of-nats"

var natsSubject = subject{
	label:  "nats",
	secret: natsSecret,
	start: func(t *testing.T, _ *world, c *Config, alive bool) func() []string {
		c.NATS.Enabled = true
		if !alive {
			c.NATS.Servers = []Secret{Secret("nats://" + natsSecret + "@" + silentListener(t))}
			return nil
		}
		s := testutil.EmbeddedNATS(t, func(o *server.Options) { o.Authorization = natsSecret })
		c.NATS.Servers, c.NATS.Token = []Secret{Secret(s.ClientURL())}, natsSecret
		inbox := subscribe(t, s, "eunomia.alerts.>", nats.Token(natsSecret))
		return inbox.ids
	},
}

// silentListener takes connections and never says a word.
func silentListener(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // connections wait in its backlog
	return l.Addr().String()
}

// inbox is a subscriber.
type inbox struct {
	mu       sync.Mutex
	messages []*nats.Msg
}

func subscribe(t *testing.T, s *server.Server, subject string, options ...nats.Option) *inbox {
	t.Helper()
	return subscribeAt(t, s.ClientURL(), subject, options...)
}

func subscribeAt(t *testing.T, url, subject string, options ...nats.Option) *inbox {
	t.Helper()
	conn := dial(t, url, options...)
	in := &inbox{}
	if _, err := conn.Subscribe(subject, func(m *nats.Msg) {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.messages = append(in.messages, m)
	}); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return in
}

func dial(t *testing.T, url string, options ...nats.Option) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url, append(options, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func (in *inbox) all() []*nats.Msg {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.messages)
}

func (in *inbox) ids() (list []string) {
	for _, m := range in.all() {
		list = append(list, m.Header.Get(nats.MsgIdHdr))
	}
	return list
}

// natsTo starts a NATS output to a server, quick to repeat.
func natsTo(t *testing.T, url string, change ...func(*NATSConfig)) (*world, *Dispatcher) {
	t.Helper()
	c := only(func(c *Config) {
		c.NATS.Enabled, c.NATS.Servers = true, []Secret{Secret(url)}
		fast(&c.NATS.Settings)
		for _, f := range change {
			f(&c.NATS)
		}
	})
	w := newWorld()
	return w, w.start(t, c)
}

func TestNATSMessageCarriesTheAlert(t *testing.T) {
	s := testutil.EmbeddedNATS(t)
	in := subscribe(t, s, ">")
	w, d := natsTo(t, s.ClientURL(), func(c *NATSConfig) { c.Prefix = "acme.sec" })
	a := alert(1, event.Critical)
	a.Rule.ID = "odd.rule *>"
	d.Publish(a)
	w.waitFor(t, "nats", delivered, 1)
	testutil.Eventually(t, patience, func() bool { return slices.Contains(in.ids(), a.ID) }, "the alert")
	i := slices.Index(in.ids(), a.ID)
	m := in.all()[i]
	if m.Subject != "acme.sec.alerts.node_example.critical.odd_rule___" || string(m.Data) != string(a.Document) {
		t.Errorf("%s: %s", m.Subject, m.Data)
	}
}

func TestNATSAsksForAnAcknowledgementWhereAStreamCovers(t *testing.T) {
	s := testutil.EmbeddedNATS(t)
	js, err := jetstream.New(dial(t, s.ClientURL()))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SEVERE", Subjects: []string{"eunomia.alerts.*.critical.>"}})
	if err != nil {
		t.Fatal(err)
	}
	w, d := natsTo(t, s.ClientURL())
	in := subscribe(t, s, "eunomia.alerts.>")
	for n := range 40 {
		d.Publish(alert(n, event.Severity(4+n%2))) // high, critical, in turn
	}
	w.waitFor(t, "nats", delivered, 40)
	for _, m := range in.all() {
		if critical := strings.Contains(m.Subject, ".critical."); critical != (m.Reply != "") {
			t.Errorf("%s: reply %q", m.Subject, m.Reply)
		}
	}
	info, err := stream.Info(t.Context())
	if err != nil || info.State.Msgs != 20 {
		t.Fatalf("the stream holds %v, %v", info.State.Msgs, err)
	}
	// The same alert again is recognized by its id.
	d.Publish(alert(1, event.Critical))
	w.waitFor(t, "nats", delivered, 41)
	if info, err = stream.Info(t.Context()); err != nil || info.State.Msgs != 20 {
		t.Errorf("a duplicate was stored: %v, %v", info.State.Msgs, err)
	}
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.Fetch(20, jetstream.FetchMaxWait(patience))
	if err != nil {
		t.Fatal(err)
	}
	n := 1
	for m := range batch.Messages() {
		if want := fmt.Sprintf("alert-%05d", n); m.Headers().Get(nats.MsgIdHdr) != want {
			t.Errorf("consumer got %s, want %s", m.Headers().Get(nats.MsgIdHdr), want)
		}
		n += 2
	}
}

func TestNATSNoticesThatAStreamWasDeleted(t *testing.T) {
	s := testutil.EmbeddedNATS(t)
	js, err := jetstream.New(dial(t, s.ClientURL()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ALL", Subjects: []string{"eunomia.alerts.>"}}); err != nil {
		t.Fatal(err)
	}
	w, d := natsTo(t, s.ClientURL())
	w.settle(t, d, "nats")
	if err := js.DeleteStream(t.Context(), "ALL"); err != nil {
		t.Fatal(err)
	}
	d.Publish(alert(2, event.High))
	w.waitFor(t, "nats", delivered, 2)
}

func TestNATSWaitsForAServerThatComesLaterAndForOneThatComesBack(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	dir := t.TempDir()
	run := func() *server.Server {
		return testutil.EmbeddedNATS(t, func(o *server.Options) { o.Port, o.StoreDir = port, dir })
	}
	w, d := natsTo(t, fmt.Sprintf("nats://127.0.0.1:%d", port))
	d.Publish(alert(1, event.High))
	w.waitForLog(t, "is a NATS server running at nats://127.0.0.1:")
	s := run()
	w.waitFor(t, "nats", delivered, 1)

	s.Shutdown()
	s.WaitForShutdown()
	w.waitForLog(t, "what=disconnected")
	d.Publish(alert(2, event.High))
	s = run()
	in := subscribe(t, s, "eunomia.alerts.>")
	w.waitFor(t, "nats", delivered, 2)
	d.Publish(alert(3, event.High))
	w.waitFor(t, "nats", delivered, 3)
	testutil.Eventually(t, patience, func() bool { return slices.Contains(in.ids(), "alert-00003") }, "an alert after the restart")
	w.waitForLog(t, "NATS reconnected")
}

func TestNATSDropsWhatTheServerWillNeverTake(t *testing.T) {
	s := testutil.EmbeddedNATS(t, func(o *server.Options) {
		o.MaxPayload = 1024
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"eunomia.alerts.*.low.>"}},
		}}}
	})
	w, d := natsTo(t, s.ClientURL(), func(c *NATSConfig) { c.User, c.Password = "u", "p" })
	w.settle(t, d, "nats")
	big := alert(1, event.High)
	big.Document = make([]byte, 2000)
	d.Publish(big)
	w.waitFor(t, "nats", droppedPermanent, 1)
	d.Publish(alert(2, event.Low))
	w.waitFor(t, "nats", droppedPermanent, 2)
	d.Publish(alert(3, event.High))
	w.waitFor(t, "nats", delivered, 2)
}

func TestNATSPublishesRawEvents(t *testing.T) {
	s := testutil.EmbeddedNATS(t)
	in := subscribe(t, s, "eunomia.events.>")
	w, d := natsTo(t, s.ClientURL(), func(c *NATSConfig) { c.Events = true })
	if !d.WantsEvents() {
		t.Fatal("raw events are not wanted")
	}
	w.settle(t, d, "nats")
	for n := range 100 {
		d.PublishEvent(event.Exec, fmt.Appendf(nil, "%d", n))
	}
	testutil.Eventually(t, patience, func() bool { return len(in.all()) == 100 }, "the raw events")
	if m := in.all()[99]; m.Subject != "eunomia.events.node_example.exec" || string(m.Data) != "99" {
		t.Errorf("%s: %s", m.Subject, m.Data)
	}
	if n := w.value(t, "eunomia_output_events_total", "result=sent"); n != 100 {
		t.Errorf("counted %v", n)
	}
}

func TestRawEventsWithoutAServerAreCountedAndNeverBlock(t *testing.T) {
	w, d := natsTo(t, "nats://"+silentListener(t), func(c *NATSConfig) { c.Events = true })
	const n = 3 * maxEvents
	began := time.Now()
	for range n {
		d.PublishEvent(event.Open, []byte("{}"))
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %s", took)
	}
	_ = closeWithin(d, time.Millisecond)
	sum := 0.0
	for _, r := range eventResultNames[1:] {
		sum += w.value(t, "eunomia_output_events_total", "result="+r)
	}
	if sum != n {
		t.Errorf("%d published, %v accounted for", n, sum)
	}
}

func TestSubjectMatches(t *testing.T) {
	for _, test := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a.b", "a.b", true}, {"a.*", "a.b", true}, {"a.>", "a.b.c", true}, {">", "a", true},
		{"a.>", "a", false}, {"a.*", "a.b.c", false}, {"a.b.c", "a.b", false}, {"*.b", "a.c", false},
	} {
		if got := subjectMatches(test.pattern, test.subject); got != test.want {
			t.Errorf("%s, %s: %t", test.pattern, test.subject, got)
		}
	}
}
