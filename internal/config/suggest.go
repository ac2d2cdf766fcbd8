package config

import (
	"strconv"
	"strings"
)

// suggest is `: did you mean "x"?` for the nearest of the known words, or what there is to choose from.
func suggest(word string, known []string) string {
	best, distance := "", 1+max(1, len(word)/3)
	for _, k := range known {
		if len(word) > 64 {
			break // no name is so long
		}
		if d := editDistance(word, k); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return ": did you mean " + quote(best) + "?"
	case len(known) == 0:
		return ": there is none to choose from"
	default:
		return ": use " + alternatives(known)
	}
}

// Suggest completes a message about an unknown word: `: did you mean "x"?` when one of the known words is near,
// otherwise `: use a, b or c`.
func Suggest(word string, known []string) string { return suggest(word, known) }

// alternatives is "a, b or c".
func alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// quote quotes a name for a message and bounds its length.
func quote(s string) string {
	if r := []rune(s); len(r) > 64 {
		s = string(r[:64]) + "…"
	}
	return strconv.Quote(s)
}

// editDistance counts the insertions, deletions, replacements and swaps of neighbours between two words (optimal string
// alignment).
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			best := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				best = min(best, rows[i-2][j-2]+1)
			}
			rows[i][j] = best
		}
	}
	return rows[len(a)][len(b)]
}

// providerOf is the provider of a kind: the word before its dot.
func providerOf(kind string) string {
	provider, _, _ := strings.Cut(kind, ".")
	return provider
}
