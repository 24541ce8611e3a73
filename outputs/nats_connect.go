package outputs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

func (c *NATSConfig) timeout() time.Duration {
	if c.Timeout == 0 {
		return 5 * time.Second
	}
	return time.Duration(c.Timeout)
}

// checkFiles reports files of credentials that cannot be used, without quoting them.
func checkFiles(c *NATSConfig, report reporter) {
	if c.CredentialsFile != "" {
		content, err := os.ReadFile(c.CredentialsFile)
		if err != nil {
			report("credentials_file", err.Error(), "the detector must be able to read it")
		} else if _, err := nkeys.ParseDecoratedUserNKey(content); err != nil {
			report("credentials_file", "no user's seed in "+c.CredentialsFile, "make it with: nsc generate creds")
		}
	}
	if c.NKeySeedFile != "" {
		if _, err := nats.NkeyOptionFromSeed(c.NKeySeedFile); err != nil {
			var path *os.PathError
			message := "no user's seed in " + c.NKeySeedFile
			if errors.As(err, &path) {
				message = path.Error()
			}
			report("nkey_seed_file", message, "it holds a seed that begins with SU, as nk -gen user writes it")
		}
	}
}

// connect makes the first connection; nats.go then reconnects forever. While
// disconnected nothing is buffered there: alerts wait in our queue, where they
// are bounded and counted.
func (c *NATSConfig) connect(env Env) (*nats.Conn, error) {
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	var urls, places, secrets []string
	for _, s := range c.Servers {
		urls = append(urls, s.Reveal())
		places = append(places, place(s.Reveal()))
		secrets = append(secrets, urlSecrets(s.Reveal())...)
	}
	secrets = append(secrets, c.Token.Reveal(), c.Password.Reveal())
	where := strings.Join(places, ", ")
	conn, err := nats.Connect(strings.Join(urls, ","), append(options, connection(env, where, secrets, c.timeout())...)...)
	if err != nil {
		return nil, hinted(fmt.Errorf("connect to %s: %w", where, scrub(err, secrets)), natsHint(err, where))
	}
	env.Log.Info("NATS connected", "server", place(conn.ConnectedUrl()))
	return conn, nil
}

func (c *NATSConfig) options() ([]nats.Option, error) {
	var list []nats.Option
	if c.TLS.isSet() {
		conf, err := c.TLS.config()
		if err != nil {
			return nil, err
		}
		list = append(list, nats.Secure(conf))
	}
	switch {
	case c.Token != "":
		list = append(list, nats.Token(c.Token.Reveal()))
	case c.User != "" || c.Password != "":
		list = append(list, nats.UserInfo(c.User, c.Password.Reveal()))
	case c.CredentialsFile != "":
		list = append(list, nats.UserCredentials(c.CredentialsFile))
	case c.NKeySeedFile != "":
		o, err := nats.NkeyOptionFromSeed(c.NKeySeedFile)
		if err != nil {
			return nil, fmt.Errorf("read nkey_seed_file %s: %w", c.NKeySeedFile, err)
		}
		list = append(list, o)
	}
	return list, nil
}

// connection are the options of every connection, to whichever server.
func connection(env Env, where string, secrets []string, timeout time.Duration) []nats.Option {
	log := env.Log
	var logged time.Time // all handlers run in one goroutine of the connection
	trouble := func(what string, err error) {
		if err == nil || time.Since(logged) < logEvery {
			return
		}
		logged = time.Now()
		log.Warn("NATS trouble", "what", what, "error", scrub(err, secrets), "server", where, "hint", natsHint(err, where))
	}
	return []nats.Option{
		nats.Name("eunomia " + env.Node),
		nats.Timeout(timeout),
		nats.FlusherTimeout(timeout),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // credentials may be put right while we run
		nats.CustomReconnectDelay(reconnectDelay),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(20 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { trouble("disconnected", err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { trouble("unreachable", err) }),
		nats.ReconnectHandler(func(c *nats.Conn) {
			logged = time.Time{}
			log.Info("NATS reconnected", "server", place(c.ConnectedUrl()))
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { trouble("refused", err) }),
	}
}

// reconnectDelay is the pause after every server has been tried: from a tenth of
// a second to 30, varied by half.
func reconnectDelay(rounds int) time.Duration {
	d := min(100*time.Millisecond<<min(rounds, 10), 30*time.Second)
	return d/2 + rand.N(d)
}

// natsHint returns the remedy for an error of the connection.
func natsHint(err error, where string) string {
	if hint := tlsHint(err); hint != "" {
		return hint
	}
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		return "the server does not accept these credentials: check token, user, credentials_file or nkey_seed_file"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "this user may not do that: give it permission on the server"
	case errors.Is(err, nats.ErrSecureConnRequired):
		return "the server wants TLS: set tls.ca_file, or write its URL with tls://"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "the server does not offer TLS: leave out [outputs.nats.tls], or enable TLS there"
	}
	return "is a NATS server running at " + where + ", and can this host reach it? Without outputs.nats.servers, Eunomia uses its own"
}
