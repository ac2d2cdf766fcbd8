package sandbox

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// mosaicTokenLife is an hour, without refresh (Mosaic, "Retrieve client access
// tokens").
const mosaicTokenLife = time.Hour

// mosaicAccess is who may call the Mosaic app: its own clients.
type mosaicAccess struct {
	tokens map[string]mosaicBearer
}

type mosaicBearer struct {
	client  string
	expires time.Time
}

func newMosaicAccess() mosaicAccess { return mosaicAccess{tokens: map[string]mosaicBearer{}} }

func mosaicVendor() *vendor {
	return &vendor{
		name: "mosaic", prefix: "/mosaic",
		authenticate: mosaicAuthenticate, rate: mosaicRate, failure: mosaicFailure,
	}
}

func mosaicRoutes() []*route {
	const clients = "/mosaic/cis/v1/clients"
	v := mosaicVendor()
	r := func(method, pattern string, h func(*call) reply) *route {
		return &route{vendor: v, method: method, pattern: pattern, bucket: BucketMosaic, handle: h}
	}
	token := r(http.MethodPost, "/mosaic/oidc/token", mosaicIssueToken)
	token.open = true
	return []*route{
		token,
		r(http.MethodPost, clients, mosaicCreate),
		r(http.MethodGet, clients, mosaicList),
		r(http.MethodDelete, clients, mosaicDeleteAll),
		r(http.MethodGet, clients+"/{clientId}", mosaicGet),
		r(http.MethodPut, clients+"/{clientId}", mosaicUpdate),
		r(http.MethodDelete, clients+"/{clientId}", mosaicDelete),
		r(http.MethodPut, clients+"/{clientId}/resources", mosaicSetResources),
		r(http.MethodPost, clients+"/{clientId}/secrets", mosaicAddSecret),
	}
}

// mosaicFault is Mosaic's error object: message is a list with 400 and a string
// otherwise.
type mosaicFault struct {
	Message   any    `json:"message"`
	ErrorCode int    `json:"error_code"`
	TSError   string `json:"ts_error_code,omitempty"`
}

func mosaicInvalid(messages []string) reply {
	return reply{status: http.StatusBadRequest, body: mosaicFault{Message: messages, ErrorCode: http.StatusBadRequest}}
}

// mosaicFailure is what Mosaic says with a status that no operation gave. Limits
// and outages come from the edge in front of it, which speaks HTML.
func mosaicFailure(c *call, status int) reply {
	switch {
	case status == http.StatusBadRequest:
		return mosaicInvalid([]string{"Bad request"})
	case status == http.StatusTooManyRequests:
		wait := max(c.rateView.reset-c.now.Unix(), 1)
		return edge(status).with("Retry-After", strconv.FormatInt(wait, 10))
	case status >= 500:
		return edge(status)
	}
	return reply{status: status, body: mosaicFault{Message: http.StatusText(status), ErrorCode: status}}
}

func edge(status int) reply {
	text := http.StatusText(status)
	return reply{status: status, rawType: "text/html; charset=utf-8",
		raw: fmt.Sprintf("<html><head><title>%d %s</title></head><body><h1>%s</h1></body></html>\n", status, text, text)}
}

// mosaicRate writes nothing: the API documents no rate headers.
func mosaicRate(http.Header, window, bool) {}

func mosaicAuthenticate(c *call) *reply {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	t, ok := c.sb.mosaic.tokens[token]
	if scheme != "Bearer" || !ok || !c.now.Before(t.expires) || c.sb.live.mosaic.clients[t.client] == nil {
		return refuse(mosaicFailure(c, http.StatusUnauthorized))
	}
	c.who = principal{name: "mosaic:" + t.client, user: t.client}
	return nil
}

// mosaicIssueToken is POST /oidc/token with client_credentials in the form.
func mosaicIssueToken(c *call) reply {
	form, ok := formBody(c)
	if !ok {
		return oauthError(http.StatusBadRequest, "invalid_request", "the request must be form-encoded")
	}
	if form.Get("grant_type") != "client_credentials" {
		return oauthError(http.StatusBadRequest, "unsupported_grant_type", "the grant type is not supported")
	}
	m := c.sb.live.mosaic.clients[form.Get("client_id")]
	if m == nil || !m.hasSecret(form.Get("client_secret")) {
		return oauthError(http.StatusBadRequest, "invalid_client", "client authentication failed")
	}
	c.who.name = "mosaic:" + m.id
	t := mosaicBearer{client: m.id, expires: c.now.Add(mosaicTokenLife)}
	raw := c.sb.ids.jwt(fmt.Sprintf(`{"aud":"userid-api","sub":%q,"exp":%d}`, m.id, t.expires.Unix()))
	c.sb.mosaic.tokens[raw] = t
	return reply{status: http.StatusOK, body: tokenAnswer{
		TokenType: "Bearer", ExpiresIn: int(mosaicTokenLife / time.Second), AccessToken: raw,
	}}
}

func (m *mosaicClient) hasSecret(value string) bool {
	for _, s := range m.secrets {
		if s.value == value {
			return true
		}
	}
	return false
}
