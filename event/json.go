package event

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// member is a field at its place in a document.
type member struct {
	path  []string
	field *Field
}

// documentPlan holds, per kind, the fields in the order in which a nested document
// writes them: members of one object side by side.
var documentPlan = sync.OnceValue(func() [NumKinds][]member {
	var plans [NumKinds][]member
	for _, info := range Kinds {
		var plan []member
		for _, f := range FieldsOn(info.Kind) {
			path := cmp.Or(f.Document, f.Name)
			plan = append(plan, member{path: strings.Split(path, "."), field: f})
		}
		slices.SortFunc(plan, func(a, b member) int { return slices.Compare(a.path, b.path) })
		plans[info.Kind] = plan
	}
	return plans
})

// appendFields appends the event's fields as members of an open JSON object, each
// object of the nesting once. extra holds raw JSON values by path, merged in
// order; a nested object is closed before the function returns. Fields that are
// empty, false or unknown are left out.
func appendFields(dst []byte, e *Event, extra []rawMember) []byte {
	plan := documentPlan()[e.Kind]
	var open []string
	first := true
	place := func(path []string) {
		dirs := path[:len(path)-1]
		common := 0
		for common < len(open) && common < len(dirs) && open[common] == dirs[common] {
			common++
		}
		for range open[common:] {
			dst = append(dst, '}')
			first = false
		}
		if !first {
			dst = append(dst, ',')
		}
		for _, d := range dirs[common:] {
			dst = AppendString(dst, d)
			dst = append(dst, ':', '{')
		}
		open = dirs
		dst = AppendString(dst, path[len(path)-1])
		dst = append(dst, ':')
		first = false
	}
	for len(plan) > 0 || len(extra) > 0 {
		if len(plan) == 0 || len(extra) > 0 && slices.Compare(extra[0].path, plan[0].path) <= 0 {
			place(extra[0].path)
			dst = append(dst, extra[0].json...)
			extra = extra[1:]
			continue
		}
		m := plan[0]
		plan = plan[1:]
		if present(m.field, e) {
			place(m.path)
			dst = appendValue(dst, m.field, e)
		}
	}
	for range open {
		dst = append(dst, '}')
	}
	return dst
}

// rawMember is a member of a document that is not a field.
type rawMember struct {
	path []string
	json []byte
}

func present(f *Field, e *Event) bool {
	if !f.IsKnown(e) {
		return false
	}
	switch f.Type {
	case String:
		return f.Str(e) != ""
	case Int, Time:
		return !f.OmitZero || f.Int(e) != 0
	case Bool:
		return f.Bool(e)
	case Strings:
		return len(f.Strs(e)) > 0
	case Map:
		return len(f.Map(e)) > 0
	case IP:
		return f.IP(e).IsValid()
	case Processes:
		return len(f.Processes(e)) > 0
	}
	return false
}

func appendValue(dst []byte, f *Field, e *Event) []byte {
	switch f.Type {
	case String:
		return AppendString(dst, f.Str(e))
	case Int:
		return strconv.AppendInt(dst, f.Int(e), 10)
	case Bool:
		return strconv.AppendBool(dst, f.Bool(e))
	case Strings:
		return appendStrings(dst, f.Strs(e))
	case Map:
		return appendMap(dst, f.Map(e))
	case IP:
		return AppendString(dst, FormatIP(f.IP(e)))
	case Time:
		return appendTime(dst, f.Int(e))
	case Processes:
		return appendAncestors(dst, f.Processes(e))
	}
	return append(dst, "null"...)
}

func appendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, s)
	}
	return append(dst, ']')
}

func appendMap(dst []byte, m map[string]string) []byte {
	dst = append(dst, '{')
	for i, k := range slices.Sorted(mapKeys(m)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, k)
		dst = append(dst, ':')
		dst = AppendString(dst, m[k])
	}
	return append(dst, '}')
}

// maxAncestorLine bounds an ancestor's command line in documents, bytes: sixteen
// whole ones could fill 64 KiB.
const maxAncestorLine = 512

func appendAncestors(dst []byte, list []*Ancestor) []byte {
	dst = append(dst, '[')
	for i, a := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"pid":`...)
		dst = strconv.AppendUint(dst, uint64(a.PID), 10)
		for _, m := range [...]struct{ name, value string }{
			{"entity_id", a.EntityID},
			{"name", a.Image.Name},
			{"executable", a.Image.Executable},
			{"command_line", Shorten(commandLine(a.Image), maxAncestorLine)},
		} {
			dst = append(dst, ',')
			dst = AppendString(dst, m.name)
			dst = append(dst, ':')
			dst = AppendString(dst, m.value)
		}
		dst = append(dst, `,"user":{"id":`...)
		dst = strconv.AppendUint(dst, uint64(a.EUID), 10)
		dst = append(dst, '}', '}')
	}
	return append(dst, ']')
}

// Shorten cuts s to at most n bytes without splitting a character, and marks the
// cut with an ellipsis.
func Shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	cut := n
	for cut > 0 && n-cut < utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

func appendTime(dst []byte, ns int64) []byte {
	dst = append(dst, '"')
	dst = time.Unix(0, ns).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000000Z")
	return append(dst, '"')
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Control characters (C0, DEL, C1) and
// the line separators are escaped, so that no document can steer a terminal or
// break a line; bytes that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		if b := s[i]; b < utf8.RuneSelf {
			if b >= 0x20 && b != '"' && b != '\\' && b != 0x7f {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch b {
			case '"', '\\':
				dst = append(dst, '\\', b)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if steersTerminal(r) || (r == utf8.RuneError && n == 1) {
			dst = append(dst, s[start:i]...)
			dst = append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
			start = i + n
		}
		i += n
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// steersTerminal reports whether a rune above ASCII could move the cursor, break
// a line or reorder the text on a terminal: C1 controls, line separators and
// bidirectional overrides.
func steersTerminal(r rune) bool {
	switch {
	case r >= 0x80 && r <= 0x9f, r == 0x2028, r == 0x2029, r == 0x200e, r == 0x200f, r == 0x061c,
		r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// Printable returns s with everything but printable characters and the space
// escaped as in Go strings (\n, \x1b, \u202e): control characters, line separators,
// bidirectional and invisible characters, bytes that are not UTF-8. What it returns
// can neither steer a terminal nor break a line nor reorder the text around it.
func Printable(s string) string {
	clean := 0
	for clean < len(s) {
		r, n := utf8.DecodeRuneInString(s[clean:])
		if !strconv.IsPrint(r) || r == utf8.RuneError && n == 1 {
			break
		}
		clean += n
	}
	if clean == len(s) {
		return s
	}
	dst := append(make([]byte, 0, len(s)+16), s[:clean]...)
	for s = s[clean:]; s != ""; {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, '\\', 'x', hexDigits[s[0]>>4], hexDigits[s[0]&15])
		case strconv.IsPrint(r):
			dst = append(dst, s[:n]...)
		default:
			quoted := strconv.AppendQuoteRune(nil, r)
			dst = append(dst, quoted[1:len(quoted)-1]...)
		}
		s = s[n:]
	}
	return string(dst)
}
