package outputs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// AlertStream is the stream of the embedded server that holds the alerts.
const AlertStream = "EUNOMIA_ALERTS"

// EmbeddedConfig is [outputs.nats.embedded]: the NATS server inside the detector,
// for when no other is configured. It listens on 127.0.0.1 only. Whoever connects
// there may read alerts, and neither publish nor delete them.
type EmbeddedConfig struct {
	Port     int      `toml:"port"`      // 4222; -1 for any free one
	Token    Secret   `toml:"token"`     // what readers must present; none: every process of this host may read
	MaxBytes int64    `toml:"max_bytes"` // of stored alerts (256 MiB); the oldest make room
	MaxAge   Duration `toml:"max_age"`   // of stored alerts (168h)
}

const (
	memoryLimit   = 64 << 20 // of alerts kept in memory for want of a directory
	embeddedReady = 10 * time.Second
)

func defaultEmbedded() EmbeddedConfig {
	return EmbeddedConfig{Port: 4222, MaxBytes: 256 << 20, MaxAge: Duration(7 * 24 * time.Hour)}
}

func (c EmbeddedConfig) withDefaults() EmbeddedConfig {
	d := defaultEmbedded()
	if c.Port == 0 {
		c.Port = d.Port
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = d.MaxBytes
	}
	if c.MaxAge == 0 {
		c.MaxAge = d.MaxAge
	}
	return c
}

func (c EmbeddedConfig) check(report reporter) {
	if c.Port < -1 || c.Port > 65535 {
		report("port", fmt.Sprintf("%d is not a port", c.Port), "use 1 to 65535, or -1 for any free one")
	}
	if c.MaxBytes < 0 || c.MaxBytes > 0 && c.MaxBytes < 1<<20 {
		report("max_bytes", "too little to keep alerts", "use at least 1048576, or leave it out for 256 MiB")
	}
	if c.MaxAge < 0 || c.MaxAge > 0 && time.Duration(c.MaxAge) < time.Minute {
		report("max_age", "too short to keep alerts", "use at least 1m, or leave it out for 168h")
	}
}

// Embedded is a running NATS server with JetStream.
type Embedded struct {
	server    *server.Server
	door      *door
	temporary string // directory to remove, "" for none
}

// StartEmbedded starts the server and creates the stream on <prefix>.alerts.>.
// Where the state directory cannot be used, alerts are kept in memory, which the
// log says loudly.
func StartEmbedded(ctx context.Context, c EmbeddedConfig, prefix string, env Env) (*Embedded, error) {
	c = c.withDefaults()
	if err := portFree(ctx, c.Port); err != nil {
		return nil, err
	}
	e, err := startStored(ctx, c, prefix, env)
	if err == nil {
		env.Log.Info("embedded NATS server runs", "url", e.ClientURL(), "stream", AlertStream, "dir", storeDir(env))
		return e, nil
	}
	if ctx.Err() != nil {
		return nil, err
	}
	env.Log.Error("alerts are kept in memory only", "error", err, "max_bytes", min(c.MaxBytes, memoryLimit),
		"hint", "alerts that nobody has read are lost when the detector stops: give it a state directory it can write, with --state-dir")
	return startInMemory(ctx, c, prefix, env)
}

func storeDir(env Env) string {
	if env.StateDir == "" {
		return ""
	}
	return filepath.Join(env.StateDir, "nats")
}

func startStored(ctx context.Context, c EmbeddedConfig, prefix string, env Env) (*Embedded, error) {
	dir := storeDir(env)
	if dir == "" {
		return nil, errors.New("no state directory is set")
	}
	if err := writable(dir); err != nil {
		return nil, err
	}
	return start(ctx, c, prefix, env, dir, jetstream.FileStorage)
}

func startInMemory(ctx context.Context, c EmbeddedConfig, prefix string, env Env) (*Embedded, error) {
	// The server keeps the names of its streams in a directory even then.
	dir, err := os.MkdirTemp("", "eunomia-nats-")
	if err != nil {
		return nil, &Problem{Message: "no directory for the embedded NATS server: " + err.Error(), Err: err,
			Hint: "give the detector a state directory it can write, with --state-dir"}
	}
	c.MaxBytes = min(c.MaxBytes, memoryLimit)
	e, err := start(ctx, c, prefix, env, dir, jetstream.MemoryStorage)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	e.temporary = dir
	return e, nil
}

