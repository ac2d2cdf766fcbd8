package ingest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"keyturn/internal/config"
)

// The kinds of proof, as the configuration gives them.
type (
	VerifySpec           = config.Verify
	StandardWebhooksSpec = config.StandardWebhooks
	HMACSpec             = config.HMAC
	SignatureSpec        = config.Signature
	TimestampSpec        = config.Timestamp
)

// DefaultTolerance is how far a timestamp may be from now, both ways, unless the configuration says otherwise.
const DefaultTolerance = config.DefaultTolerance

// kind is a Verifier of this package.
type kind interface {
	Verifier
	// keys is how many secrets it tells apart in Verified.Key.
	keys() int
}

// signer is a kind that can also do what its sender does. d is the request as it will be sent; sign puts on the rest.
type signer interface {
	sign(d Delivery, id string, now time.Time) error
}

// newVerifier checks the configured proof, and makes its verifier.
func newVerifier(spec SourceSpec, faults *SpecFaults) (v Verifier, keys int) {
	found := spec.Verify.Check(spec.Insecure)
	for _, f := range found {
		faults.add(spell(f.Path), f.What)
	}
	if len(found) > 0 {
		return nil, 0
	}
	k, err := newKind(spec.Verify)
	if err != nil {
		faults.add("verify."+spec.Verify.Kind(), err.Error())
		return nil, 0
	}
	return k, k.keys()
}

// spell writes the place of a fault below verify as a person would.
func spell(path []string) string {
	var b strings.Builder
	b.WriteString("verify")
	for _, step := range path {
		if strings.Trim(step, "0123456789") == "" {
			b.WriteString("[" + step + "]")
			continue
		}
		b.WriteString("." + step)
	}
	return b.String()
}

// newKind makes the verifier of a spec that was checked.
func newKind(spec VerifySpec) (kind, error) {
	switch {
	case spec.StandardWebhooks != nil:
		return newStandardWebhooks(*spec.StandardWebhooks), nil
	case spec.HMAC != nil:
		return newHMAC(*spec.HMAC), nil
	case spec.Ed25519 != nil:
		return newEd25519(*spec.Ed25519), nil
	case spec.HeaderToken != nil:
		return newHeaderToken(*spec.HeaderToken), nil
	case spec.Basic != nil:
		return newBasic(*spec.Basic), nil
	case spec.URLToken != nil:
		return newURLToken(*spec.URLToken), nil
	case spec.BodyToken != nil:
		return newBodyToken(*spec.BodyToken), nil
	case spec.SetJWS != nil:
		return newSetJWS(*spec.SetJWS)
	case spec.OIDCBearer != nil:
		return newOIDCBearer(*spec.OIDCBearer)
	case spec.MTLS != nil:
		return newMTLS(*spec.MTLS), nil
	case spec.IP != nil:
		return newIP(*spec.IP)
	case spec.None != nil:
		return none{}, nil
	case len(spec.AllOf) > 0:
		list, err := newKinds(spec.AllOf)
		return allOf(list), err
	default:
		list, err := newKinds(spec.AnyOf)
		return anyOf(list), err
	}
}

func newKinds(specs []VerifySpec) ([]kind, error) {
	var list []kind
	for _, spec := range specs {
		k, err := newKind(spec)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", spec.Kind(), err)
		}
		list = append(list, k)
	}
	return list, nil
}

// Sign signs a request as the sender of this source does, by the first secret: for `keyturn send`, demonstrations and
// tests. body is what the request will carry, id names the event and stays the same over all its repeats, now is the
// time of this attempt. Headers that the signature covers must be set before. Kinds whose sender alone holds the key
// (public keys, tokens of an issuer, certificates) cannot be signed here.
func Sign(spec SourceSpec, req *http.Request, body []byte, id string, now time.Time) error {
	var faults SpecFaults
	v, _ := newVerifier(spec, &faults)
	if len(faults) > 0 {
		return fmt.Errorf("sign for source %s: %w", spec.Name, faults)
	}
	s, ok := v.(signer)
	if !ok {
		return fmt.Errorf("sign for source %s: only its sender can sign for %s: let that send", spec.Name, spec.Verify.Kind())
	}
	if err := s.sign(Delivery{Received: now, Method: req.Method, URL: req.URL, Header: req.Header, Body: body}, id, now); err != nil {
		return fmt.Errorf("sign for source %s: %w", spec.Name, err)
	}
	return nil
}
