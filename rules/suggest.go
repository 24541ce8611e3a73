package rules

import "slices"

// Suggest returns the candidate that a misspelt name most likely means, or "" when
// none is near enough. Letters may be missing, added, wrong or swapped.
func Suggest(name string, candidates []string) string {
	const longest = 64
	if len(name) < 2 || len(name) > longest {
		return ""
	}
	best, limit := "", max(1, len(name)/3)+1
	for _, c := range candidates {
		if c == name || len(c) > longest || max(len(c)-len(name), len(name)-len(c)) >= limit {
			continue
		}
		if d := distance(name, c, limit); d < limit || d == limit-1 && c < best {
			best, limit = c, d
		}
	}
	return best
}

// distance returns the number of edits between a and b, or limit if there are at
// least that many.
func distance(a, b string, limit int) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		if slices.Min(row) >= limit {
			return limit
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}

// quoted puts a name from a rule file in double quotes, cut to a readable length.
func quoted(s string) string {
	const longest = 60
	if len(s) > longest {
		cut := longest
		for cut > 0 && s[cut]&0xc0 == 0x80 {
			cut--
		}
		s = s[:cut] + "…"
	}
	return `"` + s + `"`
}
