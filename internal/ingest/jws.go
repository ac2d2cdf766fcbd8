package ingest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	strict "github.com/go-jose/go-jose/v4/json" // refuses a name that stands twice, and names in another case
)

// clockSkew is how far the clock of an issuer may be ahead of ours, or behind.
const clockSkew = 5 * time.Minute

// Why a token was not believed. RFC 8935, section 2.4, and RFC 8936 have a code for each.
var (
	errMalformed = errors.New("token is not a signed token of the form that is expected")
	errIssuer    = errors.New("token is of another issuer")
	errAudience  = errors.New("token is meant for somebody else")
	errTime      = errors.New("token is of the future, not valid yet or no longer")
	errClaims    = errors.New("claims of the token are not those that are expected")
)

// issuer believes the signed tokens of one issuer (RFC 7515, RFC 7519).
type issuer struct {
	name     string
	audience []string
	algs     []jose.SignatureAlgorithm
	set      *keySet
}

func newIssuer(name string, audience []string, jwks string, algs []string) issuer {
	i := issuer{name: name, audience: audience, set: newKeySet(jwks)}
	for _, a := range algs {
		i.algs = append(i.algs, jose.SignatureAlgorithm(a))
	}
	if len(i.algs) == 0 {
		i.algs = []jose.SignatureAlgorithm{jose.RS256}
	}
	return i
}

func (i *issuer) keys() int { return 1 }

// from lets the issuer's keys be those of another verifier of the same address.
func (i *issuer) from(known map[string]*keySet) {
	if set := known[i.set.from]; set != nil {
		i.set = set
	}
	known[i.set.from] = i.set
}

// keepKeys hands the keys that were had to the sources that take the place of others: an issuer that is away just then
// does not keep its tokens out.
func keepKeys(before map[string]*Source, list []*Source) {
	known := map[string]*keySet{}
	for _, s := range before {
		eachIssuer(s.verifier, func(i *issuer) { known[i.set.from] = i.set })
	}
	for _, s := range list {
		eachIssuer(s.verifier, func(i *issuer) { i.from(known) })
	}
}

func eachIssuer(v Verifier, do func(*issuer)) {
	var list []kind
	switch v := v.(type) {
	case *setJWS:
		do(&v.issuer)
	case *oidcBearer:
		do(&v.issuer)
	case allOf:
		list = v
	case anyOf:
		list = v
	}
	for _, k := range list {
		eachIssuer(k, do)
	}
}

// registered are the claims of RFC 7519, section 4.1, that are looked at.
type registered struct {
	Issuer    string       `json:"iss"`
	Audience  audience     `json:"aud"`
	ID        string       `json:"jti"`
	IssuedAt  *numericDate `json:"iat"`
	Expires   *numericDate `json:"exp"`
	NotBefore *numericDate `json:"nbf"`
}

// audience is one name or several.
type audience []string

// UnmarshalJSON takes both forms.
func (a *audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*a = []string{""}
		return strict.Unmarshal(b, &(*a)[0])
	}
	return strict.Unmarshal(b, (*[]string)(a))
}

// numericDate is seconds since 1970, perhaps with a fraction (RFC 7519, section 2).
type numericDate struct{ time.Time }

// UnmarshalJSON takes a number of this age of the world.
func (n *numericDate) UnmarshalJSON(b []byte) error {
	seconds, err := strconv.ParseFloat(string(b), 64)
	if err != nil || seconds < 0 || seconds > 1e11 {
		return errTime
	}
	n.Time = time.UnixMilli(int64(seconds * 1000))
	return nil
}

// open checks the signature of a token, its issuer and its audience. typ is the header of that name, claims what was
// signed.
func (i *issuer) open(token string, d Delivery) (typ string, claims []byte, c registered, err error) {
	if strings.ContainsAny(token, "\r\n") { // which the decoder would pass over: one token has one spelling
		return "", nil, c, errMalformed
	}
	jws, err := jose.ParseSignedCompact(token, i.algs)
	if err != nil || len(jws.Signatures) != 1 {
		return "", nil, c, errMalformed
	}
	header := jws.Signatures[0].Protected
	typ, _ = header.ExtraHeaders[jose.HeaderType].(string)
	d.say(true, "signed", func() string {
		return fmt.Sprintf("header (alg %s, kid %s, typ %s) + \".\" + claims (%d bytes)", header.Algorithm, strconv.Quote(header.KeyID), strconv.Quote(typ), len(jws.UnsafePayloadWithoutVerification()))
	})
	if claims, err = i.verify(jws, header.KeyID, header.Algorithm); err != nil {
		return typ, nil, c, err
	}
	d.say(true, "key", func() string { return "key " + strconv.Quote(header.KeyID) + " of the issuer made the signature" })
	if err := strict.Unmarshal(claims, &c); err != nil {
		return typ, nil, c, errMalformed
	}
	if c.Issuer != i.name {
		return typ, nil, c, errIssuer
	}
	for _, name := range i.audience {
		for _, a := range c.Audience {
			if a == name {
				d.say(true, "audience", func() string { return name })
				return typ, claims, c, nil
			}
		}
	}
	return typ, nil, c, errAudience
}

// verify tries the keys that the token may be signed by.
func (i *issuer) verify(jws *jose.JSONWebSignature, id, alg string) ([]byte, error) {
	keys, err := i.set.find(id)
	if err != nil {
		return nil, err
	}
	tried := 0
	for _, k := range keys {
		if !signs(k, alg) {
			continue
		}
		if tried++; tried > maxAsymmetric {
			break
		}
		if claims, err := jws.Verify(k.Key); err == nil {
			return claims, nil
		}
	}
	if tried == 0 {
		return nil, errUnknownKey
	}
	return nil, errBadSignature
}

// ahead reports whether a time lies in the future by more than clocks differ.
func ahead(t *numericDate, now time.Time) bool { return t != nil && t.After(now.Add(clockSkew)) }

// isType compares a typ as RFC 7515, section 4.1.9, says: application/ may be left out, and case means nothing.
func isType(got, want string) bool {
	cut := func(s string) string { return strings.TrimPrefix(strings.ToLower(s), "application/") }
	return cut(got) == cut(want)
}
