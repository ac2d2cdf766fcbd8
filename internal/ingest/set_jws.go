package ingest

import (
	"encoding/json"

	strict "github.com/go-jose/go-jose/v4/json"

	"keyturn/internal/config"
)

// setType is what the header typ of a security event token says (RFC 8417, section 2.3).
const setType = "secevent+jwt"

// setJWS believes a body that is a security event token of its issuer.
type setJWS struct {
	issuer
	typ       string // empty = anything
	ignoreExp bool
}

func newSetJWS(spec config.SetJWS) (*setJWS, error) {
	v := &setJWS{issuer: newIssuer(spec.Issuer, spec.Audience, spec.JWKS, spec.Algs), typ: spec.Typ, ignoreExp: spec.Exp == "ignore"}
	switch v.typ {
	case "":
		v.typ = setType
	case "none":
		v.typ = ""
	}
	return v, nil
}

// Glance refuses nothing: everything stands in the body.
func (v *setJWS) Glance(Delivery) error { return nil }

// Verify checks the token as RFC 8417 and SSF 1.0, section 4.1, say. What is mapped are its claims.
func (v *setJWS) Verify(d Delivery) (Verified, error) {
	typ, claims, c, err := v.open(string(d.Body), d)
	if err != nil {
		return Verified{}, err
	}
	if v.typ != "" && !isType(typ, v.typ) {
		return Verified{}, errMalformed
	}
	if err := v.check(claims, c, d); err != nil {
		return Verified{}, err
	}
	return Verified{Issuer: c.Issuer, Claims: claims, Body: claims}, nil
}

// check wants the claims of a security event token. An event of a kind that nobody knows is none of its business.
func (v *setJWS) check(claims []byte, c registered, d Delivery) error {
	var set struct {
		Events  map[string]json.RawMessage `json:"events"`
		Subject *json.RawMessage           `json:"sub"`
	}
	if err := strict.Unmarshal(claims, &set); err != nil || len(set.Events) == 0 || c.ID == "" || c.IssuedAt == nil {
		return errClaims
	}
	if ahead(c.IssuedAt, d.Received) {
		return errTime
	}
	// A token that may be taken for one that grants something (SSF 1.0, sections 4.1.2 and 4.1.7).
	if !v.ignoreExp && (c.Expires != nil || set.Subject != nil) {
		return errClaims
	}
	return nil
}
