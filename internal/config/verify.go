package config

import (
	"reflect"
	"slices"
	"time"

	"keyturn/internal/secret"
)

// Verify says how a delivery proves that it is the sender's. Exactly one field is set. A preset gives all of it but the
// secrets, and a source puts its own over that (Over); what is missing in the end is a fault of Check.
type Verify struct {
	StandardWebhooks *StandardWebhooks
	HMAC             *HMAC
	Ed25519          *Ed25519
	HeaderToken      *HeaderToken
	Basic            *Basic
	URLToken         *URLToken
	BodyToken        *BodyToken
	SetJWS           *SetJWS
	OIDCBearer       *OIDCBearer
	MTLS             *MTLS
	IP               *IP
	None             *None
	AllOf            []Verify // every one must hold
	AnyOf            []Verify // one must hold; the first that does is taken
}

// StandardWebhooks are the schemes of Standard Webhooks 1.0.0 (standardwebhooks.com): v1, HMAC-SHA-256, by Secrets, and
// v1a, Ed25519, by PublicKeys; both over id, timestamp and body.
type StandardWebhooks struct {
	Secrets      []secret.Value // each as the sender shows it: base64 of at least 16 bytes, with or without whsec_; the first signs
	PublicKeys   []string       // base64 or hex of 32 bytes, with or without whpk_
	HeaderPrefix string         // how the names of the three headers begin; empty = "webhook-"
	Tolerance    time.Duration  // how far the timestamp may be from now, both ways; zero = DefaultTolerance
}

// HMAC is a signature in a header, configurable because every vendor spells it differently.
type HMAC struct {
	Algorithm      string // "sha256" (also when empty), "sha384", "sha512" or "sha1"
	Encoding       string // "hex" (also when empty; either case), "base64" or "base64url", padded or not
	Signature      Signature
	Timestamp      Timestamp
	Signed         []string       // what is signed, in order; empty = [body], or [timestamp, ".", body] with a timestamp
	Secrets        []secret.Value // at least 16 bytes; the first signs, any verifies
	SecretEncoding string         // "text" (also when empty: the key is the text itself), "base64" or "hex"
}

// Ed25519 is the same with a public key.
type Ed25519 struct {
	Encoding   string // "base64" (also when empty), "base64url" or "hex"
	Signature  Signature
	Timestamp  Timestamp
	Signed     []string
	PublicKeys []string // base64 or hex of 32 bytes, with or without whpk_
}

// Signature says where a signature stands.
type Signature struct {
	Header   string   // the request header
	Prefix   string   // what stands before each signature: "sha256="
	Split    string   // between the entries of a list: "," or " "; empty = there is one
	Pair     string   // between the name and the value of an entry: "=" or ","; empty = an entry is a signature alone
	Versions []string // names of the entries that are signatures; with Pair only
}

// Timestamp says where the time of a delivery stands. The zero Timestamp says that none is sent.
type Timestamp struct {
	Header    string        // a request header
	Field     string        // or an entry of the signature header
	Unit      string        // "s" (also when empty), "ms" or "rfc3339"
	Tolerance time.Duration // how far it may be from now, both ways; zero = DefaultTolerance
}

// Sent reports whether a timestamp is sent.
func (t Timestamp) Sent() bool { return t.Header != "" || t.Field != "" }

// The words of a list of signed parts that stand for something else than themselves. Any other part is literal text.
const (
	SignedBody      = "body"
	SignedTimestamp = "timestamp"
	SignedMethod    = "method"
	SignedPath      = "path"    // of the request, escaped as it came
	SignedURL       = "url"     // the path, and the query with its question mark
	SignedHeader    = "header:" // and the header's name
	SignedField     = "field:"  // and the name of an entry of the signature header
)

// HeaderToken is a secret text in a header.
type HeaderToken struct {
	Header string
	Scheme string         // the word before the token, in any case: "Bearer"; empty = none
	Values []secret.Value // at least 16 bytes; any is taken
}

// Basic is the authentication of RFC 7617.
type Basic struct{ Users []User }

// User is a name and a password of at least 16 bytes.
type User struct {
	Name     string
	Password secret.Value
}

// URLToken is a secret text in the URL: either in a parameter of the query, or behind the source's name.
type URLToken struct {
	Query   string
	Segment bool
	Values  []secret.Value // at least 16 bytes; any is taken
}

// BodyToken is a secret text in every item of the body.
type BodyToken struct {
	At     string         // a CEL expression over item that gives it
	Values []secret.Value // at least 16 bytes; any is taken
}

// SetJWS is a signed security event token (RFC 8417) as the body.
type SetJWS struct {
	Issuer   string
	Audience []string // one of them must stand in aud
	JWKS     string   // an address, or the path of a file
	Algs     []string // of RFC 7518 and RFC 8037, asymmetric only; empty = RS256
	Typ      string   // what the header typ must say; empty = secevent+jwt; "none" = anything, also nothing
	Exp      string   // what is done with a token that has the claims exp or sub: "refuse" (also when empty) it, or "ignore" them
}

