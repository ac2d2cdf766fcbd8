package apiclient

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// DPoP proves that the one who sends a token is the one who fetched it (RFC 9449). It stays silent until the token
// endpoint demands a proof. Its key lives as long as the process: a token is bound to it and gone with it.
type DPoP struct {
	now    func() time.Time
	signer jose.Signer

	mu     sync.Mutex
	on     bool
	nonces map[string]string // the server's last nonce, by origin: token endpoint and resources have their own
}

// NewDPoP makes a key for one connection.
func NewDPoP(now func() time.Time) (*DPoP, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, errors.New("no key for DPoP")
	}
	opts := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, opts)
	if err != nil {
		return nil, errors.New("no signer for DPoP")
	}
	return &DPoP{now: now, signer: signer, nonces: map[string]string{}}, nil
}

// Authorize adds a proof to a call of the token endpoint, once the endpoint has asked for one.
func (d *DPoP) Authorize(_ context.Context, req *http.Request) error {
	d.mu.Lock()
	on := d.on
	d.mu.Unlock()
	if !on {
		return nil
	}
	return d.prove(req, "token", nil)
}

// Refused is always false: the token endpoint's 401 is about the client, not about a token.
func (d *DPoP) Refused(*http.Request, http.Header) bool { return false }

// Prove adds a proof to a call that carries a token, bound to that token by its hash.
func (d *DPoP) Prove(req *http.Request, token Token) error {
	hash := sha256.Sum256([]byte(token.Value.Reveal()))
	return d.prove(req, "resource", map[string]any{"ath": base64.RawURLEncoding.EncodeToString(hash[:])})
}

// Learn keeps the nonce that a resource answered with.
func (d *DPoP) Learn(reply http.Header) { d.learn("resource", reply) }

func (d *DPoP) learn(whose string, reply http.Header) {
	if nonce := reply.Get("DPoP-Nonce"); HeaderSafe(nonce) {
		d.mu.Lock()
		d.nonces[whose] = nonce
		d.mu.Unlock()
	}
}

// wanted reports whether the token endpoint asked for a proof, or for another nonce, and prepares the next call.
func (d *DPoP) wanted(r Response, err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Status != http.StatusBadRequest && e.Status != http.StatusUnauthorized {
		return false
	}
	if e.Code != "invalid_dpop_proof" && e.Code != "use_dpop_nonce" {
		return false
	}
	d.learn("token", r.Header)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.on = true
	return true
}

// prove signs a proof of its own for each request: method, URL without query, time, and an id used once
// (RFC 9449 section 4.2).
func (d *DPoP) prove(req *http.Request, whose string, more map[string]any) error {
	at := url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path, RawPath: req.URL.RawPath}
	claims := map[string]any{"htm": req.Method, "htu": at.String(), "iat": d.now().Unix(), "jti": newID()}
	for name, value := range more {
		claims[name] = value
	}
	d.mu.Lock()
	nonce := d.nonces[whose]
	d.mu.Unlock()
	if nonce != "" {
		claims["nonce"] = nonce
	}
	proof, err := sign(d.signer, claims)
	if err != nil {
		return &Error{Cause: Denied, Err: err}
	}
	req.Header.Set("DPoP", proof)
	return nil
}
