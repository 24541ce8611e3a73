package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"eunomia/event"
)

// ruleKey is one key of a rule.
type ruleKey struct {
	name     string
	required bool
	hint     string // where a required key is missing
	set      reader // in a rule and in override; nil: not there
	add      reader // in append; nil: not there
}

// reader reads the value of a key. What it returns is done to a definition if no
// mistake was reported, and also to one that is only kept to check the rest of it.
type reader func(*scope, node) change

type change func(*definition)

// ruleKeys lists every key of a rule but id, override and append.
var ruleKeys = []ruleKey{
	{name: "title", required: true, hint: "title: a few words", set: setTitle},
	{name: "description", set: setDescription},
	{name: "on", required: true, hint: "on: [exec], or other event kinds; `eunomia events` lists them", set: setKinds, add: addKinds},
	{name: "condition", required: true, hint: "condition: a CEL expression", set: setCondition},
	{name: "and", add: addClause("&&")},
	{name: "or", add: addClause("||")},
	{name: "exceptions", set: setExceptions, add: addExceptions},
	{name: "message", set: setMessage},
	{name: "severity", required: true, hint: "severity: info, low, medium, high or critical", set: setSeverity},
	words("attack", attackID, "is no ATT&CK technique", "write it as T1059 or T1059.004", func(d *definition) *[]string { return &d.attack }),
	words("tags", tagPattern, "is no tag", "use letters, digits and . _ - : /", func(d *definition) *[]string { return &d.tags }),
	{name: "throttle", set: setThrottle},
	{name: "tests", set: setTests, add: addTests},
	{name: "enabled", set: setEnabled},
	words("false_positives", anything, "", "", func(d *definition) *[]string { return &d.extra.FalsePositives }),
	words("references", webAddress, "is no web address", "write it with https://", func(d *definition) *[]string { return &d.extra.References }),
	{name: "threshold", set: notYet},
	{name: "sequence", set: notYet},
}

var (
	attackID   = regexp.MustCompile(`^T[0-9]{4}(\.[0-9]{3})?$`)
	tagPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:/-]*$`)
	webAddress = regexp.MustCompile(`^https?://[^\s]+$`)
	anything   = regexp.MustCompile(``)
)

func setTitle(s *scope, n node) change {
	t, _ := s.str(n, "the title")
	title := strings.TrimSpace(t.value)
	if strings.Contains(title, "\n") {
		s.err(n.at(), "type", "the title has more than one line", "put the rest into description")
	}
	return func(d *definition) { d.title = title }
}

func setDescription(s *scope, n node) change {
	t, _ := s.str(n, "the description")
	return func(d *definition) { d.description = strings.TrimSpace(t.value) }
}

// words is a key whose value is a list of strings of one form.
func words(name string, form *regexp.Regexp, complaint, hint string, at func(*definition) *[]string) ruleKey {
	read := func(s *scope, n node) []string {
		var out []string
		for _, t := range s.strs(n, name) {
			if !form.MatchString(t.value) {
				s.err(t.at(0), "type", quoted(t.value)+" "+complaint, hint)
			}
			out = append(out, t.value)
		}
		return out
	}
	return ruleKey{name: name,
		set: func(s *scope, n node) change {
			values := read(s, n)
			return func(d *definition) { *at(d) = values }
		},
		add: func(s *scope, n node) change {
			values := read(s, n)
			return func(d *definition) { *at(d) = append(*at(d), values...) }
		}}
}

// unique returns the values of list, each once.
func unique(list []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(v string) bool {
		before := seen[v]
		seen[v] = true
		return before
	})
}

// appendNew appends the values that list does not hold yet.
func appendNew[T comparable](list []T, values ...T) []T {
	for _, v := range values {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

func readKinds(s *scope, n node) []event.Kind {
	var kinds []event.Kind
	for _, t := range s.strs(n, "on") {
		k, ok := event.KindNamed(t.value)
		if !ok {
			s.err(t.at(0), "unknown-kind", quoted(t.value)+" is not an event kind",
				s.didYouMean(t.value, kindNames(), "the kinds are "+strings.Join(kindNames(), ", ")))
			continue
		}
		kinds = appendNew(kinds, k)
	}
	if len(kinds) == 0 && !s.failed {
		s.err(n.at(), "empty", "on names no event kind", "name at least one of "+strings.Join(kindNames(), ", "))
	}
	return kinds
}

func kindNames() []string {
	return namesOf(event.AllKinds.Kinds(), event.Kind.String)
}

func setKinds(s *scope, n node) change {
	kinds := readKinds(s, n)
	return func(d *definition) {
		d.on = kinds
		d.dropTests()
	}
}

func addKinds(s *scope, n node) change {
	kinds := readKinds(s, n)
	return func(d *definition) { d.on = appendNew(d.on, kinds...) }
}

func setCondition(s *scope, n node) change {
	p, _ := s.expression(n, "the condition")
	return func(d *definition) { d.condition = []clause{{"", p}} }
}

func addClause(operator string) reader {
	return func(s *scope, n node) change {
		p, _ := s.expression(n, "the condition")
		return func(d *definition) { d.condition = append(d.condition, clause{operator, p}) }
	}
}

func setSeverity(s *scope, n node) change {
	t, ok := s.str(n, "the severity")
	severity, err := event.ParseSeverity(t.value)
	if ok && err != nil {
		names := []string{"info", "low", "medium", "high", "critical"}
		s.err(n.at(), "severity", quoted(t.value)+" is not a severity", s.didYouMean(t.value, names, "write one of "+strings.Join(names, ", ")))
	}
	return func(d *definition) { d.severity = severity }
}

func setEnabled(s *scope, n node) change {
	enabled, _ := s.boolean(n, "enabled")
	return func(d *definition) { d.enabled = enabled }
}

func notYet(s *scope, n node) change {
	s.err(n.at(), "unsupported", "rules over several events are not supported yet", "remove threshold or sequence; throttle limits repeated alerts")
	return nil
}

// longestThrottle bounds how long the engine must remember an alert.
const longestThrottle = 7 * 24 * time.Hour

// throttle is a Throttle whose fields are not checked yet.
type throttle struct {
	by    []text
	every time.Duration
	at    place
}

func setThrottle(s *scope, n node) change {
	t := &throttle{at: n.at()}
	given := false
	for _, p := range s.mapping(n, "throttle") {
		switch p.name {
		case "by":
			t.by = s.strs(p.node, "by")
		case "every":
			v, ok := s.str(p.node, "every")
			given = true
			if !ok {
				break
			}
			d, err := time.ParseDuration(v.value)
			if err != nil || d <= 0 || d > longestThrottle {
				s.err(p.at(), "duration", quoted(v.value)+" is not a duration", fmt.Sprintf("write it as 30s, 5m or 1h, up to %.0fh", longestThrottle.Hours()))
			}
			t.every = d
		default:
			s.unknownKey(p, "throttle", []string{"by", "every"})
		}
	}
	if !given && !s.failed {
		s.err(n.at(), "missing", "throttle does not say how long", "add every: 1m")
	}
	return func(d *definition) { d.throttle = t }
}
