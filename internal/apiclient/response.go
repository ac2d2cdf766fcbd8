package apiclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
)

// What is read of a reply: all of one that worked, up to a cap that no honest page reaches; of a failed one no more
// than an error object needs, for its status says the rest.
const (
	MaxBody      = 10 << 20 // bytes
	maxErrorBody = 64 << 10 // bytes
)

// Response is what the provider answered. It prints without its body: a body may hold a secret.
type Response struct {
	Status    int
	Header    http.Header // without cookies
	RequestID string      // the provider's id of the call; empty when it gave none

	body []byte
}

// OK reports whether the status is any 2xx: vendors change which one they send.
func (r Response) OK() bool { return r.Status >= 200 && r.Status <= 299 }

// HTML reports whether a page answered: a proxy, a firewall or a maintenance site, not the provider's API.
func (r Response) HTML() bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "text/html" || bytes.HasPrefix(bytes.TrimSpace(r.body), []byte("<"))
}

// Empty reports whether the reply has no body.
func (r Response) Empty() bool { return len(r.body) == 0 }

// Decode reads the body into v. Unknown fields are ignored: vendors add them without notice. The error names neither
// content nor value.
func (r Response) Decode(v any) error {
	err := json.Unmarshal(r.body, v)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("reply of %d bytes: field %q is no %s", len(r.body), e.Field, e.Type)
	}
	return fmt.Errorf("reply of %d bytes is not the JSON of a %T", len(r.body), v)
}

// Unreadable makes the error of a reply that worked and cannot be understood: Transient, nothing is known.
func (r Response) Unreadable(op string, err error) *Error {
	return &Error{Op: op, Status: r.Status, Cause: Transient, RequestID: r.RequestID, Err: err}
}

// Format prints status and request id, whatever the verb.
func (r Response) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%d, %d bytes (request %s)", r.Status, len(r.body), r.RequestID)
}

// LogValue logs what Format prints.
func (r Response) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// MarshalJSON keeps header and body out of JSON.
func (r Response) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(r)) }

// readBody reads the reply as far as it is needed. A reply that worked must be read to its end to count.
func readBody(res *http.Response) ([]byte, error) {
	if res.StatusCode < 200 || res.StatusCode > 299 {
		b, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody)) // cut off or not, the status stands
		return b, nil
	}
	if n := res.ContentLength; n > 0 && n <= MaxBody {
		b := make([]byte, n+1) // one more shows its end: HTTP/2 resets a stream that is closed before that
		switch got, err := io.ReadFull(res.Body, b); {
		case err == nil:
			return nil, fmt.Errorf("reply of more than the %d bytes that it announced", n)
		case int64(got) < n || !errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fmt.Errorf("read reply: %w", err)
		}
		return b[:n], nil
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read reply: %w", err)
	}
	if len(b) > MaxBody {
		return nil, fmt.Errorf("reply of more than %d bytes", MaxBody)
	}
	return b, nil
}

// requestID reads the first of the headers that is there. It goes to the ledger: printable ASCII, 128 bytes at most.
func requestID(h http.Header, names []string) string {
	for _, name := range names {
		if v := h.Get(name); v != "" {
			return Printable(v, 128)
		}
	}
	return ""
}

// Printable keeps the printable ASCII of a provider's short text (a code, an id), up to n bytes, without blanks.
func Printable(s string, n int) string {
	s = strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return -1
		}
		return c
	}, s)
	return s[:min(n, len(s))]
}

// Word gives a provider's error code if it is one word, of letters, digits, '_', '-' and '.', at most 40 bytes, and
// nothing otherwise: a text in the place of a code may repeat what was sent.
func Word(s string) string {
	odd := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.'
	}
	if len(s) > 40 || strings.ContainsFunc(s, odd) {
		return ""
	}
	return s
}
