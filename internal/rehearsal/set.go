package rehearsal

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
)

// takesSET reports whether every delivery of a source is a security event token, perhaps with another proof beside it.
func takesSET(v config.Verify) bool {
	return v.SetJWS != nil || slices.ContainsFunc(v.AllOf, takesSET)
}

// runSET plays a case through a source of security event tokens, which has keys of its own for every case: what was
// learned about keys in one is not known in another.
func runSET(made *ingest.Source, spec ingest.SourceSpec, c Case) (Outcome, error) {
	issuer, err := newSampleIssuer()
	if err != nil {
		return Outcome{}, err
	}
	defer issuer.close()
	spec.Verify = issuer.verify(spec.Verify)
	source, err := made.Rekeyed(spec)
	if err != nil {
		return Outcome{}, err
	}
	if c.Unsigned {
		return run(source, spec, c)
	}
	if c.Body, err = issuer.token(c.Body); err != nil {
		return Outcome{}, err
	}
	// What stands beside the token is signed as ever.
	switch rest := slices.DeleteFunc(spec.Verify.AllOf, takesSET); len(rest) {
	case 0:
		c.Unsigned = true
	case 1:
		spec.Verify = rest[0]
	default:
		spec.Verify = config.Verify{AllOf: rest}
	}
	return run(source, spec, c)
}

// sampleIssuer stands in for the issuer of security event tokens: the body of a case is the claims, and goes out as the
// token that their issuer would make of them, by a key of its own.
type sampleIssuer struct {
	key  ed25519.PrivateKey
	keys string // file with its public key
}

// sampleKey is the id of the one key of a sampleIssuer.
const sampleKey = "sample"

func newSampleIssuer() (*sampleIssuer, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("sample key: %w", err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: sampleKey, Algorithm: string(jose.EdDSA), Use: "sig"}}})
	if err != nil {
		return nil, fmt.Errorf("sample key: %w", err)
	}
	file, err := os.CreateTemp("", "keyturn-sample-*.json")
	if err != nil {
		return nil, fmt.Errorf("sample key: %w", err)
	}
	i := &sampleIssuer{key: private, keys: file.Name()}
	_, err = file.Write(set)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		i.close()
		return nil, fmt.Errorf("sample key: %w", err)
	}
	return i, nil
}

func (i *sampleIssuer) close() { _ = os.Remove(i.keys) }

// verify is a proof that takes this issuer's keys for those of its own.
func (i *sampleIssuer) verify(v config.Verify) config.Verify {
	if v.SetJWS != nil {
		changed := *v.SetJWS
		changed.JWKS, changed.Algs = i.keys, []string{string(jose.EdDSA)}
		v.SetJWS = &changed
	}
	v.AllOf = slices.Clone(v.AllOf)
	for n, one := range v.AllOf {
		v.AllOf[n] = i.verify(one)
	}
	return v
}

// token signs claims as RFC 8417 says.
func (i *sampleIssuer) token(claims []byte) ([]byte, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: i.key, KeyID: sampleKey}},
		(&jose.SignerOptions{}).WithType("secevent+jwt"))
	if err != nil {
		return nil, fmt.Errorf("sample token: %w", err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return nil, fmt.Errorf("sample token: %w", err)
	}
	compact, err := signed.CompactSerialize()
	return []byte(compact), err
}
