package config

import (
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"keyturn/internal/secret"
)

// VerifyFault is one thing that is wrong with a Verify: where below the key verify, and what to do. It never holds a
// value of a secret.
type VerifyFault struct {
	Path []string
	What string
}

// maxNesting is how deep lists of kinds may lie in each other.
const maxNesting = 3

// Check lists everything that is wrong with a Verify . insecure is what its source says of itself.
func (v Verify) Check(insecure bool) []VerifyFault {
	var c verifyCheck
	if insecure && v.None == nil {
		c.add(nil, "is not none, so that insecure: true has no effect: remove that")
	}
	if v.None != nil && !insecure {
		c.add(path{"none"}, "lets whoever reaches the address act as the sender: say insecure: true beside verify, or give another kind")
	}
	c.verify(nil, v, "")
	return c.faults
}

// verifyCheck collects faults.
type verifyCheck struct {
	faults []VerifyFault
	choice int // how many any_of it is below
}

func (c *verifyCheck) add(at path, what string) {
	c.faults = append(c.faults, VerifyFault{Path: at, What: what})
}

// verify checks one Verify; list is the list in which it stands, or "".
func (c *verifyCheck) verify(at path, v Verify, list string) {
	kind := v.Kind()
	if kind == "" {
		var all []string
		for name := range v.given {
			all = append(all, name)
		}
		c.add(at, "must be exactly one kind: give one of "+alternatives(all))
		return
	}
	if len(at) > 2*maxNesting {
		c.add(at, "lies too deep: put its kinds into fewer lists")
		return
	}
	at = at.to(kind)
	c.place(at, kind, list)
	switch {
	case v.HMAC != nil:
		c.hmac(at, *v.HMAC)
	case v.StandardWebhooks != nil:
		c.standardWebhooks(at, *v.StandardWebhooks)
	case v.Ed25519 != nil:
		c.ed25519(at, *v.Ed25519)
	case v.HeaderToken != nil, v.Basic != nil, v.URLToken != nil, v.BodyToken != nil:
		c.texts(at, v)
	case v.SetJWS != nil:
		s := v.SetJWS
		c.token(at, s.Issuer, s.Audience, s.JWKS, s.Algs)
		c.oneOf(at.to("exp"), s.Exp, "refuse", "ignore")
	case v.OIDCBearer != nil:
		o := v.OIDCBearer
		c.token(at, o.Issuer, o.Audience, o.JWKS, o.Algs)
	default:
		c.rest(at, v)
	}
}

// texts checks the kinds that are a secret text somewhere.
func (c *verifyCheck) texts(at path, v Verify) {
	switch {
	case v.HeaderToken != nil:
		c.required(at.to("header"), v.HeaderToken.Header, "name the header that carries the token")
		c.secrets(at.to("values"), v.HeaderToken.Values, plainSecret)
	case v.Basic != nil:
		c.basic(at, *v.Basic)
	case v.URLToken != nil:
		if (v.URLToken.Query == "") != v.URLToken.Segment {
			c.add(at, "must have one place: give query, or segment: true")
		}
		c.secrets(at.to("values"), v.URLToken.Values, plainSecret)
	case v.BodyToken != nil:
		c.required(at.to("at"), v.BodyToken.At, "give the expression over item that finds the token")
		c.secrets(at.to("values"), v.BodyToken.Values, plainSecret)
	}
}

// rest checks the kinds that look at the connection, and the lists.
func (c *verifyCheck) rest(at path, v Verify) {
	switch {
	case v.MTLS != nil:
		c.sans(at.to("sans"), v.MTLS.SANs)
	case v.IP != nil:
		if len(v.IP.CIDRs) == 0 {
			c.add(at.to("cidrs"), "is missing: list the networks of the sender")
		}
		c.networks(at.to("cidrs"), v.IP.CIDRs)
		c.networks(at.to("trusted_proxies"), v.IP.TrustedProxies)
	case len(v.AllOf) > 0:
		c.list(at, v.AllOf, "all_of")
	case len(v.AnyOf) > 0:
		c.list(at, v.AnyOf, "any_of")
	}
}

