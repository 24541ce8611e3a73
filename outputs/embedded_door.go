package outputs

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/nats-io/nats-server/v2/server"
)

// ownUser is whom our own connection is known as.
const ownUser = "eunomia"

// door decides who may do what on the embedded server. Processes of containers
// with the host's network reach 127.0.0.1 too, so connecting there earns reading
// and nothing else: forged or purged alerts would defeat the detector.
type door struct {
	password string // of ownUser, new at each start and never leaving the process
	token    string // of readers, "" for none
}

func newDoor(token Secret) *door { return &door{password: rand.Text(), token: token.Reveal()} }

// What readers may publish: requests to read streams, and acknowledgements.
var readersMayPublish = []string{
	"$JS.API.INFO",
	"$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*",
	"$JS.API.DIRECT.GET.>", "$JS.API.CONSUMER.>",
	"$JS.ACK.>", "$JS.FC.>",
}

// Check implements server.Authentication.
func (d *door) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	if o.Username == ownUser && same(o.Password, d.password) {
		c.RegisterUser(&server.User{Username: ownUser})
		return true
	}
	if d.token != "" && !same(o.Token, d.token) {
		return false
	}
	c.RegisterUser(&server.User{Username: "reader", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Allow: readersMayPublish},
	}})
	return true
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// serverLog writes the embedded server's log to ours.
type serverLog struct {
	log  *slog.Logger
	died atomic.Pointer[string]
}

func (l *serverLog) Noticef(format string, v ...any) {
	l.log.Debug("embedded NATS server complains", "text", fmt.Sprintf(format, v...))
}
func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("embedded NATS server complains", "text", fmt.Sprintf(format, v...))
}
func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Warn("embedded NATS server complains", "text", fmt.Sprintf(format, v...))
}
func (l *serverLog) Debugf(string, ...any) {}
func (l *serverLog) Tracef(string, ...any) {}

// Fatalf notes why the server did not start; the server calls it where its own
// binary would exit.
func (l *serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.died.CompareAndSwap(nil, &text)
}

func (l *serverLog) fatal() string {
	if text := l.died.Load(); text != nil {
		return *text
	}
	return ""
}
