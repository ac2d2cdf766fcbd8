package sandbox

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// asaAccess is who may call the ASA team.
type asaAccess struct {
	keys   map[string]ASAKey // by key id
	tokens map[string]asaBearer
}

type asaBearer struct {
	keyID   string
	user    string
	expires time.Time
}

func newASAAccess() asaAccess {
	return asaAccess{keys: map[string]ASAKey{}, tokens: map[string]asaBearer{}}
}

func asaVendor() *vendor {
	return &vendor{
		name: "asa", prefix: "/asa",
		authenticate: asaAuthenticate, permit: asaPermit, rate: asaRate, failure: asaFailure,
	}
}

func asaRoutes() []*route {
	const team = "/asa/v1/teams/{team}"
	v := asaVendor()
	r := func(method, pattern string, h func(*call) reply) *route {
		return &route{vendor: v, method: method, pattern: team + pattern, bucket: BucketASA, handle: h}
	}
	token := r(http.MethodPost, "/service_token", asaIssueToken)
	token.open = true
	return []*route{
		token,
		r(http.MethodGet, "/clients", asaListClients),
		r(http.MethodGet, "/clients/{clientId}", asaGetClient),
		r(http.MethodDelete, "/clients/{clientId}", asaDeleteClient),
		r(http.MethodPut, "/clients/{clientId}", asaPutClient),
		r(http.MethodGet, "/users", asaListUsers),
		r(http.MethodGet, "/users/{userName}", asaGetUser),
	}
}

// asaFault is ASA's error object. Which key carries the error's name is not
// published; clients classify by status.
type asaFault struct {
	Code    int    `json:"code"`
	Error   string `json:"error"`
	Message string `json:"message"`
}

func asaError(status int, name, message string) reply {
	return reply{status: status, body: asaFault{status, name, message}}
}

// asaFailure is what ASA says with a status that no operation gave ("How the
// ASA API works", Errors).
func asaFailure(_ *call, status int) reply {
	name := "unknown_error"
	switch status {
	case http.StatusBadRequest:
		name = "invalid_request"
	case http.StatusUnauthorized:
		name = "authentication_error"
	case http.StatusForbidden:
		name = "forbidden_error"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		name = "resource_does_not_exist"
	case http.StatusConflict:
		name = "resource_already_exists"
	case http.StatusUnsupportedMediaType:
		name = "unsupported_content_type"
	case http.StatusTooManyRequests:
		name = "too_many_requests"
	case 499:
		name = "client_closed_connection"
	case http.StatusServiceUnavailable:
		name = "service_offline"
	case http.StatusGatewayTimeout:
		name = "gateway_timeout"
	}
	return asaError(status, name, strings.ReplaceAll(name, "_", " "))
}

// asaNoRole is ASA's answer to a caller without the role: 401, like a bad token.
func asaNoRole() *reply {
	return refuse(asaError(http.StatusUnauthorized, "authorization_error", "the role does not permit this"))
}

// asaRate writes the headers in ASA's spelling, with no hyphen inside RateLimit,
// and with the time of retry on a 429.
func asaRate(h http.Header, w window, throttled bool) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(w.limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(w.remaining))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(w.reset, 10))
	if throttled {
		h.Set("X-RateLimit-Retry-At", strconv.FormatInt(w.reset, 10))
	}
}

func asaAuthenticate(c *call) *reply {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	t, ok := c.sb.asa.tokens[token]
	u := c.sb.live.asa.users[t.user]
	if scheme != "Bearer" || !ok || !c.now.Before(t.expires) || u == nil || u.Status != ASAActive {
		return refuse(asaFailure(c, http.StatusUnauthorized))
	}
	if !c.isTeam() {
		return refuse(asaFailure(c, http.StatusNotFound))
	}
	c.who = principal{name: "asa:" + u.Name, role: u.Role, user: u.Name}
	return nil
}

// isTeam compares the path's team without regard to case.
func (c *call) isTeam() bool { return strings.EqualFold(c.param(0), c.sb.opt.ASA.Team) }

// asaPermit refuses bodies that are not declared as JSON. Roles differ by
// operation and are looked at there.
func asaPermit(c *call) *reply {
	if c.r.Method != http.MethodPost && c.r.Method != http.MethodPut {
		return nil
	}
	if media, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); media != "application/json" {
		return refuse(asaFailure(c, http.StatusUnsupportedMediaType))
	}
	return nil
}

// asaIssueToken is POST service_token: an API key for a bearer token.
func asaIssueToken(c *call) reply {
	if refused := asaPermit(c); refused != nil {
		return *refused
	}
	if !c.isTeam() {
		return asaFailure(c, http.StatusNotFound)
	}
	var in struct {
		KeyID     string `json:"key_id"`
		KeySecret string `json:"key_secret"`
	}
	if err := json.Unmarshal(c.body, &in); err != nil {
		return asaFailure(c, http.StatusBadRequest)
	}
	key, ok := c.sb.asa.keys[in.KeyID]
	if !ok || key.KeySecret != in.KeySecret {
		return asaFailure(c, http.StatusUnauthorized)
	}
	life := c.sb.opt.ASA.TokenLife
	if life <= 0 {
		life = time.Hour
	}
	t := asaBearer{keyID: key.KeyID, user: key.UserName, expires: c.now.Add(life)}
	raw := c.sb.ids.jwt(fmt.Sprintf(`{"sub":%q,"exp":%d}`, key.UserName, t.expires.Unix()))
	c.sb.asa.tokens[raw] = t
	c.who.name = "asa:" + key.UserName
	return reply{status: http.StatusOK, body: map[string]string{
		"bearer_token": raw,
		"expires_at":   t.expires.UTC().Format(time.RFC3339),
		"team_name":    c.sb.opt.ASA.Team,
	}}
}
