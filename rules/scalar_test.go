package rules

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// FuzzScalarPlaces holds for any text in any style: every byte that is no blank
// leads to itself in the source, or to the escape that stands for it.
func FuzzScalarPlaces(f *testing.F) {
	for _, s := range []string{"a b", "a\nb\n\nc  d\n\n", "'it''s' \"\\\"", "  é\t日本 \n\n   x\n y\n", "\x01\u0085\u00a0\u2028\U0001f600", ": # - {", "\n\n a", "\\n \\ x"} {
		for style := range uint8(5) {
			f.Add(s, style, "é: x\n")
		}
	}
	styles := []yaml.Style{0, yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle, yaml.LiteralStyle, yaml.FoldedStyle}
	f.Fuzz(func(t *testing.T, value string, style uint8, before string) {
		if !utf8.ValidString(value) || strings.ContainsAny(before, "\n\r\u0085\u2028\u2029") && !strings.HasSuffix(before, "\n") {
			return
		}
		source, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
			{Kind: yaml.ScalarNode, Value: "k"},
			{Kind: yaml.ScalarNode, Value: value, Style: styles[int(style)%len(styles)]}}})
		if err != nil {
			return
		}
		file := newFile("a.yaml", "# "+strings.ReplaceAll(before, "\n", "\n# ")+"\n"+string(source))
		if !file.check(&report{}) {
			return
		}
		docs := documents(file, &report{})
		if len(docs) != 1 || docs[0].Kind != yaml.MappingNode || len(docs[0].Content) != 2 {
			return // the comment was none
		}
		got := docs[0].child(docs[0].Content[1]).text()
		last := -1
		for i, r := range got.value {
			at := got.at(i).offset
			if at < last {
				t.Fatalf("byte %d of %q goes back in\n%s", i, got.value, file.text)
			}
			last = at
			if unicode.IsSpace(r) {
				continue
			}
			rest := file.text[min(at, len(file.text)):]
			if !strings.HasPrefix(rest, string(r)) && !strings.HasPrefix(rest, `\`) {
				t.Fatalf("byte %d (%q) of %q is at %s in\n%s", i, r, got.value, got.at(i).position(), file.text)
			}
		}
	})
}
