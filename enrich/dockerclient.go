package enrich

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/docker/docker/client"
	"github.com/docker/go-connections/sockets"
)

// Bounds of the daemon's answers: what is in them, the authors of images chose.
const (
	maxAnswer = 4 << 20
	maxList   = 64 << 20
)

// dial returns a client of the daemon whose answers are bounded, and a function that
// lets go of its connections.
func dial(host string) (*client.Client, func(), error) {
	address, err := client.ParseHostURL(host)
	if err != nil {
		return nil, nil, fmt.Errorf("docker host %q: %w", host, err)
	}
	transport := &http.Transport{}
	if err := sockets.ConfigureTransport(transport, address.Scheme, address.Host); err != nil {
		return nil, nil, fmt.Errorf("docker host %q: %w", host, err)
	}
	// WithHost first: it wants a plain transport to configure.
	api, err := client.NewClientWithOpts(client.WithHost(host), client.WithHTTPClient(&http.Client{Transport: bounded{transport}, CheckRedirect: client.CheckRedirect}),
		client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, nil, fmt.Errorf("docker client: %w", err)
	}
	return api, transport.CloseIdleConnections, nil
}

// bounded cuts answers that are too long, which then do not parse.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err != nil || strings.HasSuffix(r.URL.Path, "/events") { // the stream goes on for ever
		return answer, err
	}
	limit := int64(maxAnswer)
	if strings.HasSuffix(r.URL.Path, "/containers/json") {
		limit = maxList
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, limit), answer.Body}
	return answer, nil
}
