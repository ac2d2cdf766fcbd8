package config

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"keyturn/internal/secret"
)

// Verify says how a delivery proves that it is the sender's. Exactly one field is set.
type Verify struct {
	StandardWebhooks *StandardWebhooks
	HMAC             *HMAC
}

// StandardWebhooks is the symmetric scheme of Standard Webhooks 1.0.0 (standardwebhooks.com).
type StandardWebhooks struct {
	Secrets   []secret.Value // each as the sender shows it: base64, with or without the whsec_ prefix
	Tolerance time.Duration  // how far the timestamp may be from now, both ways
}

// HMAC is a signature in a header, configurable because every vendor spells it differently.
type HMAC struct {
	Algorithm       string         // "sha256", "sha384", "sha512" or "sha1"
	Header          string         // the header with the signature
	Prefix          string         // what stands before it in the header: "sha256="
	Encoding        string         // "hex" or "base64"
	TimestampHeader string         // the header with the time of the attempt in seconds; empty: not signed
	Signed          []string       // what is signed, in order: "body", "timestamp", "method", "header:NAME"; else itself
	Tolerance       time.Duration  // how far the timestamp may be from now, both ways; without a timestamp it says nothing
	Secrets         []secret.Value // raw text of the keys; any of them may have signed (rotation)
}

// The words of HMAC.Signed that stand for something else than themselves.
const (
	SignedBody      = "body"
	SignedTimestamp = "timestamp"
	SignedMethod    = "method"
	SignedHeader    = "header:" // and the header's name
)

// DefaultTolerance is what the reference libraries of Standard Webhooks allow, both ways.
const DefaultTolerance = 5 * time.Minute

// minSecret is the length in bytes under which a webhook's key can be guessed rather than stolen.
const minSecret = 16

// verifyDoc is Verify as the file spells it.
type verifyDoc struct {
	StandardWebhooks *struct {
		Secrets   []string `json:"secrets"`
		Tolerance string   `json:"tolerance"`
	} `json:"standard_webhooks"`
	HMAC *hmacDoc `json:"hmac"`
}

type hmacDoc struct {
	Algorithm       string   `json:"alg"`
	Header          string   `json:"header"`
	Prefix          string   `json:"prefix"`
	Encoding        string   `json:"encoding"`
	TimestampHeader string   `json:"timestamp_header"`
	Signed          []string `json:"signed"`
	Tolerance       string   `json:"tolerance"`
	Secrets         []string `json:"secrets"`
}

func readVerify(d *document, at path, raw verifyDoc) Verify {
	var v Verify
	if sw := raw.StandardWebhooks; sw != nil {
		here := at.to("standard_webhooks")
		v.StandardWebhooks = &StandardWebhooks{
			Secrets:   d.secrets(here.to("secrets"), sw.Secrets, checkStandardSecret),
			Tolerance: d.duration(here.to("tolerance"), sw.Tolerance, DefaultTolerance),
		}
	}
	if raw.HMAC != nil {
		v.HMAC = readHMAC(d, at.to("hmac"), *raw.HMAC)
	}
	return v
}

func readHMAC(d *document, at path, raw hmacDoc) *HMAC {
	h := &HMAC{
		Algorithm: or(raw.Algorithm, "sha256"), Header: raw.Header, Prefix: raw.Prefix,
		Encoding: or(raw.Encoding, "hex"), TimestampHeader: raw.TimestampHeader, Signed: raw.Signed,
		Secrets:   d.secrets(at.to("secrets"), raw.Secrets, checkPlainSecret),
		Tolerance: d.duration(at.to("tolerance"), raw.Tolerance, DefaultTolerance),
	}
	stamped := h.TimestampHeader != ""
	if len(h.Signed) == 0 {
		h.Signed = []string{SignedBody}
		if stamped {
			h.Signed = []string{SignedTimestamp, ".", SignedBody}
		}
	}
	checkSigned(d, at.to("signed"), h.Signed, stamped)
	if !stamped && raw.Tolerance != "" {
		d.fault(at.to("tolerance"), "has no effect without timestamp_header: set that, or remove this")
	}
	return h
}

// checkSigned refuses what would leave a hole: a body or a time that is not signed, and a header that runs into its
// neighbour, so that a forger could move text from one to the other under the same signature (a line feed cannot stand
// in a header).
func checkSigned(d *document, at path, parts []string, stamped bool) {
	if count(parts, SignedBody) != 1 {
		d.fault(at, `must name "body" exactly once: a signature that leaves the body out proves nothing`)
	}
	switch n := count(parts, SignedTimestamp); {
	case stamped && n != 1:
		d.fault(at, `must name "timestamp" exactly once, because timestamp_header is set: an unsigned time can be forged`)
	case !stamped && n != 0:
		d.fault(at, `names "timestamp": set timestamp_header to the header that carries it`)
	}
	for i, part := range parts {
		here := at.to(strconv.Itoa(i))
		switch {
		case part == SignedHeader:
			d.fault(here, "names no header: write header:NAME")
		case strings.HasPrefix(part, SignedHeader) && (i > 0 && !strings.Contains(parts[i-1], "\n") ||
			i < len(parts)-1 && !strings.Contains(parts[i+1], "\n")):
			d.fault(here, "touches its neighbours: put text with a line feed between them, or text can be moved from one to the other")
		}
	}
}

// checkStandardSecret wants the form in which Standard Webhooks writes a symmetric secret: base64, perhaps behind
// whsec_.
func checkStandardSecret(v secret.Value) string {
	key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(v.Reveal(), "whsec_"))
	if err != nil {
		return "is not a Standard Webhooks secret: give whsec_ and base64, as the sender shows it"
	}
	return checkLength(len(key))
}

func checkPlainSecret(v secret.Value) string { return checkLength(len(v.Reveal())) }

func checkLength(n int) string {
	if n < minSecret {
		return "is shorter than 16 bytes: let the sender make a longer secret"
	}
	return ""
}

func count(list []string, word string) int {
	n := 0
	for _, s := range list {
		if s == word {
			n++
		}
	}
	return n
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
