package main

import (
	"bytes"
	"encoding"
	"errors"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"eunomia/outputs"
	"eunomia/rules"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// mistakes are what is wrong with a configuration file, shown like those of rules.
type mistakes []rules.Diagnostic

func (m mistakes) Error() string {
	var lines []string
	for _, d := range m {
		lines = append(lines, d.String())
	}
	return strings.Join(lines, "\n")
}

// configReport collects the mistakes of a file whose TOML is in order.
type configReport struct {
	path   string
	data   []byte
	places map[string]unstable.Position // of keys such as outputs.webhook[0].url; made at need
	found  mistakes
}

// add reports a mistake at a key, or at the next key around it that the file has.
func (r *configReport) add(key, check, message, hint string) {
	if r.places == nil {
		r.places = keyPlaces(r.data)
	}
	d := rules.Diagnostic{Pos: rules.Position{File: r.path}, Check: check, Message: key + ": " + message, Hint: hint}
	for at := key; at != ""; at = at[:max(strings.LastIndexAny(at, ".["), 0)] {
		if p, ok := r.places[at]; ok {
			d.Pos.Line, d.Pos.Column = p.Line, p.Column
			d.Source = visibleLine(r.data, p.Line)
			break
		}
	}
	r.found = append(r.found, d)
}

// wantText reports numbers where a type reads a text: the decoder would take the 3 of
// metadata_wait = 3 for nanoseconds.
func (r *configReport) wantText(t reflect.Type, data []byte) {
	var document map[string]any
	if err := toml.Unmarshal(data, &document); err != nil {
		return // it was decoded before
	}
	var walk func(reflect.Type, string, any)
	walk = func(t reflect.Type, key string, value any) {
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
			if tables, ok := value.([]any); ok {
				for i, table := range tables {
					walk(t.Elem(), key+"["+strconv.Itoa(i)+"]", table)
				}
				return
			}
			t = t.Elem()
		}
		table, isTable := value.(map[string]any)
		_, isText := value.(string)
		switch {
		case t.Kind() == reflect.Struct && isTable:
			for f := range t.Fields() {
				name := f.Tag.Get("toml")
				if name == "" {
					walk(f.Type, key, value)
				}
				for given, v := range table {
					if strings.EqualFold(given, name) { // as the decoder takes it
						walk(f.Type, strings.TrimPrefix(key+"."+given, "."), v)
					}
				}
			}
		case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) && !isText:
			r.add(key, "type", "this is a number, and a string is needed", "docs/configuration.md has an example of every key")
		}
	}
	walk(t, "", document)
}

// keyPlaces returns where the keys of a TOML document are.
func keyPlaces(data []byte) map[string]unstable.Position {
	places := map[string]unstable.Position{}
	count := map[string]int{} // elements of arrays of tables
	var p unstable.Parser
	table := ""
	p.Reset(data)
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table:
			table = placeKey(&p, places, count, "", e.Key())
		case unstable.ArrayTable:
			name := strings.Join(keyParts(e.Key()), ".")
			count[name]++
			table = placeKey(&p, places, count, "", e.Key())
		case unstable.KeyValue:
			placeValue(&p, places, count, table, e)
		}
	}
	return places
}

func placeValue(p *unstable.Parser, places map[string]unstable.Position, count map[string]int, table string, e *unstable.Node) {
	key := placeKey(p, places, count, table, e.Key())
	if e.Value().Kind == unstable.InlineTable {
		for it := e.Value().Children(); it.Next(); {
			placeValue(p, places, count, key, it.Node())
		}
	}
}

// placeKey notes where a dotted key is and returns it with the indices of the
// arrays of tables it passes through.
func placeKey(p *unstable.Parser, places map[string]unstable.Position, count map[string]int, table string, it unstable.Iterator) string {
	key := table
	for it.Next() {
		if key != "" {
			key += "."
		}
		key += string(it.Node().Data)
		if n := count[withoutIndices(key)]; n > 0 {
			key += "[" + strconv.Itoa(n-1) + "]"
		}
		if _, known := places[key]; !known {
			places[key] = p.Shape(it.Node().Raw).Start
		}
	}
	return key
}

func keyParts(it unstable.Iterator) []string {
	var parts []string
	for it.Next() {
		parts = append(parts, string(it.Node().Data))
	}
	return parts
}

var index = regexp.MustCompile(`\[\d+\]`)

func withoutIndices(key string) string { return index.ReplaceAllString(key, "") }

