package ingest

import (
	"bytes"
	"crypto/ed25519"
	"strconv"

	"keyturn/internal/config"
)

// ed25519Verifier checks an Ed25519 signature (RFC 8032) of parts of the request.
type ed25519Verifier struct {
	form
	encoding
	public []ed25519.PublicKey
}

func newEd25519(spec config.Ed25519) *ed25519Verifier {
	name := spec.Encoding
	if name == "" {
		name = "base64"
	}
	return &ed25519Verifier{
		form: newForm(spec.Signature, spec.Timestamp, spec.Signed), encoding: newEncoding(name), public: publicKeys(spec.PublicKeys),
	}
}

func publicKeys(list []string) []ed25519.PublicKey {
	var keys []ed25519.PublicKey
	for _, s := range list {
		key, _ := config.PublicKey(s)
		keys = append(keys, key)
	}
	return keys
}

func (v *ed25519Verifier) keys() int { return len(v.public) }

// Glance wants the signature, and the timestamp where one is configured.
func (v *ed25519Verifier) Glance(d Delivery) error { return v.glance(d.Header) }

// Verify takes the delivery when the owner of any of the public keys made any of its signatures and the timestamp,
// where one is configured, is within the tolerance.
func (v *ed25519Verifier) Verify(d Delivery) (Verified, error) {
	s, err := v.read(d.Header)
	if err != nil {
		return Verified{}, err
	}
	d.say(true, "signed", func() string { return v.describe(d, s) })
	var message bytes.Buffer
	if err := v.write(&message, d, s); err != nil {
		return Verified{}, err
	}
	for _, text := range s.signatures[:min(len(s.signatures), maxAsymmetric)] {
		got, err := v.decode(v.plain(text, ed25519.SignatureSize))
		if err != nil || len(got) != ed25519.SignatureSize {
			continue
		}
		for i, key := range v.public {
			if ed25519.Verify(key, message.Bytes(), got) {
				d.say(true, "key", func() string { return "public key " + strconv.Itoa(i) + " fits the signature" })
				return Verified{Key: i, Headers: v.covered}, v.fresh(d, s)
			}
		}
	}
	return Verified{}, errBadSignature
}

// maxAsymmetric bounds the signatures of one delivery that are tried: each costs as much as twenty HMACs.
const maxAsymmetric = 4
