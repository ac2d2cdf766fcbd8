package ingest

import (
	"crypto/hmac"
	"crypto/sha1" // some senders know nothing better; HMAC-SHA-1 is not broken
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"keyturn/internal/secret"
)

// HMACSpec configures an HMAC of the request in a header, because every vendor spells it differently.
type HMACSpec struct {
	Algorithm       string         // "sha256" (default), "sha384", "sha512" or "sha1"
	Encoding        string         // "hex" (default; either case) or "base64" (standard alphabet, padded)
	Header          string         // the header with the signature
	Prefix          string         // what stands before it in the header: "sha256="
	TimestampHeader string         // the header with the Unix seconds of the attempt; empty = none is sent
	Tolerance       time.Duration  // how far the timestamp may be from now, both ways; zero = DefaultTolerance
	Signed          []string       // what is signed, in order; default [body], or [timestamp, ".", body] with a timestamp
	Secrets         []secret.Value // raw text of at least 16 bytes; the first signs, any verifies
}

// The words of HMACSpec.Signed that stand for something else than themselves. Any other part is literal text.
const (
	SignedBody         = "body"
	SignedTimestamp    = "timestamp"
	SignedMethod       = "method"
	SignedHeaderPrefix = "header:" // and the header's name, for a header that the sender signs too
)

type hmacVerifier struct {
	hash      func() hash.Hash
	encode    func([]byte) string
	anyCase   bool // of the encoded signature
	header    string
	prefix    string
	stamp     string // header with the timestamp; empty = none
	tolerance time.Duration
	parts     []string
	keys      [][]byte
}

func newHMAC(spec HMACSpec, at string, faults *SpecFaults) *hmacVerifier {
	v := &hmacVerifier{
		header: spec.Header, prefix: spec.Prefix, stamp: spec.TimestampHeader, parts: spec.Signed,
		tolerance: tolerance(spec.Tolerance, at, faults),
	}
	if v.hash = hashes(spec.Algorithm); v.hash == nil {
		faults.add(at+".alg", "is not one of sha256, sha384, sha512, sha1")
	}
	switch spec.Encoding {
	case "", "hex":
		v.encode, v.anyCase = hex.EncodeToString, true
	case "base64":
		v.encode = base64.StdEncoding.EncodeToString
	default:
		faults.add(at+".encoding", "is not one of hex, base64")
	}
	if v.header == "" {
		faults.add(at+".header", "is empty: name the header that carries the signature")
	}
	if len(v.parts) == 0 {
		v.parts = []string{SignedBody}
		if v.stamp != "" {
			v.parts = []string{SignedTimestamp, ".", SignedBody}
		}
	}
	checkParts(v.parts, v.stamp != "", at+".signed", faults)
	v.keys = textKeys(spec.Secrets, at, faults)
	return v
}

func hashes(name string) func() hash.Hash {
	switch name {
	case "", "sha256":
		return sha256.New
	case "sha384":
		return sha512.New384
	case "sha512":
		return sha512.New
	case "sha1":
		return sha1.New
	}
	return nil
}

func textKeys(secrets []secret.Value, at string, faults *SpecFaults) [][]byte {
	var keys [][]byte
	for i, s := range secrets {
		if len(s.Reveal()) < minSecretBytes {
			faults.add(at+".secrets["+strconv.Itoa(i)+"]", "is shorter than 16 bytes: let the sender make a longer secret")
		}
		keys = append(keys, []byte(s.Reveal()))
	}
	if len(keys) == 0 {
		faults.add(at+".secrets", "is empty: give at least one secret")
	}
	return keys
}

