package sandbox

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/url"
	"slices"
	"strings"
)

// mosaicFields reads and checks the body of create or update.
func mosaicFields(c *call, create bool) (map[string]json.RawMessage, *reply) {
	fields := map[string]json.RawMessage{}
	media, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if media != "application/json" || json.Unmarshal(c.body, &fields) != nil {
		return nil, refuse(mosaicInvalid([]string{"the body must be a JSON object"}))
	}
	f := fieldCheck{fields: fields}
	if create {
		f.required("name")
		if f.text("authentication_protocol") == "saml" || fields["sp_entity_id"] != nil {
			f.required("sp_entity_id")
		} else {
			f.required("redirect_uris")
		}
	}
	f.types()
	f.enums()
	f.objects()
	f.redirects()
	if len(f.faults) > 0 {
		slices.Sort(f.faults)
		return nil, refuse(mosaicInvalid(f.faults))
	}
	for _, own := range []string{"app_id", "tenant_id", "client_id", "client_secret", "created_at", "updated_at"} {
		delete(fields, own) // the app's own to set
	}
	for k, raw := range fields {
		var v any
		_ = json.Unmarshal(raw, &v) // a part of what was read above
		fields[k] = jsonOf(v)       // one form, so that equal values compare equal
	}
	return fields, nil
}

// fieldCheck collects everything that is wrong with a client.
type fieldCheck struct {
	fields map[string]json.RawMessage
	faults []string
}

func (f *fieldCheck) fault(format string, args ...any) {
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

func (f *fieldCheck) text(name string) string {
	return (&mosaicClient{fields: f.fields}).text(name)
}

func (f *fieldCheck) list(name string) []string {
	var l []string
	_ = json.Unmarshal(f.fields[name], &l) // types has the fault
	return l
}

func (f *fieldCheck) required(name string) {
	raw := f.fields[name]
	if raw == nil || string(raw) == "null" || string(raw) == `""` {
		f.fault("%s should not be empty", name)
	}
}

// mosaicKinds are the types of fields, as the published schema has them.
func mosaicKinds() map[string][]string {
	return map[string][]string{
		"string": {"name", "description", "authentication_protocol", "client_group_id", "short_cookies_samesite_type", "client_type",
			"token_endpoint_auth_method", "pkce", "sp_entity_id", "sp_acs_url", "sp_name_id_type", "consent_uri"},
		"array": {"resources", "default_custom_claims", "redirect_uris", "response_types", "supported_prompts", "role_ids",
			"allowed_scopes", "default_user_info_claims"},
		"boolean": {"enforce_par", "fapi_version_compliancy", "is_third_party", "sign_assertion", "use_centralized_login"},
		"number":  {"session_expiration", "consent_validity_period"},
		"object":  {"device_authorization", "ciba_authorization", "token_expiration", "authentication_configuration"},
	}
}

func (f *fieldCheck) types() {
	for kind, names := range mosaicKinds() {
		for _, name := range names {
			if raw := f.fields[name]; raw != nil && !isKind(raw, kind) {
				f.fault("%s must be of type %s", name, kind)
			}
		}
	}
}

func isKind(raw json.RawMessage, kind string) bool {
	var err error
	switch kind {
	case "string":
		err = json.Unmarshal(raw, new(string))
	case "array":
		err = json.Unmarshal(raw, new([]string))
	case "boolean":
		err = json.Unmarshal(raw, new(bool))
	case "number":
		err = json.Unmarshal(raw, new(float64))
	case "object":
		err = json.Unmarshal(raw, new(map[string]json.RawMessage))
	}
	return err == nil && string(raw) != "null"
}

// mosaicEnums are the fields whose values are listed in the schema.
func mosaicEnums() map[string][]string {
	return map[string][]string{
		"authentication_protocol":     {"oidc", "saml"},
		"client_type":                 {"web", "native"},
		"short_cookies_samesite_type": {"lax", "none", "strict"},
		"response_types":              {"code", "id_token"},
		"supported_prompts":           {"login", "consent", "none"},
		"sp_name_id_type":             {"email", "secondaryEmail", "username", "phoneNumber", "externalUserId"},
		"pkce":                        {"enforcePkceInsteadOfClientCredentials", "enforcePkceAlongsideClientCredentials", "allowPkceAlongsideClientCredentials"},
		"token_endpoint_auth_method":  {"client_secret_basic", "self_signed_tls_client_auth", "tls_client_auth", "none", "private_key_jwt"},
	}
}

func (f *fieldCheck) enums() {
	for name, allowed := range mosaicEnums() {
		values := f.list(name)
		if s := f.text(name); s != "" {
			values = append(values, s)
		}
		for _, v := range values {
			if !slices.Contains(allowed, v) {
				f.fault("%s must be one of the following values: %s", name, strings.Join(allowed, ", "))
			}
		}
	}
}

// objects have required members once they are sent at all, also when they are
// switched off.
func (f *fieldCheck) objects() {
	for name, members := range map[string][]string{
		"device_authorization":         {"enabled", "approval_uri", "success_uri", "input_uri"},
		"ciba_authorization":           {"enabled"},
		"authentication_configuration": {"method"},
	} {
		var object map[string]json.RawMessage
		if f.fields[name] == nil || json.Unmarshal(f.fields[name], &object) != nil {
			continue
		}
		for _, m := range members {
			if object[m] == nil {
				f.fault("%s.%s should not be empty", name, m)
			}
		}
	}
}

// redirects must be HTTPS or local; native clients may have a scheme of their
// own, written as a reversed domain (Mosaic, "Manage clients").
func (f *fieldCheck) redirects() {
	native := f.text("client_type") == "native"
	for _, raw := range f.list("redirect_uris") {
		u, err := url.Parse(raw)
		if err != nil {
			f.fault("redirect_uris must hold URIs")
			continue
		}
		local := u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"
		own := native && strings.Contains(u.Scheme, ".")
		if u.Scheme != "https" && !(u.Scheme == "http" && local) && !own {
			f.fault("redirect_uris must be secure")
		}
	}
}

// withDefaults sets what the API sets when a client is made.
func withDefaults(fields map[string]json.RawMessage) {
	defaults := map[string]any{"authentication_protocol": "oidc", "resources": []string{}, "short_cookies_samesite_type": "lax"}
	if (&mosaicClient{fields: fields}).text("authentication_protocol") == "saml" || fields["sp_entity_id"] != nil {
		defaults["authentication_protocol"] = "saml"
	} else {
		defaults["client_type"] = "web"
		defaults["response_types"] = []string{"code", "id_token"}
		defaults["token_endpoint_auth_method"] = "client_secret_basic"
	}
	for k, v := range defaults {
		if fields[k] == nil {
			fields[k] = jsonOf(v)
		}
	}
}
