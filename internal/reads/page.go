package reads

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"keyturn/internal/secret"
)

// Page is one message of an answer. The first one has the columns.
type Page struct {
	Columns []Column          `json:"columns,omitempty"`
	Rows    []json.RawMessage `json:"rows"`
}

// A page is sent when it holds so many rows or bytes: well below what a message takes, and little enough to be held on
// both sides.
const (
	pageRows  = 100
	pageBytes = 128 << 10
)

// Send reads an answer to its end and hands its pages over as they fill. It holds one page at a time. sent is how many
// rows were handed over, also when the answer ended with an error.
func Send(columns []Column, rows Rows, send func(page []byte) error) (sent int, err error) {
	p := Page{Columns: columns, Rows: []json.RawMessage{}}
	size := 0
	flush := func() error {
		data, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("encode page: %w", err)
		}
		if err := send(data); err != nil {
			return err
		}
		sent += len(p.Rows)
		p, size = Page{}, 0
		return nil
	}
	for v, err := range rows {
		var row []byte
		if err == nil {
			row, err = encode(v)
		}
		if len(p.Rows) > 0 && (err != nil || size+len(row) > pageBytes) {
			if gone := flush(); gone != nil { // also before an error: what was read is shown
				return sent, gone
			}
		}
		if err != nil {
			return sent, err
		}
		p.Rows, size = append(p.Rows, row), size+len(row)
		if len(p.Rows) == pageRows {
			if err := flush(); err != nil {
				return sent, err
			}
		}
	}
	if len(p.Rows) > 0 || p.Columns != nil {
		err = flush()
	}
	return sent, err
}

// encode writes a row as it may leave the worker.
func encode(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // a number must not change on its way
	var plain any
	if err := dec.Decode(&plain); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	if !redact(plain) {
		return data, nil // in the order of its fields
	}
	if data, err = json.Marshal(plain); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return data, nil
}

// noTime is how encoding/json writes a time that is not set.
const noTime = "0001-01-01T00:00:00Z"

// redact hides what must not leave, and drops times that are not set; it reports whether there were any. No row has a
// field for a secret but those that redact themselves; this is for what a provider puts where none was expected, such
// as a private key in a JWKS.
func redact(v any) (changed bool) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			changed = redact(e) || changed
		}
	case map[string]any:
		_, jwk := v["kty"]
		for name, value := range v {
			switch {
			case value == noTime:
				delete(v, name)
				changed = true
			case secretName(name) || jwk && privatePart(name):
				changed = value != secret.Redacted || changed
				v[name] = secret.Redacted
			default:
				changed = redact(value) || changed
			}
		}
	}
	return changed
}

// secretName reports whether a field of that name holds a secret, or may.
func secretName(name string) bool {
	name = strings.Map(func(r rune) rune {
		if r == '_' || r == '-' {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
	for _, end := range secretEnds {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// secretEnds is how names of secrets end.
var secretEnds = [...]string{"secret", "password", "passphrase", "privatekey", "apikey", "accesstoken", "refreshtoken", "bearertoken",
	"idtoken", "assertion", "credential", "credentials"}

// privatePart reports whether a member of a JWK is a part of its private key (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1).
func privatePart(name string) bool {
	switch name {
	case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
		return true
	}
	return false
}
