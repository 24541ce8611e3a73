package rules

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"eunomia/event"

	"gopkg.in/yaml.v3"
)

// definition is a rule before expansion, as its entries so far have made it.
type definition struct {
	id                 text
	title, description string
	on                 []event.Kind
	condition          []clause
	exceptions         []exception
	message            []messagePart
	severity           event.Severity
	attack, tags       []string
	enabled            bool
	throttle           *throttle
	tests              []testCase
	extra              Documentation
	broken             bool // has mistakes: kept only so that the rest of it is checked too
}

func (d *definition) apply(changes []change) {
	for _, change := range changes {
		change(d)
	}
	d.settleTests()
}

// maxID bounds ids: they are part of NATS subjects and metric labels.
const maxID = 100

// readRules reads the rules of one document.
func (l *loader) readRules(s *scope, n node) {
	for _, item := range s.sequence(n, "rules") {
		l.readRule(&scope{report: s.report}, item)
	}
}

// readRule reads one entry: a definition, or a change to one. With a mistake in it,
// it counts for nothing.
func (l *loader) readRule(s *scope, n node) {
	s.rule = entryID(n)
	pairs := s.mapping(n, "a rule")
	at := slices.IndexFunc(pairs, func(p pair) bool { return p.name == "id" })
	if at < 0 {
		if n.Kind == yaml.MappingNode {
			s.err(n.at(), "missing", "the rule has no id", "add id: a stable name such as shell_in_container")
		}
		return
	}
	id, ok := s.str(pairs[at].node, "the id")
	if ok && (!snakeCase.MatchString(id.value) || len(id.value) > maxID) {
		s.rule = ""
		s.err(id.at(0), "name", quoted(id.value)+" is no rule id", fmt.Sprintf("use lower-case letters, digits and _, at most %d, as in shell_in_container", maxID))
		ok = false
	}
	pairs = slices.Delete(pairs, at, at+1)
	change := slices.ContainsFunc(pairs, func(p pair) bool { return p.name == "override" || p.name == "append" })
	if !ok {
		return
	}
	if change {
		l.changeRule(s, id, pairs)
	} else {
		l.defineRule(s, id, pairs)
	}
}

// entryID returns the id of a rule's entry, as far as it has one.
func entryID(n node) string {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if v := n.child(n.Content[i+1]); n.Content[i].Value == "id" && snakeCase.MatchString(v.Value) {
				return v.Value
			}
		}
	}
	return ""
}

func (l *loader) defineRule(s *scope, id text, pairs []pair) {
	if known := l.places[id.value]; known.file != nil {
		s.rule = "" // the first definition stands
		s.err(id.at(0), "duplicate", fmt.Sprintf("the rule %s is defined twice, first at %s", id.value, known.position()),
			"choose another id, or change the first one with override: {…} or append: {…}")
		return
	}
	l.places[id.value] = id.at(0)
	d := &definition{id: id, enabled: true}
	changes := readChanges(s, pairs, "a rule", func(k ruleKey) reader { return k.set })
	var missing, hints []string
	for _, k := range ruleKeys {
		if k.required && !slices.ContainsFunc(pairs, func(p pair) bool { return p.name == k.name }) {
			missing, hints = append(missing, k.name), append(hints, k.hint)
		}
	}
	if missing != nil {
		s.err(id.at(0), "missing", fmt.Sprintf("the rule %s has no %s", id.value, strings.Join(missing, ", ")), "add "+strings.Join(hints, "; "))
	}
	d.apply(changes)
	l.order = append(l.order, d)
	if d.broken = s.failed; !d.broken {
		l.rules[id.value] = d
	}
}

