package config

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"keyturn/internal/secret"
)

// verifyDoc is Verify as the file spells it.
type verifyDoc struct {
	StandardWebhooks *struct {
		Secrets      []string `json:"secrets"`
		PublicKeys   []string `json:"public_keys"`
		HeaderPrefix string   `json:"header_prefix"`
		Tolerance    string   `json:"tolerance"`
	} `json:"standard_webhooks"`
	HMAC        *hmacDoc    `json:"hmac"`
	Ed25519     *ed25519Doc `json:"ed25519"`
	HeaderToken *struct {
		Header string   `json:"header"`
		Scheme string   `json:"scheme"`
		Values []string `json:"values"`
	} `json:"header_token"`
	Basic *struct {
		Users []struct {
			Name     string `json:"name"`
			Password string `json:"password"`
		} `json:"users"`
	} `json:"basic"`
	URLToken *struct {
		Query   string   `json:"query"`
		Segment bool     `json:"segment"`
		Values  []string `json:"values"`
	} `json:"url_token"`
	BodyToken *struct {
		At     string   `json:"at"`
		Values []string `json:"values"`
	} `json:"body_token"`
	SetJWS     *tokenDoc `json:"set_jws"`
	OIDCBearer *tokenDoc `json:"oidc_bearer"`
	MTLS       *struct {
		SANs []string `json:"sans"`
	} `json:"mtls"`
	IP *struct {
		CIDRs          []string `json:"cidrs"`
		TrustedProxies []string `json:"trusted_proxies"`
	} `json:"ip"`
	None  *None       `json:"none"`
	AllOf []verifyDoc `json:"all_of"`
	AnyOf []verifyDoc `json:"any_of"`
}

type hmacDoc struct {
	Algorithm      string       `json:"alg"`
	Encoding       string       `json:"encoding"`
	Signature      signatureDoc `json:"signature"`
	Timestamp      timestampDoc `json:"timestamp"`
	Signed         []string     `json:"signed"`
	Secrets        []string     `json:"secrets"`
	SecretEncoding string       `json:"secret_encoding"`

	// The short forms.
	Header          string `json:"header"`
	Prefix          string `json:"prefix"`
	TimestampHeader string `json:"timestamp_header"`
	Tolerance       string `json:"tolerance"`
}

type ed25519Doc struct {
	Encoding   string       `json:"encoding"`
	Signature  signatureDoc `json:"signature"`
	Timestamp  timestampDoc `json:"timestamp"`
	Signed     []string     `json:"signed"`
	PublicKeys []string     `json:"public_keys"`
}

type signatureDoc struct {
	Header   string   `json:"header"`
	Prefix   string   `json:"prefix"`
	Split    string   `json:"split"`
	Pair     string   `json:"pair"`
	Versions []string `json:"versions"`
}

type timestampDoc struct {
	Header    string `json:"header"`
	Field     string `json:"field"`
	Unit      string `json:"unit"`
	Tolerance string `json:"tolerance"`
}

// tokenDoc is a set_jws or an oidc_bearer.
type tokenDoc struct {
	Issuer   string            `json:"issuer"`
	Audience []string          `json:"audience"`
	JWKS     string            `json:"jwks"`
	Algs     []string          `json:"algs"`
	Typ      string            `json:"typ"`
	Exp      string            `json:"exp"`
	Claims   map[string]string `json:"claims"`
}

// readVerify resolves what a file says about verifying. It fills in no default, and leaves it to checkVerify
// to find what is missing.
func readVerify(d *document, at path, raw verifyDoc) Verify {
	v := Verify{None: raw.None}
	if sw := raw.StandardWebhooks; sw != nil {
		here := at.to("standard_webhooks")
		v.StandardWebhooks = &StandardWebhooks{
			Secrets:    d.references(here.to("secrets"), sw.Secrets),
			PublicKeys: sw.PublicKeys, HeaderPrefix: sw.HeaderPrefix,
			Tolerance: d.duration(here.to("tolerance"), sw.Tolerance, 0),
		}
	}
	if raw.HMAC != nil {
		v.HMAC = readHMAC(d, at.to("hmac"), *raw.HMAC)
	}
	if e := raw.Ed25519; e != nil {
		v.Ed25519 = &Ed25519{
			Encoding: e.Encoding, Signature: Signature(e.Signature), Signed: e.Signed, PublicKeys: e.PublicKeys,
			Timestamp: readTimestamp(d, at.to("ed25519", "timestamp"), e.Timestamp),
		}
	}
	readTokens(d, at, raw, &v)
	if s := raw.SetJWS; s != nil {
		v.SetJWS = &SetJWS{Issuer: s.Issuer, Audience: s.Audience, JWKS: d.jwks(s.JWKS), Algs: s.Algs, Typ: s.Typ, Exp: s.Exp}
	}
	if o := raw.OIDCBearer; o != nil {
		v.OIDCBearer = &OIDCBearer{Issuer: o.Issuer, Audience: o.Audience, JWKS: d.jwks(o.JWKS), Algs: o.Algs, Claims: o.Claims}
	}
	if raw.MTLS != nil {
		v.MTLS = &MTLS{SANs: raw.MTLS.SANs}
	}
	if raw.IP != nil {
		v.IP = &IP{CIDRs: raw.IP.CIDRs, TrustedProxies: raw.IP.TrustedProxies}
	}
	for i, entry := range raw.AllOf {
		v.AllOf = append(v.AllOf, readVerify(d, at.to("all_of", strconv.Itoa(i)), entry))
	}
	for i, entry := range raw.AnyOf {
		v.AnyOf = append(v.AnyOf, readVerify(d, at.to("any_of", strconv.Itoa(i)), entry))
	}
	return v
}

