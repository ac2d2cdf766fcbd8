package stream

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxToken bounds one token of a subject, in bytes. NATS itself bounds only the whole line (4 KiB); names of consumers
// that are made of tokens are bounded by 255 bytes, as file names are.
const maxToken = 200

// errToken says what a subject token must be (docs.nats.io, "Subject-Based Messaging", allowed characters).
var errToken = errors.New("must be 1 to 200 bytes of UTF-8 without spaces, control characters, '.', '*' and '>'")

// token checks that s can stand as one token of a subject. what names it in the error.
func token(what, s string) error {
	bad := func(r rune) bool { return r <= ' ' || r == 0x7f || r == '.' || r == '*' || r == '>' }
	if s == "" || len(s) > maxToken || !utf8.ValidString(s) || strings.ContainsFunc(s, bad) {
		return fmt.Errorf("%s %q: %w", what, s, errToken)
	}
	return nil
}

// subject joins prefix and tokens by dots, checking every token.
func subject(prefix string, tokens ...string) (string, error) {
	s := prefix
	for _, t := range tokens {
		if err := token("subject "+prefix+": token", t); err != nil {
			return "", err
		}
		s += "." + t
	}
	return s, nil
}

// name checks that s is a dotted name ("user.terminated"), each part of it a token.
func name(what, s string) error {
	for t := range strings.SplitSeq(s, ".") {
		if err := token(what, t); err != nil {
			return err
		}
	}
	return nil
}
