package apiclient

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// nextTarget finds rel="next" in all Link lines of a reply (RFC 8288; Okta sends self and next as separate lines) and
// gives its path and query. Empty = there is no next page. The host is checked and dropped: a token never follows a
// link away from the connection.
func nextTarget(h http.Header, at *url.URL) (string, error) {
	for _, line := range h.Values("Link") {
		for rest := line; ; {
			target, params, tail, ok := cutLink(rest)
			if !ok {
				break
			}
			rest = tail
			if !isNext(params) {
				continue
			}
			u, err := at.Parse(target)
			if err != nil {
				return "", errors.New("link to the next page is no URL")
			}
			if !sameOrigin(u, at) || u.User != nil {
				return "", errors.New("link to the next page leads to another host")
			}
			u.Scheme, u.Host, u.Fragment, u.RawFragment = "", "", "", ""
			if !strings.HasPrefix(u.EscapedPath(), "/") || strings.HasPrefix(u.EscapedPath(), "//") {
				return "", errors.New("link to the next page has no path")
			}
			return u.String(), nil
		}
	}
	return "", nil
}

// cutLink takes the first link-value off a header line: what stands between < and >, and the parameters up to the
// comma that ends it. A comma within the URL or within quotes ends nothing.
func cutLink(s string) (target, params, rest string, ok bool) {
	_, s, ok = strings.Cut(s, "<")
	if !ok {
		return "", "", "", false
	}
	target, s, ok = strings.Cut(s, ">")
	if !ok {
		return "", "", "", false
	}
	params, rest = cutUnquoted(s, ',')
	return target, params, rest, true
}

// cutUnquoted cuts s at the first sep that stands outside quotes.
func cutUnquoted(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// isNext reports whether the parameters hold rel=next, quoted or not, alone or among other relations.
func isNext(params string) bool {
	for params != "" {
		var p string
		p, params = cutUnquoted(params, ';')
		name, value, ok := strings.Cut(p, "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for _, rel := range strings.Fields(strings.Trim(strings.TrimSpace(value), `"`)) {
			if strings.EqualFold(rel, "next") {
				return true
			}
		}
		return false // RFC 8288 section 3.3: only the first rel counts
	}
	return false
}
