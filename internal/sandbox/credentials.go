package sandbox

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// Credentials are what callers need to speak to the three providers. They are
// secrets of the sandbox only, but the type keeps them out of logs all the same.
type Credentials struct {
	OktaAPIToken string     // for "Authorization: SSWS …"; all rights
	OktaApp      ServiceApp // private_key_jwt, bearer tokens
	OktaDPoPApp  ServiceApp // private_key_jwt, DPoP demanded
	ASAAdmin     ASAKey     // service user with access_admin
	ASAUser      ASAKey     // service user with access_user: no right over other people's clients
	Mosaic       MosaicKey
}

// ServiceApp is an Okta service app as its owner knows it.
type ServiceApp struct {
	ClientID   string
	KeyID      string
	PrivateKey string   // PKCS #8 in PEM; ES256 if generated
	Scopes     []string // granted to the app
}

// ASAKey is an API key of an ASA service user.
type ASAKey struct {
	UserName  string
	KeyID     string
	KeySecret string
}

// MosaicKey is a client of the Mosaic app.
type MosaicKey struct {
	ClientID     string
	ClientSecret string
}

const redacted = "[redacted]"

// String names the credentials and hides their secrets.
func (c Credentials) String() string {
	return fmt.Sprintf("credentials of %s, %s, %s, %s, %s", c.OktaApp.ClientID, c.OktaDPoPApp.ClientID,
		c.ASAAdmin.UserName, c.ASAUser.UserName, c.Mosaic.ClientID)
}

// GoString hides the secrets from %#v.
func (c Credentials) GoString() string { return c.String() }

// String hides the key.
func (a ServiceApp) String() string { return a.ClientID + " " + redacted }

// GoString hides the key from %#v.
func (a ServiceApp) GoString() string { return a.String() }

// String hides the secret.
func (k ASAKey) String() string { return k.KeyID + " " + redacted }

// GoString hides the secret from %#v.
func (k ASAKey) GoString() string { return k.String() }

// String hides the secret.
func (k MosaicKey) String() string { return k.ClientID + " " + redacted }

// GoString hides the secret from %#v.
func (k MosaicKey) GoString() string { return k.String() }

// Credentials returns the credentials of this sandbox.
func (sb *Sandbox) Credentials() Credentials { return sb.creds }

// oktaScopes are all scopes that the simulated operations ask for.
var oktaScopes = [...]string{
	"okta.users.read", "okta.users.manage",
	"okta.authorizationServers.read", "okta.authorizationServers.manage", "okta.roles.read",
}

// enrol completes the credentials and makes the providers know them.
func (sb *Sandbox) enrol() {
	c := sb.opt.Credentials
	orElse(&c.OktaAPIToken, func() string { return "00" + sb.ids.secret("ssws")[:40] })
	sb.completeApp(&c.OktaApp, ServiceAppSpec{})
	sb.completeApp(&c.OktaDPoPApp, ServiceAppSpec{RequireDPoP: true})
	sb.completeASAKey(&c.ASAAdmin, "svc-access", RoleAccessAdmin)
	sb.completeASAKey(&c.ASAUser, "svc-limited", RoleAccessUser)
	orElse(&c.Mosaic.ClientID, func() string { return sb.ids.uuid("mosaic-client") })
	orElse(&c.Mosaic.ClientSecret, func() string { return sb.ids.uuid("mosaic-secret") })
	sb.AddAPIToken(APITokenSpec{Token: c.OktaAPIToken, Name: "default"})
	sb.live.mosaic.adopt(c.Mosaic, "Default client", sb.now())
	sb.creds = c
}

func orElse(field *string, generate func() string) {
	if *field == "" {
		*field = generate()
	}
}

func (sb *Sandbox) completeApp(app *ServiceApp, spec ServiceAppSpec) {
	orElse(&app.ClientID, func() string { return sb.ids.okta("0oa") })
	orElse(&app.KeyID, func() string { return sb.ids.secret("kid")[:12] })
	orElse(&app.PrivateKey, sb.generateKey)
	if app.Scopes == nil {
		app.Scopes = append(app.Scopes, oktaScopes[:]...)
	}
	spec.ClientID, spec.KeyID, spec.Scopes = app.ClientID, app.KeyID, app.Scopes
	spec.PublicKey = publicKey(app.PrivateKey)
	sb.AddServiceApp(spec)
}

func (sb *Sandbox) completeASAKey(key *ASAKey, name, role string) {
	orElse(&key.UserName, func() string { return name })
	orElse(&key.KeyID, func() string { return sb.ids.uuid("asa-key") })
	orElse(&key.KeySecret, func() string { return sb.ids.secret("asa-secret") })
	sb.AddASAServiceUser(ASAServiceUserSpec{Key: *key, Role: role})
}

// generateKey derives a P-256 key from the seed: the same one in every process,
// and fast enough for a sandbox per test case.
func (sb *Sandbox) generateKey() string {
	for {
		d := sb.ids.take("key")
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
		if err != nil {
			continue // d is not below the curve's order: once in 2^32
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			panic(fmt.Sprintf("sandbox: encode generated key: %v", err))
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
}

// publicKey reads the public half out of a PKCS #8 PEM.
func publicKey(private string) crypto.PublicKey {
	block, _ := pem.Decode([]byte(private))
	if block == nil {
		panic("sandbox: service app: private key is not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic("sandbox: service app: private key is not PKCS #8")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		panic("sandbox: service app: private key cannot sign")
	}
	return signer.Public()
}
