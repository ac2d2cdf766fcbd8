package ingest

import (
	"strconv"
	"strings"
	"time"

	"keyturn/internal/config"
)

// headerToken checks a secret text in a header.
type headerToken struct {
	tokens
	header, scheme string
	first          string // what sign sends
}

func newHeaderToken(spec config.HeaderToken) *headerToken {
	return &headerToken{tokens: newTokens(spec.Values), header: spec.Header, scheme: spec.Scheme, first: spec.Values[0].Reveal()}
}

func (v *headerToken) keys() int { return len(v.tokens) }

// Glance does all of the work: nothing of the body is needed.
func (v *headerToken) Glance(d Delivery) error {
	_, err := v.Verify(d)
	return err
}

// Verify takes the delivery when the header is one of the values. The word of the scheme is taken in any case (RFC
// 9110, section 11.1).
func (v *headerToken) Verify(d Delivery) (Verified, error) {
	text, ok := single(d.Header, v.header)
	if !ok {
		return Verified{}, errNoToken
	}
	if v.scheme != "" {
		if text, ok = scheme(text, v.scheme); !ok {
			return Verified{}, errNoToken
		}
	}
	key, ok := v.match(text)
	if !ok {
		return Verified{}, errBadToken
	}
	d.say(true, "key", func() string { return "the header " + v.header + " is value " + strconv.Itoa(key) })
	return Verified{Key: key, Whole: true}, nil
}

// scheme takes the word of an authentication scheme off a header.
func scheme(text, word string) (string, bool) {
	if len(text) <= len(word) || !strings.EqualFold(text[:len(word)], word) || text[len(word)] != ' ' {
		return "", false
	}
	return strings.TrimLeft(text[len(word):], " "), true
}

func (v *headerToken) sign(d Delivery, _ string, _ time.Time) error {
	text := v.first
	if v.scheme != "" {
		text = v.scheme + " " + text
	}
	d.Header.Set(v.header, text)
	return nil
}