func (l *loader) changeRule(s *scope, id text, pairs []pair) {
	s.rule = "" // the rule as it was stands
	var overrides, appends []change
	for _, p := range pairs {
		switch {
		case p.name != "override" && p.name != "append":
			s.err(p.key.at(), "unknown-key", fmt.Sprintf("%s stands beside override or append", quoted(p.name)),
				"a rule's entry either defines the rule or changes it; put the key inside of override or append")
		case p.Kind != yaml.MappingNode:
			s.err(p.at(), "type", fmt.Sprintf("%s must be a mapping, not %s", p.name, p.what()), "write "+p.name+": {…} with the keys to change inside")
		case p.name == "override":
			overrides = readChanges(s, s.mapping(p.node, p.name), p.name, func(k ruleKey) reader { return k.set })
		default:
			keys := s.mapping(p.node, p.name)
			s.one(keys, "and", "or")
			appends = readChanges(s, keys, p.name, func(k ruleKey) reader { return k.add })
		}
	}
	d := l.rules[id.value]
	if d == nil {
		if l.places[id.value].file == nil {
			s.err(id.at(0), "unknown-name", fmt.Sprintf("there is no rule %s to change", id.value),
				s.didYouMean(id.value, l.ruleNames(), "define it in this file or an earlier one"))
		}
		return
	}
	if s.failed {
		return
	}
	d.apply(overrides)
	d.apply(appends)
}

// readChanges reads the keys of an entry.
func readChanges(s *scope, pairs []pair, owner string, which func(ruleKey) reader) []change {
	var changes []change
	for _, p := range pairs {
		i := slices.IndexFunc(ruleKeys, func(k ruleKey) bool { return k.name == p.name })
		if i < 0 || which(ruleKeys[i]) == nil {
			var known []string
			for _, k := range ruleKeys {
				if which(k) != nil {
					known = append(known, k.name)
				}
			}
			s.unknownKey(p, owner, known)
			continue
		}
		// Some readers look only at their own mistakes.
		own := &scope{report: s.report, rule: s.rule}
		if change := which(ruleKeys[i])(own, p.node); change != nil {
			changes = append(changes, change)
		}
		s.failed = s.failed || own.failed
	}
	return changes
}

// maxPatterns bounds the patterns of disable and enable that must be tried on every
// rule.
const maxPatterns = 500

var patternForm = regexp.MustCompile(`^[a-z0-9_*?]+$|^tag:[A-Za-z0-9_.:/*?-]+$`)

// readSwitches returns the reader of disable or enable.
func readSwitches(key string, enabled bool) func(*loader, *scope, node) {
	return func(l *loader, s *scope, n node) {
		for _, t := range s.strs(n, key) {
			if !patternForm.MatchString(t.value) {
				s.err(t.at(0), "name", quoted(t.value)+" is neither a rule id nor a tag", `write shell_in_container, "ssh_*" or "tag:network"`)
				continue
			}
			l.switchRules(s, t, enabled)
		}
	}
}

func (l *loader) switchRules(s *scope, pattern text, enabled bool) {
	if d := l.rules[pattern.value]; d != nil {
		d.enabled = enabled
		return
	}
	if l.places[pattern.value].file != nil {
		return // a rule with mistakes
	}
	tag, isTag := strings.CutPrefix(pattern.value, "tag:")
	found := false
	if isTag || strings.ContainsAny(pattern.value, "*?") {
		if l.patterns++; l.patterns > maxPatterns {
			s.err(pattern.at(0), "limit", fmt.Sprintf("more than %d patterns in disable and enable", maxPatterns), "name the rules, or give them a tag")
			return
		}
		for _, d := range l.order {
			if isTag && slices.ContainsFunc(d.tags, func(t string) bool { return matches(tag, t) }) || !isTag && matches(pattern.value, d.id.value) {
				d.enabled, found = enabled, true
			}
		}
	}
	if !found {
		s.warn(pattern.at(0), "no-match", quoted(pattern.value)+" matches no rule that is defined so far",
			s.didYouMean(pattern.value, l.ruleNames(), "`eunomia rules list` lists the rules"))
	}
}

// matches reports whether a name matches a pattern; in tags, * passes over slashes.
func matches(pattern, name string) bool {
	flat := strings.NewReplacer("/", "\x01")
	ok, err := path.Match(flat.Replace(pattern), flat.Replace(name))
	return err == nil && ok
}
