package rules

import "fmt"

// maxDiagnostics bounds what one load reports: a hostile or hopeless file must not
// flood whoever reads it.
const maxDiagnostics = 500

// report collects diagnostics.
type report struct {
	list                    []Diagnostic
	dropped, droppedWarning int
}

// full says that more would not be kept, so that hints need not be looked for.
func (r *report) full() bool { return len(r.list) >= maxDiagnostics }

func (r *report) add(at place, d Diagnostic) {
	switch {
	case r.full() && d.Warning:
		r.droppedWarning++
		return
	case r.full():
		r.dropped++
		return
	}
	d.Pos, d.Source = at.position(), at.line()
	r.list = append(r.list, d)
}

func (r *report) err(at place, check, message, hint string) {
	r.add(at, Diagnostic{Check: check, Message: message, Hint: hint})
}

func (r *report) warn(at place, check, message, hint string) {
	r.add(at, Diagnostic{Check: check, Message: message, Hint: hint, Warning: true})
}

func (r *report) done() []Diagnostic {
	sortDiagnostics(r.list)
	if n := r.dropped + r.droppedWarning; n > 0 {
		r.list = append(r.list, Diagnostic{Check: "limit", Message: fmt.Sprintf("%d more mistakes are not shown", n),
			Hint: "mend the first ones and check again", Warning: r.dropped == 0})
	}
	return r.list
}

// scope reports the mistakes of one definition, and remembers whether there were any.
type scope struct {
	*report
	rule   string // id of the rule that a mistake makes unusable
	failed bool
}

func (s *scope) err(at place, check, message, hint string) {
	s.failed = true
	s.add(at, Diagnostic{Check: check, Message: message, Hint: hint, Rule: s.rule})
}

// didYouMean returns a hint with the candidate that name is most like, or otherwise.
func (r *report) didYouMean(name string, candidates []string, otherwise string) string {
	if !r.full() {
		if s := Suggest(name, candidates); s != "" {
			return "did you mean " + s + "?"
		}
	}
	return otherwise
}
