package ingest

import (
	"crypto/hmac"
	"crypto/sha1" // some senders know nothing better; HMAC-SHA-1 is not broken
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strconv"
	"time"

	"keyturn/internal/config"
)

// hmacVerifier checks an HMAC of parts of the request (RFC 2104).
type hmacVerifier struct {
	form
	encoding
	hash    func() hash.Hash
	secrets [][]byte
}

func newHMAC(spec HMACSpec) *hmacVerifier {
	v := &hmacVerifier{
		form:     newForm(spec.Signature, spec.Timestamp, spec.Signed),
		encoding: newEncoding(spec.Encoding), hash: hashes(spec.Algorithm),
	}
	for _, s := range spec.Secrets {
		key, _ := config.DecodeSecret(s, spec.SecretEncoding)
		v.secrets = append(v.secrets, key)
	}
	return v
}

func hashes(name string) func() hash.Hash {
	switch name {
	case "sha384":
		return sha512.New384
	case "sha512":
		return sha512.New
	case "sha1":
		return sha1.New
	}
	return sha256.New
}

func (v *hmacVerifier) keys() int { return len(v.secrets) }

// Glance wants the signature, and the timestamp where one is configured.
func (v *hmacVerifier) Glance(d Delivery) error { return v.glance(d.Header) }

// Verify takes the delivery when any of the secrets made any of its signatures and the timestamp, where one is
// configured, is within the tolerance.
func (v *hmacVerifier) Verify(d Delivery) (Verified, error) {
	s, err := v.read(d.Header)
	if err != nil {
		return Verified{}, err
	}
	d.say(true, "signed", func() string { return v.describe(d, s) })
	for i, secret := range v.secrets {
		want, n, err := v.mac(secret, d, s)
		if err != nil {
			return Verified{}, err
		}
		for _, got := range s.signatures {
			// Compared as text: base64 has several spellings of the same bytes, and only one is taken.
			if equal(v.plain(got, n), want) {
				d.say(true, "key", func() string { return "secret " + strconv.Itoa(i) + " made the signature" })
				return Verified{Key: i, Headers: v.covered}, v.fresh(d, s)
			}
		}
	}
	return Verified{}, errBadSignature
}

// mac is the encoded HMAC over the configured parts, and its size in bytes.
func (v *hmacVerifier) mac(key []byte, d Delivery, s signed) (text string, size int, err error) {
	h := hmac.New(v.hash, key)
	if err := v.write(h, d, s); err != nil {
		return "", 0, err
	}
	return v.encode(h.Sum(nil)), h.Size(), nil
}

// sign puts the timestamp and the signature on a request, by the first secret.
func (v *hmacVerifier) sign(d Delivery, _ string, now time.Time) error {
	s := signed{stamp: v.stampNow(now)}
	if v.stamp.Header != "" {
		d.Header.Set(v.stamp.Header, s.stamp)
	}
	s.entries = []string{v.stamp.Field + v.sig.Pair + s.stamp}
	mac, _, err := v.mac(v.secrets[0], d, s)
	if err != nil {
		return err
	}
	d.Header.Set(v.sig.Header, v.entry(mac, s.stamp))
	return nil
}
