package outputs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"eunomia/event"
)

// WebhookConfig is one [[outputs.webhook]].
type WebhookConfig struct {
	Settings
	Name string `toml:"name"` // in metrics and logs: webhook/<name>; needed when there are several
	URL  Secret `toml:"url"`  // https://host/path; logs show only the host, as many services keep a secret in the path
	// Headers are added to each request. Their values may be secrets.
	Headers map[string]Secret `toml:"headers"`
	Timeout Duration          `toml:"timeout"` // of one request (10s)
	TLS     TLS               `toml:"tls"`
}

var webhookName = regexp.MustCompile(`^[a-z0-9_-]{1,40}$`)

// Headers that the webhook sets itself, or that frame the request.
var ownHeaders = []string{"Content-Length", "Content-Type", "Host", "Idempotency-Key", "Transfer-Encoding", "X-Eunomia-Event-Id"}

func (c *WebhookConfig) label() string {
	if c.Name == "" {
		return "webhook"
	}
	return "webhook/" + c.Name
}

func (c *WebhookConfig) check(report reporter) {
	if c.Name != "" && !webhookName.MatchString(c.Name) {
		report("name", fmt.Sprintf("%q is not a name", c.Name), "use up to 40 of a-z, 0-9, _ and -")
	}
	u, err := url.Parse(c.URL.Reveal())
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		report("url", "not the URL of a web server", `write it as "https://host/path"`)
	}
	for name, value := range c.Headers {
		key := "headers." + name
		switch {
		case strings.Trim(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || name == "":
			report(key, "not the name of an HTTP header", "use letters, digits and -")
		case slices.Contains(ownHeaders, textproto.CanonicalMIMEHeaderKey(name)):
			report(key, "set by Eunomia itself", "leave it out")
		case strings.ContainsFunc(value.Reveal(), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			report(key, "its value has a control character", "is there a line break in the file or variable it comes from?")
		}
	}
	checkDuration(report, "timeout", c.Timeout)
	c.TLS.check(report)
}

func (c *WebhookConfig) open(_ context.Context, env Env) (Output, error) {
	conf, err := c.TLS.config()
	if err != nil {
		return nil, err
	}
	timeout := time.Duration(c.Timeout)
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	w := &webhook{url: c.URL.Reveal(), place: place(c.URL.Reveal()), header: make(http.Header), secrets: urlSecrets(c.URL.Reveal())}
	for name, value := range c.Headers {
		w.header.Set(name, value.Reveal())
		w.secrets = append(w.secrets, value.Reveal())
	}
	if w.header.Get("User-Agent") == "" {
		w.header.Set("User-Agent", "eunomia/"+env.Version)
	}
	w.header.Set("Content-Type", "application/json")
	w.client = &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy: proxy, TLSClientConfig: conf, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		},
		// A redirect would carry alerts and headers to a place that nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w, nil
}

// proxy follows HTTPS_PROXY and its kin, and does not quote them when they are wrong.
func proxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("the environment's HTTP_PROXY or HTTPS_PROXY is not a URL")
	}
	return u, nil
}

// webhook posts each alert as one request.
type webhook struct {
	client  *http.Client
	url     string
	place   string // its scheme and host, for messages
	header  http.Header
	secrets []string
}

func (w *webhook) Send(ctx context.Context, alerts []*event.Alert) (int, error) {
	for i, a := range alerts {
		if err := w.post(ctx, a); err != nil {
			return i, err
		}
	}
	return len(alerts), nil
}

func (w *webhook) post(ctx context.Context, a *event.Alert) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(a.Document))
	if err != nil {
		return w.failed(err)
	}
	request.Header = w.header.Clone()
	request.Header.Set("X-Eunomia-Event-Id", a.ID)
	request.Header.Set("Idempotency-Key", a.ID) // lets net/http repeat it on a connection that was closed while idle
	response, err := w.client.Do(request)
	if err != nil {
		return w.failed(err)
	}
	defer response.Body.Close()
	// What the receiver says beyond its status is of no use here, but a short rest
	// of it must be read for the connection to be used again.
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	return w.judge(response)
}

// judge says what a status means: see isPermanent for who acts on it.
func (w *webhook) judge(response *http.Response) error {
	code := response.StatusCode
	err := fmt.Errorf("post to %s: the receiver answered %d %s", w.place, code, http.StatusText(code))
	switch {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		return &failure{err: err, after: retryAfter(response.Header.Get("Retry-After"), time.Now())}
	case code >= 300 && code < 400:
		return &failure{err: err, permanent: true, hint: "redirects are not followed: set url to where it leads"}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return &failure{err: err, permanent: true, hint: "check headers, or the secret in url"}
	}
	return permanent(err)
}

// failed wraps an error of the transport, without the URL that net/http puts there.
func (w *webhook) failed(err error) error {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	hint := tlsHint(err)
	if hint == "" {
		hint = "is the receiver running, and can this host reach it?"
	}
	return hinted(fmt.Errorf("post to %s: %w", w.place, scrub(err, w.secrets)), hint)
}

// retryAfter reads the header of that name: seconds or a date; 0 when there is none.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

func (w *webhook) Close(context.Context) error {
	w.client.CloseIdleConnections()
	return nil
}
