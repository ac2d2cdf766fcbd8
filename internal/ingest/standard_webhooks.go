package ingest

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"keyturn/internal/config"
)

// The schemes of Standard Webhooks 1.0.0 (standardwebhooks.com).
const (
	webhookPrefix     = "webhook-"
	headerID          = "id"
	headerTimestamp   = "timestamp"
	headerSignature   = "signature"
	symmetricVersion  = "v1,"
	asymmetricVersion = "v1a,"
	maxWebhookID      = 256 // bytes
)

type standardWebhooks struct {
	id, stamp, signature string // names of the headers
	secrets              [][]byte
	public               []ed25519.PublicKey
	tolerance            time.Duration
	covered              []string
}

func newStandardWebhooks(spec StandardWebhooksSpec) *standardWebhooks {
	prefix := spec.HeaderPrefix
	if prefix == "" {
		prefix = webhookPrefix
	}
	v := &standardWebhooks{
		id: prefix + headerID, stamp: prefix + headerTimestamp, signature: prefix + headerSignature,
		tolerance: spec.Tolerance, public: publicKeys(spec.PublicKeys),
	}
	if v.tolerance == 0 {
		v.tolerance = DefaultTolerance
	}
	v.covered = []string{strings.ToLower(v.id), strings.ToLower(v.stamp)}
	for _, s := range spec.Secrets {
		key, _ := config.StandardSecret(s)
		v.secrets = append(v.secrets, key)
	}
	return v
}

// keys counts the secrets first, then the public keys.
func (v *standardWebhooks) keys() int { return len(v.secrets) + len(v.public) }

// Glance wants all three headers.
func (v *standardWebhooks) Glance(d Delivery) error {
	if _, ok := single(d.Header, v.id); !ok {
		return errNoID
	}
	if _, ok := single(d.Header, v.stamp); !ok {
		return errNoTimestamp
	}
	if _, ok := single(d.Header, v.signature); !ok {
		return errNoSignature
	}
	return nil
}

// Verify takes the delivery when any entry of the signature header was made by any of the secrets (v1) or the owner of
// any of the public keys (v1a), and the timestamp is within the tolerance. Entries of other versions are ignored, as
// the specification says.
func (v *standardWebhooks) Verify(d Delivery) (Verified, error) {
	id, ok := single(d.Header, v.id)
	if !ok || len(id) > maxWebhookID || strings.Contains(id, ".") {
		return Verified{}, errNoID
	}
	stamp, ok := single(d.Header, v.stamp)
	if !ok {
		return Verified{}, errNoTimestamp
	}
	sent, ok := seconds(stamp)
	if !ok {
		return Verified{}, errNoTimestamp
	}
	list, ok := single(d.Header, v.signature)
	if !ok {
		return Verified{}, errNoSignature
	}
	d.say(true, "signed", func() string {
		return fmt.Sprintf("%s + \".\" + %s %q + \".\" + body (%d bytes)", v.id, v.stamp, stamp, len(d.Body))
	})
	entries := strings.SplitN(list, " ", maxSignatures+1)
	key := v.match(entries[:min(len(entries), maxSignatures)], id+"."+stamp+".", d.Body)
	if key < 0 {
		return Verified{}, errBadSignature
	}
	fresh := within(d.Received, sent, v.tolerance)
	d.say(true, "key", func() string { return "key " + strconv.Itoa(key) + " made the signature" })
	d.say(fresh, "timestamp", func() string {
		return fmt.Sprintf("%s from now; the tolerance is %s", d.Received.Sub(sent).Abs().Round(time.Second), v.tolerance)
	})
	if !fresh {
		return Verified{}, errStale
	}
	return Verified{Key: key, Headers: v.covered}, nil
}

// match gives the index of the key that made an entry, or -1.
func (v *standardWebhooks) match(entries []string, head string, body []byte) int {
	for i, key := range v.secrets {
		want := symmetric(key, head, body)
		for _, got := range entries {
			// Compared as text: base64 has several spellings of the same bytes, and only one is taken.
			if equal(got, want) {
				return i
			}
		}
	}
	if len(v.public) == 0 {
		return -1
	}
	var message []byte
	tried := 0
	for _, entry := range entries {
		text, ok := strings.CutPrefix(entry, asymmetricVersion)
		if !ok {
			continue
		}
		got, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || len(got) != ed25519.SignatureSize {
			continue
		}
		if tried++; tried > maxAsymmetric {
			break
		}
		if message == nil {
			message = append([]byte(head), body...)
		}
		for i, key := range v.public {
			if ed25519.Verify(key, message, got) {
				return len(v.secrets) + i
			}
		}
	}
	return -1
}

// sign puts the three headers on a request, by the first secret. An id that the scheme cannot carry (a dot divides the
// signed text) goes as its hash, which is as stable.
func (v *standardWebhooks) sign(d Delivery, id string, now time.Time) error {
	if len(v.secrets) == 0 {
		return errors.New("only its sender can sign by the private key: let that send, or give a secret")
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	if id == "" || len(id) > maxWebhookID || strings.Contains(id, ".") {
		sum := sha256.Sum256([]byte(id))
		id = "msg_" + hex.EncodeToString(sum[:16])
	}
	d.Header.Set(v.id, id)
	d.Header.Set(v.stamp, stamp)
	d.Header.Set(v.signature, symmetric(v.secrets[0], id+"."+stamp+".", d.Body))
	return nil
}

// symmetric is one entry of a signature header: "v1," and base64 of the HMAC over "id.timestamp.body".
func symmetric(key []byte, head string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(head))
	mac.Write(body)
	return symmetricVersion + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
