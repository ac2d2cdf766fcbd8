package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"keyturn/internal/secret"
)

// The symmetric scheme of Standard Webhooks 1.0.0 (standardwebhooks.com).
const (
	headerWebhookID        = "webhook-id"
	headerWebhookTimestamp = "webhook-timestamp"
	headerWebhookSignature = "webhook-signature"
	secretPrefix           = "whsec_"
	signatureVersion       = "v1,"
	maxSignatures          = 32  // entries of a signature header; a rotation needs two
	maxWebhookID           = 256 // bytes
)

// StandardWebhooksSpec configures the symmetric scheme of Standard Webhooks 1.0.0: HMAC-SHA-256 over id, timestamp and
// body, headers webhook-id, webhook-timestamp and webhook-signature.
type StandardWebhooksSpec struct {
	Secrets   []secret.Value // base64 of at least 16 bytes, with or without whsec_; the first signs, any verifies
	Tolerance time.Duration  // how far the timestamp may be from now, both ways; zero = DefaultTolerance
}

// DefaultTolerance is what the reference libraries of Standard Webhooks allow.
const DefaultTolerance = 5 * time.Minute

// minSecretBytes is the length under which a secret can be guessed rather than stolen.
const minSecretBytes = 16

type standardWebhooks struct {
	keys      [][]byte
	tolerance time.Duration
}

func newStandardWebhooks(spec StandardWebhooksSpec, at string, faults *SpecFaults) *standardWebhooks {
	v := &standardWebhooks{tolerance: tolerance(spec.Tolerance, at, faults)}
	for i, s := range spec.Secrets {
		here := at + ".secrets[" + strconv.Itoa(i) + "]"
		key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(s.Reveal(), secretPrefix))
		switch {
		case err != nil:
			faults.add(here, "is not a Standard Webhooks secret: give whsec_ and base64, as the sender shows it")
		case len(key) < minSecretBytes:
			faults.add(here, "is shorter than 16 bytes: let the sender make a longer secret")
		}
		v.keys = append(v.keys, key)
	}
	if len(v.keys) == 0 {
		faults.add(at+".secrets", "is empty: give at least one secret")
	}
	return v
}

// Glance wants all three headers.
func (v *standardWebhooks) Glance(h http.Header) error {
	if _, ok := single(h, headerWebhookID); !ok {
		return errNoID
	}
	if _, ok := single(h, headerWebhookTimestamp); !ok {
		return errNoTimestamp
	}
	if _, ok := single(h, headerWebhookSignature); !ok {
		return errNoSignature
	}
	return nil
}

// Verify takes the delivery when any v1 entry of the signature header was made by any of the secrets, and the
// timestamp is within the tolerance. Entries of other versions are ignored, as the specification says.
func (v *standardWebhooks) Verify(d Delivery) (Verified, error) {
	id, ok := single(d.Header, headerWebhookID)
	if !ok || len(id) > maxWebhookID || strings.Contains(id, ".") {
		return Verified{}, errNoID
	}
	stamp, ok := single(d.Header, headerWebhookTimestamp)
	if !ok {
		return Verified{}, errNoTimestamp
	}
	sent, ok := seconds(stamp)
	if !ok {
		return Verified{}, errNoTimestamp
	}
	list, ok := single(d.Header, headerWebhookSignature)
	if !ok {
		return Verified{}, errNoSignature
	}
	entries := strings.SplitN(list, " ", maxSignatures+1)
	for i, key := range v.keys {
		want := []byte(signStandard(key, id, stamp, d.Body))
		for _, got := range entries[:min(len(entries), maxSignatures)] {
			// Compared as text: base64 has several spellings of the same bytes, and only one is taken.
			if hmac.Equal([]byte(got), want) {
				if !within(d.Received, sent, v.tolerance) {
					return Verified{}, errStale
				}
				return Verified{Key: i, Headers: []string{headerWebhookID, headerWebhookTimestamp}}, nil
			}
		}
	}
	return Verified{}, errBadSignature
}

// sign puts the three headers on a request, by the first secret. An id that the scheme cannot carry (a dot divides the
// signed text) goes as its hash, which is as stable.
func (v *standardWebhooks) sign(h http.Header, id string, now time.Time, d Delivery) error {
	stamp := strconv.FormatInt(now.Unix(), 10)
	if id == "" || len(id) > maxWebhookID || strings.Contains(id, ".") {
		sum := sha256.Sum256([]byte(id))
		id = "msg_" + hex.EncodeToString(sum[:16])
	}
	h.Set(headerWebhookID, id)
	h.Set(headerWebhookTimestamp, stamp)
	h.Set(headerWebhookSignature, signStandard(v.keys[0], id, stamp, d.Body))
	return nil
}

// signStandard is one entry of a signature header: "v1," and base64 of the HMAC over "id.timestamp.body".
func signStandard(key []byte, id, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	return signatureVersion + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// tolerance defaults and checks a configured tolerance.
func tolerance(d time.Duration, at string, faults *SpecFaults) time.Duration {
	if d < 0 {
		faults.add(at+".tolerance", "is negative: give a span such as 5m")
	}
	if d == 0 {
		return DefaultTolerance
	}
	return d
}