func start(ctx context.Context, c EmbeddedConfig, prefix string, env Env, dir string, storage jetstream.StorageType) (*Embedded, error) {
	e := &Embedded{door: newDoor(c.Token)}
	log := &serverLog{log: env.Log}
	var err error
	e.server, err = server.NewServer(&server.Options{
		ServerName: "eunomia-" + subjectToken(env.Node),
		Host:       "127.0.0.1", Port: c.Port,
		NoSigs: true, DisableJetStreamBanner: true,
		MaxConn: 256, MaxSubs: 1024, MaxControlLine: 4096,
		JetStream: true, StoreDir: dir,
		// Twice, as a stream must fit while its limits are being changed.
		JetStreamMaxStore: 2 * c.MaxBytes, JetStreamMaxMemory: 2 * min(c.MaxBytes, memoryLimit),
		CustomClientAuthentication: e.door,
	})
	if err != nil {
		return nil, fmt.Errorf("configure embedded NATS server: %w", err)
	}
	e.server.SetLoggerV2(log, false, false, false)
	e.server.Start()
	ready := e.server.ReadyForConnections(embeddedReady)
	switch {
	case log.fatal() != "":
		err = fmt.Errorf("start embedded NATS server: %s", log.fatal())
	case !ready:
		err = fmt.Errorf("start embedded NATS server: not ready within %s", embeddedReady)
	case !e.server.JetStreamEnabled():
		err = errors.New("start embedded NATS server: JetStream did not start")
	default:
		err = e.createStream(ctx, c, prefix, env, storage)
	}
	if err != nil {
		return nil, errors.Join(err, e.Close(ctx))
	}
	return e, nil
}

func (e *Embedded) createStream(ctx context.Context, c EmbeddedConfig, prefix string, env Env, storage jetstream.StorageType) error {
	conn, err := e.connect(env)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, embeddedReady)
	defer cancel()
	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: AlertStream, Description: "alerts of the Eunomia detector on this host",
		Subjects: []string{prefix + ".alerts.>"},
		Storage:  storage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxBytes: c.MaxBytes, MaxAge: time.Duration(c.MaxAge), Duplicates: min(2*time.Minute, time.Duration(c.MaxAge)),
		MaxConsumers: 256, AllowDirect: true,
	})
	if err != nil {
		return fmt.Errorf("create stream %s: %w", AlertStream, err)
	}
	return nil
}

// ClientURL is where readers connect.
func (e *Embedded) ClientURL() string { return e.server.ClientURL() }

// connect returns our own connection: within the process, and the only one that
// may publish alerts.
func (e *Embedded) connect(env Env) (*nats.Conn, error) {
	options := append(connection(env, "the embedded server", nil, embeddedReady),
		nats.InProcessServer(e.server), nats.UserInfo(ownUser, e.door.password))
	conn, err := nats.Connect("", options...)
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded NATS server: %w", err)
	}
	return conn, nil
}

// Close stops the server; what is stored is on disk by then.
func (e *Embedded) Close(ctx context.Context) error {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		return fmt.Errorf("stop embedded NATS server: %w", ctx.Err())
	}
	if e.temporary != "" {
		return os.RemoveAll(e.temporary)
	}
	return nil
}

// portFree finds out early that a port is taken: the server itself would only
// log it. In a race the server's own message still arrives.
func portFree(ctx context.Context, port int) error {
	if port < 0 {
		return nil
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err == nil {
		return l.Close()
	}
	hint := "set outputs.nats.embedded.port to a port that the detector may use"
	if errors.Is(err, syscall.EADDRINUSE) {
		hint = fmt.Sprintf("set outputs.nats.embedded.port to another port, or, if a NATS server runs there, use it with outputs.nats.servers = [%q]", "nats://"+addr)
	}
	return &Problem{Key: "outputs.nats.embedded.port", Message: "the embedded NATS server cannot listen on " + addr + ": " + reason(err), Hint: hint, Err: err}
}

func reason(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}

// writable makes a directory and writes a file there.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	f, err := os.CreateTemp(dir, ".writable-")
	if err != nil {
		return fmt.Errorf("write to %s: %w", dir, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
