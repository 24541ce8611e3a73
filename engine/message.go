package engine

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"eunomia/event"
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
	field   bool // value is a field by itself, which reads <none> when it is empty
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
		if err != nil || p.field && v == types.String("") {
			b = append(b, "<none>"...)
		} else {
			b = appendValue(b, v)
		}
	}
	if len(b) > maxMessage {
		b = []byte(event.Shorten(string(b), maxMessage))
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
		return append(b, v.String()...)
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
		return append(b, event.Printable(s)...)
	}
	return append(b, event.Printable(event.Shorten(s, maxValue))...)
}
