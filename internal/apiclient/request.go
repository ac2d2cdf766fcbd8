package apiclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Request is one call, in the provider's terms.
type Request struct {
	Op     string     // the operation, in the provider's own words: "okta.getUser"
	Method string     // empty = GET
	Path   []string   // elements below the base, unescaped; none may be empty, "." or ".."
	Query  url.Values // nil = none
	JSON   any        // body, sent as application/json; nil = none
	Form   url.Values // body, sent as a form; nil = none; not beside JSON
	// Once: a repeat would do it twice (a create). The call is given OnceTimeout at most.
	Once bool

	next string // escaped path and query that the provider gave for the next page, in place of Path and Query
}

// Mutates reports whether the call changes something.
func (q Request) Mutates() bool { return q.Method != "" && q.Method != http.MethodGet }

// target gives escaped path and query, the whole of what is asked for at the base's host. An empty element would ask
// for something else than meant: a client's path with an empty id is the path of all clients.
func (q Request) target(base *url.URL) (string, error) {
	if q.next != "" {
		return q.next, nil
	}
	var b strings.Builder
	if p := strings.Trim(base.EscapedPath(), "/"); p != "" { // url.JoinPath leaves out the first slash
		b.WriteByte('/')
		b.WriteString(p)
	}
	for _, p := range q.Path {
		if p == "" || p == "." || p == ".." {
			return "", fmt.Errorf("path element %q", p)
		}
		b.WriteByte('/')
		b.WriteString(url.PathEscape(p))
	}
	if len(q.Query) > 0 {
		b.WriteByte('?')
		b.WriteString(q.Query.Encode())
	}
	return b.String(), nil
}

// build makes the HTTP request. Its errors name no value of a body.
func (c *Client) build(q Request) (*http.Request, error) {
	target, err := q.target(c.Base)
	if err != nil {
		return nil, err
	}
	u, err := c.Base.Parse(target)
	if err != nil {
		return nil, errors.New("path or query is not a URL")
	}
	if !sameOrigin(u, c.Base) {
		return nil, errors.New("path leads to another host")
	}
	body, kind, err := q.encode()
	if err != nil {
		return nil, err
	}
	method := q.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequest(method, "", body)
	if err != nil {
		return nil, errors.New("method is not valid")
	}
	req.URL, req.Host = u, strings.TrimSuffix(u.Host, ":") // read once is enough
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.UserAgent)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	return req, nil
}

// encode gives body and content type. Without a body net/http itself sends Content-Length: 0 on POST and PUT, which
// Okta demands (411 otherwise).
func (q Request) encode() (io.Reader, string, error) {
	switch {
	case q.JSON != nil:
		b, err := json.Marshal(q.JSON)
		if err != nil {
			return nil, "", fmt.Errorf("body %T is not JSON", q.JSON)
		}
		return bytes.NewReader(b), "application/json", nil
	case q.Form != nil:
		return strings.NewReader(q.Form.Encode()), "application/x-www-form-urlencoded", nil
	default:
		return nil, "", nil
	}
}

// sameOrigin compares scheme, host and port; a port that is the scheme's own may be left out.
func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if strings.EqualFold(u.Scheme, "https") {
		return "443"
	}
	return "80"
}
