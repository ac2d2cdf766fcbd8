package sandbox

import (
	"crypto"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// APITokenSpec describes an API token (SSWS) to add. An empty Token is
// generated.
type APITokenSpec struct {
	Token string
	Name  string
	// CreatorID is the user who made the token: it dies when they are
	// deprovisioned. Empty belongs to nobody.
	CreatorID string
}

// ServiceAppSpec describes a service app to add. An empty ClientID is
// generated.
type ServiceAppSpec struct {
	ClientID    string
	KeyID       string // if set, an assertion's kid must be this
	PublicKey   crypto.PublicKey
	Scopes      []string
	RequireDPoP bool
	// NoAdminRole leaves the app without an admin role: every call is 403
	// whatever its scopes, as Okta does it.
	NoAdminRole bool
}

// oktaAccess is who may call the Okta org.
type oktaAccess struct {
	apiTokens  map[string]APITokenSpec
	apps       map[string]*ServiceAppSpec
	tokens     map[string]*oktaBearer
	assertions *onceSet // jti of client assertions
	proofs     *onceSet // jti of DPoP proofs
}

// oktaBearer is an access token of a service app.
type oktaBearer struct {
	app        *ServiceAppSpec
	scopes     map[string]bool
	expires    time.Time
	thumbprint string // of the DPoP key that it is bound to
}

func newOktaAccess() oktaAccess {
	return oktaAccess{
		apiTokens: map[string]APITokenSpec{}, apps: map[string]*ServiceAppSpec{}, tokens: map[string]*oktaBearer{},
		assertions: newOnceSet(), proofs: newOnceSet(),
	}
}

// AddAPIToken adds an API token and returns it.
func (sb *Sandbox) AddAPIToken(spec APITokenSpec) (token string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	orElse(&spec.Token, func() string { return "00" + sb.ids.secret("ssws")[:40] })
	sb.okta.apiTokens[spec.Token] = spec
	return spec.Token
}

// AddServiceApp adds a service app, or replaces the one with this client id,
// and returns the client id.
func (sb *Sandbox) AddServiceApp(spec ServiceAppSpec) (clientID string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	orElse(&spec.ClientID, func() string { return sb.ids.okta("0oa") })
	sb.okta.apps[spec.ClientID] = &spec
	return spec.ClientID
}

// RemoveAPIToken revokes an API token.
func (sb *Sandbox) RemoveAPIToken(token string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	delete(sb.okta.apiTokens, token)
}

func oktaVendor() *vendor {
	return &vendor{
		name: "okta", prefix: "/okta",
		authenticate: oktaAuthenticate, permit: oktaPermit, rate: oktaRate, failure: oktaFailure,
	}
}

// oktaAuthenticate accepts SSWS, Bearer and DPoP.
func oktaAuthenticate(c *call) *reply {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	switch scheme {
	case "SSWS":
		return oktaAPIToken(c, token)
	case "Bearer", "DPoP":
		return oktaBearerToken(c, scheme, token)
	}
	return refuse(oktaFailure(c, http.StatusUnauthorized))
}

func refuse(r reply) *reply { return &r }

func oktaAPIToken(c *call, token string) *reply {
	t, ok := c.sb.okta.apiTokens[token]
	if ok && t.CreatorID != "" {
		creator := c.sb.live.okta.users[t.CreatorID]
		ok = creator != nil && creator.Status != StatusDeprovisioned
	}
	if !ok {
		return refuse(oktaFailure(c, http.StatusUnauthorized))
	}
	c.who = principal{name: "ssws:" + t.Name, all: true, user: t.CreatorID}
	return nil
}

func oktaBearerToken(c *call, scheme, token string) *reply {
	t := c.sb.okta.tokens[token]
	if t == nil || !c.now.Before(t.expires) || (scheme == "DPoP") != (t.thumbprint != "") {
		return refuse(oktaFailure(c, http.StatusUnauthorized).
			with("WWW-Authenticate", `Bearer error="invalid_token", error_description="The access token is invalid or expired"`))
	}
	c.who = principal{name: "app:" + t.app.ClientID, scopes: t.scopes}
	if t.app.NoAdminRole {
		c.who.scopes = nil
	}
	if scheme == "Bearer" {
		return nil
	}
	if proof, err := c.dpopProof(token); err != nil || proof.thumbprint != t.thumbprint {
		return refuse(oktaFailure(c, http.StatusUnauthorized).
			with("WWW-Authenticate", `DPoP error="invalid_dpop_proof", error_description="The DPoP proof is invalid"`))
	}
	return nil
}

// oktaPermit compares the scopes with what the operation needs. A manage scope
// covers reading.
func oktaPermit(c *call) *reply {
	if r := oktaLacksLength(c); r != nil {
		return r
	}
	needs := c.route.needs
	manage := strings.TrimSuffix(needs, ".read") + ".manage"
	if !c.who.all && !c.who.scopes[needs] && !c.who.scopes[manage] {
		return refuse(oktaFailure(c, http.StatusForbidden))
	}
	if strings.HasPrefix(needs, "okta.authorizationServers.") && c.sb.opt.Okta.NoAPIAccessManagement {
		return refuse(oktaError(c, http.StatusUnauthorized, "E0000015",
			"You do not have permission to access the feature you are requesting"))
	}
	return nil
}

// oktaLacksLength refuses a POST or PUT with neither body nor Content-Length
// (Okta, "Core Okta API").
func oktaLacksLength(c *call) *reply {
	if c.r.Method != http.MethodPost && c.r.Method != http.MethodPut {
		return nil
	}
	if len(c.body) > 0 || c.r.Header.Get("Content-Length") != "" || len(c.r.TransferEncoding) > 0 {
		return nil
	}
	return refuse(reply{status: http.StatusLengthRequired, raw: "Length Required\n", rawType: "text/plain"})
}

// oktaRate writes the headers in Okta's spelling; a 429 has no Retry-After.
func oktaRate(h http.Header, w window, _ bool) {
	h.Set("X-Rate-Limit-Limit", strconv.Itoa(w.limit))
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(w.remaining))
	h.Set("X-Rate-Limit-Reset", strconv.FormatInt(w.reset, 10))
}

func (sb *Sandbox) oktaConcurrency() int {
	if n := sb.opt.Okta.Concurrency; n > 0 {
		return n
	}
	return 75
}

// oktaConcurrencyRefusal is the other 429: limit and remaining are both 0, and
// the reset is no promise (Okta, "Rate limit monitoring").
func oktaConcurrencyRefusal(c *call) reply {
	r := oktaFailure(c, http.StatusTooManyRequests)
	return r.with("X-Rate-Limit-Limit", "0").with("X-Rate-Limit-Remaining", "0").
		with("X-Rate-Limit-Reset", strconv.FormatInt(c.now.Add(time.Minute).Unix(), 10))
}

// onceSet remembers ids until they have expired.
type onceSet struct {
	until map[string]time.Time
	sweep int // size at which the expired are dropped next
}

func newOnceSet() *onceSet { return &onceSet{until: map[string]time.Time{}, sweep: 1024} }

// first says whether the id is new, and remembers it.
func (s *onceSet) first(id string, now, expires time.Time) bool {
	if until, ok := s.until[id]; ok && now.Before(until) {
		return false
	}
	if len(s.until) >= s.sweep {
		maps.DeleteFunc(s.until, func(_ string, until time.Time) bool { return !now.Before(until) })
		s.sweep = max(2*len(s.until), 1024)
	}
	s.until[id] = expires
	return true
}