// checkParts refuses what would leave a hole: a body or a timestamp that is not signed, and a header that runs into
// its neighbour, so that a forger could move text from one to the other under the same signature.
func checkParts(parts []string, stamped bool, at string, faults *SpecFaults) {
	times := func(word string) (n int) {
		for _, p := range parts {
			if p == word {
				n++
			}
		}
		return n
	}
	if times(SignedBody) != 1 {
		faults.add(at, `must name "body" exactly once: a signature that leaves the body out proves nothing`)
	}
	switch n := times(SignedTimestamp); {
	case stamped && n != 1:
		faults.add(at, `must name "timestamp" exactly once, because timestamp_header is set: an unsigned time can be forged`)
	case !stamped && n != 0:
		faults.add(at, `names "timestamp": set timestamp_header to the header that carries it`)
	}
	for i, p := range parts {
		if !strings.HasPrefix(p, SignedHeaderPrefix) {
			continue
		}
		if p == SignedHeaderPrefix {
			faults.add(at, `has "header:" without a name`)
		}
		if i > 0 && !strings.Contains(parts[i-1], "\n") || i < len(parts)-1 && !strings.Contains(parts[i+1], "\n") {
			faults.add(at, `must put text with a line feed between `+p+` and its neighbours: otherwise text can be moved between them`)
		}
	}
}

// Glance wants the signature, and the timestamp where one is configured.
func (v *hmacVerifier) Glance(h http.Header) error {
	if _, ok := single(h, v.header); !ok {
		return errNoSignature
	}
	if v.stamp == "" {
		return nil
	}
	if _, ok := single(h, v.stamp); !ok {
		return errNoTimestamp
	}
	return nil
}

// Verify takes the delivery when any of the secrets made its signature and the timestamp, where one is configured, is
// within the tolerance.
func (v *hmacVerifier) Verify(d Delivery) (Verified, error) {
	got, ok := single(d.Header, v.header)
	if !ok {
		return Verified{}, errNoSignature
	}
	got, ok = strings.CutPrefix(got, v.prefix)
	if !ok {
		return Verified{}, errBadSignature
	}
	if v.anyCase {
		got = strings.ToLower(got)
	}
	var sent time.Time
	if v.stamp != "" {
		text, _ := single(d.Header, v.stamp)
		if sent, ok = seconds(text); !ok {
			return Verified{}, errNoTimestamp
		}
	}
	for i, key := range v.keys {
		want, err := v.mac(key, d)
		if err != nil {
			return Verified{}, err
		}
		if !hmac.Equal([]byte(got), []byte(want)) {
			continue
		}
		if v.stamp != "" && !within(d.Received, sent, v.tolerance) {
			return Verified{}, errStale
		}
		return Verified{Key: i, Headers: v.covered()}, nil
	}
	return Verified{}, errBadSignature
}

// mac is the encoded HMAC over the configured parts.
func (v *hmacVerifier) mac(key []byte, d Delivery) (string, error) {
	h := hmac.New(v.hash, key)
	for _, p := range v.parts {
		name, isHeader := strings.CutPrefix(p, SignedHeaderPrefix)
		switch {
		case p == SignedBody:
			h.Write(d.Body)
		case p == SignedMethod:
			h.Write([]byte(d.Method))
		case p == SignedTimestamp:
			h.Write([]byte(d.Header.Get(v.stamp)))
		case isHeader:
			// An absent header signs as empty, so that a sender may sign a header that it does not always send.
			if len(d.Header.Values(name)) > 1 {
				return "", errNoPart
			}
			h.Write([]byte(d.Header.Get(name)))
		default:
			h.Write([]byte(p))
		}
	}
	return v.encode(h.Sum(nil)), nil
}

// covered lists the headers that the signature covers.
func (v *hmacVerifier) covered() []string {
	var names []string
	for _, p := range v.parts {
		if name, ok := strings.CutPrefix(p, SignedHeaderPrefix); ok {
			names = append(names, strings.ToLower(name))
		}
	}
	if slices.Contains(v.parts, SignedTimestamp) {
		names = append(names, strings.ToLower(v.stamp))
	}
	return names
}

// sign puts the timestamp and the signature on a request, by the first secret.
func (v *hmacVerifier) sign(h http.Header, _ string, now time.Time, d Delivery) error {
	if v.stamp != "" {
		h.Set(v.stamp, strconv.FormatInt(now.Unix(), 10))
	}
	mac, err := v.mac(v.keys[0], d)
	if err != nil {
		return err
	}
	h.Set(v.header, v.prefix+mac)
	return nil
}
