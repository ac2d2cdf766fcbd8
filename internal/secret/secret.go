// Package secret holds values that must never be seen: a Value redacts itself in every form in which Go
// prints, logs or encodes a value, and gives its bytes only to the one who calls Reveal.
//
// It is a leaf: configuration, verifiers and provider clients all need it, and none of them may import another.
package secret

import (
	"fmt"
	"log/slog"
)

// Redacted is what every printed form of a Value shows.
const Redacted = "[redacted]"

// Value is a secret string. The zero Value is empty and redacts like any other. It is a struct, not a string type:
// a string type leaks through reflection-based encoders and through %#v.
type Value struct{ s string }

// New wraps s.
func New(s string) Value { return Value{s: s} }

// Reveal returns the secret itself, for the one call that needs it.
func (v Value) Reveal() string { return v.s }

// IsZero reports whether the secret is empty.
func (v Value) IsZero() bool { return v.s == "" }

// String, GoString, Format, LogValue, MarshalText and MarshalJSON all redact.
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
func (v *Value) UnmarshalText(b []byte) error { v.s = string(b); return nil }