// tomlMistakes turns the decoder's error into mistakes with remedies.
func tomlMistakes(path string, data []byte, err error) mistakes {
	var found mistakes
	var strict *toml.StrictMissingError
	var syntax *toml.DecodeError
	switch {
	case errors.As(err, &strict):
		for _, x := range strict.Errors {
			key := strings.Join(x.Key(), ".")
			hint := "docs/configuration.md lists the keys"
			if s := rules.Suggest(key, configNames()); s != "" {
				hint = "did you mean " + s + "?"
			}
			found = append(found, tomlMistake(path, data, &x, "unknown-key", "unknown key "+key, hint))
		}
	case errors.As(err, &syntax):
		message := strings.TrimPrefix(syntax.Error(), "toml: ")
		if m := mismatch.FindStringSubmatch(message); m != nil {
			return mistakes{tomlMistake(path, data, syntax, "type", "this is "+withArticle(m[1])+", and "+wanted(m[2])+" is needed", "docs/configuration.md has an example of every key")}
		}
		check, hint := "value", ""
		if !strings.Contains(message, `" is not a`) { // the readers of our own types
			check, hint = "syntax", "a value is a string in quotes, a number, true, false or a [list]; see https://toml.io"
		}
		found = append(found, tomlMistake(path, data, syntax, check, message, hint))
	default:
		found = mistakes{{Pos: rules.Position{File: path}, Check: "syntax", Message: err.Error()}}
	}
	return found
}

func tomlMistake(path string, data []byte, err *toml.DecodeError, check, message, hint string) rules.Diagnostic {
	line, column := err.Position()
	return rules.Diagnostic{Pos: rules.Position{File: path, Line: line, Column: column},
		Check: check, Message: message, Hint: hint, Source: visibleLine(data, line)}
}

// mismatch is how go-toml says that a value has the wrong type.
var mismatch = regexp.MustCompile(`^cannot decode TOML ([a-z ]+) into .*?(\S+)$`)

func withArticle(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// wanted says in TOML's words what a Go type takes.
func wanted(goType string) string {
	switch {
	case strings.HasPrefix(goType, "[]") && strings.HasSuffix(goType, "Config"):
		return "an array of tables [[…]]"
	case strings.HasPrefix(goType, "[]"):
		return "a list of strings"
	case strings.HasPrefix(goType, "map"), strings.HasSuffix(goType, "Config"), strings.HasSuffix(goType, ".TLS"):
		return "a table"
	case strings.HasPrefix(goType, "int"):
		return "a whole number"
	case goType == "bool":
		return "true or false"
	}
	return "a string"
}

// configKey is a key of the configuration file; the elements of arrays of tables
// share theirs.
type configKey struct {
	name   string // outputs.webhook.url
	secret bool
}

// configKeys lists the keys that have values.
func configKeys() []configKey {
	var keys []configKey
	secret := reflect.TypeFor[outputs.Secret]()
	var walk func(reflect.Type, string)
	walk = func(t reflect.Type, name string) {
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			composed := t.Kind() == reflect.Slice || t.Kind() == reflect.Map
			keys = append(keys, configKey{name, t == secret || composed && t.Elem() == secret})
			return
		}
		for f := range t.Fields() {
			part := f.Tag.Get("toml")
			if part != "" && name != "" {
				part = "." + part
			}
			walk(f.Type, name+part)
		}
	}
	walk(reflect.TypeFor[config](), "")
	return keys
}

// configNames returns the names of keys and tables.
func configNames() []string {
	seen := map[string]bool{}
	var names []string
	for _, k := range configKeys() {
		for i := range len(k.name) + 1 {
			if (i == len(k.name) || k.name[i] == '.') && !seen[k.name[:i]] {
				seen[k.name[:i]] = true
				names = append(names, k.name[:i])
			}
		}
	}
	return names
}

// visibleLine returns a line of the configuration file if it cannot hold a part of
// a secret: a key whose value is none, or the name of a table.
func visibleLine(data []byte, number int) string {
	lines := bytes.Split(data, []byte("\n"))
	if number < 1 || number > len(lines) {
		return ""
	}
	line := strings.TrimRight(string(lines[number-1]), "\r")
	if text := strings.TrimSpace(line); strings.HasPrefix(text, "[") && !strings.ContainsAny(text, `"'`) {
		return line
	}
	key, _, _ := strings.Cut(line, "=")
	key = strings.TrimSpace(key)
	key = key[strings.LastIndexByte(key, '.')+1:]
	visible := false
	for _, k := range configKeys() {
		if k.name == key || strings.HasSuffix(k.name, "."+key) {
			if k.secret {
				return ""
			}
			visible = true
		}
	}
	if !visible {
		return ""
	}
	return line
}
