package outputs

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/internal/testutil"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// ways to authenticate: how the server is set up and what the configuration says.
var ways = map[string]func(t *testing.T, o *server.Options) func(*NATSConfig){
	"token": func(_ *testing.T, o *server.Options) func(*NATSConfig) {
		o.Authorization = natsSecret
		return func(c *NATSConfig) { c.Token = natsSecret }
	},
	"user and password": func(_ *testing.T, o *server.Options) func(*NATSConfig) {
		o.Username, o.Password = "sensor", natsSecret
		return func(c *NATSConfig) { c.User, c.Password = "sensor", natsSecret }
	},
	"nkey": func(t *testing.T, o *server.Options) func(*NATSConfig) {
		seed, public := newNKey(t, nkeys.CreateUser)
		o.Nkeys = []*server.NkeyUser{{Nkey: public}}
		file := filepath.Join(t.TempDir(), "user.nk")
		write(t, file, seed)
		return func(c *NATSConfig) { c.NKeySeedFile = file }
	},
	"credentials": func(t *testing.T, o *server.Options) func(*NATSConfig) {
		file := filepath.Join(t.TempDir(), "user.creds")
		write(t, file, operatorMode(t, o))
		return func(c *NATSConfig) { c.CredentialsFile = file }
	},
}

func TestNATSAuthenticates(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			var configure func(*NATSConfig)
			s := testutil.EmbeddedNATS(t, func(o *server.Options) {
				o.JetStream = false // the accounts of operator mode would need limits for it
				configure = way(t, o)
			})
			w, d := natsTo(t, s.ClientURL(), configure)
			d.Publish(alert(1, event.High))
			w.waitFor(t, "nats", delivered, 1)
			w.keepsSecret(t, natsSecret)

			w, d = natsTo(t, s.ClientURL())
			d.Publish(alert(1, event.High))
			w.waitForLog(t, "does not accept these credentials")
			if w.result(t, "nats", delivered) != 0 {
				t.Error("delivered without credentials")
			}
		})
	}
}

func TestNATSSpeaksTLSWithOwnAuthorityAndClientCertificate(t *testing.T) {
	pki := newPKI(t)
	s := testutil.EmbeddedNATS(t, func(o *server.Options) {
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pki.server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pki.pool}
		o.TLSTimeout = 5
	})
	url := strings.Replace(s.ClientURL(), "tls://", "nats://", 1)
	for name, test := range map[string]struct {
		tls  TLS
		hint string // of the failure; "" for success
	}{
		"all of it":             {TLS{CAFile: pki.ca, CertFile: pki.cert, KeyFile: pki.key, ServerName: "receiver.test"}, ""},
		"unknown authority":     {TLS{ServerName: "receiver.test"}, "tls.ca_file"},
		"another name":          {TLS{CAFile: pki.ca, ServerName: "other.test"}, "tls.server_name"},
		"no client certificate": {TLS{CAFile: pki.ca, ServerName: "receiver.test"}, "tls.cert_file"},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := natsTo(t, url, func(c *NATSConfig) { c.TLS = test.tls })
			d.Publish(alert(1, event.High))
			if test.hint == "" {
				w.waitFor(t, "nats", delivered, 1)
				return
			}
			w.waitForLog(t, test.hint)
		})
	}
}

func TestNATSSaysThatAServerDoesNotOfferTLS(t *testing.T) {
	s := testutil.EmbeddedNATS(t)
	w, _ := natsTo(t, s.ClientURL(), func(c *NATSConfig) { c.TLS = TLS{ServerName: "receiver.test"} })
	w.waitForLog(t, "does not offer TLS")
}

func newNKey(t *testing.T, create func() (nkeys.KeyPair, error)) (seed []byte, public string) {
	t.Helper()
	pair, err := create()
	if err != nil {
		t.Fatal(err)
	}
	if seed, err = pair.Seed(); err != nil {
		t.Fatal(err)
	}
	if public, err = pair.PublicKey(); err != nil {
		t.Fatal(err)
	}
	return seed, public
}

// operatorMode makes an operator, an account and a user, tells the server of the
// first two and returns the user's credentials file.
func operatorMode(t *testing.T, o *server.Options) []byte {
	t.Helper()
	operatorSeed, operatorID := newNKey(t, nkeys.CreateOperator)
	accountSeed, accountID := newNKey(t, nkeys.CreateAccount)
	userSeed, userID := newNKey(t, nkeys.CreateUser)
	sign := func(claims jwt.Claims, seed []byte) string {
		pair, err := nkeys.FromSeed(seed)
		if err != nil {
			t.Fatal(err)
		}
		token, err := claims.Encode(pair)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	operator := jwt.NewOperatorClaims(operatorID)
	sign(operator, operatorSeed)
	user := jwt.NewUserClaims(userID)
	user.Expires = time.Now().Add(time.Hour).Unix()
	o.TrustedOperators = []*jwt.OperatorClaims{operator}
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(accountID, sign(jwt.NewAccountClaims(accountID), operatorSeed)); err != nil {
		t.Fatal(err)
	}
	o.AccountResolver = resolver
	creds, err := jwt.FormatUserConfig(sign(user, accountSeed), userSeed)
	if err != nil {
		t.Fatal(err)
	}
	return creds
}
