package ingest

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"keyturn/internal/config"
)

// urlToken checks a secret text in the URL.
type urlToken struct {
	tokens
	query string // empty = behind the source's name
	first string // what sign sends
}

func newURLToken(spec config.URLToken) *urlToken {
	return &urlToken{tokens: newTokens(spec.Values), query: spec.Query, first: spec.Values[0].Reveal()}
}

func (v *urlToken) keys() int { return len(v.tokens) }

// Glance does all of the work: nothing of the body is needed.
func (v *urlToken) Glance(d Delivery) error {
	_, err := v.Verify(d)
	return err
}

// Verify takes the delivery when the token in its URL is one of the values.
func (v *urlToken) Verify(d Delivery) (Verified, error) {
	text, ok := v.text(d.URL)
	if !ok || text == "" {
		return Verified{}, errNoToken
	}
	key, ok := v.match(text)
	if !ok {
		return Verified{}, errBadToken
	}
	d.say(true, "key", func() string { return "the token in the URL is value " + strconv.Itoa(key) })
	return Verified{Key: key, Whole: true}, nil
}

// text finds the token.
func (v *urlToken) text(u *url.URL) (string, bool) {
	if v.query == "" {
		text, err := url.PathUnescape(segment(u))
		return text, err == nil
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(q[v.query]) != 1 {
		return "", false
	}
	return q[v.query][0], true
}

// segment is what stands behind the source's name in a path, escaped; empty when nothing does, or more than one.
func segment(u *url.URL) string {
	rest, _ := strings.CutPrefix(u.EscapedPath(), pathPrefix)
	_, token, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	if strings.Contains(token, "/") {
		return ""
	}
	return token
}

// takesSegment reports whether a verifier looks for a token behind the source's name.
func takesSegment(v Verifier) bool {
	switch v := v.(type) {
	case *urlToken:
		return v.query == ""
	case allOf:
		return anyTakesSegment(v)
	case anyOf:
		return anyTakesSegment(v)
	}
	return false
}

func anyTakesSegment(list []kind) bool {
	for _, k := range list {
		if takesSegment(k) {
			return true
		}
	}
	return false
}

func (v *urlToken) sign(d Delivery, _ string, _ time.Time) error {
	if v.query == "" {
		d.URL.Path = strings.TrimSuffix(d.URL.Path, "/") + "/" + v.first
		d.URL.RawPath = ""
		return nil
	}
	q := d.URL.Query()
	q.Set(v.query, v.first)
	d.URL.RawQuery = q.Encode()
	return nil
}
