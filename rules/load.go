package rules

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"gopkg.in/yaml.v3"
)

// Source is a rule file that is already in memory, such as the embedded defaults.
type Source struct {
	Name string
	Data []byte
}

// Options say what Load does beyond reading its paths. The zero value is fine.
type Options struct {
	Before []Source  // merged before the paths
	Now    time.Time // decides which exceptions have expired; zero: the present
}

// Load reads and merges rule files and directories of them. The set holds every rule
// without a mistake, and is never nil.
func Load(paths []string, o Options) (*Set, []Diagnostic) {
	l := newLoader(o)
	for _, s := range o.Before {
		l.read(s.Name, string(s.Data))
	}
	for _, name := range l.files(paths) {
		l.readPath(name)
	}
	return l.finishSet(), l.done()
}

// LoadSources is Load for files that are in memory.
func LoadSources(sources []Source, o Options) (*Set, []Diagnostic) {
	o.Before = slices.Concat(o.Before, sources)
	return Load(nil, o)
}

// loader merges files into a set.
type loader struct {
	*report
	now    time.Time
	lists  map[string]*list
	macros map[string]*macro
	rules  map[string]*definition // those without mistakes
	places map[string]place       // where every rule, good or bad, was first defined
	order  []*definition
	names  []string // of the files

	patterns, items, expanded, size int // what counts towards a bound
}

func newLoader(o Options) *loader {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	return &loader{report: &report{}, now: o.Now, lists: map[string]*list{}, macros: map[string]*macro{},
		rules: map[string]*definition{}, places: map[string]place{}}
}

// topKey is one key at the top of a file.
type topKey struct {
	name string
	read func(*loader, *scope, node)
}

// topKeys lists the keys at the top of a file, in the order in which they are read.
var topKeys = []topKey{
	{"lists", (*loader).readLists},
	{"macros", (*loader).readMacros},
	{"rules", (*loader).readRules},
	{"disable", readSwitches("disable", false)},
	{"enable", readSwitches("enable", true)},
}

// read merges the text of one file.
func (l *loader) read(name, content string) {
	f := newFile(name, content)
	l.names = append(l.names, name)
	if l.size += len(f.text); l.size > maxTotal {
		l.err(place{f, 0}, "limit", fmt.Sprintf("the rule files together are larger than %d MiB", maxTotal>>20), "load fewer files")
		return
	}
	if !f.check(l.report) {
		return
	}
	before := len(l.list)
	docs := documents(f, l.report)
	for _, doc := range docs {
		l.readDocument(doc)
	}
	if len(docs) == 0 && len(l.list) == before && !l.full() {
		l.warn(place{f, 0}, "empty", "the file is empty", "")
	}
}

func (l *loader) readDocument(doc node) {
	s := &scope{report: l.report}
	if doc.isNull() {
		return
	}
	if doc.Kind == yaml.SequenceNode {
		s.err(doc.at(), "type", "a rule file is a mapping, not a list", "put rules: above the list")
		return
	}
	given := map[string]node{}
	for _, p := range s.mapping(doc, "a rule file") {
		if !slices.ContainsFunc(topKeys, func(k topKey) bool { return k.name == p.name }) {
			s.unknownKey(p, "a rule file", namesOf(topKeys, func(k topKey) string { return k.name }))
			continue
		}
		given[p.name] = p.node
	}
	for _, k := range topKeys {
		if n, ok := given[k.name]; ok {
			k.read(l, s, n)
		}
	}
}

// finishSet expands what was merged.
func (l *loader) finishSet() *Set {
	l.resolveLists()
	l.checkMacros()
	set := &Set{Lists: map[string][]string{}, Macros: map[string]string{}, Files: l.names}
	for _, d := range l.order {
		if r := l.finish(d); r != nil {
			set.Rules = append(set.Rules, r)
		}
	}
	for name, x := range l.lists {
		set.Lists[name] = namesOf(x.literals, func(a literal) string { return a.from.value })
	}
	for name, m := range l.macros {
		set.Macros[name] = joined(m.clauses)
	}
	set.Hash = hash(set)
	return set
}

// What follows serves hints; sorting for hints that nobody sees would be wasted.

func (l *loader) listNames() []string {
	if l.full() {
		return nil
	}
	return slices.Sorted(maps.Keys(l.lists))
}

func (l *loader) macroNames() []string {
	if l.full() {
		return nil
	}
	return slices.Sorted(maps.Keys(l.macros))
}

func (l *loader) ruleNames() []string {
	if l.full() {
		return nil
	}
	return namesOf(l.order, func(d *definition) string { return d.id.value })
}

// joined returns clauses as one text, names and comments as they are.
func joined(clauses []clause) string {
	s := clauses[0].value
	for _, c := range clauses[1:] {
		s = fmt.Sprintf("(%s) %s (%s)", s, c.operator, c.value)
	}
	return s
}

func sortDiagnostics(list []Diagnostic) {
	slices.SortStableFunc(list, func(a, b Diagnostic) int {
		if (a.Pos.File == "") != (b.Pos.File == "") {
			return cmp.Compare(b.Pos.File, a.Pos.File) // about the whole set: last
		}
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
}
