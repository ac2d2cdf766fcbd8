package ingest

import (
	"encoding/json"

	strict "github.com/go-jose/go-jose/v4/json"

	"keyturn/internal/config"
)

// oidcBearer believes whoever brings a token of the issuer in the header Authorization (RFC 6750, section 2.1).
type oidcBearer struct {
	issuer
	claims map[string]string
}

func newOIDCBearer(spec config.OIDCBearer) (*oidcBearer, error) {
	return &oidcBearer{issuer: newIssuer(spec.Issuer, spec.Audience, spec.JWKS, spec.Algs), claims: spec.Claims}, nil
}

// Glance wants a token.
func (v *oidcBearer) Glance(d Delivery) error {
	if text, ok := single(d.Header, authorization); ok {
		if _, ok = scheme(text, "Bearer"); ok {
			return nil
		}
	}
	return errNoToken
}

// Verify checks the token and the claims that are asked for. It must expire.
func (v *oidcBearer) Verify(d Delivery) (Verified, error) {
	text, _ := single(d.Header, authorization)
	token, ok := scheme(text, "Bearer")
	if !ok {
		return Verified{}, errNoToken
	}
	typ, claims, c, err := v.open(token, d)
	switch {
	case err != nil:
		return Verified{}, err
	case isType(typ, setType):
		return Verified{}, errMalformed // a security event token grants nothing
	case c.Expires == nil || d.Received.After(c.Expires.Add(clockSkew)) || ahead(c.NotBefore, d.Received) || ahead(c.IssuedAt, d.Received):
		return Verified{}, errTime
	}
	var all map[string]json.RawMessage
	if err := strict.Unmarshal(claims, &all); err != nil {
		return Verified{}, errMalformed
	}
	for name, want := range v.claims {
		var got string
		if err := strict.Unmarshal(all[name], &got); err != nil || got != want {
			return Verified{}, errClaims
		}
	}
	return Verified{Issuer: c.Issuer, Claims: claims, Whole: true}, nil
}
