package rules

import (
	"time"

	"eunomia/event"
)

// Set is a merged and expanded set of rules, ready for an engine to compile.
type Set struct {
	Rules  []*Rule // enabled and disabled, in the order of their first definition
	Lists  map[string][]string
	Macros map[string]string
	Files  []string // every file that was read, in order
	Hash   string   // of everything that decides what the set matches
}

// Rule is one detection rule after merging and expansion.
type Rule struct {
	ID          string
	Title       string
	Description string
	On          []event.Kind
	Condition   Expr
	Exceptions  []Exception
	Message     Message
	Severity    event.Severity
	Attack      []string
	Tags        []string
	Enabled     bool
	Throttle    *Throttle
	Tests       []Test
	Pos         Position // of the rule's id
	Version     string   // hash of what decides when it fires and what it says
	Extra       Documentation
}

// Documentation is what a rule tells its readers beyond its description.
type Documentation struct {
	FalsePositives []string
	References     []string
}

// Expr is a CEL expression with macros and lists expanded. Its text maps back to
// the files it came from.
type Expr struct {
	Text   string
	Origin Origin
}

// Exception is a condition under which a rule stays silent.
type Exception struct {
	Name      string
	Condition Expr
	Reason    string
	Expires   time.Time // zero: never. From that day on the exception no longer holds
	Pos       Position
}

// Message is the text of an alert: literal parts and CEL expressions in turn.
type Message struct {
	Parts []MessagePart
}

// MessagePart is literal text, or an expression when Expr.Text is not empty.
type MessagePart struct {
	Literal string
	Expr    Expr
}

// Throttle limits how often a rule raises an alert for the same values of By.
type Throttle struct {
	By    []string // field names
	Every time.Duration
	Pos   Position
}

// Test is an event with which a rule must fire or stay silent.
type Test struct {
	Name   string
	Fires  bool
	Values map[string]any // field values; see event.FromFields
	Pos    Position
}