// OIDCBearer is a signed token (RFC 7519) in the header Authorization.
type OIDCBearer struct {
	Issuer   string
	Audience []string
	JWKS     string
	Algs     []string
	Claims   map[string]string // texts that claims must be
}

// MTLS is a client certificate, issued by the authority that the public listener trusts.
type MTLS struct{ SANs []string }

// IP is the address of the sender. It stands below AllOf only, beside another kind.
type IP struct {
	CIDRs          []string
	TrustedProxies []string // whose X-Forwarded-For is believed
}

// None checks nothing.
type None struct{}

// DefaultTolerance is what the reference libraries of Standard Webhooks allow, both ways.
const DefaultTolerance = 5 * time.Minute

// minSecret is the length in bytes under which a webhook's key can be guessed rather than stolen.
const minSecret = 16

// kinds names the fields of Verify as the file does, in the order in which they are offered.
func (v Verify) kinds() []string {
	var set []string
	for name, on := range v.given {
		if on {
			set = append(set, name)
		}
	}
	return set
}

// given goes over the names of all kinds, and whether v has them.
func (v Verify) given(yield func(name string, on bool) bool) {
	_ = yield("hmac", v.HMAC != nil) && yield("standard_webhooks", v.StandardWebhooks != nil) && yield("ed25519", v.Ed25519 != nil) &&
		yield("header_token", v.HeaderToken != nil) && yield("basic", v.Basic != nil) && yield("url_token", v.URLToken != nil) &&
		yield("body_token", v.BodyToken != nil) && yield("set_jws", v.SetJWS != nil) && yield("oidc_bearer", v.OIDCBearer != nil) &&
		yield("mtls", v.MTLS != nil) && yield("ip", v.IP != nil) && yield("none", v.None != nil) &&
		yield("all_of", len(v.AllOf) > 0) && yield("any_of", len(v.AnyOf) > 0)
}

// Kind is the name of the one kind that is given, or "" when it is not one.
func (v Verify) Kind() string {
	if set := v.kinds(); len(set) == 1 {
		return set[0]
	}
	return ""
}

// Uses reports whether a kind is among those of v.
func (v Verify) Uses(kind string) bool {
	uses := func(list []Verify) bool {
		return slices.ContainsFunc(list, func(v Verify) bool { return v.Uses(kind) })
	}
	return v.Kind() == kind || uses(v.AllOf) || uses(v.AnyOf)
}

// CheckListener reports the sources that the public listener cannot serve. The error is Faults.
func (s Sources) CheckListener(t PublicTLS) error {
	var faults Faults
	for _, source := range s {
		if source.Verify.Uses("mtls") && t.ClientCA == "" {
			faults = append(faults, Fault{Position: source.At, What: "verifies by mtls, and the listener asks for no client certificate: set KEYTURN_TLS_CERT, KEYTURN_TLS_KEY and KEYTURN_TLS_CLIENT_CA"})
		}
	}
	return faults.Err()
}

// Over puts what a source says over what its preset says. The same kind is joined field by field: what the source
// leaves empty is the preset's. One kind over a list: of any_of it picks that one, in all_of it is joined with the one of
// its kind. A list over anything joins its entries with those of their kind; another kind replaces the preset's.
func (v Verify) Over(base Verify) Verify {
	kind := v.Kind()
	below, i := kindIn(base.entries(), kind)
	switch {
	case len(v.kinds()) == 0:
		return base
	case kind == "all_of" || kind == "any_of":
		return Verify{AllOf: listOver(v.AllOf, base), AnyOf: listOver(v.AnyOf, base)}
	case i < 0:
		return v
	case len(base.AllOf) > 0:
		list := append([]Verify(nil), base.AllOf...)
		list[i] = v.joined(below)
		return Verify{AllOf: list}
	}
	return v.joined(below)
}

// entries are the kinds of a list, or the one kind.
func (v Verify) entries() []Verify {
	switch {
	case len(v.AllOf) > 0:
		return v.AllOf
	case len(v.AnyOf) > 0:
		return v.AnyOf
	}
	return []Verify{v}
}

// listOver joins the entries of a list with those of their kind in base.
func listOver(list []Verify, base Verify) []Verify {
	var joined []Verify
	for _, entry := range list {
		if below, i := kindIn(base.entries(), entry.Kind()); i >= 0 {
			entry = entry.Over(below)
		}
		joined = append(joined, entry)
	}
	return joined
}

func kindIn(list []Verify, kind string) (Verify, int) {
	for i, v := range list {
		if kind != "" && v.Kind() == kind {
			return v, i
		}
	}
	return Verify{}, -1
}

// joined fills what is empty in v from a base of the same kind.
func (v Verify) joined(base Verify) Verify {
	fill(reflect.ValueOf(&v).Elem(), reflect.ValueOf(base))
	return v
}

// fill fills what is empty in v from base, which is of the same type. It writes into copies only.
func fill(v, base reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil() && !base.IsNil():
		filled := reflect.New(v.Type().Elem())
		filled.Elem().Set(v.Elem())
		fill(filled.Elem(), base.Elem())
		v.Set(filled)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), base.Field(i))
		}
	case v.IsZero():
		v.Set(base)
	}
}
