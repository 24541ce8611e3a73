package rules

import (
	"slices"
	"strings"
	"time"
)

// exception is an Exception before expansion.
type exception struct {
	name      text
	condition program
	reason    string
	expires   time.Time
	expiresAt place
}

var exceptionKeys = []string{"name", "condition", "reason", "expires"}

func readExceptions(s *scope, n node) []exception {
	var out []exception
	for _, item := range s.sequence(n, "exceptions") {
		var x exception
		var given []string
		for _, p := range s.mapping(item, "an exception") {
			given = append(given, p.name)
			switch p.name {
			case "name":
				var ok bool
				if x.name, ok = s.str(p.node, "the name"); ok && !snakeCase.MatchString(x.name.value) {
					s.err(p.at(), "name", quoted(x.name.value)+" is no name for an exception", "use lower-case letters, digits and _")
				}
			case "condition":
				x.condition, _ = s.expression(p.node, "the exception's condition")
			case "reason":
				t, _ := s.str(p.node, "the reason")
				x.reason = strings.TrimSpace(t.value)
			case "expires":
				x.expiresAt = p.at()
				x.expires = s.date(p.node, "expires")
			default:
				s.unknownKey(p, "an exception", exceptionKeys)
			}
		}
		for _, key := range exceptionKeys[:3] {
			if !slices.Contains(given, key) {
				s.err(item.at(), "missing", "the exception has no "+key, "every exception has a name, a condition and a reason")
			}
		}
		out = append(out, x)
	}
	return out
}

func setExceptions(s *scope, n node) change {
	list := readExceptions(s, n)
	return func(d *definition) { d.exceptions = list }
}

func addExceptions(s *scope, n node) change {
	list := readExceptions(s, n)
	return func(d *definition) { d.exceptions = append(d.exceptions, list...) }
}

// date reads a day, or a moment in RFC 3339.
func (s *scope) date(n node, name string) time.Time {
	t, ok := s.str(n, name)
	if !ok {
		return time.Time{}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if d, err := time.Parse(layout, t.value); err == nil {
			return d.UTC()
		}
	}
	s.err(n.at(), "date", quoted(t.value)+" is not a date", "write it as 2027-06-30")
	return time.Time{}
}

// finishExceptions checks names and expands conditions.
func (l *loader) finishExceptions(s *scope, list []exception) []Exception {
	var out []Exception
	first := map[string]place{}
	for _, x := range list {
		at := x.name.at(0)
		if before, dup := first[x.name.value]; dup && x.name.value != "" {
			s.err(at, "duplicate", "the exception "+x.name.value+" is given twice, first at "+before.position().String(), "choose another name")
			continue
		}
		first[x.name.value] = at
		e, _ := l.expand(s, []clause{{"", x.condition}})
		if !x.expires.IsZero() && !l.now.Before(x.expires) {
			s.warn(x.expiresAt, "expired", "the exception "+x.name.value+" expired on "+x.expires.Format(time.DateOnly)+" and no longer holds",
				"remove it, or give it a later date")
		}
		out = append(out, Exception{Name: x.name.value, Condition: e, Reason: x.reason, Expires: x.expires, Pos: at.position()})
	}
	return out
}
