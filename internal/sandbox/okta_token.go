package sandbox

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// oktaTokenLife is fixed for service apps (Okta, "Implement OAuth for Okta
	// with a service app").
	oktaTokenLife = time.Hour
	// assertionLife is the longest exp that an assertion may have (same guide).
	assertionLife = time.Hour
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// oauthFault is the error object of a token endpoint (RFC 6749 section 5.2),
// which is not Okta's own.
type oauthFault struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func oauthError(status int, code, description string) reply {
	return reply{status: status, body: oauthFault{code, description}}
}

// tokenAnswer is a token endpoint's success (RFC 6749 section 5.1).
type tokenAnswer struct {
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	AccessToken string `json:"access_token"`
	Scope       string `json:"scope,omitempty"`
}

// oktaIssueToken is POST /oauth2/v1/token for service apps. An assertion is used
// up by the attempt, also when the attempt only learns the DPoP nonce.
func oktaIssueToken(c *call) reply {
	form, ok := formBody(c)
	if !ok {
		return oauthError(http.StatusBadRequest, "invalid_request", "The request must be form-encoded.")
	}
	if form.Get("grant_type") != "client_credentials" {
		return oauthError(http.StatusBadRequest, "unsupported_grant_type", "The grant type is not supported.")
	}
	if form.Get("client_assertion_type") != assertionType {
		return oauthError(http.StatusUnauthorized, "invalid_client", "Only private_key_jwt is accepted.")
	}
	app, wrong := c.verifyAssertion(form.Get("client_assertion"))
	if wrong != "" {
		return oauthError(http.StatusUnauthorized, "invalid_client", "The client_assertion token "+wrong+".")
	}
	c.who = principal{name: "app:" + app.ClientID}
	scopes := strings.Fields(form.Get("scope"))
	if !app.granted(scopes) {
		return oauthError(http.StatusBadRequest, "invalid_scope", "A requested scope is missing or not granted to the client.")
	}
	bearer := &oktaBearer{app: app, scopes: map[string]bool{}, expires: c.now.Add(oktaTokenLife)}
	for _, s := range scopes {
		bearer.scopes[s] = true
	}
	answer := tokenAnswer{TokenType: "Bearer", ExpiresIn: int(oktaTokenLife / time.Second), Scope: strings.Join(scopes, " ")}
	if app.RequireDPoP || c.r.Header.Get("DPoP") != "" {
		proof, refused := c.dpopAtToken()
		if refused != nil {
			return *refused
		}
		answer.TokenType, bearer.thumbprint = "DPoP", proof.thumbprint
	}
	answer.AccessToken = c.sb.ids.jwt(fmt.Sprintf(`{"ver":1,"cid":%q,"exp":%d}`, app.ClientID, bearer.expires.Unix()))
	c.sb.okta.tokens[answer.AccessToken] = bearer
	return reply{status: http.StatusOK, body: answer}.with("Cache-Control", "no-store")
}

// formBody reads a form-encoded body.
func formBody(c *call) (url.Values, bool) {
	media, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if media != "application/x-www-form-urlencoded" {
		return nil, false
	}
	form, err := url.ParseQuery(string(c.body))
	return form, err == nil
}

// granted says whether there are scopes and the app has all of them.
func (app *ServiceAppSpec) granted(scopes []string) bool {
	for _, s := range scopes {
		if !slices.Contains(app.Scopes, s) {
			return false
		}
	}
	return len(scopes) > 0
}

// assertionAlgorithms are those that Okta takes for private_key_jwt.
func assertionAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512}
}

// verifyAssertion checks a client assertion (RFC 7523 section 3; Okta, "Client
// authentication methods") and says what is wrong with it, in words that
// continue "The client_assertion token".
func (c *call) verifyAssertion(raw string) (app *ServiceAppSpec, wrong string) {
	token, err := jwt.ParseSigned(raw, assertionAlgorithms())
	if err != nil {
		return nil, "is not a valid JWT"
	}
	var claims jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return nil, "has unreadable claims"
	}
	app = c.sb.okta.apps[claims.Subject]
	if app == nil || claims.Issuer != claims.Subject {
		return nil, "has an invalid iss or sub"
	}
	if kid := token.Headers[0].KeyID; app.KeyID != "" && kid != app.KeyID {
		return nil, "names an unknown key"
	}
	if err := token.Claims(app.PublicKey, &claims); err != nil {
		return nil, "has an invalid signature"
	}
	exp := claims.Expiry.Time()
	switch {
	case claims.Expiry == nil || !c.now.Before(exp):
		return nil, "is expired"
	case exp.After(c.now.Add(assertionLife)):
		return nil, "has an expiration too far into the future"
	case !claims.Audience.Contains(c.origin + c.r.URL.Path):
		return nil, "has an invalid aud"
	case claims.ID != "" && !c.sb.okta.assertions.first(app.ClientID+" "+claims.ID, c.now, exp):
		return nil, "has already been used"
	}
	return app, ""
}
