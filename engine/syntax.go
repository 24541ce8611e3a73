package engine

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/cel-go/cel"
)

var (
	limits    = regexp.MustCompile(`(code point size|recursion|node count|nesting)`)
	expecting = regexp.MustCompile(` expecting .*$`)
	offending = regexp.MustCompile(`(?:input|at:|at input) '(.*?)'`)
)

// syntaxProblem explains the first syntax error; later ones follow from it.
func syntaxProblem(text string, issues *cel.Issues) problem {
	errs := issues.Errors()
	if len(errs) == 0 {
		return problem{check: "syntax", message: issues.Err().Error()}
	}
	e := errs[0]
	p := problem{check: "syntax", offset: locate(text, e)}
	message := strings.TrimPrefix(e.Message, "Syntax error: ")
	if limits.MatchString(message) {
		p.check = "cost"
		p.message = "the expression is too large: " + message
		p.hint = "split the rule, or move long lists of paths to a glob"
		return p
	}
	word := ""
	if m := offending.FindStringSubmatch(message); m != nil {
		word = m[1]
	}
	rest := strings.TrimLeft(text[p.offset:], " \t\n")
	switch {
	case word == "<EOF>" || rest == "":
		p.message, p.hint = "the expression ends too early", "close every ( and \", and write something after the last operator"
	case strings.HasPrefix(rest, "and ") || strings.HasPrefix(rest, "or ") || strings.HasPrefix(rest, "not "):
		p.message = fmt.Sprintf("cannot read %q", strings.Fields(rest)[0])
		p.hint = "write && for and, || for or, ! for not"
	case strings.HasPrefix(rest, "=") || strings.HasPrefix(word, "="):
		p.message, p.hint = "cannot read \"=\"", "compare with =="
	case strings.HasPrefix(rest, "&") || strings.HasPrefix(rest, "|"):
		p.message, p.hint = fmt.Sprintf("cannot read %q", rest[:1]), "write && for and, || for or"
	case strings.HasPrefix(rest, "'") || strings.HasPrefix(rest, "\""):
		p.message, p.hint = "cannot read the string", "close the quote; a backslash in a string is written \\\\, or the string r\"…\""
	case word != "" && !strings.HasPrefix(message, "invalid"):
		p.message = fmt.Sprintf("cannot read %q here", word)
	default:
		p.message = expecting.ReplaceAllString(message, "")
	}
	return p
}

func locate(text string, e *cel.Error) int {
	line, column := e.Location.Line(), e.Location.Column()
	at := 0
	for range line - 1 {
		i := strings.IndexByte(text[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
	return min(at+byteOffset(text[at:], column), len(text))
}
