// Package secret holds values that must never be seen: a Value redacts itself in every form in which Go
// prints, logs or encodes a value, and gives its bytes only to the one who calls Reveal.
//
// It is a leaf: configuration, verifiers and provider clients all need it, and none of them may import another.
package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Redacted is what every printed form of a Value shows.
const Redacted = "[redacted]"

// Value is a secret string. The zero Value is empty and redacts like any other. It is a struct, not a string type:
// a string type leaks through reflection-based encoders and through %#v. It holds a pointer, not the string itself:
// fmt calls no method on an unexported field and would print what lies within; of a pointer it prints the address.
// So two Values are compared with Equal, never with ==.
type Value struct{ p *string }

// New wraps s.
func New(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{p: &s}
}

// Reveal returns the secret itself, for the one call that needs it.
func (v Value) Reveal() string {
	if v.p == nil {
		return ""
	}
	return *v.p
}

// IsZero reports whether the secret is empty.
func (v Value) IsZero() bool { return v.p == nil }

// Equal reports whether both hold the same secret, in a time that tells nothing but their lengths.
func (v Value) Equal(w Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(w.Reveal())) == 1
}

// String redacts %s and everything that prints a Stringer.
func (v Value) String() string { return Redacted }

// GoString redacts %#v.
func (v Value) GoString() string { return Redacted }

// Format redacts every verb, also those that would walk the struct.
func (v Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// LogValue redacts in slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText redacts in text encoders.
func (v Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON redacts in JSON.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// UnmarshalText takes the secret from a text form, such as a decoded reply of a token endpoint.
func (v *Value) UnmarshalText(b []byte) error {
	*v = New(string(b))
	return nil
}
