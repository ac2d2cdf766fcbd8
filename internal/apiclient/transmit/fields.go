package transmit

import (
	"encoding/json"
	"time"

	"keyturn/internal/secret"
)

// Values of the enumerations. The API may add others; what it answers is never refused for that.
const (
	OIDC = "oidc" // authentication_protocol
	SAML = "saml"

	Web    = "web" // client_type
	Native = "native"

	PKCEInstead   = "enforcePkceInsteadOfClientCredentials" // pkce
	PKCEAlongside = "enforcePkceAlongsideClientCredentials"
	PKCEAllowed   = "allowPkceAlongsideClientCredentials"
)

// Common is what clients of both protocols have. A field that is zero is not sent; a list that is empty but not nil is
// sent, and empties the list at the API. A text cannot be emptied.
type Common struct {
	Name                     string   `json:"name,omitzero"`
	Description              string   `json:"description,omitzero"`
	Resources                []string `json:"resources,omitzero"` // ids of resources
	ClientGroupID            string   `json:"client_group_id,omitzero"`
	DefaultCustomClaims      []string `json:"default_custom_claims,omitzero"`       // claims put into every id token
	ShortCookiesSameSiteType string   `json:"short_cookies_samesite_type,omitzero"` // "lax" (default), "none" or "strict"
}

// OIDCClient is what a client that speaks OpenID Connect is made of. Name and RedirectURIs are required to create one.
type OIDCClient struct {
	Common
	OIDCFields
}

// SAMLClient is what a client that speaks SAML is made of. Name and SPEntityID are required to create one.
type SAMLClient struct {
	Common
	SAMLFields
}

// Update is what can be changed of a client. What is zero is not sent, and should keep its value: the vendor implies
// it, for no field is required, but does not say so.
type Update struct {
	Common
	OIDCFields
	SAMLFields
}

// OIDCFields is what only a client that speaks OpenID Connect has.
type OIDCFields struct {
	RedirectURIs            []string `json:"redirect_uris,omitzero"`
	ClientType              string   `json:"client_type,omitzero"`                // Web (default) or Native
	ResponseTypes           []string `json:"response_types,omitzero"`             // "code", "id_token"; default both
	TokenEndpointAuthMethod string   `json:"token_endpoint_auth_method,omitzero"` // deprecated by the vendor: use PKCE
	PKCE                    string   `json:"pkce,omitzero"`
	SupportedPrompts        []string `json:"supported_prompts,omitzero"`  // "login", "consent", "none"
	SessionExpiration       float64  `json:"session_expiration,omitzero"` // seconds
	EnforcePAR              *bool    `json:"enforce_par,omitzero"`
	// RoleIDs are the client's roles. A client created without them is given one with access to everything. They are
	// in no reply.
	RoleIDs               []string `json:"role_ids,omitzero"`
	FAPIVersionCompliancy *bool    `json:"fapi_version_compliancy,omitzero"`

	// Objects are replaced as a whole by an update.
	DeviceAuthorization         *DeviceAuthorization         `json:"device_authorization,omitzero"`
	CIBAAuthorization           *CIBAAuthorization           `json:"ciba_authorization,omitzero"`
	TokenExpiration             *TokenExpiration             `json:"token_expiration,omitzero"`
	AuthenticationConfiguration *AuthenticationConfiguration `json:"authentication_configuration,omitzero"`
	IDTokenEncryption           json.RawMessage              `json:"id_token_encryption,omitzero"`

	// Newer than the rest; the first four are in no reply.
	IsThirdParty                *bool    `json:"is_third_party,omitzero"`
	AllowedScopes               []string `json:"allowed_scopes,omitzero"`
	ConsentURI                  string   `json:"consent_uri,omitzero"`
	ConsentValidityPeriod       float64  `json:"consent_validity_period,omitzero"`
	DefaultUserInfoClaims       []string `json:"default_user_info_claims,omitzero"` // not beside the next one
	SyncIDTokenClaimsToUserinfo *bool    `json:"sync_id_token_claims_to_userinfo,omitzero"`
}

// SAMLFields is what only a client that speaks SAML has.
type SAMLFields struct {
	SPEntityID          string          `json:"sp_entity_id,omitzero"`
	SPACSURL            string          `json:"sp_acs_url,omitzero"`
	OptionalACSURL      json.RawMessage `json:"optional_acs_url,omitzero"`
	SPNameIDType        string          `json:"sp_name_id_type,omitzero"` // "email", "secondaryEmail", "username", "phoneNumber", "externalUserId"
	SignAssertion       *bool           `json:"sign_assertion,omitzero"`
	UseCentralizedLogin *bool           `json:"use_centralized_login,omitzero"`
}

// DeviceAuthorization configures the device flow. If it is sent, all of it is required, also when it is disabled.
type DeviceAuthorization struct {
	Enabled     bool   `json:"enabled"`
	ApprovalURI string `json:"approval_uri"`
	SuccessURI  string `json:"success_uri"`
	InputURI    string `json:"input_uri"`
}

// CIBAAuthorization configures client-initiated backchannel authentication.
type CIBAAuthorization struct {
	Enabled  bool   `json:"enabled"`
	LoginURI string `json:"login_uri,omitzero"`
}

// TokenExpiration sets how long tokens live. The vendor does not give the unit; its defaults read as seconds.
type TokenExpiration struct {
	AccessTokenTTL   float64 `json:"access_token_ttl,omitzero"`
	RefreshTokenTTL  float64 `json:"refresh_token_ttl,omitzero"`
	MaxRefreshRotate float64 `json:"max_refresh_rotate,omitzero"`
}

// AuthenticationConfiguration says how the client proves itself at the token endpoint.
type AuthenticationConfiguration struct {
	Method               string          `json:"method"` // "client_secret_basic", "self_signed_tls_client_auth", "tls_client_auth", "private_key_jwt"
	JWKS                 json.RawMessage `json:"jwks,omitzero"`
	TLSClientAuth        json.RawMessage `json:"tls_client_auth,omitzero"`
	CA                   json.RawMessage `json:"ca,omitzero"` // older name of the same
	IsMTLSCertTokenBound *bool           `json:"isMtlsCertTokenBound,omitzero"`
}

// AppClient is a client as the API gives it.
type AppClient struct {
	AppID        string       `json:"app_id"`
	TenantID     string       `json:"tenant_id"`
	ClientID     string       `json:"client_id"`
	ClientSecret secret.Value `json:"client_secret"`           // in every reply, perhaps masked in some
	Protocol     string       `json:"authentication_protocol"` // OIDC or SAML
	CreatedAt    time.Time    `json:"created_at"`
	UpdatedAt    time.Time    `json:"updated_at"`
	Common
	OIDCFields
	SAMLFields
}
