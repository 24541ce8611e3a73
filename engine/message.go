package engine

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// Bounds of an alert's message, in bytes before escaping.
const (
	maxMessage = 4096
	maxValue   = 512
)

// part is a piece of a message: literal text, or an expression.
type part struct {
	literal string
	value   cel.Program
}

// render writes the message. It is complete unless a value has not arrived yet.
func render(parts []part, in *input) (message string, complete bool) {
	b := make([]byte, 0, 256)
	complete = true
	for _, p := range parts {
		if p.value == nil {
			b = append(b, p.literal...)
			continue
		}
		v, _, err := p.value.Eval(in.frame)
		if types.IsUnknown(v) {
			complete = false
		}
		if err != nil {
			b = append(b, "<none>"...)
		} else {
			b = appendValue(b, v)
		}
	}
	if len(b) > maxMessage {
		b = append(cut(b, maxMessage), "…"...)
	}
	return string(b), complete
}

// appendValue writes a value as a reader expects it, at most maxValue bytes of it.
func appendValue(b []byte, v ref.Val) []byte {
	switch v := v.(type) {
	case types.String:
		return appendCut(b, string(v))
	case types.Int:
		return strconv.AppendInt(b, int64(v), 10)
	case types.Bool:
		return strconv.AppendBool(b, bool(v))
	case types.Timestamp:
		return v.UTC().AppendFormat(b, time.RFC3339Nano)
	case types.Duration:
		return append(b, v.Duration.String()...)
	case *types.Unknown:
		return append(b, "<unknown>"...)
	case traits.Mapper:
		var items []string
		for it := v.Iterator(); it.HasNext() == types.True; {
			k := it.Next()
			items = append(items, plain(k)+"="+plain(v.Get(k)))
		}
		slices.Sort(items)
		return appendCut(b, strings.Join(items, ", "))
	case traits.Lister:
		var s strings.Builder
		for it := v.Iterator(); it.HasNext() == types.True && s.Len() <= maxValue; {
			if s.Len() > 0 {
				s.WriteString(", ")
			}
			s.WriteString(plain(it.Next()))
		}
		return appendCut(b, s.String())
	default:
		return appendCut(b, plain(v))
	}
}

func plain(v ref.Val) string {
	if s, ok := v.ConvertToType(types.StringType).(types.String); ok {
		return string(s)
	}
	return v.Type().TypeName()
}

func appendCut(b []byte, s string) []byte {
	if len(s) <= maxValue {
		return appendEscaped(b, s)
	}
	return append(appendEscaped(b, string(cut([]byte(s), maxValue))), "…"...)
}

// cut shortens b to at most n bytes without splitting a character.
func cut(b []byte, n int) []byte {
	b = b[:n]
	for i := 1; i <= utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				b = b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// appendEscaped writes s, which may come from an attacker, so that it can neither
// break the line, nor steer a terminal, nor reorder the text around it.
func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, '\\', 'x', hex[s[i]>>4], hex[s[i]&15])
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r == '\t':
			b = append(b, '\\', 't')
		case steers(r):
			b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return b
}

// steers reports control characters, line separators and marks of writing
// direction.
func steers(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r <= 0x9f, r == 0x61c, r == 0x200e, r == 0x200f, r == 0x2028, r == 0x2029,
		r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}
