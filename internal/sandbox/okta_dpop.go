package sandbox

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// nonceDay is how often the nonce changes, nonceLife how long an older one
	// is still taken (Okta, "Configure OAuth 2.0 Demonstrating
	// Proof-of-Possession").
	nonceDay  = 24 * time.Hour
	nonceLife = 3 * nonceDay
	// proofSkew is how far a proof's iat may lie from the server's clock.
	proofSkew = 5 * time.Minute
)

// dpopProof is a verified proof.
type dpopProof struct {
	thumbprint string
	nonce      string
}

var errNoProof = errors.New("no DPoP proof")

// dpopProof verifies the proof of this call (RFC 9449 section 4.3). With an
// access token its ath must fit.
func (c *call) dpopProof(accessToken string) (dpopProof, error) {
	values := c.r.Header.Values("DPoP")
	if len(values) != 1 {
		return dpopProof{}, errNoProof
	}
	token, err := jwt.ParseSigned(values[0], assertionAlgorithms())
	if err != nil {
		return dpopProof{}, err
	}
	head := token.Headers[0]
	if head.ExtraHeaders[jose.HeaderType] != "dpop+jwt" || head.JSONWebKey == nil || !head.JSONWebKey.IsPublic() {
		return dpopProof{}, errors.New("typ or jwk")
	}
	var claims struct {
		Method   string           `json:"htm"`
		URL      string           `json:"htu"`
		IssuedAt *jwt.NumericDate `json:"iat"`
		ID       string           `json:"jti"`
		Nonce    string           `json:"nonce"`
		TokenSum string           `json:"ath"`
	}
	if err := token.Claims(head.JSONWebKey.Key, &claims); err != nil {
		return dpopProof{}, err
	}
	sum := sha256.Sum256([]byte(accessToken))
	switch {
	case claims.Method != c.r.Method || claims.URL != c.origin+c.r.URL.EscapedPath():
		return dpopProof{}, errors.New("htm or htu")
	case claims.IssuedAt == nil || c.now.Sub(claims.IssuedAt.Time()).Abs() > proofSkew:
		return dpopProof{}, errors.New("iat")
	case accessToken != "" && claims.TokenSum != base64.RawURLEncoding.EncodeToString(sum[:]):
		return dpopProof{}, errors.New("ath")
	case claims.ID == "" || !c.sb.okta.proofs.first(claims.ID, c.now, c.now.Add(2*proofSkew)):
		return dpopProof{}, errors.New("jti")
	}
	print, err := head.JSONWebKey.Thumbprint(crypto.SHA256)
	if err != nil {
		return dpopProof{}, err
	}
	return dpopProof{base64.RawURLEncoding.EncodeToString(print), claims.Nonce}, nil
}

// dpopAtToken is the nonce dance of the token endpoint: no proof, then a proof
// without the nonce, then one with it.
func (c *call) dpopAtToken() (dpopProof, *reply) {
	proof, err := c.dpopProof("")
	if err != nil {
		description := "The DPoP proof JWT is invalid."
		if errors.Is(err, errNoProof) {
			description = "The DPoP proof JWT header is missing."
		}
		return proof, refuse(oauthError(http.StatusBadRequest, "invalid_dpop_proof", description))
	}
	if !c.sb.knownNonce(proof.nonce, c.now) {
		return proof, refuse(oauthError(http.StatusBadRequest, "use_dpop_nonce",
			"Authorization server requires nonce in DPoP proof.").with("Dpop-Nonce", c.sb.nonce(c.now)))
	}
	return proof, nil
}

// nonce is the nonce of the day.
func (sb *Sandbox) nonce(at time.Time) string {
	b := sb.ids.fixed("nonce", uint64(at.Unix()/int64(nonceDay/time.Second)))
	return base64.RawURLEncoding.EncodeToString(b[:18])
}

func (sb *Sandbox) knownNonce(nonce string, now time.Time) bool {
	for age := time.Duration(0); age <= nonceLife; age += nonceDay {
		if nonce == sb.nonce(now.Add(-age)) {
			return true
		}
	}
	return false
}
