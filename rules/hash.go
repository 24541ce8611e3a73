package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"eunomia/event"
)

// version hashes what decides when a rule fires and what it says: not its tests,
// comments, formatting or place.
func version(r *Rule) string {
	parts := []any{r.ID, r.Title, r.Description, r.Severity, r.Attack, r.Tags, namesOf(r.On, event.Kind.String), tokens(r.Condition)}
	for _, x := range r.Exceptions {
		parts = append(parts, x.Name, tokens(x.Condition), x.Expires)
	}
	for _, p := range r.Message.Parts {
		parts = append(parts, p.Literal, tokens(p.Expr))
	}
	if r.Throttle != nil {
		parts = append(parts, r.Throttle.By, r.Throttle.Every)
	}
	return digest(parts)
}

// hash hashes the rules of a set, and whether they are enabled.
func hash(s *Set) string {
	var parts []any
	for _, r := range s.Rules {
		parts = append(parts, r.Version, r.Enabled)
	}
	return digest(parts)
}

// digest hashes the parts in an unambiguous form.
func digest(parts []any) string {
	b, _ := json.Marshal(parts) // strings, numbers, times and lists always encode
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// tokens returns an expression without what only its readers see.
func tokens(e Expr) string {
	p := parseTokens(text{value: e.Text})
	words := make([]string, len(p.tokens))
	for i := range p.tokens {
		words[i] = p.token(i)
	}
	return strings.Join(words, " ")
}