// place refuses kinds where they would prove too little, or where it would not be clear what they prove.
func (c *verifyCheck) place(at path, kind, list string) {
	switch {
	case kind == "ip" && list != "all_of":
		c.add(at, "proves too little alone: put it below all_of, beside another kind")
	case kind == "none" && list != "":
		c.add(at, "must stand alone: remove it from the list")
	case (kind == "body_token" || kind == "set_jws") && c.choice > 0:
		c.add(at, "cannot be one of several to choose from: use it alone or below all_of")
	}
}

func (c *verifyCheck) list(at path, list []Verify, name string) {
	if name == "any_of" {
		c.choice++
		defer func() { c.choice-- }()
	}
	networks := 0
	for i, v := range list {
		c.verify(at.to(strconv.Itoa(i)), v, name)
		if v.Kind() == "ip" {
			networks++
		}
	}
	outermost := len(at) == 1
	for _, kind := range []string{"set_jws", "body_token"} {
		if outermost && occurrences(list, kind) > 1 {
			c.add(at, "has "+kind+" more than once: a delivery has one body")
		}
	}
	if len(list) < 2 || name == "all_of" && networks == len(list) {
		c.add(at, "needs two kinds at least, one of which is not ip")
	}
}

// occurrences says how often a kind stands in lists, however deep.
func occurrences(list []Verify, kind string) (n int) {
	for _, v := range list {
		if v.Kind() == kind {
			n++
		}
		n += occurrences(v.AllOf, kind) + occurrences(v.AnyOf, kind)
	}
	return n
}

func (c *verifyCheck) required(at path, s, what string) {
	if s == "" {
		c.add(at, "is missing: "+what)
	}
}

// oneOf takes nothing for the default.
func (c *verifyCheck) oneOf(at path, s string, words ...string) {
	if s != "" && !slices.Contains(words, s) {
		c.add(at, "is none of the possible values: use "+alternatives(words))
	}
}

// secrets wants at least one, each with a key of 16 bytes or more. decode gives the key, or says what is wrong.
func (c *verifyCheck) secrets(at path, list []secret.Value, decode func(secret.Value) ([]byte, string)) {
	if len(list) == 0 {
		c.add(at, "is missing: give at least one, as a reference ${env:NAME} or ${file:PATH}")
	}
	for i, s := range list {
		c.secret(at.to(strconv.Itoa(i)), s, decode)
	}
}

func (c *verifyCheck) secret(at path, s secret.Value, decode func(secret.Value) ([]byte, string)) {
	key, wrong := decode(s)
	if wrong == "" && len(key) < minSecret {
		wrong = "is shorter than 16 bytes: let the sender make a longer secret"
	}
	if wrong != "" {
		c.add(at, "the secret "+wrong)
	}
}

func plainSecret(s secret.Value) ([]byte, string) { return []byte(s.Reveal()), "" }

// standardSecret wants the form in which Standard Webhooks writes a symmetric secret: base64, perhaps behind whsec_.
func standardSecret(s secret.Value) ([]byte, string) {
	key, ok := StandardSecret(s)
	if !ok {
		return nil, "is not a Standard Webhooks secret: give whsec_ and base64, as the sender shows it"
	}
	return key, ""
}

// StandardSecret gives the key of a symmetric secret of Standard Webhooks.
func StandardSecret(s secret.Value) ([]byte, bool) {
	key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(s.Reveal(), "whsec_"))
	return key, err == nil
}

// PublicKey gives the 32 bytes of an Ed25519 public key in base64 or hex, with or without whpk_.
func PublicKey(s string) ([]byte, bool) {
	s = strings.TrimPrefix(s, "whpk_")
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.Strict().DecodeString, base64.RawURLEncoding.Strict().DecodeString} {
		if key, err := decode(s); err == nil && len(key) == 32 {
			return key, true
		}
	}
	return nil, false
}

func (c *verifyCheck) publicKeys(at path, list []string) {
	for i, s := range list {
		if _, ok := PublicKey(s); !ok {
			c.add(at.to(strconv.Itoa(i)), "is no Ed25519 public key: give 32 bytes in base64 or hex")
		}
	}
}

