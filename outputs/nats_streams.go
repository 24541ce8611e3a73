package outputs

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	askStreams      = 30 * time.Second // how long an answer is believed
	askStreamsAgain = 5 * time.Minute  // after an error: the server has no JetStream, or we may not ask
	streamsTimeout  = 2 * time.Second
)

// coverage knows which subjects JetStream streams store. Whether a stream exists
// must be asked: without one, a publication that wants an acknowledgement would
// wait for it in vain.
type coverage struct {
	subjects   []string
	connection uint64 // which of the reconnections was asked
	next       time.Time
}

// refresh asks again after a reconnection and every half minute. An error keeps
// what was known.
func (c *coverage) refresh(ctx context.Context, o *natsOutput) {
	connection := o.conn.Stats().Reconnects + 1
	if c.connection == connection && time.Now().Before(c.next) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, min(streamsTimeout, o.timeout))
	defer cancel()
	list := o.js.ListStreams(ctx, jetstream.WithStreamListSubject(o.alerts+">"))
	var subjects []string
	for info := range list.Info() {
		if !info.Config.NoAck && !info.Config.Sealed {
			subjects = append(subjects, info.Config.Subjects...)
		}
	}
	c.connection = connection
	if list.Err() != nil {
		c.next = time.Now().Add(askStreamsAgain)
		return
	}
	c.subjects, c.next = subjects, time.Now().Add(askStreams)
}

func (c *coverage) forget() { *c = coverage{} }

func (c *coverage) covers(subject string) bool {
	for _, pattern := range c.subjects {
		if subjectMatches(pattern, subject) {
			return true
		}
	}
	return false
}

// subjectMatches tells whether a subject without wildcards matches a pattern.
func subjectMatches(pattern, subject string) bool {
	for {
		p, patternRest, morePattern := strings.Cut(pattern, ".")
		s, subjectRest, moreSubject := strings.Cut(subject, ".")
		switch {
		case p == ">":
			return true
		case p != "*" && p != s:
			return false
		case morePattern != moreSubject:
			return false
		case !morePattern:
			return true
		}
		pattern, subject = patternRest, subjectRest
	}
}
