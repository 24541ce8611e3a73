package outputs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/internal/testutil"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// embeddedIn starts outputs with the embedded server on any port and returns its URL.
func embeddedIn(t *testing.T, dir string, change ...func(*NATSConfig)) (*world, *Dispatcher, string) {
	t.Helper()
	w := newWorld()
	w.StateDir = dir
	d := w.start(t, only(func(c *Config) {
		c.NATS.Enabled, c.NATS.Embedded.Port = true, -1
		for _, f := range change {
			f(&c.NATS)
		}
	}))
	w.settle(t, d, "nats")
	url, ok := d.opened("nats").(*natsOutput)
	if !ok {
		t.Fatal("no NATS output")
	}
	return w, d, url.embedded.ClientURL()
}

// opened digs out an output's sink.
func (d *Dispatcher) opened(label string) Output {
	for _, o := range d.head.(fanout) {
		if q := o.(*filter).next.(*queue); q.name == label {
			return q.next.(*retry).next.(*meter).next.(*lazy).opened()
		}
	}
	return nil
}

func streamAt(t *testing.T, url string, options ...nats.Option) jetstream.Stream {
	t.Helper()
	js, err := jetstream.New(dial(t, url, options...))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), AlertStream)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestEmbeddedServerStoresAlertsForReadersAndKeepsThemOverARestart(t *testing.T) {
	dir := t.TempDir()
	w, d, url := embeddedIn(t, dir)
	in := subscribeAt(t, url, "eunomia.alerts.*.critical.>")
	for n := range 10 {
		d.Publish(alert(n, event.Critical))
	}
	w.waitFor(t, "nats", delivered, 11)
	testutil.Eventually(t, patience, func() bool { return len(in.all()) == 10 }, "alerts at the subscriber")
	host, _, err := net.SplitHostPort(strings.TrimPrefix(url, "nats://"))
	if err != nil || host != "127.0.0.1" {
		t.Errorf("listens on %s", url)
	}
	if err := closeWithin(d, patience); err != nil {
		t.Fatal(err)
	}

	_, _, url = embeddedIn(t, dir)
	stream := streamAt(t, url)
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Both runs deliver the same alert to see that they are open: one copy.
	if c := info.Config; info.State.Msgs != 11 || c.MaxBytes != 256<<20 || c.MaxAge != 7*24*time.Hour ||
		c.Duplicates != 2*time.Minute || c.Storage != jetstream.FileStorage {
		t.Errorf("%+v %+v", info.State, c)
	}
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{FilterSubject: "eunomia.alerts.*.critical.>"})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.Fetch(10, jetstream.FetchMaxWait(patience))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for m := range batch.Messages() {
		if want := fmt.Sprintf("alert-%05d", n); m.Headers().Get(nats.MsgIdHdr) != want {
			t.Errorf("got %s, want %s", m.Headers().Get(nats.MsgIdHdr), want)
		}
		if err := m.Ack(); err != nil {
			t.Error(err)
		}
		n++
	}
	if n != 10 {
		t.Errorf("the consumer got %d", n)
	}
}

func TestEmbeddedServerLetsReadersNeitherForgeNorDelete(t *testing.T) {
	w, d, url := embeddedIn(t, t.TempDir())
	in := subscribeAt(t, url, "eunomia.>")
	conn := dial(t, url)
	if err := conn.Publish("eunomia.alerts.node.critical.forged", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := conn.LastError(); !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("publishing: %v", err)
	}
	stream := streamAt(t, url)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := stream.Purge(ctx); err == nil {
		t.Error("a reader purged the stream")
	}
	if _, err := nats.Connect(url, nats.UserInfo(ownUser, "guess"), nats.MaxReconnects(0)); err != nil {
		t.Logf("our name with a wrong password: %v", err) // a reader like any other
	}
	d.Publish(alert(1, event.High))
	w.waitFor(t, "nats", delivered, 2)
	testutil.Eventually(t, patience, func() bool { return len(in.all()) > 0 }, "the alert")
	if got := in.ids(); !slices.Equal(got, []string{"alert-00001"}) {
		t.Errorf("readers saw %v", got)
	}
}

func TestEmbeddedServerWantsItsToken(t *testing.T) {
	_, _, url := embeddedIn(t, t.TempDir(), func(c *NATSConfig) { c.Embedded.Token = natsSecret })
	if _, err := nats.Connect(url); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("without the token: %v", err)
	}
	if _, err := nats.Connect(url, nats.UserInfo(ownUser, "")); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("with our name: %v", err)
	}
	streamAt(t, url, nats.Token(natsSecret))
}

func TestEmbeddedServerFallsBackToMemoryAndSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	for name, dir := range map[string]string{"no directory": "", "below a file": filepath.Join(file, "state")} {
		t.Run(name, func(t *testing.T) {
			w, d, url := embeddedIn(t, dir)
			w.waitForLog(t, `level=ERROR msg="alerts are kept in memory only"`)
			w.waitForLog(t, "--state-dir")
			info, err := streamAt(t, url).Info(t.Context())
			if err != nil || info.Config.Storage != jetstream.MemoryStorage || info.Config.MaxBytes != memoryLimit || info.State.Msgs != 1 {
				t.Errorf("%+v, %v", info, err)
			}
			temporary := d.opened("nats").(*natsOutput).embedded.temporary
			if err := closeWithin(d, patience); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(temporary); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left behind", temporary)
			}
		})
	}
}

func TestEmbeddedServerWaitsForItsPortAndSaysWhoMayHaveIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := newWorld()
	w.StateDir = t.TempDir()
	var stdout bytes.Buffer
	w.Stdout = &stdout
	c := only(func(c *Config) {
		c.Stdout.Enabled, c.NATS.Enabled = true, true
		c.NATS.Embedded.Port = l.Addr().(*net.TCPAddr).Port
		fast(&c.NATS.Settings)
	})
	d := w.start(t, c)
	d.Publish(alert(1, event.High))
	w.waitFor(t, "stdout", delivered, 1)
	w.waitForLog(t, "cannot listen on "+l.Addr().String()+": address already in use")
	w.waitForLog(t, "outputs.nats.servers")
	l.Close()
	w.waitFor(t, "nats", delivered, 1)
}

func TestEmbeddedServerKeepsItsLogToDebug(t *testing.T) {
	w, _, _ := embeddedIn(t, t.TempDir())
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, `msg="embedded NATS server complains"`) && !strings.Contains(line, "level=DEBUG") {
			t.Error(line)
		}
	}
}
