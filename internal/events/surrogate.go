package events

import (
	"bytes"
	"strconv"
	"unicode/utf16"
)

const ruleHalfPair = "json: half a surrogate pair is no text"

// halfPair reports whether JSON text escapes a surrogate that is no half of a pair (RFC 7493, section 2.1, forbids it).
// A reader puts U+FFFD in its place, which makes one of two texts that differ, ids among them.
func halfPair(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return false
		}
		text = text[i:]
		one, ok := escaped(text)
		switch {
		case !ok:
			text = text[min(2, len(text)):]
		case !utf16.IsSurrogate(one):
			text = text[6:]
		default:
			two, ok := escaped(text[6:])
			if !ok || utf16.DecodeRune(one, two) == '\uFFFD' {
				return true
			}
			text = text[12:]
		}
	}
}

// escaped reads the \uXXXX that text begins with.
func escaped(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil
}
