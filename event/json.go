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

func appendAncestors(dst []byte, list []*Ancestor) []byte {
	dst = append(dst, '[')
	for i, a := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		for j, f := range AncestorFields {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = AppendString(dst, f.Name)
			dst = append(dst, ':')
			switch f.Type {
			case Int:
				dst = strconv.AppendInt(dst, f.Int(a), 10)
			case Strings:
				dst = appendStrings(dst, f.Strs(a))
			default:
				dst = AppendString(dst, f.Str(a))
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
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

// Printable returns s with everything that could steer a terminal or break a line
// escaped as in Go strings: control characters, line separators, bidirectional
// overrides and bytes that are not UTF-8. Clean strings are returned as they are.
func Printable(s string) string {
	clean := true
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r < 0x20 || r == 0x7f || steersTerminal(r) || (r == utf8.RuneError && n == 1) {
			clean = false
			break
		}
		i += n
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == utf8.RuneError && n == 1, r < 0x20, r == 0x7f:
			b.WriteString(`\x` + string(hexDigits[s[i]>>4]) + string(hexDigits[s[i]&15]))
		case steersTerminal(r):
			b.WriteString(`\u` + string(hexDigits[r>>12&15]) + string(hexDigits[r>>8&15]) + string(hexDigits[r>>4&15]) + string(hexDigits[r&15]))
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}
