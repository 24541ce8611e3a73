package outputs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"eunomia/event"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NATSConfig is [outputs.nats]. Alerts go to <prefix>.alerts.<node>.<severity>.<rule>
// with the alert's id as Nats-Msg-Id.
type NATSConfig struct {
	Settings
	Enabled bool `toml:"enabled"` // true
	// Servers are the URLs of one cluster, nats://host:4222, tls:// or wss://;
	// none: the embedded server.
	Servers []Secret `toml:"servers"`
	Prefix  string   `toml:"prefix"`  // first part of the subjects (eunomia)
	Timeout Duration `toml:"timeout"` // of connecting and of each acknowledgement (5s)
	Events  bool     `toml:"events"`  // also every raw event that reaches the detector, on <prefix>.events.<node>.<kind> (false)

	// At most one way to authenticate.
	Token           Secret `toml:"token"`
	User            string `toml:"user"`
	Password        Secret `toml:"password"`
	CredentialsFile string `toml:"credentials_file"` // user JWT and seed, as nsc writes them
	NKeySeedFile    string `toml:"nkey_seed_file"`

	TLS      TLS            `toml:"tls"`
	Embedded EmbeddedConfig `toml:"embedded"`
}

func (c *NATSConfig) label() string     { return "nats" }
func (c *NATSConfig) wantsEvents() bool { return c.Events }

func (c *NATSConfig) check(report reporter) {
	for i, s := range c.Servers {
		u, err := url.Parse(s.Reveal())
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			report(fmt.Sprintf("servers[%d]", i), "not the URL of a NATS server", `write it as "nats://host:4222" or "tls://host:4222"`)
		}
	}
	for _, token := range strings.Split(c.prefix(), ".") {
		if token == "" || token != subjectToken(token) {
			report("prefix", fmt.Sprintf("%q is not the beginning of a NATS subject", c.Prefix), `use letters, digits, _ and -, joined by dots, as in "security.eunomia"`)
			break
		}
	}
	checkDuration(report, "timeout", c.Timeout)
	ways := 0
	for _, set := range []bool{c.Token != "", c.User != "" || c.Password != "", c.CredentialsFile != "", c.NKeySeedFile != ""} {
		if set {
			ways++
		}
	}
	switch {
	case ways > 1:
		report("token", "more than one way to authenticate", "keep one of token, user and password, credentials_file, nkey_seed_file")
	case len(c.Servers) == 0 && (ways > 0 || c.TLS.isSet()):
		report("servers", "authentication or TLS is configured, but no server", "name the servers; the embedded one is configured in [outputs.nats.embedded]")
	}
	checkFiles(c, report)
	c.TLS.check(report)
	if len(c.Servers) == 0 {
		c.Embedded.check(func(key, message, hint string) { report("embedded."+key, message, hint) })
	}
}

func (c *NATSConfig) prefix() string {
	if c.Prefix == "" {
		return "eunomia"
	}
	return c.Prefix
}

func (c *NATSConfig) open(ctx context.Context, env Env) (Output, error) {
	o := &natsOutput{
		alerts:  c.prefix() + ".alerts." + subjectToken(env.Node) + ".",
		events:  c.prefix() + ".events." + subjectToken(env.Node) + ".",
		timeout: c.timeout(),
	}
	var err error
	if len(c.Servers) > 0 {
		o.conn, err = c.connect(env)
	} else {
		if o.embedded, err = StartEmbedded(ctx, c.Embedded, c.prefix(), env); err != nil {
			return nil, err
		}
		o.conn, err = o.embedded.connect(env)
	}
	if err == nil {
		o.js, err = jetstream.New(o.conn, jetstream.WithPublishAsyncTimeout(o.timeout), jetstream.WithPublishAsyncMaxPending(8*maxBatch))
	}
	if err != nil {
		return nil, errors.Join(err, o.Close(ctx))
	}
	return o, nil
}

// natsOutput publishes alerts: with acknowledgement where a JetStream stream
// covers the subject, otherwise with a round trip to the server.
type natsOutput struct {
	conn           *nats.Conn
	js             jetstream.JetStream
	embedded       *Embedded // nil when the server is elsewhere
	alerts, events string    // subjects up to the node
	timeout        time.Duration
	streams        coverage
}

