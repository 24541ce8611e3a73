package outputs

import (
	"cmp"
	"errors"
	"net/url"
	"strings"
	"time"
)

// failure is an error with what it means for the next attempt.
type failure struct {
	err       error
	hint      string
	permanent bool
	after     time.Duration // the receiver asked to be left alone for so long
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// permanent marks an error that no repetition would change: the receiver has
// seen the alert and does not want it.
func permanent(err error) error { return &failure{err: err, permanent: true} }

// isPermanent is the one place that decides whether to try again: everything is
// worth another attempt unless a sink says otherwise.
func isPermanent(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.permanent
}

// hinted adds a remedy to an error, for the log.
func hinted(err error, hint string) error { return &failure{err: err, hint: hint} }

// hintOf returns the first remedy that comes with an error or with what it wraps.
func hintOf(err error) string {
	//nolint:errorlint // walks the tree: an outer failure without a hint must not hide an inner one
	switch e := err.(type) {
	case nil:
		return ""
	case *failure:
		return cmp.Or(e.hint, hintOf(e.err))
	case *Problem:
		return cmp.Or(e.Hint, hintOf(e.Err))
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if hint := hintOf(inner); hint != "" {
				return hint
			}
		}
		return ""
	}
	return hintOf(errors.Unwrap(err))
}

// waitOf returns how long the receiver asked to be left alone, or 0.
func waitOf(err error) time.Duration {
	var f *failure
	if errors.As(err, &f) {
		return f.after
	}
	return 0
}

// scrubbed is an error whose text shows none of the secrets; what it wraps is
// still there for errors.Is.
type scrubbed struct {
	error
	text string
}

func (s *scrubbed) Error() string { return s.text }
func (s *scrubbed) Unwrap() error { return s.error }

// scrub hides secrets in an error's text. Libraries quote URLs and headers in
// their errors, so every error of a library goes through here before anyone
// writes it.
func scrub(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, s := range secrets {
		if len(s) >= 4 { // what is shorter is no secret, and would garble the text
			text = strings.ReplaceAll(text, s, redacted)
		}
	}
	if text == err.Error() {
		return err
	}
	return &scrubbed{err, text}
}

// place names the receiver behind a URL and nothing else of it: many services
// carry their secret in the path.
func place(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return redacted
	}
	return u.Scheme + "://" + u.Host
}

// urlSecrets returns the parts of a URL that may be secret, in the spellings in
// which libraries quote them.
func urlSecrets(raw string) []string {
	u, err := url.Parse(raw)
	if err != nil {
		return []string{raw}
	}
	list := []string{raw}
	if u.User != nil {
		password, _ := u.User.Password()
		list = append(list, u.User.String(), password, url.QueryEscape(password))
		if password == "" { // nats://token@host
			list = append(list, u.User.Username())
		}
	}
	if len(u.Path) > 1 {
		list = append(list, u.RequestURI(), u.Path)
	}
	if u.RawQuery != "" {
		list = append(list, u.RawQuery)
		for _, values := range u.Query() {
			list = append(list, values...)
		}
	}
	return list
}
