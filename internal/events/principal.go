package events

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
)

// SubjectOf gives the principal that an event's data names: what its Subject must be.
func SubjectOf(e Event) (string, error) {
	p, err := Decode(e)
	if err != nil {
		return "", err
	}
	names := p.names()
	if len(names) == 0 {
		return "", fmt.Errorf("subject of %s: no identifier that is not blank", e.Name())
	}
	return names[0].Principal(), nil
}

// Principals lists every normalised identifier that an event holds of its principal and of its person, without
// repeats; the first gives the event's subject. A guard compares the Principal of each: a person may be protected
// under any name. It is nil when the data cannot be read.
func Principals(e Event) []Identifier {
	p, err := Decode(e)
	if err != nil {
		return nil
	}
	return principals(p)
}

func principals(p Payload) []Identifier {
	var all []Identifier
	for _, id := range append(p.names(), p.person()...) {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// PersonIdentifiers lists the identifiers of the person that the event concerns, the one that names the principal
// first; nil where no person is concerned (a client, an app).
func PersonIdentifiers(e Event) []Identifier {
	p, err := Decode(e)
	if err != nil {
		return nil
	}
	return p.person()
}

// Person is the principal by which events are kept in order: the user's, where the event concerns a person (also a
// lost device's), otherwise the subject.
func Person(e Event) string {
	if ids := PersonIdentifiers(e); len(ids) > 0 {
		return ids[0].Principal()
	}
	return e.Subject
}

// EffectiveAtOf is the time at which the event's data says that it takes effect, in UTC; zero = at once.
func EffectiveAtOf(e Event) time.Time {
	p, err := Decode(e)
	if err != nil {
		return time.Time{}
	}
	return effectiveAt(p)
}

func effectiveAt(p Payload) time.Time {
	if at := p.effective(); !at.IsZero() {
		return at.UTC()
	}
	return time.Time{}
}

// MinKeyBytes is the shortest deployment key that a Keyer takes: the output size of SHA-256 halved, so that the key
// is no weaker than the 128 bits of the result.
const MinKeyBytes = 16

// Keyer turns principals and identifiers into keys, so that no name of a person stands in a subject, a bucket or a
// metric. It never prints the deployment key. The zero Keyer must not be used.
type Keyer struct{ mac func(string) []byte }

// NewKeyer takes the deployment key: at least MinKeyBytes secret bytes, the same in every process of a deployment
// for ever (another key means that no earlier record of a person is found again).
func NewKeyer(deploymentKey []byte) (Keyer, error) {
	if len(deploymentKey) < MinKeyBytes {
		return Keyer{}, fmt.Errorf("deployment key: %d bytes, want at least %d", len(deploymentKey), MinKeyBytes)
	}
	key := append([]byte(nil), deploymentKey...)
	return Keyer{mac: func(s string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(s))
		return h.Sum(nil)
	}}, nil
}

// Key is HMAC-SHA-256 of the principal (or of an identifier's String) under the deployment key, its first 128 bits
// in lower-case base32: 26 characters, a NATS subject token and a KV key.
func (k Keyer) Key(principal string) string {
	return caseEncoding.EncodeToString(k.mac(principal)[:16])
}