var errDisconnected = errors.New("not connected to a NATS server")

// Send publishes all alerts and then waits for all acknowledgements. After an
// error in the middle, those behind it are published again with the same id,
// which JetStream recognizes.
func (o *natsOutput) Send(ctx context.Context, alerts []*event.Alert) (int, error) {
	if !o.conn.IsConnected() {
		return 0, hinted(errDisconnected, "alerts wait in the queue until the connection is back")
	}
	o.streams.refresh(ctx, o)
	ctx, cancel := context.WithTimeout(ctx, o.timeout+time.Second)
	defer cancel()
	before := o.conn.LastError()
	acks := make([]jetstream.PubAckFuture, 0, len(alerts))
	var stopped, unflushed error
	core := false
	for _, a := range alerts {
		message := o.message(a)
		var ack jetstream.PubAckFuture
		if o.streams.covers(message.Subject) {
			ack, stopped = o.js.PublishMsgAsync(message)
		} else {
			core = true
			stopped = o.conn.PublishMsg(message)
		}
		if stopped != nil {
			break
		}
		acks = append(acks, ack)
	}
	if core {
		unflushed = o.conn.FlushWithContext(ctx)
	}
	for i, ack := range acks {
		err := unflushed
		if ack != nil {
			err = wait(ctx, ack)
		}
		if refusal := o.refusal(before, alerts[i]); refusal != nil {
			err = refusal
		}
		if err != nil {
			return i, o.failed(err)
		}
	}
	return len(acks), o.failed(stopped)
}

func (o *natsOutput) message(a *event.Alert) *nats.Msg {
	m := nats.NewMsg(o.subject(a))
	m.Header.Set(nats.MsgIdHdr, a.ID)
	m.Data = a.Document
	return m
}

func (o *natsOutput) subject(a *event.Alert) string {
	return o.alerts + a.Rule.Severity.String() + "." + subjectToken(a.Rule.ID)
}

func wait(ctx context.Context, ack jetstream.PubAckFuture) error {
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refusal tells whether the server has denied the publication of an alert since
// it was sent: it says so out of band, before it answers the flush.
func (o *natsOutput) refusal(before error, a *event.Alert) error {
	last := o.conn.LastError()
	//nolint:errorlint // identity: is it another one than before?
	if last == before || !errors.Is(last, nats.ErrPermissionViolation) || !strings.Contains(last.Error(), `"`+o.subject(a)+`"`) {
		return nil
	}
	return last
}

// failed says which errors no repetition would change.
func (o *natsOutput) failed(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrPermissionViolation):
		return &failure{err: err, permanent: true, hint: "let this user publish on " + o.alerts + ">"}
	case errors.Is(err, nats.ErrMaxPayload), errors.As(err, &api) && api.ErrorCode == 10054: // JSStreamMessageExceedsMaximumErr
		return &failure{err: fmt.Errorf("publish alert: %w", err), permanent: true, hint: "raise max_payload of the server or max_msg_size of the stream"}
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		o.streams.forget() // it was deleted, or has no leader
	}
	return fmt.Errorf("publish alert: %w", err)
}

// SendEvent publishes a raw event, unacknowledged.
func (o *natsOutput) SendEvent(kind event.Kind, document []byte) error {
	if !o.conn.IsConnected() {
		return errDisconnected
	}
	return o.conn.Publish(o.events+kind.String(), document)
}

func (o *natsOutput) Close(ctx context.Context) error {
	if o.conn != nil {
		if o.conn.IsConnected() {
			_ = o.conn.FlushWithContext(ctx) // raw events; alerts have been acknowledged
		}
		o.conn.Close()
	}
	if o.embedded != nil {
		return o.embedded.Close(ctx)
	}
	return nil
}

// subjectToken makes one token of a NATS subject: dots and wildcards would make
// more of it.
func subjectToken(s string) string {
	if s == "" {
		return "_"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, s)
}
