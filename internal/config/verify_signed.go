package config

import (
	"strconv"
	"strings"

	"keyturn/internal/secret"
)

func (c *verifyCheck) hmac(at path, h HMAC) {
	c.oneOf(at.to("alg"), h.Algorithm, "sha256", "sha384", "sha512", "sha1")
	c.oneOf(at.to("encoding"), h.Encoding, "hex", "base64", "base64url")
	c.oneOf(at.to("secret_encoding"), h.SecretEncoding, "text", "base64", "hex")
	c.form(at, h.Signature, h.Timestamp, h.Signed)
	c.secrets(at.to("secrets"), h.Secrets, func(s secret.Value) ([]byte, string) {
		key, ok := DecodeSecret(s, h.SecretEncoding)
		if !ok {
			return nil, "is not written in " + h.SecretEncoding + ": correct it, or secret_encoding"
		}
		return key, ""
	})
}

func (c *verifyCheck) ed25519(at path, e Ed25519) {
	c.oneOf(at.to("encoding"), e.Encoding, "hex", "base64", "base64url")
	c.form(at, e.Signature, e.Timestamp, e.Signed)
	if len(e.PublicKeys) == 0 {
		c.add(at.to("public_keys"), "is missing: give the sender's public key")
	}
	c.publicKeys(at.to("public_keys"), e.PublicKeys)
}

// form checks how a signature is written.
func (c *verifyCheck) form(at path, s Signature, t Timestamp, signed []string) {
	here := at.to("signature")
	c.required(here.to("header"), s.Header, "name the header that carries the signature")
	c.oneOf(here.to("split"), s.Split, ",", " ")
	c.oneOf(here.to("pair"), s.Pair, "=", ",")
	switch {
	case s.Pair != "" && len(s.Versions) == 0:
		c.add(here.to("versions"), "is missing: name the entries that are signatures, such as v1")
	case s.Pair == "" && len(s.Versions) > 0:
		c.add(here.to("versions"), "has no effect without pair: set that, or remove this")
	case s.Pair != "" && s.Pair == s.Split:
		c.add(here.to("pair"), "is what divides the list too: they must differ")
	}
	c.timestamp(at.to("timestamp"), s, t)
	if len(signed) > 0 {
		c.signed(at.to("signed"), signed, t, s.Pair != "")
	}
}

func (c *verifyCheck) timestamp(at path, s Signature, t Timestamp) {
	c.oneOf(at.to("unit"), t.Unit, "s", "ms", "rfc3339")
	switch {
	case t.Header != "" && t.Field != "":
		c.add(at.to("field"), "says where the time stands, and so does header: keep one of them")
	case t.Field != "" && (s.Pair == "" || s.Split == ""):
		c.add(at.to("field"), "names an entry of the signature header, which has none without signature.split and signature.pair: set both, or give timestamp.header")
	case t.Tolerance < 0:
		c.add(at.to("tolerance"), "is negative: give a span such as 5m")
	case !t.Sent() && t.Tolerance != 0:
		c.add(at.to("tolerance"), "has no effect without a timestamp: set timestamp.header, or remove this")
	case !t.Sent() && t.Unit != "":
		c.add(at.to("unit"), "has no effect without a timestamp: set timestamp.header, or remove this")
	}
}

// signed refuses what would leave a hole: a body or a time that is not signed, and a text of the sender's choice that
// runs into its neighbour, so that a forger could move text from one to the other under the same signature (a line feed
// cannot stand in a header or a URL).
func (c *verifyCheck) signed(at path, parts []string, t Timestamp, fields bool) {
	if count(parts, SignedBody) != 1 {
		c.add(at, `must name "body" exactly once: a signature that leaves the body out proves nothing`)
	}
	switch n := count(parts, SignedTimestamp); {
	case t.Sent() && n != 1:
		c.add(at, `must name "timestamp" exactly once, because one is sent: an unsigned time can be forged`)
	case !t.Sent() && n != 0:
		c.add(at, `names "timestamp": set timestamp.header to the header that carries it`)
	}
	for i, part := range parts {
		here := at.to(strconv.Itoa(i))
		switch {
		case part == SignedHeader || part == SignedField:
			c.add(here, "names nothing: write header:NAME or field:NAME")
		case strings.HasPrefix(part, SignedField) && !fields:
			c.add(here, "names an entry of the signature header, which has none without signature.pair")
		case loose(part) && (i > 0 && !strings.Contains(parts[i-1], "\n") || i < len(parts)-1 && !strings.Contains(parts[i+1], "\n")):
			c.add(here, "touches its neighbours: put text with a line feed between them, or text can be moved from one to the other")
		}
	}
}

// loose reports whether whoever sends can make a part of any length.
func loose(part string) bool {
	return part == SignedURL || strings.HasPrefix(part, SignedHeader) || strings.HasPrefix(part, SignedField)
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