// readTokens reads the kinds that are a secret text somewhere.
func readTokens(d *document, at path, raw verifyDoc, v *Verify) {
	values := func(kind string, list []string) []secret.Value {
		return d.references(at.to(kind, "values"), list)
	}
	if h := raw.HeaderToken; h != nil {
		v.HeaderToken = &HeaderToken{Header: h.Header, Scheme: h.Scheme, Values: values("header_token", h.Values)}
	}
	if b := raw.Basic; b != nil {
		v.Basic = &Basic{}
		for i, u := range b.Users {
			here := at.to("basic", "users", strconv.Itoa(i), "password")
			v.Basic.Users = append(v.Basic.Users, User{Name: u.Name, Password: d.secret(here, u.Password)})
		}
	}
	if u := raw.URLToken; u != nil {
		v.URLToken = &URLToken{Query: u.Query, Segment: u.Segment, Values: values("url_token", u.Values)}
	}
	if b := raw.BodyToken; b != nil {
		v.BodyToken = &BodyToken{At: b.At, Values: values("body_token", b.Values)}
	}
}

func readHMAC(d *document, at path, raw hmacDoc) *HMAC {
	h := &HMAC{
		Algorithm: raw.Algorithm, Encoding: raw.Encoding, Signature: Signature(raw.Signature),
		Timestamp: readTimestamp(d, at.to("timestamp"), raw.Timestamp), Signed: raw.Signed, SecretEncoding: raw.SecretEncoding,
		Secrets: d.references(at.to("secrets"), raw.Secrets),
	}
	short := func(key, text string, field *string) {
		if text == "" {
			return
		}
		if *field != "" {
			d.fault(at.to(key), "says what signature or timestamp says too: keep one of them")
			return
		}
		*field = text
	}
	short("header", raw.Header, &h.Signature.Header)
	short("prefix", raw.Prefix, &h.Signature.Prefix)
	short("timestamp_header", raw.TimestampHeader, &h.Timestamp.Header)
	if tolerance := d.duration(at.to("tolerance"), raw.Tolerance, 0); tolerance != 0 {
		if h.Timestamp.Tolerance != 0 {
			d.fault(at.to("tolerance"), "says what signature or timestamp says too: keep one of them")
		}
		h.Timestamp.Tolerance = tolerance
	}
	return h
}

func readTimestamp(d *document, at path, raw timestampDoc) Timestamp {
	return Timestamp{Header: raw.Header, Field: raw.Field, Unit: raw.Unit, Tolerance: d.duration(at.to("tolerance"), raw.Tolerance, time.Duration(0))}
}

// references resolves a list of references to secrets. One that cannot be had is reported and stays empty, so that the
// others keep their places.
func (d *document) references(at path, list []string) []secret.Value {
	var values []secret.Value
	for i, s := range list {
		values = append(values, d.secret(at.to(strconv.Itoa(i)), s))
	}
	return values
}

// jwks makes a relative path of a file start at the directory of the configuration.
func (d *document) jwks(s string) string {
	if s == "" || strings.Contains(s, "://") {
		return s
	}
	return d.reader.refs.path(s)
}

// DecodeSecret gives the key that a secret stands for; encoding is "base64" or "hex", anything else is the text itself.
func DecodeSecret(v secret.Value, encoding string) ([]byte, bool) {
	switch encoding {
	case "base64":
		key, err := base64.StdEncoding.Strict().DecodeString(v.Reveal())
		return key, err == nil
	case "hex":
		key, err := hex.DecodeString(v.Reveal())
		return key, err == nil
	}
	return []byte(v.Reveal()), true
}
