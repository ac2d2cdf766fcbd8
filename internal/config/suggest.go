package config

import (
	"strconv"
	"strings"
)

// suggest is `: did you mean "x"?` for the nearest of the known words, or what there is to choose from.
func suggest(word string, known []string) string {
	best, distance := "", 1+max(1, len(word)/3)
	for _, k := range known {
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

// editDistance counts the insertions, deletions and replacements between two words (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// providerOf is the provider of a kind: the word before its dot.
func providerOf(kind string) string {
	provider, _, _ := strings.Cut(kind, ".")
	return provider
}
