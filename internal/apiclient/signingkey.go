package apiclient

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyturn/internal/secret"
)

// assertionLife is how long a client assertion is good. Okta allows an hour; what leaks should be worth nothing soon.
const assertionLife = 5 * time.Minute

// SigningKey signs client assertions (private_key_jwt).
type SigningKey struct {
	signer jose.Signer
}

// ParseSigningKey reads an RSA or EC private key, as PEM (PKCS #8, PKCS #1, SEC 1) or as a JWK. kid may be empty when
// a JWK names it. alg may be empty: RS256 for RSA, and what belongs to its curve for EC; Okta takes RS256/384/512 and
// ES256/384/512. The errors never hold a part of the key.
func ParseSigningKey(key secret.Value, kid, alg string) (*SigningKey, error) {
	private, jwkKid, jwkAlg, err := parsePrivate(strings.TrimSpace(key.Reveal()))
	if err != nil {
		return nil, err
	}
	if kid == "" {
		kid = jwkKid
	}
	if alg == "" {
		alg = jwkAlg
	}
	chosen, err := algorithm(private, alg)
	if err != nil {
		return nil, err
	}
	opts := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		opts = opts.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: chosen, Key: private}, opts)
	if err != nil {
		return nil, errors.New("private key cannot sign")
	}
	return &SigningKey{signer: signer}, nil
}

// Assert signs one assertion: issuer and subject are the client, the audience is the token endpoint's URL. Each has
// its own jti; a server may refuse one it has seen.
func (k *SigningKey) Assert(clientID, audience string, now time.Time) (string, error) {
	return sign(k.signer, map[string]any{
		"iss": clientID, "sub": clientID, "aud": audience, "jti": newID(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
}

func sign(signer jose.Signer, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", errors.New("claims are not JSON")
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", errors.New("private key cannot sign")
	}
	return signed.CompactSerialize()
}

func parsePrivate(s string) (key crypto.Signer, kid, alg string, err error) {
	if strings.HasPrefix(s, "{") {
		var jwk jose.JSONWebKey
		if jwk.UnmarshalJSON([]byte(s)) != nil || jwk.IsPublic() || !jwk.Valid() {
			return nil, "", "", errors.New("private key is no private JWK")
		}
		signer, ok := jwk.Key.(crypto.Signer)
		if !ok {
			return nil, "", "", errors.New("private JWK is neither RSA nor EC")
		}
		return signer, jwk.KeyID, jwk.Algorithm, nil
	}
	block, _ := pem.Decode([]byte(s))
	if block == nil {
		return nil, "", "", errors.New("private key is neither PEM nor JWK")
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, "", "", nil
		}
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, "", "", nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, "", "", nil
	}
	return nil, "", "", errors.New("PEM holds no unencrypted RSA or EC private key")
}

// algorithm gives the JWS algorithm of a key, or checks the one that was asked for.
func algorithm(key crypto.Signer, asked string) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 2048 {
			return "", errors.New("RSA key of less than 2048 bits")
		}
		switch asked {
		case "":
			return jose.RS256, nil
		case "RS256", "RS384", "RS512":
			return jose.SignatureAlgorithm(asked), nil
		}
	case *ecdsa.PrivateKey:
		own := map[int]jose.SignatureAlgorithm{256: jose.ES256, 384: jose.ES384, 521: jose.ES512}[k.Curve.Params().BitSize]
		if own != "" && (asked == "" || asked == string(own)) {
			return own, nil
		}
	}
	return "", fmt.Errorf("a %T cannot sign with %q: RS256, RS384, RS512, ES256, ES384 or ES512 are possible", key, asked)
}