func (c *verifyCheck) standardWebhooks(at path, s StandardWebhooks) {
	if len(s.PublicKeys) == 0 || len(s.Secrets) > 0 {
		c.secrets(at.to("secrets"), s.Secrets, standardSecret)
	}
	c.publicKeys(at.to("public_keys"), s.PublicKeys)
	if s.Tolerance < 0 {
		c.add(at.to("tolerance"), "is negative: give a span such as 5m")
	}
}

func (c *verifyCheck) basic(at path, b Basic) {
	if len(b.Users) == 0 {
		c.add(at.to("users"), "is missing: give a name and a password")
	}
	for i, u := range b.Users {
		here := at.to("users", strconv.Itoa(i))
		if u.Name == "" || strings.Contains(u.Name, ":") {
			c.add(here.to("name"), "must be a name without a colon")
		}
		c.secret(here.to("password"), u.Password, plainSecret)
	}
}

// algorithms are the asymmetric ones of RFC 7518, section 3.1, and RFC 8037: with a symmetric one, the public key of
// an issuer would be its secret.
func algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

func (c *verifyCheck) token(at path, issuer string, audience []string, jwks string, algs []string) {
	c.required(at.to("issuer"), issuer, "give the issuer as it stands in the claim iss")
	if len(audience) == 0 || slices.Contains(audience, "") {
		c.add(at.to("audience"), "is missing: give the name under which this receiver is meant, as it stands in the claim aud")
	}
	for i, alg := range algs {
		c.oneOf(at.to("algs", strconv.Itoa(i)), or(alg, "none"), algorithms()...)
	}
	c.required(at.to("jwks"), jwks, "give the address or the file of the issuer's keys")
	if strings.Contains(jwks, "://") && !fetchable(jwks) {
		c.add(at.to("jwks"), "is no address that can be trusted: give one that begins with https://, without a user or a fragment, or the path of a file")
	}
}

// fetchable tells whether an address leads to what it names and nobody else: https, or this machine.
func fetchable(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

func (c *verifyCheck) sans(at path, sans []string) {
	if len(sans) == 0 {
		c.add(at, "is missing: list patterns of the names in the sender's certificate")
	}
	for i, s := range sans {
		kind, name, _ := strings.Cut(s, ":")
		if !slices.Contains([]string{"dns", "uri", "email"}, kind) || strings.Trim(name, "*./@:") == "" {
			c.add(at.to(strconv.Itoa(i)), "names nobody: write dns:NAME, uri:URI or email:ADDRESS with more than a *")
		}
	}
}

func (c *verifyCheck) networks(at path, list []string) {
	for i, s := range list {
		if p, err := netip.ParsePrefix(s); err != nil || p != p.Masked() || p.Addr().Is4In6() {
			c.add(at.to(strconv.Itoa(i)), "is no network: write its first address, a slash and a number of bits, such as 192.0.2.0/24")
		}
	}
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// checkVerify reports everything that is wrong with a complete Verify in the file at the path. What was reported below
// a place already is not missed there again.
func checkVerify(d *document, at path, v Verify, insecure bool) {
	if len(d.keys(at[:len(at)-1]...)) == 0 {
		return // not even a source
	}
	for _, f := range v.Check(insecure) {
		if here := d.short(at.to(f.Path...)); !d.reported(here) {
			d.fault(here, "%s", f.What)
		}
	}
}

// short gives the short form of a path where the file uses that.
func (d *document) short(at path) path {
	for long, short := range map[string]string{
		"signature.header": "header", "signature.prefix": "prefix", "timestamp.header": "timestamp_header", "timestamp.tolerance": "tolerance",
	} {
		n := len(at) - 2
		if n < 0 || at[n]+"."+at[n+1] != long {
			continue
		}
		if other := path(at[:n]).to(short); d.has(other) {
			return other
		}
	}
	return at
}

// reported tells whether there is a fault at a path or below it.
func (d *document) reported(at path) bool {
	here := d.spell(at)
	return slices.ContainsFunc(d.reader.faults, func(f Fault) bool {
		rest, ok := strings.CutPrefix(f.Path, here)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}
