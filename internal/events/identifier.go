package events

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Kind says what an identifier is.
type Kind string

// The kinds of identifiers. The first five name a person, in the order in which they name the principal.
const (
	OktaID         Kind = "okta_id"
	EmployeeNumber Kind = "employee_number"
	Email          Kind = "email"
	Login          Kind = "login"
	ASAUsername    Kind = "asa_username"
	DeviceHost     Kind = "device"
	ClientID       Kind = "client"
	AppKey         Kind = "app"
)

// Identifier is one name of a person, device, client or app, normalised.
type Identifier struct {
	Kind  Kind
	Value string
}

// String is the identifier with its kind, "email:maria@acme.example": how a person's names are listed.
func (i Identifier) String() string { return string(i.Kind) + ":" + i.Value }

// Principal is the identifier as a principal, "user:maria@acme.example": what guards and the order of a person are
// keyed by. The five kinds of a person all give "user:".
func (i Identifier) Principal() string {
	switch i.Kind {
	case DeviceHost, ClientID, AppKey:
		return i.String()
	}
	return "user:" + i.Value
}

// NewIdentifier normalises value as its kind demands; ok is false when nothing is left.
func NewIdentifier(k Kind, value string) (id Identifier, ok bool) {
	id = Identifier{Kind: k, Value: Normalize(k, value)}
	return id, id.Value != ""
}

// Normalize gives the one spelling of an identifier. Unicode compatibility forms (full-width letters, ligatures,
// composed and decomposed accents) become one by NFKC (UAX #15), leading and trailing space goes. Case is folded
// (Unicode caseless matching) where the systems that give the identifier do not tell by it: never in ids that a
// provider makes (Okta's contain both cases), nor in app keys.
//
// Folding may join two spellings that a system tells apart. That is the safe side: identifiers decide order, guards
// and search, never what is changed.
func Normalize(k Kind, value string) string {
	value = strings.TrimSpace(norm.NFKC.String(value))
	switch k {
	case OktaID, ClientID, AppKey:
		return value
	}
	return fold(value)
}

// fold makes strings that differ in case only equal. Folding can denormalise, hence NFKC once more (Unicode
// Standard, section 3.13, NFKC_Casefold). cases.Fold turns Cherokee letters around instead of folding them, so what it
// gives is also lowered.
func fold(s string) string {
	if isLowerASCII(s) {
		return s
	}
	return strings.TrimSpace(norm.NFKC.String(strings.ToLower(cases.Fold().String(norm.NFKC.String(s)))))
}

// isLowerASCII spares the common string the work of folding.
func isLowerASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x80 || 'A' <= c && c <= 'Z' || c <= ' ' {
			return false
		}
	}
	return true
}
